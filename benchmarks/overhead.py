"""What a test costs under the harness, beside the same test under pytest with allure-pytest alone.

Prints, and judges nothing. The tests do nothing. *Bare* ones are only that; those *with steps* have three
steps and keep a short text, as evidence here and as Allure steps and an attachment there. What a test costs
is the slope between N and 2N of them, so that start-up is not in it, and the making of the results is: here
also JUnit, coverage, heatmap and the manifest. The rounds alternate, and the figures are their medians.

The harness sees all of it onto the disk while the next tests run; allure-pytest asks the disk for nothing.
An attempt that speaks to a device waits for that first, once, which these do not: how long such a wait is
here is printed first. Everything is measured again in memory (``/dev/shm``), where it is free.

*Start* is from the process to the first line of the first test, with a lab of seven rigs. Modules
are compiled beforehand on both sides, whatever the environment says.

    .venv/bin/python benchmarks/overhead.py [--tests 500] [--rounds 3] [--only bare ...]
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
REPO = HERE.parent
CONFIG = REPO / "lab_config"
MEMORY = Path("/dev/shm")
PACK = "nothing"

MANIFEST = f"""
title: Tests that do nothing
version: "1"
kind: service_reference_variant
capability_release: IOC
test_phase: DMCT SRVT
installation_types: [active]
select: [test_{PACK}.py]
"""
ENTRY = """
ioc-alderwick-active:
  dmc: ioc-alderwick
  communications_provider: Skylark Mobile
  installation_type: active
"""
BEGINNING = """
import os, time
from pathlib import Path
import pytest

if began := os.environ.get("BEGAN"):
    Path(began).touch()
NUMBERS = range(int(os.environ["TESTS"]))
"""
HARNESS = {
    "bare": """
@pytest.mark.ttm("TTM-4.1.1-E-01")
@pytest.mark.parametrize("number", NUMBERS)
def test_nothing(rig, number):
    tell()
""",
    "with steps": """
@pytest.mark.ttm("TTM-4.1.1-E-01")
@pytest.mark.parametrize("number", NUMBERS)
def test_nothing(rig, evidence, number):
    evidence.expect("the first is right", found=number, expected=number)
    evidence.expect("the second is right", found=number, expected=number)
    evidence.expect_between("the third is right", found=number, low=0, high=number)
    evidence.attach("what was said", "nothing")
    tell()
""",
}
ALLURE = {
    "bare": """
@pytest.mark.parametrize("number", NUMBERS)
def test_nothing(number):
    tell()
""",
    "with steps": """
import allure

@allure.step("the {what} is right")
def expect(what, found, expected):
    assert found == expected

@allure.step("the {what} is right")
def expect_between(what, found, low, high):
    assert low <= found <= high

@pytest.mark.parametrize("number", NUMBERS)
def test_nothing(number):
    expect("first", number, number)
    expect("second", number, number)
    expect_between("third", number, 0, number)
    allure.attach("nothing", "what was said", allure.attachment_type.TEXT)
    tell()
""",
}
TELL = """
def tell():
    if began := os.environ.get("BEGAN"):
        Path(began).write_text(repr(time.monotonic()))
        del os.environ["BEGAN"]
