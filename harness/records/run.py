"""A run as its journals tell it. The one place where the outcome of a planned test is computed.

The rule, from the strongest:

1. A test that was de-scoped with an approval (Clause 12.9(a)) is ``descoped``, whatever was tried before.
2. Its latest attempt decides: ``passed``, ``failed`` or ``blocked``. The latest is the one of the highest
   number, which the controller hands out rising; of equal numbers the one that started last. All are kept.
3. A latest attempt that was interrupted (started and never finished: its process died) proves nothing. With
   no further attempt the test is ``not_run``, and the reason begins with ``interrupted:``.
4. A test without attempts is ``not_run`` for the reason that its plan or a journal gives; where neither gives
   one, because the run ended before it.

Only events whose digest holds count, so a changed result falls back to *interrupted*, never to *passed*.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from errno import EINVAL
from functools import cached_property, lru_cache
from itertools import zip_longest
from pathlib import Path
from stat import S_ISREG
from typing import Any

from harness.domain.words import AttemptResult, Cause, Outcome
from harness.records import journal
from harness.records.evidence import EvidenceFile, evidence_folder
from harness.records.journal import Event, JournalFile, Problem, read_journal
from harness.records.plan import PLAN, Plan, PlannedTest, content_of

ANOTHER_PLAN = "this journal belongs to another plan; its events do not count"
SUSPECTED = "set aside as suspected"
"""How the reason begins why a test that kills rigs is not tried again, whatever its last attempt came to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """Set-up, call or teardown of an attempt."""

    name: str
    result: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One attempt at a planned test. An interrupted one has no end; its evidence is what was on disk."""

    id: str
    test: str
    number: int
    result: AttemptResult
    rig: str
    worker: str
    process: str
    started: datetime
    ended: datetime | None = None
    seconds: float = 0.0  # of wall time
    cause: Cause | None = None
    message: str = ""
    trace: str = ""
    lab_started: str = ""
    lab_ended: str = ""
    devices: Sequence[Any] = ()
    phases: tuple[Phase, ...] = ()
    evidence: tuple[EvidenceFile, ...] = ()

    def told(self) -> str:
        """What is known of an attempt that was interrupted."""
        return f"attempt {self.number} on {self.rig} by {self.process} started and never ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one controller did of a run: the first one, or one that resumed it.

    ``reason`` says why it ended, and ``ended`` when. Where it never said so (a kill, a power cut) the reason
    is empty, and the end is when any process of the run was last heard of before the next part began.
    """

    process: str  # its journal
    host: str
    pid: int
    started: datetime
    ended: datetime
    reason: str

    @property
    def why(self) -> str:
        """Why it ended, in words."""
        return self.reason or "it never said why: its process was killed, or its machine stopped"


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """A run folder, read: its plan, every attempt by planned test, and what cannot be trusted."""

    folder: Path
    plan: Plan
    attempts: Mapping[str, tuple[Attempt, ...]]  # by planned test, earliest first
    reasons: Mapping[str, str]  # not run, by planned test
    approvals: Mapping[str, str]  # de-scoped, by planned test
    started: datetime
    ended: datetime
    parts: tuple[Part, ...]  # one for each controller, in the order in which they began
    problems: tuple[Problem, ...] = field(repr=False)

    @property
    def end_reason(self) -> str:
        """Why the last controller ended the run; "" where it never said so."""
        return self.parts[-1].reason if self.parts else ""

    def of(self, test_id: str) -> tuple[Attempt, ...]:
        """The attempts at a planned test, earliest first."""
        return self.attempts.get(test_id, ())

    def latest(self, test_id: str) -> Attempt | None:
        """The attempt that decides."""
        attempts = self.of(test_id)
        return attempts[-1] if attempts else None

    def outcome(self, test_id: str) -> Outcome:
        """What became of a planned test, by the rule of this module."""
        return self._outcomes[test_id]

    @cached_property
    def _outcomes(self) -> Mapping[str, Outcome]:
        """Of every planned test: each export asks for them several times."""
        return {test.id: self._outcome(test.id) for test in self.plan.tests}

    def _outcome(self, test_id: str) -> Outcome:
        if test_id in self.approvals:
            return Outcome.DESCOPED
        latest = self.latest(test_id)
        if latest is None or latest.result is AttemptResult.INTERRUPTED:
            return Outcome.NOT_RUN
        return Outcome(latest.result.value)

    def reason(self, test_id: str) -> str:
        """Why: the approval, the reason of a test not run, or the message of the attempt that decides."""
        if test_id in self.approvals:
            return self.approvals[test_id]
        latest = self.latest(test_id)
        if latest is None:
            return self._why_not_run(test_id)
        if latest.result is AttemptResult.INTERRUPTED:
            after = self.reasons.get(test_id, "no further attempt was made")
            return f"interrupted: {latest.told()}; {after}"
        if latest.result is AttemptResult.BLOCKED and SUSPECTED in self.reasons.get(test_id, ""):
            return f"{latest.message}; {self.reasons[test_id]}"
        return latest.message

    def _why_not_run(self, test_id: str) -> str:
        ended = (
            f"the run ended before it: {self.end_reason}" if self.end_reason else "the run ended before it"
        )
        return self.reasons.get(test_id) or self.plan.by_id[test_id].not_run or ended

    def counts(self, pack: str = "") -> dict[str, int]:
        """How many tests were planned, and how many had each outcome: in a pack, or in the whole run."""
        counts = {"planned": 0} | {outcome.value: 0 for outcome in Outcome}
        for test in self.plan.tests:
            if pack in {"", test.pack}:
                counts["planned"] += 1
                counts[self.outcome(test.id).value] += 1
        return counts

    def tests(self, *outcomes: Outcome) -> tuple[PlannedTest, ...]:
        """The planned tests that came out so, in the order of the plan."""
        return tuple(test for test in self.plan.tests if self.outcome(test.id) in outcomes)

    def left(self, *, blocked: bool = False) -> tuple[PlannedTest, ...]:
        """What a resumption has to run: tests without a finished attempt that a plan did not rule out.

        With ``blocked``, also those that the lab blocked.
        """
        outcomes = (Outcome.NOT_RUN, Outcome.BLOCKED) if blocked else (Outcome.NOT_RUN,)
        return tuple(test for test in self.tests(*outcomes) if not test.not_run)

    def evidence_of(self, attempt: Attempt) -> Path:
        """The folder of an attempt's evidence; an attempt that died early may have none."""
        return evidence_folder(self.folder, attempt.test, attempt.number)


