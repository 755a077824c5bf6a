"""What became of the matrix's requirements, from a run's records or from its Allure results alone.

Every number is made here from planned tests and their outcomes. For one requirement, with the planned tests
that name it and were not de-scoped:

- it is **covered** when at least one of them was executed, that is passed or failed;
- it is **failed** when any failed, **passed** when all passed, and else, being covered, **incomplete**: some
  passed and the others were blocked or not run;
- it is **uncovered** when none was executed: **blocked** when a lab fault stood in the way of any,
  **not_run** when none was even tried, **descoped** when only de-scoped tests name it, **untested** when no
  planned test does.

So ``requirements = covered + uncovered`` and ``covered = passed + failed + incomplete``, always.
"""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from harness.config.ttm import Requirement, Ttm
from harness.domain.words import CapabilityRelease, DeviceType, Outcome
from harness.records.run import RunRecord


class Status(StrEnum):
    """What became of a requirement; the module says what each means."""

    PASSED = "passed"
    FAILED = "failed"
    INCOMPLETE = "incomplete"
    BLOCKED = "blocked"
    NOT_RUN = "not_run"
    DESCOPED = "descoped"
    UNTESTED = "untested"

    @property
    def covered(self) -> bool:
        """Whether a test of the requirement was executed."""
        return self in {Status.PASSED, Status.FAILED, Status.INCOMPLETE}


@dataclass(frozen=True, slots=True, kw_only=True)
class TestOutcome:
    """A planned test as coverage sees it."""

    __test__ = False  # a record of a test, not one

    ttm: tuple[str, ...]
    dmc: str
    release: CapabilityRelease
    device_type: DeviceType
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Counts:
    """How many requirements came out how."""

    requirements: int
    covered: int
    passed: int
    failed: int
    incomplete: int
    uncovered: int
    blocked: int
    not_run: int
    descoped: int
    untested: int

    @classmethod
    def of(cls, statuses: Iterable[Status]) -> Counts:
        """Count statuses, one a requirement."""
        found = Counter(statuses)
        covered = sum(number for status, number in found.items() if status.covered)
        each = {status.value: found[status] for status in Status}
        total = found.total()
        return cls(requirements=total, covered=covered, uncovered=total - covered, **each)


@dataclass(frozen=True, slots=True)
class RequirementCoverage:
    """What became of one requirement: by all planned tests that name it, and DMC by DMC."""

    requirement: Requirement
    status: Status
    tests: Mapping[Outcome, int]
    by_dmc: Mapping[str, Status]  # only DMCs that the requirement concerns
    suspect: bool = False  # its text changed since a test of it was written or reviewed


@dataclass(frozen=True, slots=True)
class Coverage:
    """The whole matrix: every requirement, and counts overall, by functional group and by DMC.

    A requirement concerns a DMC when it names the DMC's release and a device type that is tested on it.
    """

    rows: tuple[RequirementCoverage, ...]
    total: Counts
    groups: Mapping[str, Counts]
    dmcs: Mapping[str, Counts]
    unknown: tuple[str, ...]  # ids that tests name and the matrix lacks

    @property
    def suspect(self) -> tuple[str, ...]:
        """Requirements whose text changed since a test of them was written or reviewed."""
        return tuple(row.requirement.id for row in self.rows if row.suspect)


def of_run(ttm: Ttm, run: RunRecord, suspect: Collection[str] = (), phase: str = "") -> Coverage:
    """Coverage by the plan and the journals of a run, or by its tests of one Test Phase.

    ``suspect`` are the requirements whose text changed since a test of them was written or reviewed.
    """
    return of_outcomes(
        ttm,
        [
            TestOutcome(
                ttm=test.ttm,
                dmc=test.dmc,
                release=test.release,
                device_type=test.device_type,
                outcome=run.outcome(test.id),
            )
            for test in run.plan.tests
            if phase in {"", test.test_phase}
        ],
        suspect,
    )


def of_outcomes(ttm: Ttm, tests: Collection[TestOutcome], suspect: Collection[str] = ()) -> Coverage:
    """Coverage by planned tests and their outcomes."""
    naming: defaultdict[str, list[TestOutcome]] = defaultdict(list)
    for test in tests:
        for id_ in set(test.ttm):
            naming[id_].append(test)
    tested = _tested_types(tests)
    rows = tuple(_row(row, naming.get(row.id, []), tested, row.id in suspect) for row in ttm.rows)
    return Coverage(
        rows=rows,
        total=Counts.of(row.status for row in rows),
        groups={
            group: Counts.of(row.status for row in rows if row.requirement.functional_group == group)
            for group in ttm.groups()
        },
        dmcs={
            dmc: Counts.of(row.by_dmc[dmc] for row in rows if dmc in row.by_dmc) for _, dmc in sorted(tested)
        },
        unknown=tuple(sorted(naming.keys() - ttm.by_id.keys())),
    )


def _tested_types(tests: Iterable[TestOutcome]) -> Mapping[tuple[CapabilityRelease, str], set[DeviceType]]:
    types: defaultdict[tuple[CapabilityRelease, str], set[DeviceType]] = defaultdict(set)
    for test in tests:
        types[test.release, test.dmc].add(test.device_type)
    return types


def _row(
    row: Requirement,
    tests: Collection[TestOutcome],
    tested: Mapping[tuple[CapabilityRelease, str], set[DeviceType]],
    suspect: bool,
) -> RequirementCoverage:
    concerned = [
        dmc
        for (release, dmc), types in sorted(tested.items())
        if release in row.releases and types & row.device_types
    ]
    named = {test.dmc for test in tests} - set(concerned)
    return RequirementCoverage(
        requirement=row,
        status=_status(test.outcome for test in tests),
        tests=Counter(test.outcome for test in tests),
        by_dmc={
            dmc: _status(test.outcome for test in tests if test.dmc == dmc)
            for dmc in (*concerned, *sorted(named))
        },
        suspect=suspect,
    )


def _status(outcomes: Iterable[Outcome]) -> Status:
    found = set(outcomes)
    if not found:
        return Status.UNTESTED
    found.discard(Outcome.DESCOPED)
    if not found:
        return Status.DESCOPED
    if Outcome.FAILED in found:
        return Status.FAILED
    if Outcome.PASSED in found:
        return Status.PASSED if len(found) == 1 else Status.INCOMPLETE
    return Status.BLOCKED if Outcome.BLOCKED in found else Status.NOT_RUN


def write_csv(coverage: Coverage, path: Path) -> None:
    """``ttm-coverage.csv``: a requirement a line; tests by outcome; its status overall and on each DMC."""
    about = ("id", "requirement", "source", "clause", "srv", "functional_group")
    outcomes = list(Outcome)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(
            [*about, "status", "suspect", "planned", *outcomes, *(f"dmc {dmc}" for dmc in coverage.dmcs)]
        )
        for row in coverage.rows:
            texts = [getattr(row.requirement, name) for name in about]
            counts = [sum(row.tests.values()), *(row.tests.get(outcome, 0) for outcome in outcomes)]
            statuses = [row.by_dmc.get(dmc, "") for dmc in coverage.dmcs]
            suspect = "suspect" if row.suspect else ""
            writer.writerow([*texts, row.status, suspect, *counts, *statuses])
