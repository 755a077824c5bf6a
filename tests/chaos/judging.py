"""What the record of a run says, held against what the referee heard and what was shown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from harness.domain.words import AttemptResult
from harness.records.run import Attempt, RunRecord
from harness.records.verify import verify_run

from .processes import Run
from .rounds import Round

_RESULTS = {AttemptResult.PASSED, AttemptResult.FAILED}


@dataclass(frozen=True)
class Heard:
    """The attempts of a run and its resumptions, by the referee's clock."""

    begun: dict[str, float]
    acted: dict[str, float]  # the last that it asked of its bench, or its end where it has none
    ended: frozenset[str]

    @classmethod
    def of(cls, around: Round, parts: Sequence[Run]) -> Heard:
        begun, ended = (
            [each for part in parts for each in around.of(kind, part)] for kind in ("begun", "ended")
        )
        return cls(
            {each["attempt"]: each["at"] for each in begun},
            {each["attempt"]: each["acted"] or each["at"] for each in ended},
            frozenset(each["attempt"] for each in ended),
        )


@dataclass(frozen=True, order=True)
class Span:
    """When a test that came to a result had its rig: until it acted last, for it judges what it saw."""

    rig: str
    begun: float
    over: float
    attempt: str


def truth(test: str) -> str:
    """What a test of the pack comes to where nothing stands in its way: its number alone decides."""
    number = re.search(r"test_under_load\[.*-(\d+)\]$", test)
    return "failed" if number and int(number[1]) % 4 == 3 else "passed"


def attempts(record: RunRecord) -> Iterator[Attempt]:
    for tried in record.attempts.values():
        yield from tried


def wrong_with(record: RunRecord, around: Round, heard: Heard) -> Iterator[str]:
    """What in a record is not true, or is not what it must be."""
    problems = [f"verify: {problem}" for problem in verify_run(record.folder)]
    yield from problems[:3] + [f"verify: and {len(problems) - 3} more"] * (len(problems) > 3)
    for attempt in sorted(heard.begun.keys() - {each.id for each in attempts(record)}):
        yield f"the record knows nothing of attempt {attempt}"
    for test in record.plan.tests:
        outcome = record.outcome(test.id)
        if outcome.value != around.truth.get(test.id, truth(test.id)):
            yield f"{test.id} came out {outcome}: {record.reason(test.id)}"
    for each in attempts(record):
        if each.result not in _RESULTS:
            continue
        if each.result.value != around.truth.get(each.test, truth(each.test)):
            yield f"attempt {each.id} is {each.result}: {each.message}"
        if each.id not in heard.ended:
            yield f"attempt {each.id} is {each.result}, and its test never ended"


def results_over_time(record: RunRecord, heard: Heard) -> list[Span]:
    """A late owner that thinks that it has a rig comes to no result: it is blocked."""
    return [
        Span(each.rig, heard.begun[each.id], heard.acted[each.id], f"{each.id} of {record.plan.run_id}")
        for each in attempts(record)
        if each.result in _RESULTS and each.id in heard.acted
    ]


def overlaps(results: Sequence[Span]) -> list[str]:
    """Two tests that came to a result and had the same rig at the same time."""
    return [
        f"two owners: {late.attempt} began before {early.attempt} was over (rig {late.rig})"
        for early, late in pairwise(sorted(results))
        if early.rig == late.rig and late.begun < early.over
    ]


def wrong_with_the_output(around: Round) -> Iterator[str]:
    """What nobody wants to read."""
    if not any(run.shown for run in around.runs):
        yield "nobody was shown a result"
    for run in around.runs:
        if told := _traceback(run.output):
            yield f"{run.name} shows a traceback: {told}"


def _traceback(output: str) -> str:
    """What the last traceback that was shown comes to, with where it was; none was: ""."""
    _, shown, rest = output.rpartition("Traceback (most recent call last)")
    lines = [line.removeprefix("INTERNALERROR> ") for line in rest.splitlines()]
    ours = ("/harness/", "/device_drivers/")
    told = [line for line in lines[1:] if line[:1].isalpha() or any(each in line for each in ours)]
    return " | ".join(line.strip() for line in told[:8]) if shown else ""
