"""How soon many rigs are at work, and in how much memory: with workers that are forked, or started singly.

A run is begun, and held when every rig has its first test in hand, with the rig open. Printed are the seconds
from the start of the process to the first test, and until every rig has had one; then the memory of a worker:
what it holds (RSS), and its share of that (PSS), where the process that it was forked from counts in too.

The rigs of the temporary lab do nothing, and 400 tests are collected. The simulated lab is ours, with all its
packs; there a rig is open when its twins stand and answer.

    .venv/bin/python benchmarks/start.py [--rigs 4 16 32 64] [--rounds 1] [--only forked ...]
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

HERE = Path(__file__).parent
REPO = HERE.parent
TESTS = 400
MOMENT = 0.01  # seconds that a test lasts
WAYS = {"forked": "1", "singly": "0"}
SIMULATED = ("standard-srvt-ioc", "standard-srvt-moc", "standard-srvt-foc")
LONGEST = 300.0  # seconds that a start may take


# -- in the workers, where this is a pytest plugin --------------------------------------------------


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call() -> Iterator[None]:
    """With its first test in hand a worker says so, and waits for the benchmark to look at it."""
    marks = Path(os.environ["MARKS"])
    mark = marks / str(os.getpid())
    if not mark.exists():
        mark.with_suffix(".part").write_text(repr(time.monotonic()))
        mark.with_suffix(".part").rename(mark)
        while not (marks / "go").exists():
            time.sleep(0.05)
    return (yield)


# -- the benchmark ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Start:
    """Seconds, and MiB a rig."""

    first: float
    every: float
    rss: float
    pss: float


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rigs", type=int, nargs="+", default=[4, 16, 32, 64])
    parser.add_argument("--rounds", type=int, default=1, help="of which the medians are printed")
    parser.add_argument("--only", choices=list(WAYS), nargs="+", default=list(WAYS))
    options = parser.parse_args()
    print(f"before: load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print(f"{'':22}{'':12}{'first test':>12}{'every rig':>12}{'RSS a rig':>12}{'PSS a rig':>12}")
    for rigs in options.rigs:
        for way in options.only:
            show(f"{rigs} rigs", way, [of_nothing(rigs, way) for _ in range(options.rounds)])
    for way in options.only:
        show("simulated lab, 7 rigs", way, [of_twins(way) for _ in range(options.rounds)])


def show(lab: str, way: str, starts: list[Start]) -> None:
    first, every, rss, pss = (
        statistics.median(getattr(start, name) for start in starts)
        for name in ("first", "every", "rss", "pss")
    )
    print(f"{lab:22}{way:12}{first:10.2f} s{every:10.2f} s{rss:8.0f} MiB{pss:8.1f} MiB", flush=True)


def of_nothing(rigs: int, way: str) -> Start:
    from scheduling import Work, make_lab

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        few = rigs // 4
        work = Work(
            {"few": [MOMENT] * (TESTS // 4), "many": [MOMENT] * (TESTS * 3 // 4)},
            {"few": few, "many": rigs - few},
        )
        make_lab(folder, work)
        return start(["few", "many", "--lab=lab.yaml"], folder, rigs, way)


def of_twins(way: str) -> Start:
    with tempfile.TemporaryDirectory() as name:
        lab = REPO / "lab_config" / "simulated.yaml"
        return start([*SIMULATED, f"--lab={lab}"], Path(name), 7, way, cwd=REPO)


def start(arguments: list[str], folder: Path, rigs: int, way: str, cwd: Path | None = None) -> Start:
    marks = folder / "marks"
    marks.mkdir()
    environment = {
        **os.environ,
        "PYTHONPATH": str(HERE),
        "PYTHONDONTWRITEBYTECODE": "",
        "PYTEST_PLUGINS": "start",
        "MARKS": str(marks),
        "HARNESS_FORK": WAYS[way],
        "HARNESS_STATE": str(folder / "state"),
    }
    began = time.monotonic()
    run = subprocess.Popen(
        [sys.executable, "-m", "harness", "run", *arguments, f"--runs={folder / 'runs'}"],
        cwd=cwd or folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        workers = await_all(marks, rigs, run)
        times = [float((marks / worker).read_text()) - began for worker in workers]
        return Start(min(times), max(times), *memory(workers, run.pid))
    finally:
        run.send_signal(signal.SIGINT)  # the tests in hand are the last ones
        (marks / "go").touch()
        run.wait()


def await_all(marks: Path, rigs: int, run: subprocess.Popen[bytes]) -> list[str]:
    """The process ids of the workers, when each of them has its first test in hand."""
    ends = time.monotonic() + LONGEST
    while len(workers := [path.name for path in marks.iterdir() if path.name.isdigit()]) < rigs:
        if run.poll() is not None or time.monotonic() > ends:
            raise SystemExit(f"{len(workers)} of {rigs} rigs came to have a test")
        time.sleep(0.02)
    return workers


def memory(workers: list[str], controller: int) -> tuple[float, float]:
    """RSS and PSS of a worker in MiB; what the workers were forked from is theirs in equal parts."""
    parents = {parent(worker) for worker in workers} - {controller}
    rss = statistics.mean(kilobytes(worker, "Rss") for worker in workers)
    pss = sum(kilobytes(process, "Pss") for process in (*workers, *map(str, parents))) / len(workers)
    return rss / 1024, pss / 1024


def parent(process: str) -> int:
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])


def kilobytes(process: str, name: str) -> int:
    text = Path(f"/proc/{process}/smaps_rollup").read_text()
    found = re.search(rf"^{name}: +(\d+) kB", text, flags=re.MULTILINE)
    assert found is not None, f"smaps_rollup has no {name}"
    return int(found[1])


if __name__ == "__main__":
    main()
