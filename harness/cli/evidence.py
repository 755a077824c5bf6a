"""``harness evidence``: is every recorded byte still what was recorded, who signed it, an archive of it."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness.cli.output import ExitCode, answer_json, tell
from harness.config import load_lab
from harness.domain.errors import ConfigurationError
from harness.domain.references import secret_references
from harness.hooks import MessageCheck, plugin_manager
from harness.records.archive import pack as make_archive
from harness.records.chain import Problem, printable
from harness.records.plan import Plan, refuse_another_lab
from harness.records.redaction import Redactor, secrets_of
from harness.records.seal import PublicKey, sealing_key
from harness.records.verify import Verification
from harness.records.verify import verify as verify_folder


def verify(run: Path, key: Path | None, *, as_json: bool) -> ExitCode:
    """Every file, line and byte range that cannot be trusted, by name; 1 where there is one."""
    verification = verify_folder(run, _public_key(key) if key else None)
    problems, signer = verification.problems, verification.signer
    if as_json:
        answer_json(
            {
                "run": printable(str(run)),
                "verified": not problems,
                "signed_by": signer.fingerprint if signer else None,
                "trusted": verification.pinned,
                "problems": [_told(problem) for problem in problems],
            }
        )
    else:
        for problem in problems:
            print(problem)
    if problems:
        tell(f"{run}: {len(problems)} things are not as they were recorded")
        return ExitCode.BAD
    tell(
        f"{run}: every recorded byte is what was recorded"
        if signer
        else f"{run}: every byte agrees with the run's own manifest"
    )
    tell(_about_signature(verification))
    return ExitCode.GOOD


def _told(problem: Problem) -> dict[str, Any]:
    return {
        name: printable(value) if isinstance(value, str) else value for name, value in asdict(problem).items()
    }


def messages(run: Path, file: Path, *, as_json: bool) -> ExitCode:
    """Every message of the run that does not hold, by its line in the record; 1 where there is one."""
    lab = load_lab(file)
    Plan.read(run)  # says plainly where there is no run
    check: MessageCheck | None = plugin_manager(lab.plugins).hook.harness_check_messages(lab=lab, folder=run)
    if check is None:
        raise ConfigurationError("no plugin can read the messages of the DCC", remedy="install the drivers")
    if as_json:
        answer_json({"run": str(run), **asdict(check)})
    else:
        for problem in check.problems:
            print(problem)
    counted = ", ".join(f"{count} {kind}s" for kind, count in check.messages.items())
    tell(f"{run}: {counted}; {check.forged} made wrong on purpose")
    if not check.by_schema:
        tell(f"held against no schema: {lab.file} names none")
    if check.problems:
        tell(f"{len(check.problems)} things do not hold")
        return ExitCode.BAD
    tell(
        "schema, signatures and counters hold, both ways"
        if check.by_schema
        else "signatures and counters hold"
    )
    return ExitCode.GOOD


def _about_signature(verification: Verification) -> str:
    if verification.signer is None:
        return "not signed: damage would be found, but not a manifest that somebody made anew"
    if verification.pinned:
        return f"signed with the key that you named, {verification.signer.fingerprint}"
    return (
        f"signed with key {verification.signer.fingerprint}\n"
        "whether that is the lab's, its fingerprint says, told by another way than the run; or --key FILE"
    )


def _public_key(path: Path) -> PublicKey:
    try:
        return PublicKey.read(path.read_bytes(), str(path))
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from None


def pack(run: Path, lab_file: Path, target: Path | None, *, as_json: bool) -> ExitCode:
    """Make the archive of a run, and say where it is and what its digest is."""
    lab = load_lab(lab_file)
    refuse_another_lab(Plan.read(run), lab)  # its secrets would not be looked for
    secrets = secrets_of(lab)
    for reference in sorted({*secret_references(lab)} - secrets.keys()):
        tell(f"not looked for, since it cannot be read here: {reference}")
    held = sealing_key(lab)  # a run that somebody else signed anew, or nobody, is not handed out
    packed = make_archive(run, target, Redactor(secrets.values()), held.public if held else None)
    if as_json:
        told = {"archive": str(packed.path), "sha256": packed.sha256, "size": packed.size}
        told |= {"files": packed.files, "signed_by": packed.signer.fingerprint if packed.signer else None}
        answer_json(told)
    else:
        print(f"{packed.sha256}  {packed.path}")
    tell(f"{packed.files} files in {packed.size} bytes; VERIFY.md in it has the commands that verify it")
    tell(f"signed with key {packed.signer.fingerprint}" if packed.signer else "the run is not signed")
    return ExitCode.GOOD


def key(lab_file: Path, *, as_json: bool) -> ExitCode:
    """The lab's public key and its fingerprint, to hand over before there is a run to doubt."""
    held = sealing_key(load_lab(lab_file))
    if held is None:
        raise ConfigurationError(
            f"{lab_file} names no sealing key: its runs are not signed",
            remedy="make one, for you alone to read, and write evidence: {key: file:…}",
        )
    public = held.public
    if as_json:
        answer_json({"fingerprint": public.fingerprint, "pem": public.pem.decode()})
    else:
        sys.stdout.write(public.pem.decode())
    tell(f"fingerprint (SHA-256 of its DER): {public.fingerprint}")
    return ExitCode.GOOD
