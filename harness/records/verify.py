"""Is every recorded byte still what was recorded? Answered file by file, without trusting any export."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from harness.records.canonical import digest_of_file
from harness.records.journal import Problem
from harness.records.manifest import verify_manifest
from harness.records.plan import PLAN
from harness.records.run import RunRecord, read_run


def verify_run(folder: Path) -> tuple[Problem, ...]:
    """Everything about a run folder that cannot be trusted; nothing where all is as it was recorded.

    The journals' chains, the plan against the digest that heads them, each file of the evidence against the
    digest that its attempt was finished with, and every file against the manifest.
    :class:`ConfigurationError` where the folder has no plan that can be read.
    """
    record = read_run(folder)
    found = [*record.problems, *_plan(record), *_evidence(record), *verify_manifest(folder)]
    return tuple(dict.fromkeys(found))


def _plan(record: RunRecord) -> Iterator[Problem]:
    if digest_of_file(record.folder / PLAN) != record.plan.digest:
        yield Problem(PLAN, 0, "is not as it was written: its SHA-256 is not the plan's digest")


def _evidence(record: RunRecord) -> Iterator[Problem]:
    for attempts in record.attempts.values():
        for file in (file for attempt in attempts for file in attempt.evidence):
            path = record.folder / file.path
            if not path.is_file():
                yield Problem(file.path, 0, "is missing; its attempt was finished with it")
            elif digest_of_file(path) != file.sha256:
                yield Problem(file.path, 0, "was changed after its attempt was finished")
