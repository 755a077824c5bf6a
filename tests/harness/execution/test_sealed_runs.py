"""What was sealed is never sealed over: a forger gets no signature from the lab's own commands."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from harness.records.canonical import canonical_of_plain

PASSES = """
@planned
@pytest.mark.parametrize("number", range(2))
def test_passes(rig, number): pass
"""


@pytest.fixture
def sealed(bench) -> Path:
    """The folder of a run that came to its end."""
    bench.write_tests(PASSES)
    code, output = bench.run("-n", "0")
    assert code == 0, output
    return bench.folder / "runs/run"


def again(folder: Path, path: Path, change) -> None:
    """A journal with its events changed, its chain and the manifest made to fit."""
    was = path.read_bytes()
    events = change([json.loads(line) for line in was.splitlines()])
    lines, prev = [], events[0]["prev"]
    for event in events:
        event.pop("sha")
        event["prev"] = prev
        prev = hashlib.sha256(canonical_of_plain(event)).hexdigest()
        lines.append(canonical_of_plain({**event, "sha": prev}) + b"\n")
    path.write_bytes(b"".join(lines))
    manifest = folder / "manifest-sha256.txt"
    digests = (hashlib.sha256(content).hexdigest() for content in (was, path.read_bytes()))
    manifest.write_text(manifest.read_text().replace(*digests))


def failed(events: list[dict]) -> list[dict]:
    return [
        event | ({"result": "failed"} if event["event"] == "attempt_finished" else {}) for event in events
    ]


def content(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("command", [("ttm", "heatmap"), ("resume",)])
def test_a_record_that_was_forged_with_its_manifest_is_not_signed(bench, sealed: Path, command) -> None:
    again(sealed, sealed / "journal/alone.jsonl", failed)
    before = content(sealed)
    done = bench.harness(*command, "run", "--lab=lab.yaml")
    assert done.returncode == 1
    assert "the seal of" in done.stderr
    assert "harness evidence verify" in done.stderr
    assert content(sealed) == before


@pytest.mark.parametrize("command", [("ttm", "heatmap"), ("resume",)])
def test_what_was_added_to_a_sealed_run_is_not_signed(bench, sealed: Path, command) -> None:
    (sealed / "evidence" / "forged.txt").write_text("?")
    before = (sealed / "manifest-sha256.txt").read_bytes()
    done = bench.harness(*command, "run", "--lab=lab.yaml")
    assert done.returncode == (0 if command == ("ttm", "heatmap") else 1)
    assert ("not sealed" if command == ("ttm", "heatmap") else "more in it than was sealed") in done.stderr
    assert (sealed / "manifest-sha256.txt").read_bytes() == before
    assert bench.harness("evidence", "verify", "run").returncode == 1


def test_a_run_without_its_seal_gets_one_only_with_a_part_that_says_so(bench, sealed: Path) -> None:
    for name in ("manifest-sha256.txt", "manifest-sha256.txt.sig", "blocks-sha256.txt"):
        (sealed / name).unlink()
    assert "not sealed" in bench.harness("ttm", "heatmap", "run", "--lab=lab.yaml").stderr
    assert not (sealed / "manifest-sha256.txt").exists()
    done = bench.harness("resume", "run", "--lab=lab.yaml")
    assert done.returncode == 0, done.stderr
    assert bench.harness("evidence", "verify", "run").returncode == 0
    parts = json.loads((sealed / "run.json").read_text())["parts"]
    assert [part["reason"] for part in parts] == ["completed", "completed: nothing was left to run"]


def test_the_exports_of_a_sealed_run_are_made_again_and_sealed_again(bench, sealed: Path) -> None:
    (sealed / "run.json").write_text("{}")
    done = bench.harness("ttm", "heatmap", "run", "--lab=lab.yaml")
    assert (done.returncode, "not sealed" in done.stderr) == (0, False)
    assert bench.harness("evidence", "verify", "run").returncode == 0


def test_a_run_that_goes_on_and_one_of_another_lab_are_left_alone(bench) -> None:
    bench.write_tests("""
    import subprocess, sys
    @planned
    def test_asks(rig):
        done = subprocess.run(
            [sys.executable, "-m", "harness", "ttm", "heatmap", "run", "--lab=lab.yaml"], capture_output=True
        )
        assert (done.returncode, b"is in use" in done.stderr) == (3, True)
    """)
    code, output = bench.run("-n", "rigs")
    assert code == 0, output
    before = content(bench.folder / "runs/run")
    bench.edit_lab("name: [a-z]+", "name: anothers")
    done = bench.harness("ttm", "heatmap", "run", "--lab=lab.yaml")
    assert (done.returncode, "is a run of lab" in done.stderr) == (2, True)
    assert content(bench.folder / "runs/run") == before


def test_a_run_that_cannot_be_sealed_is_not_good(bench) -> None:
    bench.write_tests("""
    @planned
    def test_leaves_a_name_that_no_manifest_can_list(rig, evidence):
        Path("runs/run/a\\nb").touch()
    """)
    code, output = bench.run("-n", "0")
    assert code == 1
    assert "the run is not sealed: 'a\\nb' has a line end in its name" in output
