"""A run as it goes on: its journals, read on from where they were read before. For whoever watches it.

What it tells is believed as it is read, without a look at chains and digests: what became of a test is said
by :mod:`harness.records.run` alone, once somebody reads the whole record.
"""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from harness.domain.errors import ConfigurationError
from harness.records import journal
from harness.records.plan import PLAN, Plan, PlannedTest

_BLOCK: Final = 1 << 20  # bytes that are read at once
_KEPT: Final = 100_000  # moments at which an attempt ended


@dataclass(slots=True)
class InHand:
    """An attempt that began and has not ended; its process may be gone."""

    id: str
    test: str
    number: int
    rig: str
    since: datetime
    host: str
    process: int


@dataclass(slots=True)
class _Tail:
    """How far a journal was read, and whose it is."""

    path: Path
    read: int = 0
    host: str = ""
    process: int = 0
    in_hand: InHand | None = None


@dataclass(slots=True)
class RunFollower:
    """Follows one run folder. Life cycle: made, :meth:`look` whenever one wants to know.

    ``results`` has the latest attempt's result of each test that has one. ``ended`` is why the run's last
    controller ended it, ``None`` while it goes on, or where it was killed.
    """

    folder: Path
    plan: Plan | None = None  # none yet: the tests are still being collected
    results: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)  # what the latest finished attempt at a test took
    set_aside: dict[str, datetime] = field(default_factory=dict)  # when it was said that a test is not run
    started: datetime | None = None  # the last controller
    ended: str | None = None
    ended_at: datetime | None = None
    _tails: dict[Path, _Tail] = field(default_factory=dict, repr=False)
    _numbers: dict[str, int] = field(default_factory=dict, repr=False)  # of the latest attempt, by test
    _ends: deque[datetime] = field(default_factory=lambda: deque(maxlen=_KEPT), repr=False)

    def look(self) -> None:
        """Read what was written since the last look; a line that is not whole yet is left for the next."""
        if self.plan is None and (self.folder / PLAN).is_file():
            self.plan = Plan.read(self.folder)
        for path in sorted((self.folder / journal.JOURNALS).glob("*.jsonl")):
            tail = self._tails.setdefault(path, _Tail(path))
            for line in _new_lines(tail):
                self._take(tail, line)

    def in_hand(self, rig: str, host: str, process: int) -> InHand | None:
        """What a process is at on a rig; ``None`` between two tests, or where it has not begun one yet."""
        for tail in self._tails.values():
            attempt = tail.in_hand
            if attempt is not None and (attempt.rig, attempt.host, attempt.process) == (rig, host, process):
                return attempt
        return None

    def counts(self) -> Mapping[str, int]:
        """How many tests were planned, and how many have which result; ``left`` have none yet."""
        counts = Counter(self.results.values())
        planned = len(self.plan.tests) if self.plan else 0
        return {
            "planned": planned,
            "passed": counts["passed"],
            "failed": counts["failed"],
            "blocked": counts["blocked"],
            "left": sum(1 for _ in self.left()),
        }

    def left(self) -> Iterator[PlannedTest]:
        """The tests that have no result yet, those in hand among them.

        What an earlier controller set aside is left again where another one has resumed the run.
        """
        for test in self.plan.tests if self.plan else ():
            aside = self.set_aside.get(test.id)
            if test.id not in self.results and not (test.not_run or (aside and aside >= self._began)):
                yield test

    @property
    def _began(self) -> datetime:
        return self.started or datetime.min.replace(tzinfo=UTC)

    def ended_since(self, moment: datetime) -> int:
        """How many attempts ended since then."""
        return sum(1 for end in reversed(self._ends) if end >= moment)

    def _take(self, tail: _Tail, line: bytes) -> None:
        try:
            fields = json.loads(line)
            self._event(tail, str(fields["event"]), datetime.fromisoformat(fields["at"]), fields)
        except (ValueError, KeyError, TypeError):  # no event: the record's own reader says what is wrong
            return

    def _event(self, tail: _Tail, event: str, at: datetime, fields: Mapping[str, Any]) -> None:
        match event:
            case journal.RUN_STARTED:
                tail.host, tail.process = str(fields["host"]), int(fields["pid"])
                if tail.path.stem.startswith(journal.CONTROLLER) and at > self._began:
                    self.started, self.ended, self.ended_at = at, None, None
            case journal.ATTEMPT_STARTED:
                test, number = str(fields["test"]), int(fields["number"])
                self._begins(
                    InHand(fields["attempt"], test, number, fields["rig"], at, tail.host, tail.process), tail
                )
            case journal.ATTEMPT_FINISHED:
                self._finishes(str(fields["test"]), str(fields["attempt"]), fields)
                self._ends.append(at)
                tail.in_hand = None
            case journal.NOT_RUN | journal.DESCOPED:
                self.set_aside[str(fields["test"])] = at
            case journal.RUN_ENDED if at >= self._began:
                self.ended, self.ended_at = str(fields["reason"]), at

    def _begins(self, attempt: InHand, tail: _Tail) -> None:
        tail.in_hand = attempt
        if attempt.number >= self._numbers.get(attempt.test, 0):
            self._numbers[attempt.test] = attempt.number
            self.results.pop(attempt.test, None)

    def _finishes(self, test: str, attempt: str, fields: Mapping[str, Any]) -> None:
        number = int(attempt.rpartition("/")[2])
        if number >= self._numbers.get(test, 0):
            self._numbers[test] = number
            self.results[test] = str(fields["result"])
            self.seconds[test] = float(fields.get("seconds") or 0)


def _new_lines(tail: _Tail) -> Iterator[bytes]:
    """What was appended since, line by line, as far as it is whole."""
    with tail.path.open("rb") as file:
        file.seek(tail.read)
        rest = b""
        while block := file.read(_BLOCK):
            *lines, rest = (rest + block).split(b"\n")
            for line in lines:
                tail.read += len(line) + 1
                yield line


def follow(folder: Path) -> RunFollower | None:
    """Somebody's run, looked at for the first time; ``None`` where that is no run folder, or none yet."""
    follower = RunFollower(folder)
    try:
        follower.look()
    except ConfigurationError:
        return None
    return follower if follower.plan is not None else None
