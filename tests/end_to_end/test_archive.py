"""An auditor's archive of a run: verified with coreutils and OpenSSL, by the commands that stand in it."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.end_to_end.conftest import REPO, Finished, harness, run_packs

PEER = REPO / ".venv-peers" / "bin" / "python"
pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, ("bash", "sha256sum", "openssl", "tar"))),
    reason="no bash, coreutils, openssl and tar here, which an auditor needs",
)


@dataclass
class Audited:
    """A run, its archive, and what the lab has told of its key by another way."""

    run: Finished
    archive: Path
    state: Path
    fingerprint: str
    public_key: Path


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Audited:
    folder = tmp_path_factory.mktemp("audited")
    run = run_packs(folder, "standard-srvt-ioc", "-k", "test_clock and active")
    state = folder / "state"
    packed = harness("evidence", "pack", str(run.folder), "--json", state=state)
    assert packed.returncode == 0, packed.stderr
    told = harness("evidence", "key", "--json", state=state)
    key = json.loads(told.stdout)
    public_key = folder / "the-lab.pem"
    public_key.write_text(key["pem"])
    return Audited(run, Path(json.loads(packed.stdout)["archive"]), state, key["fingerprint"], public_key)


@pytest.fixture
def unpacked(audited: Audited, tmp_path: Path) -> Path:
    """The archive, unpacked as an auditor does."""
    subprocess.run(["tar", "-xzf", audited.archive], cwd=tmp_path, check=True)
    [folder] = [path for path in tmp_path.iterdir() if path.is_dir()]
    return folder


def commands(unpacked: Path) -> list[str]:
    """What stands in VERIFY.md to be typed."""
    return re.findall(r"```bash\n(.*?)\n```", (unpacked / "VERIFY.md").read_text(), re.DOTALL)


def typed(unpacked: Path) -> Iterator[tuple[str, subprocess.CompletedProcess[str]]]:
    """Each command and how it ended. The first changes to the folder that the others are typed in."""
    first, *others = commands(unpacked)
    for command in others:
        script = f"set -o pipefail; {first}; {command}"
        yield command, subprocess.run(["bash", "-c", script], cwd=unpacked, capture_output=True, text=True)


def failing(unpacked: Path) -> list[str]:
    """The programs of the commands that complain."""
    return [command.split()[0] for command, done in typed(unpacked) if done.returncode]


def test_the_commands_in_the_archive_verify_it(audited: Audited, unpacked: Path) -> None:
    done = dict(typed(unpacked))
    assert [command.split()[0] for command in done] == ["sha256sum", "diff", "openssl", "openssl"]
    assert [each.returncode for each in done.values()] == [0, 0, 0, 0], done
    *_, signature, fingerprint = done.values()
    assert signature.stdout == "Verified OK\n"
    assert fingerprint.stdout.split()[0] == audited.fingerprint


def test_one_changed_byte_of_any_kind_of_file_is_found_by_them(unpacked: Path) -> None:
    run = unpacked / "run"
    evidence = next(path for path in sorted(run.glob("evidence/*/1/*.xml")))
    for path in (evidence, run / "plan.json", run / "heatmap.html", *run.glob("journal/controller.jsonl")):
        content = path.read_bytes()
        path.write_bytes(content[:50] + bytes([content[50] ^ 1]) + content[51:])
        assert failing(unpacked) == ["sha256sum"], path
        path.write_bytes(content)
    assert failing(unpacked) == []


def test_a_file_that_is_added_or_removed_is_found_by_them(unpacked: Path) -> None:
    (unpacked / "run" / "evidence" / "more.xml").write_text("<x/>")
    assert failing(unpacked) == ["diff"]
    (unpacked / "run" / "evidence" / "more.xml").unlink()
    (unpacked / "run" / "junit.xml").unlink()
    assert failing(unpacked) == ["sha256sum", "diff"]


def test_a_manifest_made_anew_over_a_change_is_found_by_the_signature(unpacked: Path) -> None:
    run = unpacked / "run"
    (run / "run.json").write_text("{}")
    anew = "sha256sum $(cut -c67- manifest-sha256.txt) > ../new && mv ../new manifest-sha256.txt"
    subprocess.run(["bash", "-c", anew], cwd=run, check=True)
    assert failing(unpacked) == ["openssl"]


def test_whoever_signs_it_anew_is_found_by_the_fingerprint_and_by_the_key(
    audited: Audited, unpacked: Path
) -> None:
    forge = (
        "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ../forger.pem;"
        "openssl pkey -in ../forger.pem -pubout -out evidence-key.pem; echo {} > run.json;"
        "sha256sum $(cut -c67- manifest-sha256.txt) > ../new && mv ../new manifest-sha256.txt;"
        "openssl dgst -sha256 -sign ../forger.pem -out manifest-sha256.txt.sig manifest-sha256.txt"
    )
    subprocess.run(["bash", "-ec", forge], cwd=unpacked / "run", check=True, capture_output=True)
    *_, (_, fingerprint) = typed(unpacked)
    assert failing(unpacked) == []
    assert fingerprint.stdout.split()[0] != audited.fingerprint
    verify = ("evidence", "verify", str(unpacked / "run"))
    assert harness(*verify, state=audited.state).returncode == 0
    pinned = harness(*verify, f"--key={audited.public_key}", state=audited.state)
    assert pinned.returncode == 1
    assert "evidence-key.pem: is another key than the one that is trusted" in pinned.stdout
    again = ("evidence", "pack", str(unpacked / "run"), f"--out={unpacked}/again.tar.gz")
    packed = harness(*again, state=audited.state)
    assert packed.returncode == 1
    assert "evidence-key.pem: is another key than the one that is trusted" in packed.stderr


def test_the_harness_verifies_what_was_unpacked(audited: Audited, unpacked: Path) -> None:
    done = harness(
        "evidence", "verify", str(unpacked / "run"), f"--key={audited.public_key}", state=audited.state
    )
    assert done.returncode == 0, done.stdout
    assert f"signed with the key that you named, {audited.fingerprint}" in done.stderr


def test_the_same_run_gives_the_same_archive_wherever_it_lies(audited: Audited, tmp_path: Path) -> None:
    moved = shutil.copytree(audited.run.folder, tmp_path / "elsewhere")  # without its hard links
    out = tmp_path / "again.tar.gz"
    done = harness("evidence", "pack", str(moved), f"--out={out}", state=audited.state)
    assert done.returncode == 0, done.stderr
    assert out.read_bytes() == audited.archive.read_bytes()


def test_windows_can_unpack_it_and_each_content_is_in_it_once(audited: Audited) -> None:
    with tarfile.open(audited.archive) as archive:
        members = archive.getmembers()
    names = [member.name for member in members]
    assert all(re.fullmatch(r"[A-Za-z0-9._/-]{1,200}", name) for name in names)
    assert len({name.casefold() for name in names}) == len(names)
    links = [member for member in members if member.islnk()]
    assert any("allure-results" in member.name or "evidence" in member.name for member in links)
    assert sum(member.size for member in members if member.isfile()) < folder_size(audited.run.folder)


def folder_size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_its_metadata_describes_what_is_in_it(unpacked: Path) -> None:
    crate = json.loads((unpacked / "ro-crate-metadata.json").read_text())
    entities = {entity["@id"]: entity for entity in crate["@graph"]}
    assert entities["ro-crate-metadata.json"]["conformsTo"] == {"@id": "https://w3id.org/ro/crate/1.1"}
    assert {"name", "description", "datePublished", "license"} <= entities["./"].keys()
    for part in entities["./"]["hasPart"]:
        assert (unpacked / part["@id"]).exists()
        assert entities[part["@id"]]["@type"] == ("Dataset" if part["@id"].endswith("/") else "File")
    for entity in entities.values():
        for value in entity.values():
            if isinstance(value, dict) and value["@id"] != "https://w3id.org/ro/crate/1.1":
                assert value["@id"] in entities


READ = """
import sys
from rocrate.rocrate import ROCrate
crate = ROCrate(sys.argv[1])
print(crate.name)
print(*sorted(entity.id for entity in crate.data_entities))
"""


@pytest.mark.skipif(
    not PEER.exists() or subprocess.run([PEER, "-c", "import rocrate"], capture_output=True).returncode != 0,
    reason="no ro-crate-py here: `make peers` installs it into .venv-peers",
)
def test_the_reference_library_of_ro_crate_reads_it(audited: Audited, unpacked: Path) -> None:
    done = subprocess.run([PEER, "-c", READ, unpacked], capture_output=True, text=True, check=True)
    name, parts = done.stdout.splitlines()
    assert name == f"Run {audited.run.folder.name} of lab simulated"
    assert {"run/", "run/plan.json", "run/evidence/", "run/manifest-sha256.txt", "VERIFY.md"} <= {
        *parts.split()
    }


def test_a_run_that_was_touched_is_not_packed(audited: Audited, tmp_path: Path) -> None:
    touched = shutil.copytree(audited.run.folder, tmp_path / "touched")
    (touched / "run.json").write_text("{}")
    out = tmp_path / "out.tar.gz"
    done = harness("evidence", "pack", str(touched), f"--out={out}", state=audited.state)
    assert done.returncode == 1
    assert "is not as it was recorded in 1 places, and is not packed. The first: run.json" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["touched"]


def test_an_archive_is_never_made_in_the_folder_that_is_sealed(audited: Audited) -> None:
    out = audited.run.folder / "run.tar.gz"
    done = harness("evidence", "pack", str(audited.run.folder), f"--out={out}", state=audited.state)
    assert done.returncode == 2
    assert "is in the run folder, which is sealed" in done.stderr


def test_no_secret_of_the_twins_is_in_the_run_its_archive_or_what_was_printed(audited: Audited) -> None:
    """Keys and passwords of all devices, the lab's signing keys, and the key that sealed the run."""
    kept = [path for path in audited.state.rglob("*") if path.parent.name == "keys" and path.is_file()]
    secrets = {
        path.name: content
        for path in kept
        if (content := path.read_bytes().strip()) and b"CERTIFICATE" not in content
    }
    assert any(name.endswith("encryption.key") for name in secrets)
    assert "evidence.pem" in secrets
    with tarfile.open(audited.archive) as archive:
        packed = [archive.extractfile(member) for member in archive if member.isreg()]
        contents = [file.read() for file in packed if file]
    contents += [path.read_bytes() for path in audited.run.folder.rglob("*") if path.is_file()]
    everything = b"\0".join([*contents, audited.run.output.encode()])
    for name, secret in secrets.items():
        for form in forms(secret):
            assert form not in everything, name


def forms(secret: bytes) -> Iterator[bytes]:
    """As it is, in hexadecimal and in base64; a key in hexadecimal also as its bytes."""
    yield secret
    yield from (line for line in secret.splitlines() if len(line) > 40)  # of a PEM file
    for raw in [
        secret,
        *([bytes.fromhex(secret.decode())] if re.fullmatch(rb"[0-9a-f]{32}", secret) else []),
    ]:
        yield raw
        yield raw.hex().encode()
        yield base64.b64encode(raw)
