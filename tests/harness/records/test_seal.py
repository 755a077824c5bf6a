"""The seal: who signed a run, as anybody's openssl can tell, and who did not."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from harness.domain.errors import ConfigurationError, HarnessError
from harness.domain.lab import Lab
from harness.records.manifest import MANIFEST, verify_manifest, verify_seal
from harness.records.seal import PUBLIC_KEY, SIGNATURE, PublicKey, SealingKey, check_reference, sealing_key
from harness.records.sealing import Seal, seal_of, write_manifest

KINDS = {
    "P-256": ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"),
    "Ed25519": ("-algorithm", "ed25519"),
    "RSA": ("-algorithm", "RSA"),
    "P-384": ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"),
}
needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl here")
pytestmark = needs_openssl


def make_key(path: Path, kind: str) -> Path:
    """A private key as a lab makes one, for its owner alone."""
    subprocess.run(["openssl", "genpkey", *KINDS[kind], "-out", path], check=True, capture_output=True)
    path.chmod(0o600)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "plan.json").write_text("{}")
    (folder / "run.json").write_text("{}")
    return folder


@pytest.fixture(params=["P-256", "Ed25519"])
def lab(request, fabricated_lab: Lab, tmp_path: Path) -> Lab:
    """A lab with a sealing key of each kind."""
    return replace(fabricated_lab, evidence_key=f"file:{make_key(tmp_path / 'sealing.pem', request.param)}")


@pytest.fixture
def key(lab: Lab) -> SealingKey:
    key = sealing_key(lab)
    assert key is not None
    return key


def openssl_accepts(folder: Path, key: SealingKey) -> bool:
    command = key.public.command.split()
    return subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode == 0


def test_openssl_verifies_the_signature_and_refuses_it_over_another_manifest(
    folder: Path, key: SealingKey
) -> None:
    write_manifest(folder, key)
    assert openssl_accepts(folder, key)
    with (folder / MANIFEST).open("ab") as manifest:
        manifest.write(b"\n")
    assert not openssl_accepts(folder, key)


def test_the_fingerprint_is_what_openssl_and_sha256sum_print(key: SealingKey, tmp_path: Path) -> None:
    (tmp_path / "public.pem").write_bytes(key.public.pem)
    command = f"openssl pkey -pubin -in {tmp_path / 'public.pem'} -outform DER | sha256sum"
    printed = subprocess.run(command, shell=True, capture_output=True, text=True, check=True).stdout
    assert printed.split()[0] == key.public.fingerprint


def test_a_sealed_run_says_who_signed_it(folder: Path, key: SealingKey) -> None:
    write_manifest(folder, key)
    signer, problems = verify_seal(folder, key.public)
    assert signer is not None
    assert (signer.fingerprint, problems) == (key.public.fingerprint, ())
    assert verify_manifest(folder) == ()


def test_sealing_again_what_has_not_changed_leaves_every_byte(
    folder: Path, key: SealingKey, lab: Lab
) -> None:
    write_manifest(folder, key)
    before = {path: path.read_bytes() for path in folder.iterdir()}
    write_manifest(folder, key)
    for theirs in (None, sealing_key(replace(lab, evidence_key=""))):
        with pytest.raises(HarnessError, match="is signed with a key that this lab does not have"):
            write_manifest(folder, theirs)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_a_signed_run_whose_exports_changed_is_sealed_again_by_its_own_key_alone(
    folder: Path, key: SealingKey, lab: Lab
) -> None:
    write_manifest(folder, key)
    (folder / "run.json").write_text("[]")
    for theirs in (None, sealing_key(replace(lab, evidence_key=""))):
        with pytest.raises(HarnessError, match="is signed with a key that this lab does not have"):
            write_manifest(folder, theirs)
    assert verify_manifest(folder)[0].file == "run.json"
    write_manifest(folder, key)
    assert verify_seal(folder)[1] == ()


def test_whoever_makes_the_manifest_anew_cannot_sign_it(folder: Path, key: SealingKey) -> None:
    write_manifest(folder, key)
    manifest = folder / MANIFEST
    manifest.write_bytes(manifest.read_bytes().replace(b"a", b"b", 1))
    assert [problem.what for problem in verify_seal(folder)[1]] == [
        "is not what was signed: the signature does not fit it"
    ]


def test_whoever_signs_with_a_key_of_his_own_is_found_by_the_key_that_is_trusted(
    folder: Path, key: SealingKey, tmp_path: Path, lab: Lab
) -> None:
    other = sealing_key(replace(lab, evidence_key=f"file:{make_key(tmp_path / 'other.pem', 'P-256')}"))
    assert other is not None
    write_manifest(folder, other)
    assert verify_seal(folder)[1] == ()  # nothing in the folder can tell
    [problem] = verify_seal(folder, key.public)[1]
    assert "is another key than the one that is trusted" in str(problem)


@pytest.mark.parametrize("gone", [SIGNATURE, PUBLIC_KEY])
def test_a_seal_that_was_taken_off_is_missed(folder: Path, key: SealingKey, gone: str) -> None:
    write_manifest(folder, key)
    (folder / gone).unlink()
    assert [str(problem) for problem in verify_seal(folder)[1]] == [
        f"{gone}: is missing: the manifest was signed"
    ]


def test_a_damaged_public_key_is_named(folder: Path, key: SealingKey) -> None:
    write_manifest(folder, key)
    (folder / PUBLIC_KEY).write_text("no key")
    assert [problem.file for problem in verify_seal(folder)[1]] == [PUBLIC_KEY]


def test_an_unsigned_run_is_good_until_somebody_asks_for_a_signature(folder: Path, key: SealingKey) -> None:
    write_manifest(folder)
    assert verify_seal(folder) == (None, ())
    [problem] = verify_seal(folder, key.public)[1]
    assert "the run is not signed, and a signature was asked for" in str(problem)


@pytest.mark.parametrize("kind", ["RSA", "P-384"])
def test_another_kind_of_key_is_refused_with_what_to_do(
    fabricated_lab: Lab, tmp_path: Path, kind: str
) -> None:
    path = make_key(tmp_path / "key.pem", kind)
    lab = replace(fabricated_lab, evidence_key=f"file:{path}")
    for ask in (sealing_key, check_reference):  # before a run too, which it could not seal
        with pytest.raises(ConfigurationError, match=r"no private key of Ed25519 or P-256 .*openssl genpkey"):
            ask(lab)


def test_a_key_that_others_can_read_or_that_is_not_there_is_told_before_the_run(
    fabricated_lab: Lab, tmp_path: Path
) -> None:
    path = make_key(tmp_path / "key.pem", "Ed25519")
    path.chmod(0o644)
    with pytest.raises(ConfigurationError, match="can be read by others"):
        check_reference(replace(fabricated_lab, evidence_key=f"file:{path}"))
    with pytest.raises(ConfigurationError, match="cannot be read: No such file"):
        check_reference(replace(fabricated_lab, evidence_key=f"file:{tmp_path / 'none.pem'}"))
    with pytest.raises(ConfigurationError, match="env:NO_SUCH_KEY is not set"):
        check_reference(replace(fabricated_lab, evidence_key="env:NO_SUCH_KEY"))


def test_a_key_with_a_passphrase_is_refused(fabricated_lab: Lab, tmp_path: Path) -> None:
    plain = make_key(tmp_path / "plain.pem", "P-256")
    locked = tmp_path / "locked.pem"
    command = ["openssl", "pkey", "-in", plain, "-out", locked, "-aes256", "-passout", "pass:correct horse"]
    subprocess.run(command, check=True, capture_output=True)
    locked.chmod(0o600)
    with pytest.raises(ConfigurationError, match="has a passphrase"):
        sealing_key(replace(fabricated_lab, evidence_key=f"file:{locked}"))


def test_a_key_may_stand_in_the_environment(
    fabricated_lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEALING_KEY", make_key(tmp_path / "key.pem", "Ed25519").read_text())
    assert sealing_key(replace(fabricated_lab, evidence_key="env:SEALING_KEY")) is not None


def test_a_lab_of_twins_makes_a_key_of_its_own_once_for_its_owner_alone(fabricated_lab: Lab) -> None:
    first, second = sealing_key(fabricated_lab), sealing_key(fabricated_lab)
    assert first is not None
    assert second is not None
    assert first.public.fingerprint == second.public.fingerprint
    assert (fabricated_lab.state / "keys" / "evidence.pem").stat().st_mode & 0o777 == 0o600


def test_a_lab_with_a_real_rig_and_no_key_signs_nothing(fabricated_lab: Lab) -> None:
    real = replace(fabricated_lab.rigs[0], simulation=None)
    assert sealing_key(replace(fabricated_lab, rigs=(real, *fabricated_lab.rigs[1:]))) is None


def test_what_is_no_public_key_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"lab\.pem is no public key of Ed25519 or P-256 in PEM"):
        PublicKey.read(b"-----BEGIN PUBLIC KEY-----\nnone\n-----END PUBLIC KEY-----\n", "lab.pem")


@pytest.mark.parametrize(
    ("again", "at"), [*((True, at) for at in range(3)), *((False, at) for at in range(4))]
)
def test_a_crash_at_any_moment_of_sealing_is_made_good_by_sealing_once_more(
    folder: Path, key: SealingKey, again: bool, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "dcc").mkdir()
    messages = folder / "dcc" / "messages.jsonl"
    messages.write_text("one\n")
    if again:
        write_manifest(folder, key)
    messages.write_text("one\ntwo\n")
    whole, steps = Path.replace, iter(range(10))

    def replace_or_die(self: Path, target: Path) -> Path:
        if next(steps) == at:
            raise KeyboardInterrupt
        return whole(self, target)

    monkeypatch.setattr(Path, "replace", replace_or_die)
    with pytest.raises(KeyboardInterrupt):
        write_manifest(folder, key)
    monkeypatch.undo()
    assert verify_manifest(folder) + verify_seal(folder)[1]  # it is not whole, and shows it
    write_manifest(folder, key)
    assert not list(folder.glob(".*"))
    assert verify_manifest(folder) + verify_seal(folder, key.public)[1] == ()


def forged(folder: Path) -> None:
    """A record is changed, and the manifest made to fit it; only the signature is not."""
    (folder / "plan.json").write_text("[]")
    was, is_ = (hashlib.sha256(content).hexdigest() for content in (b"{}", b"[]"))
    lines = (folder / MANIFEST).read_text().splitlines(keepends=True)
    lines = [line.replace(was, is_) if line.endswith("plan.json\n") else line for line in lines]
    (folder / MANIFEST).write_text("".join(lines))


def test_nothing_is_sealed_over_a_seal_that_does_not_fit(folder: Path, key: SealingKey) -> None:
    write_manifest(folder, key)
    forged(folder)
    with pytest.raises(HarnessError, match="does not fit it, and it is not sealed again"):
        write_manifest(folder, key)
    (folder / SIGNATURE).unlink()  # nor where it was taken off
    with pytest.raises(HarnessError, match="does not fit it"):
        write_manifest(folder, key)


def test_what_was_sealed_without_a_signature_never_gets_one(folder: Path, key: SealingKey) -> None:
    write_manifest(folder)
    (folder / "run.json").write_text("[]")
    write_manifest(folder, key)
    assert not (folder / SIGNATURE).exists()
    assert (verify_manifest(folder), verify_seal(folder)) == ((), (None, ()))


def test_who_asks_is_told_how_a_folder_stands_to_its_seal(folder: Path, key: SealingKey) -> None:
    assert seal_of(folder, key) is Seal.NONE
    write_manifest(folder, key)
    (folder / "run.json").write_text("[]")  # an export, which may be made again
    assert seal_of(folder, key) is Seal.WHOLE
    (folder / "evidence").mkdir()
    (folder / "evidence" / "more.txt").write_text("?")
    assert seal_of(folder, key) is Seal.GROWN