def read_run(folder: Path) -> RunRecord:
    """Read a run folder, of a run that goes on as well; :class:`ConfigurationError` where it has no plan.

    A run that is asked for again, as each export does, is the same record as long as its bytes are the same.
    """
    return _record(_Content.of(folder))


@dataclass(frozen=True)
class _Content:
    """What a run folder holds: equal where the bytes are."""

    folder: Path
    digest: bytes
    problems: tuple[Problem, ...]  # journals that cannot be read
    plan: bytes = field(compare=False, repr=False)
    journals: Mapping[Path, bytes] = field(compare=False, repr=False)

    @classmethod
    def of(cls, folder: Path) -> _Content:
        plan = content_of(folder)
        journals, problems = {}, []
        for path in sorted((folder / journal.JOURNALS).glob("*.jsonl")):
            try:
                journals[path] = _bytes_of(path)
            except OSError as error:
                name = f"{journal.JOURNALS}/{path.name}"
                problems.append(Problem(name, 0, f"cannot be read: {error.strerror}"))
        digest = hashlib.sha256(hashlib.sha256(plan).digest())
        for path, content in journals.items():
            digest.update(path.name.encode() + hashlib.sha256(content).digest())
        return cls(folder, digest.digest(), tuple(problems), plan, journals)


def _bytes_of(path: Path) -> bytes:
    """What a file holds that is one: a pipe would be waited for, a link may lead to a device without end."""
    if not S_ISREG(path.lstat().st_mode):
        raise OSError(EINVAL, "it is no file of its own")
    return path.read_bytes()


@lru_cache(maxsize=1)
def _record(content: _Content) -> RunRecord:
    merge = _Merge(Plan.of_json(content.plan, content.folder / PLAN))
    merge.problems += content.problems
    for path, journal_content in content.journals.items():
        merge.take(read_journal(path, journal_content))
    return merge.record(content.folder)