"""
COMMON = ("-q", "-p", "no:cacheprovider", "-p", "no:anyio", "-p", "no:hypothesispytest")
OURS = ("-p", "no:allure_pytest", "--lab=lab.yaml", f"--pack={PACK}")
THEIRS = ("-p", "no:smets1_harness", "--alluredir=allure", f"packs/test_{PACK}.py")


@dataclass(frozen=True, slots=True)
class Took:
    """Seconds: of wall clock, and of processor over all processes."""

    wall: float
    processor: float


@dataclass(slots=True)
class Costs:
    """What each round found for one way of running the tests, in seconds a test."""

    wall: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)

    def add(self, once: Took, twice: Took, tests: int) -> None:
        self.wall.append((twice.wall - once.wall) / tests)
        self.processor.append((twice.processor - once.processor) / tests)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tests", type=int, default=500, help="N, the tests of the smaller of two runs")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=[*HARNESS, "start"], action="append", help="measure this alone")
    parser.add_argument("--on", type=Path, action="append", help="in this folder instead of disk and memory")
    options = parser.parse_args()
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}; medians of {options.rounds} rounds")
    with contextlib.ExitStack() as made:  # all of it goes in the end: what was just removed slows ext4 down
        for place in options.on or [Path(tempfile.gettempdir()), *([MEMORY] if MEMORY.is_dir() else [])]:
            print(f"\nin {place}: {sync_milliseconds(place):.3f} ms to append a line and have it on the disk")
            measure(place, options, made)


def measure(place: Path, options: argparse.Namespace, made: contextlib.ExitStack) -> None:
    """Measure and print what is asked for in a folder; ``made`` takes what is to be removed in the end."""
    wanted = options.only or [*HARNESS, "start"]
    for kind in (kind for kind in HARNESS if kind in wanted):
        for processes in (1, 2):
            labs = made.enter_context(Labs(place, kind))
            compare(labs, kind, processes, options.tests, options.rounds)
    if "start" in wanted:
        starts(made.enter_context(Labs(place, "bare", whole=True)), max(options.rounds, 5))


def sync_milliseconds(place: Path, tries: int = 300) -> float:
    """The median time of one short write to a file that grows, and its way to the disk."""
    times = []
    with tempfile.TemporaryFile(dir=place, buffering=0) as file:
        for _ in range(tries):
            began = time.perf_counter()
            file.write(bytes(400))
            os.fsync(file.fileno())
            times.append(time.perf_counter() - began)
    return statistics.median(times) * 1000


class Labs(contextlib.AbstractContextManager["Labs"]):
    """A lab of do-nothing rigs with its pack, and the same tests for plain pytest."""

    def __init__(self, place: Path, kind: str, *, whole: bool = False) -> None:
        self._temporary = tempfile.TemporaryDirectory(dir=place)
        self.folder = Path(self._temporary.name)
        packs = self.folder / "ours" / "packs"
        (packs / "manifests").mkdir(parents=True)
        (packs / "manifests" / f"{PACK}.yaml").write_text(MANIFEST)
        (packs / f"test_{PACK}.py").write_text(BEGINNING + TELL + HARNESS[kind])
        (self.folder / "ours" / "epcl.yaml").write_text(ENTRY)
        (self.folder / "ours" / "lab.yaml").write_text(_lab_file(whole=whole))
        theirs = self.folder / "theirs" / "packs"
        theirs.mkdir(parents=True)
        (theirs / f"test_{PACK}.py").write_text(BEGINNING + TELL + ALLURE[kind])
        for side, arguments, workers in (("ours", OURS, "rigs"), ("theirs", THEIRS, "1")):
            for number in ("0", workers):  # all modules are compiled then
                self.run(side, "-m", "pytest", *COMMON, *arguments, "-n", number, tests=1)

    def __exit__(self, *_: object) -> None:
        self._temporary.cleanup()

    def run(self, side: str, *arguments: str, tests: int, began: Path | None = None) -> Took:
        """Run the tests in a new process; what it took, its workers included."""
        told = {"TESTS": str(tests), "HARNESS_STATE": "state", "PYTHONPATH": str(HERE)}
        told |= {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(self.folder / "compiled")}
        told |= {"BEGAN": str(began)} if began else {}
        before = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=self.folder / side,
            env={**os.environ, **told},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - before
        process.returncode = os.waitstatus_to_exitcode(status)
        process.stdout.close()
        if process.returncode:
            sys.exit(f"{' '.join(arguments)} ended with {process.returncode}:\n{output}")
        return Took(wall, usage.ru_utime + usage.ru_stime)

    def until_the_first_test(self, side: str, *arguments: str) -> float:
        """Seconds from the process to its first test."""
        began = self.folder / "began"
        before = time.monotonic()
        self.run(side, *arguments, tests=1, began=began)
        return float(began.read_text()) - before


def _lab_file(*, whole: bool) -> str:
    lab = (CONFIG / "simulated.yaml").read_text()
    for name in ("environments", "device_models", "dmcs", "catalogue", "migration", "ttm"):
        lab = re.sub(rf"^{name}: ", f"{name}: {CONFIG}/", lab, flags=re.MULTILINE)
    lab = re.sub(r"^packs: .*$", "packs: packs\nplugins: [do_nothing_rigs]", lab, flags=re.MULTILINE)
    lab = re.sub(r"^  schemas:.*\n", "", lab, flags=re.MULTILINE)
    return lab if whole else re.sub(r"^  ioc-3:.*\Z", "", lab, flags=re.MULTILINE | re.DOTALL)


def compare(labs: Labs, kind: str, processes: int, tests: int, rounds: int) -> None:
    """Print what a test costs on both sides."""
    ours = ("-m", "pytest", *COMMON, *OURS, "-n", "0" if processes == 1 else "rigs")
    theirs = ("-m", "pytest", *COMMON, *THEIRS, "-n", "0" if processes == 1 else str(processes))
    costs = {"ours": Costs(), "theirs": Costs()}
    for _ in range(rounds):
        for side, arguments in (("theirs", theirs), ("ours", ours)):
            once, twice = (labs.run(side, *arguments, tests=count) for count in (tests, 2 * tests))
            costs[side].add(once, twice, tests)
    how = "in one process" if processes == 1 else f"over {processes} workers"
    print(f"a test {kind}, {how}, in ms:")
    for name in ("wall", "processor"):
        mine, plain = (statistics.median(getattr(costs[side], name)) * 1000 for side in ("ours", "theirs"))
        print(f"  {name:10} harness {mine:6.3f}   allure-pytest {plain:6.3f}   ratio {mine / plain:5.2f}")


def starts(labs: Labs, rounds: int) -> None:
    """Print how long it takes until the first test, and what an unrelated session pays."""
    found: dict[str, list[float]] = {}
    for _ in range(rounds):
        for name, measure in _starts(labs):
            found.setdefault(name, []).append(measure())
    print("start, in ms:")
    plain: dict[str, float] = {}
    for name, seconds in found.items():
        median = statistics.median(seconds) * 1000
        of_what = name.partition(":")[0]
        more = f"   {median - plain[of_what]:+7.0f}" if of_what in plain else ""
        plain.setdefault(of_what, median)
        print(f"  {name:64} {median:7.0f}{more}")


def _starts(labs: Labs) -> Iterator[tuple[str, Callable[[], float]]]:
    pytest, harness = ("-m", "pytest", *COMMON), ("-m", "harness", "run", PACK, "--lab=lab.yaml")
    first, last = "to the first test", "a whole session of one test"
    theirs, ours = (*pytest, *THEIRS), (*pytest, *OURS)
    unrelated = (*pytest, f"packs/test_{PACK}.py")
    yield f"{first}: allure-pytest", lambda: labs.until_the_first_test("theirs", *theirs)
    yield f"{first}: pytest --pack", lambda: labs.until_the_first_test("ours", *ours, "-n0")
    yield (
        f"{first}: harness run --one-process",
        lambda: labs.until_the_first_test("ours", *harness, "--one-process"),
    )
    yield f"{first} of workers: allure-pytest", lambda: labs.until_the_first_test("theirs", *theirs, "-n3")
    yield f"{first} of workers: pytest --pack", lambda: labs.until_the_first_test("ours", *ours, "-nrigs")
    yield f"{first} of workers: harness run", lambda: labs.until_the_first_test("ours", *harness)
    yield (
        f"{last}: harness not loaded",
        lambda: labs.run("theirs", *unrelated, "-p", "no:smets1_harness", tests=1).wall,
    )
    yield f"{last}: harness only installed", lambda: labs.run("theirs", *unrelated, tests=1).wall


if __name__ == "__main__":
    main()
