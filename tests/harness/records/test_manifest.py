"""The manifest seals a run folder, in a form that anybody's machine can check."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from harness.domain.errors import HarnessError
from harness.records.manifest import MANIFEST, verify_manifest
from harness.records.sealing import write_manifest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "evidence" / "a test" / "1").mkdir(parents=True)
    (tmp_path / "plan.json").write_text("{}")
    (tmp_path / "evidence" / "a test" / "1" / "steps.jsonl").write_text("steps\n")
    write_manifest(tmp_path)
    return tmp_path


def test_an_untouched_folder_verifies(folder: Path) -> None:
    assert verify_manifest(folder) == ()


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="there is no sha256sum on this machine")
def test_sha256sum_reads_it(folder: Path) -> None:
    command = ["sha256sum", "--check", "--strict", "manifest-sha256.txt"]
    assert subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode == 0
    (folder / "plan.json").write_text("[]")
    assert subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode == 1


def test_changed_missing_and_added_files_are_named(folder: Path) -> None:
    (folder / "plan.json").write_text("[]")
    (folder / "evidence" / "a test" / "1" / "steps.jsonl").unlink()
    (folder / "evidence" / "more.xml").write_text("<x/>")
    assert [str(problem) for problem in verify_manifest(folder)] == [
        "evidence/a test/1/steps.jsonl: is listed in the manifest and missing",
        "evidence/more.xml: is not in the manifest",
        "plan.json, bytes 0 to 1: was changed since it was sealed",
    ]


def test_a_line_that_is_none_is_named(folder: Path) -> None:
    with (folder / "manifest-sha256.txt").open("a") as manifest:
        manifest.write("trust me\n")
    where = f"bytes {(folder / MANIFEST).stat().st_size - 9} to {(folder / MANIFEST).stat().st_size - 1}"
    problem = f"manifest-sha256.txt line 4, {where}: this is no line of a manifest"
    assert [str(problem) for problem in verify_manifest(folder)] == [problem]


def test_a_folder_without_a_manifest_has_not_ended(tmp_path: Path) -> None:
    assert "there is no manifest" in str(verify_manifest(tmp_path)[0])


def test_writing_it_again_gives_the_same_bytes(folder: Path) -> None:
    before = (folder / "manifest-sha256.txt").read_bytes()
    write_manifest(folder)
    assert (folder / "manifest-sha256.txt").read_bytes() == before


def test_a_file_under_another_name_is_recognised(folder: Path) -> None:
    (folder / "plan.json").rename(folder / "plan.old")
    shutil.copy(folder / "evidence" / "a test" / "1" / "steps.jsonl", folder / "copy.jsonl")
    assert [str(problem) for problem in verify_manifest(folder)] == [
        "plan.json: is listed in the manifest and missing; plan.old has its content",
        "copy.jsonl: is not in the manifest; it has the content of evidence/a test/1/steps.jsonl",
        "plan.old: is not in the manifest; it has the content of plan.json",
    ]


def test_what_grew_and_what_is_new_is_sealed_again_as_when_a_run_is_resumed(folder: Path) -> None:
    messages = folder / "dcc" / "messages.jsonl"
    messages.parent.mkdir()
    messages.write_text("one\n")
    (folder / "run.json").write_text("made of it\n")
    write_manifest(folder)
    messages.write_text("one\ntwo\n")
    (folder / "evidence" / "more.xml").write_text("<x/>")
    (folder / "run.json").write_text("made anew\n")
    write_manifest(folder)
    assert verify_manifest(folder) == ()


@pytest.mark.parametrize("change", ["changed", "cut", "removed"])
def test_records_that_were_changed_under_a_seal_are_not_sealed_again(folder: Path, change: str) -> None:
    steps = folder / "evidence" / "a test" / "1" / "steps.jsonl"
    match change:
        case "changed":
            steps.write_text("other\n")
        case "cut":
            steps.write_text("st")
        case "removed":
            steps.unlink()
    before = (folder / MANIFEST).read_bytes()
    with pytest.raises(HarnessError, match=r"steps\.jsonl is not what was sealed .* not sealed again"):
        write_manifest(folder)
    assert (folder / MANIFEST).read_bytes() == before
