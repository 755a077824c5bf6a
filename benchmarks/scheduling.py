"""How well a run's rigs are used, and how soon: many rigs that wait for their devices, on few processors.

Prints, and judges nothing. The tests sleep, as tests do that wait for devices. Their durations are lognormal
and seeded; 60 % of them fit only the quarter of the rigs that is of the one DMC, the others fit the rest. The
*lower bound* is what no scheduler goes below: for each DMC its work over its rigs, or its longest test.

The harness runs them by ``harness run``, and knows from the mark ``expected`` how long each lasts, as it does
from earlier runs. Beside it, in the same run, stand pytest-xdist's own schedulers with as many workers. These
know nothing of rigs: there a test takes any free rig that fits (tokens in a pipe), and waits while there is
none. Under ``loadgroup`` each rig is a group instead, and the tests are dealt out to the groups in turn.

Each way runs one test of each kind first, so that all is compiled, as it is from the second run on.
*Makespan* is from the start of the process to the end of its last test, *tests* from the begin of the first
one. The last figure is what the scheduler itself costs, with 10,000 tests that wait for 64 rigs.

    .venv/bin/python benchmarks/scheduling.py [--rigs 64] [--tests 400] [--scale 1.0] [--only harness ...]
"""

from __future__ import annotations

import argparse
import contextlib
import heapq
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from random import Random

HERE = Path(__file__).parent
REPO = HERE.parent
CONFIG = REPO / "lab_config"
XDIST = ("load", "loadgroup", "worksteal")
DMCS = {"few": "ioc-alderwick", "many": "foc-cedarholt"}
RELEASES = {"few": "IOC", "many": "FOC"}
MEAN = 5.0  # seconds
SIGMA = 0.8  # of the logarithm of the durations

MANIFEST = """
title: Tests that fit the {kind} rigs
version: "1"
kind: service_reference_variant
capability_release: {release}
test_phase: DMCT SRVT
installation_types: [{installation}]
select: [test_{kind}.py]
"""
ENTRIES = """
ioc-alderwick-active:
  dmc: ioc-alderwick
  communications_provider: Skylark Mobile
  installation_type: active
foc-cedarholt-dormant:
  dmc: foc-cedarholt
  communications_provider: Skylark Mobile
  installation_type: dormant
"""
RIG = """
  {name}:
    dmc: {dmc}
    place: bay {number}
    mpan: "{mpan}"
    mprn: "{mprn}"
    simulation: {{starts: 2025-03-03T08:00:00Z}}
    devices:
      ESME: {{device_id: 00-DB-12-34-56-{number:02X}-00-01, serial_number: E{number:04}1}}
      GSME: {{device_id: 00-DB-12-34-56-{number:02X}-00-02, serial_number: G{number:04}2}}
      CH: {{device_id: 00-DB-12-34-56-{number:02X}-00-03, serial_number: H{number:04}3}}
"""
BEGINNING = """
import os, time
import pytest

def wait_for_the_device(seconds):
    began = time.monotonic()
    time.sleep(seconds)
    with open(f"{os.environ['TIMES']}/{os.getpid()}", "a") as file:
        file.write(f"{began} {time.monotonic()}\\n")
"""
OURS = """
@pytest.mark.ttm("TTM-4.1.1-E-01")
@pytest.mark.expected({seconds})
def test_{number:04}(rig):
    wait_for_the_device({seconds})
"""
THEIRS = """
@pytest.mark.xdist_group("{rig}")
def test_{number:04}({fixture}):
    wait_for_the_device({seconds})
"""
TOKENS = """
import os
import pytest

@pytest.fixture
def rig(request):
    pipe = os.open(os.environ["TOKENS_" + request.module.__name__.rpartition("_")[2]], os.O_RDWR)
    token = os.read(pipe, 1)
    yield token
    os.write(pipe, token)
    os.close(pipe)
"""


# xdist 3.8 writes a test's group where pytest 9.2 does not look for it: without this it groups nothing
GROUPS = """
import pytest

@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    for item in items:
        group = "@" + item.get_closest_marker("xdist_group").args[0]
        if not item.nodeid.endswith(group):
            from _pytest.nodeid import coerce_node_id
            item._id = coerce_node_id(item.nodeid + group)
"""


