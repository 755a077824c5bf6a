"""Runs of packs over devices whose own ports lie: who still passes has not looked."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from harness.domain.words import Outcome
from harness.records.plan import PlannedTest
from harness.records.run import RunRecord, read_run
from tests.pack_readings import Sources, marks

REPO = Path(__file__).resolve().parents[2]


def run_lied_to(folder: Path, packs: Sequence[str], *options: str, begin: str = "request") -> RunRecord:
    """The record of packs that were told lies by the devices' own ports, from a request or the bench on."""
    done = subprocess.run(
        [sys.executable, "-m", "harness", "run", *packs, f"--runs={folder / 'runs'}", *options],
        cwd=REPO,
        env={
            **os.environ,
            "HARNESS_STATE": str(folder / "state"),
            "PYTHONPATH": str(REPO),
            "PYTEST_PLUGINS": "tests.lying_ports.plugin",
            "LYING_FROM": begin,
        },
        capture_output=True,
        text=True,
    )
    runs = [path.parent for path in (folder / "runs").glob("*/plan.json") if not path.parent.is_symlink()]
    if len(runs) != 1:
        raise AssertionError(done.stdout + done.stderr)
    return read_run(runs[0])


def believers(folder: Path, packs: Sequence[str], *options: str) -> list[PlannedTest]:
    """Tests that pass whatever the devices' own ports tell, from when on ever they lie.

    From the body's beginning on, only tests that ask nothing are lied to: others arrange something first.
    """
    left = list(run_lied_to(folder / "request", packs, *options).tests(Outcome.PASSED))
    for begin in ("bench", "body"):
        again = [test for test in left if begin == "bench" or not test.srvs]
        if not again:
            continue
        chosen = [f"--test={test.id}" for test in again]
        passed = run_lied_to(folder / begin, packs, *options, *chosen, begin=begin).tests(Outcome.PASSED)
        ids = {test.id for test in again} - {test.id for test in passed}
        left = [test for test in left if test.id not in ids]
    return left


def excused(test: PlannedTest, sources: Sources) -> bool:
    """Whether a test says why it looks at no device."""
    function = sources.tests[test.id.partition("[")[0]][1]
    return any(marks(function, "reads_no_device"))
