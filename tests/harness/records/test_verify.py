"""Whoever touches a recorded byte is found out, with the file's name."""

from __future__ import annotations

import os
import re
import shutil
from errno import EACCES
from pathlib import Path
from typing import Any

import pytest

from harness.domain.lab import Lab
from harness.records.blocks import BLOCK
from harness.records.run import read_run
from harness.records.verify import verify, verify_run
from harness.reports import render_all
from tests.harness.conftest import fabricate_many


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
    content = (sealed / path).read_bytes() + b" "
    rewrite(sealed / path, content)
    assert [str(problem) for problem in verify_run(sealed)] == [
        f"{path}: was changed after its attempt was finished",
        f"{path}, bytes 0 to {len(content) - 1}: was changed since it was sealed",
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
    assert any(re.fullmatch(r"plan\.json, bytes \d+ to \d+: was changed since.*", each) for each in problems)
    assert read_run(sealed).counts()["passed"] == 0


def test_a_plan_with_something_added_to_it_is_found(sealed: Path) -> None:
    plan = sealed / "plan.json"
    rewrite(plan, plan.read_bytes()[:-1] + b',"zz_note":"harmless"}')
    assert "plan.json: is not as it was written" in str(verify_run(sealed)[0])


def test_the_end_of_a_journal_cut_off_is_found_by_the_manifest(sealed: Path) -> None:
    journal = sealed / "journal" / "gw0.jsonl"
    rewrite(journal, b"".join(journal.read_bytes().splitlines(keepends=True)[:-1]))
    [problem] = verify_run(sealed)
    assert problem.file == "journal/gw0.jsonl"
    assert problem.end == journal.stat().st_size
    assert re.fullmatch(r"\d+ bytes were removed from what was sealed as bytes \d+ to \d+", problem.what)


def test_a_changed_export_is_found(sealed: Path) -> None:
    rewrite(sealed / "run.json", b"{}")
    [problem] = verify_run(sealed)
    assert (problem.file, problem.start, problem.end) == ("run.json", 0, 2)


def test_a_plan_that_cannot_be_read_any_more_is_named_and_the_rest_is_verified(sealed: Path) -> None:
    plan = sealed / "plan.json"
    rewrite(plan, b"[" + plan.read_bytes()[1:])
    (sealed / "stray.txt").touch()
    problems = [str(problem) for problem in verify_run(sealed)]
    assert "plan.json: cannot be read, and the journals with it" in problems[0]
    assert problems[1:] == [
        "stray.txt: is not in the manifest",
        "plan.json, bytes 0 to 4095: was changed since it was sealed",
    ]


def test_journals_that_are_no_files_are_named_and_the_others_count(sealed: Path) -> None:
    before = read_run(sealed).counts()
    os.mkfifo(sealed / "journal" / "pipe.jsonl")
    (sealed / "journal" / "folder.jsonl").mkdir()
    (sealed / "journal" / "zz.jsonl").symlink_to("/dev/zero")
    told = {str(problem) for problem in verify_run(sealed)}
    names = ("folder", "pipe", "zz")
    unread = {f"journal/{name}.jsonl: cannot be read: it is no file of its own" for name in names}
    unsealed = {f"journal/{name}.jsonl: is no file: no manifest can seal it" for name in ("pipe", "zz")}
    assert told == unread | unsealed
    assert read_run(sealed).counts() == before


def test_a_plan_that_became_a_folder_is_named(sealed: Path) -> None:
    (sealed / "plan.json").unlink()
    (sealed / "plan.json").mkdir()
    told = [str(problem) for problem in verify_run(sealed)]
    assert told[0].startswith("plan.json: cannot be read, and the journals with it")
    assert "plan.json: is listed in the manifest and missing" in told


def test_what_nobody_may_read_is_named(sealed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    locked = {sealed / first_evidence(sealed), sealed / "journal/gw0.jsonl"}
    inodes, opened = {path.stat().st_ino for path in locked}, Path.open  # some files here have two names

    def refusing(self: Path, *arguments: Any, **options: Any) -> Any:  # as it is where one is not root
        if self.is_file() and self.stat().st_ino in inodes:
            raise PermissionError(EACCES, "Permission denied", str(self))
        return opened(self, *arguments, **options)

    monkeypatch.setattr(Path, "open", refusing)
    evidence, journal = sorted(str(path.relative_to(sealed)) for path in locked)
    told = [str(problem) for problem in verify_run(sealed)]
    assert f"{journal}: cannot be read: Permission denied" in told
    assert f"{evidence}: cannot be read: Permission denied" in told


@pytest.mark.parametrize("outside", ["the file", "its folder"])
def test_evidence_that_is_a_link_out_of_the_run_is_not_the_runs(
    sealed: Path, tmp_path: Path, outside: str
) -> None:
    evidence = first_evidence(sealed)
    moved = sealed / evidence if outside == "the file" else (sealed / evidence).parent
    moved.rename(tmp_path / "elsewhere")
    moved.symlink_to(tmp_path / "elsewhere")
    told = f"{evidence}: is kept elsewhere: a link stands in its place, or on the way to it"
    assert told in map(str, verify_run(sealed))


@pytest.fixture(scope="module")
def thousand_pattern(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sealed run of 1,000 results. How it is brought to the disk is not what is tested."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        folder, lab = fabricate_many(tmp_path_factory.mktemp("thousand"), 1000, rich=False)
        render_all(folder, lab)
    return folder


@pytest.fixture
def thousand(thousand_pattern: Path, tmp_path: Path) -> Path:
    """The same, to be spoilt: hard links, which spoiling goes through, by way of ``rewrite`` alone."""
    folder = tmp_path / thousand_pattern.name
    shutil.copytree(thousand_pattern, folder, copy_function=os.link)
    return folder


def test_a_run_of_a_thousand_results_verifies_and_says_who_signed_it(thousand: Path) -> None:
    assert sum(len(tries) for tries in read_run(thousand).attempts.values()) == 1000
    verification = verify(thousand)
    assert verification.problems == ()
    assert verification.signer is not None


def lines_of(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def flip(path: Path, at: int, bit: int = 0x04) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= bit
    rewrite(path, bytes(content))


def span(lines: list[bytes], number: int) -> tuple[int, int]:
    start = sum(map(len, lines[: number - 1]))
    return start, start + len(lines[number - 1])


def test_one_flipped_bit_in_a_journal_is_named(thousand: Path) -> None:
    journal = thousand / "journal" / "gw0.jsonl"
    start, end = span(lines_of(journal), 41)  # the end of an attempt
    flip(journal, start + 100)
    event, block = verify_run(thousand)
    assert (event.file, event.line, event.start, event.end) == ("journal/gw0.jsonl", 41, start, end)
    first = (start + 100) // BLOCK * BLOCK
    assert (block.file, block.start, block.end) == ("journal/gw0.jsonl", first, first + BLOCK)


def test_one_dropped_line_in_a_journal_is_named(thousand: Path) -> None:
    journal = thousand / "journal" / "gw1.jsonl"
    lines = lines_of(journal)
    start, end = span(lines, 77)
    rewrite(journal, b"".join(lines[:76] + lines[77:]))
    event, *others, block = verify_run(thousand)
    assert (event.file, event.line, event.start, event.end) == ("journal/gw1.jsonl", 77, start, start)
    assert event.what == "event 76 is missing before this line"
    assert (
        f"{end - start} bytes were removed from what was sealed as bytes {start // BLOCK * BLOCK}"
        in block.what
    )
    assert all("attempt" in problem.what for problem in others)  # what the event told of


def test_one_swapped_pair_in_a_journal_is_named(thousand: Path) -> None:
    journal = thousand / "journal" / "gw2.jsonl"
    lines = lines_of(journal)
    lines[20], lines[21] = lines[21], lines[20]
    rewrite(journal, b"".join(lines))
    first, second, *others = verify_run(thousand)
    assert (first.line, first.start, first.end) == (21, *span(lines, 21))
    assert (second.line, second.start, second.end) == (22, *span(lines, 22))
    assert first.what.endswith("lines 21 and 22 are swapped")
    assert {problem.file for problem in others} <= {"journal", "journal/gw2.jsonl"}


def test_one_added_file_is_named(thousand: Path) -> None:
    stray = thousand / "evidence" / "stray.xml"
    stray.write_text("<x/>")
    assert [str(problem) for problem in verify_run(thousand)] == [
        "evidence/stray.xml: is not in the manifest"
    ]


def test_a_flipped_bit_in_each_export_is_named_to_the_block(thousand: Path) -> None:
    exports = ["heatmap.html", "junit.xml", "run.json", "ttm-coverage.csv"]
    places = {export: (thousand / export).stat().st_size * 2 // 3 for export in exports}
    for export, at in places.items():
        flip(thousand / export, at)
    assert [(problem.file, problem.start) for problem in verify_run(thousand)] == [
        (export, at // BLOCK * BLOCK) for export, at in places.items()
    ]


@pytest.mark.parametrize("name", ["manifest-sha256.txt.sig", "evidence-key.pem", "blocks-sha256.txt"])
def test_one_flipped_bit_in_the_seal_itself_is_found(sealed: Path, name: str) -> None:
    flip(sealed / name, 60)
    assert verify_run(sealed)


def test_one_flipped_bit_in_the_manifest_is_no_change_of_the_file_that_it_lists(sealed: Path) -> None:
    manifest = sealed / "manifest-sha256.txt"
    lines = lines_of(manifest)
    number = next(n for n, line in enumerate(lines, start=1) if line.endswith(b"  heatmap.html\n"))
    digit = re.search(rb"[0-9]", lines[number - 1])
    assert digit is not None
    flip(manifest, span(lines, number)[0] + digit.start(), bit=0x01)  # still a digit, of another digest
    listed, signed = verify_run(sealed)
    size = (sealed / "heatmap.html").stat().st_size
    assert (listed.file, listed.start, listed.end) == ("heatmap.html", 0, size)
    assert listed.what == "is as its blocks were sealed: its digest in the manifest was changed"
    assert (signed.file, "the signature does not fit" in signed.what) == ("manifest-sha256.txt", True)


def test_a_torn_last_line_is_legal(fabricated: tuple[Path, Lab]) -> None:
    folder, lab = fabricated
    with (folder / "journal" / "gw0.jsonl").open("ab") as journal:
        journal.write(b'{"at":"2026-01-15T0')
    render_all(folder, lab)
    assert verify_run(folder) == ()


def test_a_run_that_was_sealed_before_there_were_seals_verifies_by_its_manifest_alone(
    sealed: Path,
) -> None:
    for name in ("manifest-sha256.txt.sig", "evidence-key.pem", "blocks-sha256.txt"):
        (sealed / name).unlink()
    manifest = sealed / "manifest-sha256.txt"
    kept = [line for line in lines_of(manifest) if b"evidence-key" not in line and b"blocks-" not in line]
    rewrite(manifest, b"".join(kept))
    assert verify_run(sealed) == ()
    rewrite(sealed / "junit.xml", b"<x/>")
    assert [str(problem) for problem in verify_run(sealed)] == [
        "junit.xml, bytes 0 to 3: was changed since it was sealed"
    ]