@dataclass(frozen=True, slots=True)
class Work:
    """The tests of each kind by their seconds, and the number of rigs that they fit."""

    seconds: dict[str, list[float]]
    rigs: dict[str, int]

    @classmethod
    def drawn(cls, options: argparse.Namespace) -> Work:
        random = Random(options.seed)
        drawn = [random.lognormvariate(0, SIGMA) for _ in range(options.tests)]
        scale = MEAN * options.scale / statistics.mean(drawn)
        seconds = [round(scale * each, 4) for each in drawn]
        few = round(0.6 * options.tests)
        quarter = options.rigs // 4
        return cls(
            {"few": seconds[:few], "many": seconds[few:]},
            {"few": quarter, "many": options.rigs - quarter},
        )

    @property
    def lower_bound(self) -> float:
        bounds = (max(sum(tests) / self.rigs[kind], max(tests)) for kind, tests in self.seconds.items())
        return max(bounds)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rigs", type=int, default=64)
    parser.add_argument("--tests", type=int, default=400)
    parser.add_argument("--scale", type=float, default=1.0, help=f"of the mean of {MEAN:g} s")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=["harness", *XDIST, "cost"], action="append", help="measure this")
    options = parser.parse_args()
    wanted = options.only or ["harness", *XDIST, "cost"]
    work = Work.drawn(options)
    longest = max(map(max, work.seconds.values()))
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
    print(f"{options.rigs} rigs, {options.tests} tests, mean {MEAN * options.scale:g} s")
    print(f"lower bound {work.lower_bound:.1f} s, longest test {longest:.1f} s")
    for way in wanted:
        if way != "cost":
            with tempfile.TemporaryDirectory() as folder:
                measure(way, work, Path(folder))
    if "cost" in wanted:
        print_cost()


def measure(way: str, work: Work, folder: Path) -> None:
    """Run the tests in one way, and print how long it took."""
    times = folder / "times"
    times.mkdir()
    environment = {
        **os.environ,
        "TIMES": str(times),
        "PYTHONPATH": str(HERE),
        "HARNESS_STATE": str(folder / "s"),
        "PYTHONDONTWRITEBYTECODE": "",
    }
    if way == "harness":
        make_lab(folder, work)
        command = ["-m", "harness", "run", *work.seconds, "--lab=lab.yaml", "--json"]
        began = run_twice(command, times, environment)
    else:
        make_tests(folder, work, rigs_are_groups=way == "loadgroup")
        plain = ("-p", "no:smets1_harness", "-p", "no:cacheprovider", "-p", "no:allure_pytest", "-q")
        with tokens(folder, work) as pipes:
            command = ["-m", "pytest", *plain, "-n", str(sum(work.rigs.values())), "--dist", way]
            began = run_twice(command, times, environment | pipes)
    ended = time.monotonic()
    lines = [line.split() for path in times.iterdir() for line in path.read_text().splitlines()]
    first, last = min(float(line[0]) for line in lines), max(float(line[1]) for line in lines)
    bound, tests = work.lower_bound, sum(map(len, work.seconds.values()))
    assert len(lines) == tests, f"{len(lines)} of {tests} tests were run"
    print(
        f"{way:10} makespan {last - began:6.1f} s, {(last - began) / bound:.3f} of the bound; "
        f"start to first test {first - began:.2f} s; "
        f"tests {last - first:6.1f} s, {(last - first) / bound:.3f}; end {ended - last:.1f} s after the last"
    )


def run_twice(command: list[str], times: Path, environment: dict[str, str]) -> float:
    """Run a test of each kind, then all of them, with nothing else on record; when that began."""
    run([*command, "-k", "test_0000"], times.parent, environment)
    for path in times.iterdir():
        path.unlink()
    began = time.monotonic()
    run(command, times.parent, environment)
    return began


def run(command: list[str], folder: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-3000:]}")


# -- the harness's side ----------------------------------------------------------------------------


