"""What is handed out is the run that was verified, signed by the lab, and nothing of its secrets."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tarfile
import tracemalloc
from pathlib import Path

import pytest

from harness.domain.errors import HarnessError, UsageError
from harness.domain.lab import Lab
from harness.records.archive import pack
from harness.records.redaction import Redactor
from harness.records.seal import PublicKey, sealing_key
from harness.records.sealing import write_manifest
from harness.reports import render_all


@pytest.fixture
def sealed(fabricated: tuple[Path, Lab]) -> Path:
    render_all(*fabricated)
    return fabricated[0]


@pytest.fixture
def ours(fabricated: tuple[Path, Lab]) -> PublicKey:
    key = sealing_key(fabricated[1])
    assert key is not None
    return key.public


def sealed_with(fabricated: tuple[Path, Lab], content: bytes) -> Path:
    """A sealed run with a file of this content in it, under two names."""
    folder, lab = fabricated
    for name in ("capture.pcap", "rigs/again.pcap"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    render_all(folder, lab)
    return folder


def test_every_file_is_in_the_archive_as_it_is_and_the_same_run_gives_the_same_bytes(
    sealed: Path, tmp_path: Path, ours: PublicKey
) -> None:
    first = pack(sealed, tmp_path / "first.tgz", Redactor([b"correct horse"]), ours)
    assert pack(sealed, tmp_path / "second.tgz", Redactor()).sha256 == first.sha256
    with tarfile.open(first.path) as tar:
        tar.extractall(tmp_path / "out", filter="data")
    [out] = (tmp_path / "out").iterdir()
    files = [path for path in sealed.rglob("*") if path.is_file()]
    assert first.files == len(files)
    for path in files:
        assert (out / "run" / path.relative_to(sealed)).read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("out", "told"),
    [("none/x.tgz", "none is no folder"), ("", "is a folder"), ("run/x.tgz", "is in the run folder")],
)
def test_a_place_where_no_archive_can_be_is_an_error_of_usage(
    sealed: Path, tmp_path: Path, out: str, told: str
) -> None:
    (tmp_path / "run").symlink_to(sealed)
    with pytest.raises(UsageError, match=told):
        pack(sealed, tmp_path / out, Redactor())


def test_a_run_that_was_signed_anew_or_stripped_of_its_signature_is_not_handed_out(
    sealed: Path, tmp_path: Path, ours: PublicKey
) -> None:
    for name in ("manifest-sha256.txt", "manifest-sha256.txt.sig", "evidence-key.pem"):
        (sealed / name).unlink()
    write_manifest(sealed)
    with pytest.raises(HarnessError, match="the run is not signed, and a signature was asked for"):
        pack(sealed, tmp_path / "x.tgz", Redactor(), ours)
    assert pack(sealed, tmp_path / "x.tgz", Redactor()).signer is None


def test_a_secret_that_stands_in_the_seal_by_chance_is_none_and_one_in_a_file_is(
    sealed: Path, tmp_path: Path
) -> None:
    digest = hashlib.sha256((sealed / "heatmap.html").read_bytes()).hexdigest()
    pack(sealed, tmp_path / "x.tgz", Redactor([digest[:16].encode()]))
    with pytest.raises(HarnessError, match=r"has one of the lab's secrets in it"):
        pack(sealed, tmp_path / "y.tgz", Redactor([b"alderwick"]))
    assert [path.name for path in tmp_path.glob("*.tgz*")] == ["x.tgz"]


def test_a_large_file_is_not_held_in_memory_and_a_secret_across_its_pieces_is_found(
    fabricated: tuple[Path, Lab], tmp_path: Path
) -> None:
    content = bytearray(24 << 20)
    content[(1 << 20) - 5 : (1 << 20) + 8] = b"correct horse"
    folder = sealed_with(fabricated, bytes(content))
    del content
    tracemalloc.start()
    pack(folder, tmp_path / "x.tgz", Redactor([b"nowhere to be seen"]))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 << 20
    with pytest.raises(HarnessError, match=r"capture\.pcap has one of the lab's secrets in it"):
        pack(folder, tmp_path / "y.tgz", Redactor([b"correct horse"]))


@pytest.mark.parametrize("change", [b"x", b"x" * 5000, b""], ids=["changed", "grown", "emptied"])
@pytest.mark.parametrize("name", ["capture.pcap", "rigs/again.pcap"], ids=["stored", "linked"])
def test_what_changes_while_it_is_packed_is_not_handed_out(
    fabricated: tuple[Path, Lab], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, change: bytes
) -> None:
    folder = sealed_with(fabricated, b"y" * 4000)

    def late(*_: object) -> bytes:
        (folder / name).write_bytes(change if len(change) != 1 else change * 4000)
        return b"made after all was verified"

    monkeypatch.setattr("harness.records.archive.metadata", late)
    with pytest.raises(HarnessError, match=r"changed while it was packed|cannot be packed"):
        pack(folder, tmp_path / "x.tgz", Redactor())
    assert not (tmp_path / "x.tgz").exists()


def test_links_pipes_and_folders_that_were_added_are_found_by_the_commands_of_the_archive(
    sealed: Path, tmp_path: Path
) -> None:
    made = pack(sealed, tmp_path / "x.tgz", Redactor())
    with tarfile.open(made.path) as tar:
        tar.extractall(tmp_path / "out", filter="data")
    [out] = (tmp_path / "out").iterdir()
    text = (out / "VERIFY.md").read_text()
    assert "`VERIFY.md` and `ro-crate-metadata.json` themselves are not sealed" in text
    command = next(line for line in text.splitlines() if line.startswith("diff "))
    run = ["bash", "-c", command]
    assert subprocess.run(run, cwd=out / "run", check=False, capture_output=True).returncode == 0
    (out / "run" / "link").symlink_to("plan.json")
    os.mkfifo(out / "run" / "pipe")
    (out / "run" / "empty").mkdir()
    found = subprocess.run(run, cwd=out / "run", check=False, capture_output=True, text=True)
    assert found.returncode == 1
    assert {line[2:] for line in found.stdout.splitlines() if line.startswith(">")} == {
        "empty",
        "link",
        "pipe",
    }
