"""A run of packs over good twins in a lab that breaks, and what is owed to it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.domain.words import AttemptResult, Outcome
from harness.records.run import RunRecord, read_run

REPO = Path(__file__).resolve().parents[2]
CONFIG = REPO / "lab_config"


@dataclass(frozen=True)
class Broken:
    """A run that has ended, and what was injected in it."""

    record: RunRecord
    injections: Sequence[dict[str, Any]]
    output: str
    by_workers: bool

    @property
    def fired(self) -> list[dict[str, Any]]:
        return [each for each in self.injections if each["fired"]]

    def failures(self) -> list[str]:
        """Attempts that blame a device or the harness for what the lab did; there must be none."""
        return [
            f"{attempt.test}: {attempt.cause}: {attempt.message}"
            for attempts in self.record.attempts.values()
            for attempt in attempts
            if attempt.result is AttemptResult.FAILED
        ]

    def unexplained(self) -> list[str]:
        """Tests that did not pass though nothing was broken in them.

        Where workers ran the tests, no record says in which of them the gateway was broken.
        """
        broken = {each["test"] for each in self.fired}
        return [
            f"{test.id}: {self.record.outcome(test.id)}: {self.record.reason(test.id)}"
            for test in self.record.plan.tests
            if self.record.outcome(test.id) is not Outcome.PASSED
            and test.id not in broken
            and not (self.by_workers and "LinkLost" in self.record.reason(test.id))
        ]

    def counted(self) -> Counter[tuple[str, str, str]]:
        """Injections by kind, phase, and what became of the test."""
        return Counter(
            (each["kind"], each["phase"], self.record.outcome(each["test"]).value) for each in self.fired
        )


def lab_file(folder: Path) -> Path:
    """The shipped lab with every bench behind Modbus."""
    shipped, doors = _read(CONFIG / "simulated.yaml"), _read(CONFIG / "simulated-doors.yaml")
    bench = dict(doors["rigs"]["ioc-1"]["bench"]) | {"map": str(CONFIG / "bench-map.yaml")}
    for rig in shipped["rigs"].values():
        rig["bench"] = bench
    for name, value in shipped.items():
        if isinstance(value, str) and (CONFIG / value).exists():
            shipped[name] = str((CONFIG / value).resolve())
    schemas = shipped["dcc"]["schemas"]
    schemas["folder"] = str((CONFIG / schemas["folder"]).resolve())
    file = folder / "lab.yaml"
    file.write_text(json.dumps(shipped, default=str))  # YAML, too
    return file


def _read(path: Path) -> dict[str, Any]:
    import yaml

    found: dict[str, Any] = yaml.safe_load(path.read_text())
    return found


def run_broken(folder: Path, packs: Sequence[str], *options: str, seed: int, every: int) -> Broken:
    """Run packs with something broken in every n-th test, or every n-th of each worker.

    With ``--one-process`` among the options the record of the injections is whole, the gateway's included.
    """
    folder.mkdir(parents=True, exist_ok=True)
    record = folder / "injections.jsonl"
    record.touch()
    done = subprocess.run(
        [sys.executable, "-m", "harness", "run", *packs, f"--lab={lab_file(folder)}",
         f"--runs={folder / 'runs'}", f"--seed={seed}", *options],
        cwd=REPO,
        env={
            **os.environ,
            "HARNESS_STATE": str(folder / "state"),
            "PYTHONPATH": str(REPO),
            "PYTEST_PLUGINS": "tests.lab_faults.injector",
            "LAB_FAULTS": json.dumps({"seed": seed, "every": every, "record": str(record)}),
        },
        capture_output=True,
        text=True,
    )  # fmt: skip
    runs = [path.parent for path in (folder / "runs").glob("*/plan.json") if not path.parent.is_symlink()]
    if len(runs) != 1:
        raise AssertionError(done.stdout + done.stderr)
    lines = record.read_text().splitlines()
    injections = [json.loads(line) for line in lines]
    return Broken(read_run(runs[0]), injections, done.stdout + done.stderr, "--one-process" not in options)