class _Merge:
    """Folds the journals of a run into its record."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.problems: list[Problem] = []
        self.starts: dict[str, dict[str, Any]] = {}
        self.ends: dict[str, dict[str, Any]] = {}
        self.reasons: dict[str, str] = {}
        self.approvals: dict[str, str] = {}
        self.times: list[datetime] = []
        self.heads: list[Event] = []  # of the controllers
        self.run_ends: dict[str, tuple[datetime, str]] = {}  # when and why, by controller

    def take(self, file: JournalFile) -> None:
        self.problems += file.problems
        if file.head and file.head.fields.get("plan_digest") != self.plan.digest:
            self._problem(file.head, ANOTHER_PLAN)
            return
        for event in file.events:
            self.times.append(event.at)
            try:
                self._event(event)
            except (KeyError, TypeError, ValueError, OverflowError) as error:
                self._problem(event, f"{event.event} cannot be read: {type(error).__name__} {error}")

    def _event(self, event: Event) -> None:
        fields = event.fields
        test = fields.get("test")
        if test is not None and test not in self.plan.by_id:
            self._problem(event, f"{test} was never planned")
            return
        match event.event:
            case journal.ATTEMPT_STARTED:
                self._once(self.starts, event, _start(event))
            case journal.ATTEMPT_FINISHED:
                self._once(self.ends, event, _end(event))
            case journal.NOT_RUN:
                self.reasons[fields["test"]] = fields["reason"]
            case journal.DESCOPED:
                self.approvals[fields["test"]] = fields["approval"]
            case journal.RUN_ENDED:
                self.run_ends[event.process] = (event.at, fields["reason"])
            case journal.RUN_STARTED if _is_controller(event.process):
                self.heads.append(event)

    def _once(self, known: dict[str, dict[str, Any]], event: Event, fields: dict[str, Any]) -> None:
        attempt = event.fields["attempt"]
        if attempt in known:
            self._problem(event, f"attempt {attempt} has this event twice; the first counts")
        else:
            known[attempt] = fields

    def _problem(self, event: Event, what: str) -> None:
        self.problems.append(Problem(f"{journal.JOURNALS}/{event.process}.jsonl", event.line, what))

    def record(self, folder: Path) -> RunRecord:
        for id_ in sorted(self.ends.keys() - self.starts.keys()):
            self.problems.append(Problem(journal.JOURNALS, 0, f"attempt {id_} ends without a start"))
        attempts: defaultdict[str, list[Attempt]] = defaultdict(list)
        for id_, start in self.starts.items():
            end = self.ends.get(id_, {"result": AttemptResult.INTERRUPTED})
            attempt = Attempt(**start, **end)
            attempts[attempt.test].append(attempt)
        return RunRecord(
            folder=folder,
            plan=self.plan,
            attempts={test: tuple(sorted(tries, key=_order)) for test, tries in attempts.items()},
            reasons=self.reasons,
            approvals=self.approvals,
            started=min(self.times, default=self.plan.created),
            ended=max(self.times, default=self.plan.created),
            parts=tuple(self._parts()),
            problems=tuple(self.problems),
        )

    def _parts(self) -> Iterator[Part]:
        heads = sorted(self.heads, key=lambda head: _number(head.process))
        for head, following in zip_longest(heads, heads[1:]):
            said = self.run_ends.get(head.process)
            heard = (at for at in self.times if following is None or at < following.at)
            yield Part(
                process=head.process,
                host=str(head.fields.get("host", "")),
                pid=int(head.fields.get("pid", 0)),
                started=head.at,
                ended=said[0] if said else max(heard, default=head.at),
                reason=said[1] if said else "",
            )


def _is_controller(process: str) -> bool:
    name, _, number = process.partition("-")
    return name == journal.CONTROLLER and (not number or number.isdecimal())


def _number(process: str) -> int:
    """The place of a controller among those of its run: the clock may have gone back between them."""
    return int(process.partition("-")[2] or 1)


def _start(event: Event) -> dict[str, Any]:
    fields = event.fields
    return {
        "id": fields["attempt"],
        "test": fields["test"],
        "number": int(fields["number"]),
        "rig": fields["rig"],
        "worker": fields["worker"],
        "process": event.process,
        "started": event.at,
    }


def _end(event: Event) -> dict[str, Any]:
    fields = event.fields
    return {
        "result": AttemptResult(fields["result"]),
        "cause": Cause(fields["cause"]) if fields.get("cause") else None,
        "message": fields.get("message") or "",
        "trace": fields.get("trace") or "",
        "seconds": float(fields.get("seconds") or 0),
        "ended": event.at,
        "lab_started": fields.get("lab_started") or "",
        "lab_ended": fields.get("lab_ended") or "",
        "devices": fields.get("devices") or (),
        "phases": tuple(Phase(**phase) for phase in fields.get("phases") or ()),
        "evidence": tuple(EvidenceFile(**file) for file in fields.get("evidence") or ()),
    }


def _order(attempt: Attempt) -> tuple[int, datetime, str]:
    return attempt.number, attempt.started, attempt.id
