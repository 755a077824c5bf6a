"""The manifest seals a run folder, in a form that anybody's machine can check."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from harness.records.manifest import verify_manifest, write_manifest


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
        "plan.json: was changed: its SHA-256 is not the manifest's",
    ]


def test_a_line_that_is_none_is_named(folder: Path) -> None:
    with (folder / "manifest-sha256.txt").open("a") as manifest:
        manifest.write("trust me\n")
    assert str(verify_manifest(folder)[0]) == "manifest-sha256.txt line 3: this is no line of a manifest"


def test_a_folder_without_a_manifest_has_not_ended(tmp_path: Path) -> None:
    assert "there is no manifest" in str(verify_manifest(tmp_path)[0])


def test_writing_it_again_gives_the_same_bytes(folder: Path) -> None:
    before = (folder / "manifest-sha256.txt").read_bytes()
    write_manifest(folder)
    assert (folder / "manifest-sha256.txt").read_bytes() == before
