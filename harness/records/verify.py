"""Is every recorded byte still what was recorded? Answered file by file, without trusting any export."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.domain.errors import ConfigurationError
from harness.records.chain import Problem
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
    signer, seal = verify_seal(folder, pinned)
    found = [*_records(folder, digests), *verify_manifest(folder, digests), *seal]
    return Verification(tuple(dict.fromkeys(found)), signer, pinned is not None and not seal)


def verify_run(folder: Path) -> tuple[Problem, ...]:
    """The problems alone, whoever signed the run."""
    return verify(folder).problems


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
    for attempts in record.attempts.values():
        for file in (file for attempt in attempts for file in attempt.evidence):
            if not (record.folder / file.path).is_file():
                yield Problem(file.path, 0, "is missing; its attempt was finished with it")
            elif digests.of(file.path) != file.sha256:
                yield Problem(file.path, 0, "was changed after its attempt was finished")
