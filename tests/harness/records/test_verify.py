"""Whoever touches a recorded byte is found out, with the file's name."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.domain.lab import Lab
from harness.records.run import read_run
from harness.records.verify import verify_run
from harness.reports import render_all


@pytest.fixture
def sealed(fabricated: tuple[Path, Lab]) -> Path:
    render_all(*fabricated)
    return fabricated[0]


def first_evidence(folder: Path) -> str:
    record = read_run(folder)
    return next(a.evidence[0].path for tries in record.attempts.values() for a in tries if a.evidence)


def rewrite(path: Path, content: bytes) -> None:
    """Replace a file, as an editor does: other names of the old bytes keep them."""
    part = path.with_name(path.name + ".part")
    part.write_bytes(content)
    part.replace(path)


def test_a_sealed_run_verifies(sealed: Path) -> None:
    assert verify_run(sealed) == ()


def test_changed_evidence_is_found_by_the_journal_and_by_the_manifest(sealed: Path) -> None:
    path = first_evidence(sealed)
    rewrite(sealed / path, (sealed / path).read_bytes() + b" ")
    assert [str(problem) for problem in verify_run(sealed)] == [
        f"{path}: was changed after its attempt was finished",
        f"{path}: was changed: its SHA-256 is not the manifest's",
    ]


def test_evidence_that_changed_before_the_run_was_sealed_is_found_as_well(
    fabricated: tuple[Path, Lab],
) -> None:
    folder, lab = fabricated
    path = first_evidence(folder)
    rewrite(folder / path, b"")
    render_all(folder, lab)
    assert [str(problem) for problem in verify_run(folder)] == [
        f"{path}: was changed after its attempt was finished"
    ]


def test_missing_evidence_is_found(sealed: Path) -> None:
    path = first_evidence(sealed)
    (sealed / path).unlink()
    assert f"{path}: is missing; its attempt was finished with it" in map(str, verify_run(sealed))


def test_a_changed_plan_is_found_and_its_journals_do_not_count(sealed: Path) -> None:
    plan = sealed / "plan.json"
    rewrite(plan, plan.read_bytes().replace(b'"seed":7', b'"seed":8'))
    problems = [str(problem) for problem in verify_run(sealed)]
    assert any("this journal belongs to another plan" in problem for problem in problems)
    assert "plan.json: was changed: its SHA-256 is not the manifest's" in problems
    assert read_run(sealed).counts()["passed"] == 0


def test_a_plan_with_something_added_to_it_is_found(sealed: Path) -> None:
    plan = sealed / "plan.json"
    rewrite(plan, plan.read_bytes()[:-1] + b',"zz_note":"harmless"}')
    assert "plan.json: is not as it was written" in str(verify_run(sealed)[0])


def test_the_end_of_a_journal_cut_off_is_found_by_the_manifest(sealed: Path) -> None:
    journal = sealed / "journal" / "gw0.jsonl"
    rewrite(journal, b"".join(journal.read_bytes().splitlines(keepends=True)[:-1]))
    assert "journal/gw0.jsonl: was changed: its SHA-256 is not the manifest's" in map(str, verify_run(sealed))


def test_a_changed_export_is_found(sealed: Path) -> None:
    rewrite(sealed / "run.json", b"{}")
    assert [str(problem) for problem in verify_run(sealed)] == [
        "run.json: was changed: its SHA-256 is not the manifest's"
    ]
