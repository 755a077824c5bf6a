"""``harness evidence verify`` over a run that is whole, and over one that somebody touched."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.domain.lab import Lab
from harness.records.run import read_run
from harness.reports import render_all


@pytest.fixture
def run(fabricated: tuple[Path, Lab]) -> Path:
    render_all(*fabricated)
    return fabricated[0]


def first_evidence(run: Path) -> Path:
    attempts = (attempt for tries in read_run(run).attempts.values() for attempt in tries)
    return run / next(attempt.evidence[0].path for attempt in attempts if attempt.evidence)


def test_a_run_that_nobody_touched_verifies(harness, run: Path) -> None:
    done = harness("evidence", "verify", run)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == f"{run}: every recorded byte is what was recorded\n"


def test_a_run_may_be_named_by_its_id(harness, run: Path) -> None:
    assert harness("evidence", "verify", run.name, "--runs", run.parent).returncode == 0


def test_every_file_that_was_touched_is_named(harness, run: Path) -> None:
    touched = first_evidence(run)
    touched.write_bytes(touched.read_bytes() + b"\n")
    (run / "stray.txt").write_text("?")
    done = harness("evidence", "verify", run)
    name = touched.relative_to(run)
    assert done.returncode == 1
    assert f"{name}: was changed after its attempt was finished" in done.stdout.splitlines()
    assert "stray.txt: is not in the manifest" in done.stdout.splitlines()
    said = len(done.stdout.splitlines())
    assert done.stderr == f"{run}: {said} things are not as they were recorded\n"


def test_for_a_program_the_answer_is_json_alone(harness, run: Path) -> None:
    answer = json.loads(harness("evidence", "verify", run, "--json").stdout)
    assert answer == {"run": str(run), "verified": True, "problems": []}
    (run / "junit.xml").write_text("")
    done = harness("evidence", "verify", run, "--json")
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["verified"]) == (1, False)
    assert answer["problems"] == [
        {"file": "junit.xml", "line": 0, "what": "was changed: its SHA-256 is not the manifest's"}
    ]