def make_lab(folder: Path, work: Work) -> None:
    """A lab of rigs that do nothing, and a pack of sleeping tests for each kind of them."""
    lab = (CONFIG / "simulated.yaml").read_text()
    for name in ("environments", "device_models", "dmcs", "catalogue", "migration", "ttm"):
        lab = re.sub(rf"^{name}: ", f"{name}: {CONFIG}/", lab, flags=re.MULTILINE)
    lab = re.sub(r"^packs: .*$", "packs: packs\nplugins: [do_nothing_rigs]", lab, flags=re.MULTILINE)
    lab = re.sub(r"^epcl: .*$", "epcl: epcl.yaml", lab, flags=re.MULTILINE)
    lab = re.sub(r"^  schemas:.*\n", "", lab, flags=re.MULTILINE)
    lab = re.sub(r"^rigs:.*\Z", "rigs:", lab, flags=re.MULTILINE | re.DOTALL)
    numbers = count(1)
    for kind, rigs in work.rigs.items():
        lab += "".join(a_rig(f"{kind}-{n + 1}", DMCS[kind], next(numbers)) for n in range(rigs))
    (folder / "lab.yaml").write_text(lab)
    (folder / "epcl.yaml").write_text(ENTRIES)
    manifests = folder / "packs" / "manifests"
    manifests.mkdir(parents=True)
    for kind, tests in work.seconds.items():
        installation = "active" if kind == "few" else "dormant"
        text = MANIFEST.format(kind=kind, release=RELEASES[kind], installation=installation)
        (manifests / f"{kind}.yaml").write_text(text)
        source = [OURS.format(number=n, seconds=seconds) for n, seconds in enumerate(tests)]
        (folder / "packs" / f"test_{kind}.py").write_text(BEGINNING + "".join(source))


def a_rig(name: str, dmc: str, number: int) -> str:
    from harness.config.identifiers import mpan, mprn

    mpans = (f"99{number:010}{check}" for check in range(10))
    mprns = (f"99{number:06}{check:02}" for check in range(100))
    return RIG.format(
        name=name,
        dmc=dmc,
        number=number,
        mpan=next(filter(right(mpan), mpans)),
        mprn=next(filter(right(mprn), mprns)),
    )


def right(check):
    """Whether digits check, as a function that tells instead of raising."""

    def is_right(text: str) -> bool:
        with contextlib.suppress(ValueError):
            return bool(check(text))
        return False

    return is_right


# -- xdist's side ----------------------------------------------------------------------------------


def make_tests(folder: Path, work: Work, *, rigs_are_groups: bool) -> None:
    """The same tests for pytest-xdist alone."""
    (folder / "conftest.py").write_text(GROUPS if rigs_are_groups else TOKENS)
    for kind, tests in work.seconds.items():
        source = [
            THEIRS.format(
                number=n,
                seconds=seconds,
                rig=f"{kind}-{n % work.rigs[kind]}",
                fixture="" if rigs_are_groups else "rig",
            )
            for n, seconds in enumerate(tests)
        ]
        (folder / f"test_{kind}.py").write_text(BEGINNING + "".join(source))


@contextlib.contextmanager
def tokens(folder: Path, work: Work) -> Iterator[dict[str, str]]:
    """A pipe for each kind of rig, with a byte in it for each rig that is free; where it is, by variable."""
    with contextlib.ExitStack() as stack:
        places = {}
        for kind, rigs in work.rigs.items():
            path = folder / f"free-{kind}"
            os.mkfifo(path)
            pipe = stack.enter_context(path.open("r+b", buffering=0))
            pipe.write(bytes(range(rigs)))
            places[f"TOKENS_{kind}"] = str(path)
        yield places


# -- what the scheduler costs ----------------------------------------------------------------------


def print_cost(tests: int = 10_000, rigs: int = 64) -> None:
    """Processor time of the scheduler for each test that ends, with workers that are nothing but names."""
    sys.path.insert(0, str(REPO))
    from tests.harness.execution.fake_workers import Lab, planned

    random = Random(1)
    dmc_of = {f"rig-{n}": f"dmc-{n % 4}" for n in range(rigs)}
    seconds = [random.lognormvariate(1, SIGMA) for _ in range(tests)]
    lab = Lab(dmc_of, [planned(f"t{n}", f"dmc-{n % 4}", expected=each) for n, each in enumerate(seconds)])
    index = {node_id: n for n, node_id in enumerate(lab.collection)}
    began = time.process_time()
    nodes = lab.join(*dmc_of)
    busy = [(random.random(), n) for n in range(rigs)]
    heapq.heapify(busy)
    while busy:
        now, n = heapq.heappop(busy)
        if nodes[n].hand:
            test = index[nodes[n].hand.pop()]
            lab.scheduler.mark_test_complete(nodes[n], test)
            heapq.heappush(busy, (now + seconds[test], n))
    took = time.process_time() - began
    assert lab.scheduler.tests_finished
    print(f"scheduler  {took / tests * 1e6:.0f} us of processor for each of {tests} tests over {rigs} rigs")


if __name__ == "__main__":
    main()
