"""``harness evidence verify`` over a run that is whole, and over one that somebody touched."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from harness.domain.lab import Lab
from harness.records.run import read_run
from harness.records.sealing import write_manifest
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
    lines = done.stderr.splitlines()
    assert lines[0] == f"{run}: every recorded byte is what was recorded"
    assert lines[1].startswith("signed with key ")


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


def test_what_is_no_run_folder_is_said_so_plainly(harness, run: Path, tmp_path: Path) -> None:
    (tmp_path / "x.tar.gz").touch()
    done = harness("evidence", "verify", tmp_path / "x.tar.gz")
    assert done.returncode == 2
    assert done.stderr == f"error: {tmp_path}/x.tar.gz is no run folder: it has no plan.json\n"


def test_the_names_of_files_do_nothing_to_a_terminal_and_json_stays_unicode(harness, run: Path) -> None:
    (run / "a\x1b[2J\n").touch()
    Path(os.fsdecode(bytes(run) + b"/b\xff")).touch()
    assert harness("evidence", "verify", run).stdout.splitlines() == [
        r"a\x1b[2J\n: is not in the manifest",
        r"b\udcff: is not in the manifest",
    ]
    answer = json.loads(harness("evidence", "verify", run, "--json").stdout)
    assert [problem["file"] for problem in answer["problems"]] == [r"a\x1b[2J\n", r"b\udcff"]


def test_for_a_program_the_answer_is_json_alone(harness, run: Path) -> None:
    answer = json.loads(harness("evidence", "verify", run, "--json").stdout)
    signer = answer.pop("signed_by")
    assert len(bytes.fromhex(signer)) == 32
    assert answer == {"run": str(run), "verified": True, "trusted": False, "problems": []}
    (run / "junit.xml").write_text("")
    done = harness("evidence", "verify", run, "--json")
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["verified"]) == (1, False)
    [problem] = answer["problems"]
    assert re.fullmatch(r"bytes 0 to \d+ of what was sealed were removed here", problem.pop("what"))
    assert problem == {"file": "junit.xml", "line": 0, "start": 0, "end": 0}


def test_the_run_of_another_lab_is_not_packed_for_its_secrets_are_not_known(harness, run: Path) -> None:
    done = harness("evidence", "pack", run, "--lab", "lab_config/simulated.yaml")
    assert done.returncode == 2
    assert "is a run of lab fabricated; lab_config/simulated.yaml" in done.stderr
    assert "name the lab file of the run: --lab" in done.stderr


def test_a_lab_shows_the_key_that_its_runs_are_signed_with(harness) -> None:
    done = harness("evidence", "key", "--lab", "lab_config/simulated.yaml")
    assert done.returncode == 0
    assert done.stdout.startswith("-----BEGIN PUBLIC KEY-----\n")
    answer = json.loads(harness("evidence", "key", "--lab", "lab_config/simulated.yaml", "--json").stdout)
    assert answer["pem"] == done.stdout
    assert answer["fingerprint"] in done.stderr


def test_a_lab_without_a_key_is_told_how_to_have_one(harness) -> None:
    done = harness("evidence", "key", "--lab", "lab_config/physical-example.yaml")
    assert done.returncode == 2
    assert "names no sealing key: its runs are not signed (make one" in done.stderr


def test_only_a_run_that_the_named_key_signed_is_good(harness, run: Path, tmp_path: Path) -> None:
    signer = tmp_path / "lab.pem"
    signer.write_bytes((run / "evidence-key.pem").read_bytes())
    done = harness("evidence", "verify", run, "--key", signer)
    assert done.returncode == 0
    assert "signed with the key that you named" in done.stderr
    other = tmp_path / "other.pem"
    other.write_text(harness("evidence", "key", "--lab", "lab_config/simulated.yaml").stdout)
    assert harness("evidence", "verify", run, "--key", other).returncode == 1
    assert harness("evidence", "verify", run, "--key", run / "plan.json").returncode == 2


def test_a_run_that_nobody_signed_says_so_plainly(harness, run: Path) -> None:
    for name in ("manifest-sha256.txt", "manifest-sha256.txt.sig", "evidence-key.pem"):
        (run / name).unlink()
    write_manifest(run)
    done = harness("evidence", "verify", run)
    assert done.returncode == 0
    first, second = done.stderr.splitlines()
    assert first == f"{run}: every byte agrees with the run's own manifest"
    assert second.startswith("not signed: ")
