"""Is every recorded byte still what was recorded? Answered file by file, without trusting any export."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.domain.errors import ConfigurationError
from harness.records.chain import Problem
from harness.records.evidence import EvidenceFile
from harness.records.manifest import MANIFEST, Digests, verify_manifest, verify_seal
from harness.records.plan import PLAN
from harness.records.run import RunRecord, read_run
from harness.records.seal import PublicKey


@dataclass(frozen=True, slots=True)
class Verification:
    """What cannot be trusted of a run folder, and who signed it; ``None``: nobody did."""

    problems: tuple[Problem, ...]
    signer: PublicKey | None = None
    pinned: bool = False  # the signer is the one that was named


def verify(folder: Path, pinned: PublicKey | None = None) -> Verification:
    """Everything about a run folder that cannot be trusted; no problems where all is as it was recorded.

    The journals' chains, the plan against the digest that heads them, each file of the evidence against the
    digest that its attempt was finished with, every file against the manifest, and the manifest against its
    signature. :class:`ConfigurationError` where the folder is none of a run.
    """
    digests = Digests(folder)
    signer, seal = _seal(folder, pinned)
    found = [*_records(folder, digests), *_manifest(folder, digests), *seal]
    return Verification(tuple(dict.fromkeys(found)), signer, pinned is not None and not seal)


def verify_run(folder: Path) -> tuple[Problem, ...]:
    """The problems alone, whoever signed the run."""
    return verify(folder).problems


def _seal(folder: Path, pinned: PublicKey | None) -> tuple[PublicKey | None, tuple[Problem, ...]]:
    try:
        return verify_seal(folder, pinned)
    except OSError as error:
        return None, (_unreadable(folder, error),)


def _manifest(folder: Path, digests: Digests) -> tuple[Problem, ...]:
    try:
        return verify_manifest(folder, digests)
    except OSError as error:
        return (_unreadable(folder, error),)


def _unreadable(folder: Path, error: OSError) -> Problem:
    path = os.path.relpath(error.filename or folder, folder)
    return Problem(path, 0, f"cannot be read, and so nothing is held against the manifest: {error.strerror}")


def _records(folder: Path, digests: Digests) -> Iterator[Problem]:
    try:
        record = read_run(folder)
    except ConfigurationError as error:
        if not (folder / MANIFEST).is_file():
            raise
        yield Problem(PLAN, 0, f"cannot be read, and the journals with it: {error.message}")
        return
    yield from record.problems
    yield from _plan(record, digests)
    yield from _evidence(record, digests)


def _plan(record: RunRecord, digests: Digests) -> Iterator[Problem]:
    if digests.of(PLAN) != record.plan.digest:
        yield Problem(PLAN, 0, "is not as it was written: its SHA-256 is not the plan's digest")


def _evidence(record: RunRecord, digests: Digests) -> Iterator[Problem]:
    root = os.path.realpath(record.folder)
    for attempts in record.attempts.values():
        for file in (file for attempt in attempts for file in attempt.evidence):
            if problem := _wrong_with(file, f"{root}/{file.path}", digests):
                yield Problem(file.path, 0, problem)


def _wrong_with(file: EvidenceFile, place: str, digests: Digests) -> str:
    if os.path.realpath(place) != place:
        return "is kept elsewhere: a link stands in its place, or on the way to it"
    if not Path(place).is_file():
        return "is missing; its attempt was finished with it"
    try:
        digest = digests.of(file.path)
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return "" if digest == file.sha256 else "was changed after its attempt was finished"
