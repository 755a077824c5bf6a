"""Attempts: each is written down as started before a device is touched, and as finished after its teardown.

This plugin sits in every process that runs tests (a worker of xdist, or the one process without it).
"""

from __future__ import annotations

import contextlib
import itertools
import json
import time
from collections.abc import Generator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest

from harness.domain.errors import LabFault
from harness.domain.words import AttemptResult, Cause
from harness.execution.context import Settings
from harness.execution.interruption import stopped_by_no_test
from harness.execution.planning import CASE, Case, planned_id
from harness.execution.rig_keeper import RigKeeper
from harness.execution.verdict import PASSED, Overdue, Verdict, judge, lab_faults, together
from harness.records.canonical import digest_of_file
from harness.records.evidence import AttemptEvidence, evidence_folder
from harness.records.journal import Journal
from harness.records.plan import PLAN
from harness.records.recording import RecordFault

FAILED = AttemptResult.FAILED
_ENDED = "smets1_ended"
_BLOCKED = "smets1_blocked"
"""Keys of the user properties by which an attempt's end, and a phase's lab fault, reach the controller."""


@dataclass(slots=True)
class Attempt:
    """The attempt in hand."""

    id: str
    test: str
    number: int
    rig: str
    evidence: AttemptEvidence
    began: float  # monotonic seconds
    lab_started: datetime | None = None  # none yet where the attempt is the one that opens the rig
    verdict: Verdict = PASSED
    faults: list[LabFault] = field(default_factory=list)
    in_doubt: bool = False  # a lab fault, or a hang, in any of its phases, whatever the verdict
    overdue: Overdue | None = None  # its deadline has come, whether the test let that through or not
    trace: list[str] = field(default_factory=list)
    phases: list[dict[str, Any]] = field(default_factory=list)  # as records.run.Phase has them


@dataclass(frozen=True, slots=True)
class Ended:
    """How an attempt ended, as the controller is told; it travels with the report of the last phase."""

    test: str
    rig: str
    result: AttemptResult
    message: str
    rig_lost: str = ""  # why the rig can serve nothing any more

    def tell(self, report: pytest.TestReport) -> None:
        """Let the report carry it."""
        fields = {name: getattr(self, name) for name in self.__slots__}
        report.user_properties.append((_ENDED, json.dumps(fields)))

    @classmethod
    def of(cls, report: pytest.TestReport) -> Ended | None:
        """What a report carries; ``None`` for the reports of earlier phases."""
        for key, value in report.user_properties:
            if key == _ENDED:
                fields: dict[str, str] = json.loads(str(value))
                result = AttemptResult(fields.pop("result"))
                return cls(result=result, **fields)
        return None


def lab_fault_of(report: pytest.TestReport) -> str | None:
    """Why the phase of an attempt was blocked; ``None`` where it was not."""
    return next((str(value) for key, value in report.user_properties if key == _BLOCKED), None)


class AttemptRecorder:
    """Journals the attempts of one process, and keeps the evidence router on the attempt in hand.

    ``lone``: it is no worker, so that a person may sit at it.
    """

    def __init__(self, settings: Settings, keeper: RigKeeper, worker: str, *, lone: bool) -> None:
        self._settings = settings
        self._lone = lone
        self._keeper = keeper
        self._worker = worker
        self._journal: Journal | None = None
        self.current: Attempt | None = None
        keeper.recorded = self.on_record

    @property
    def journal(self) -> Journal:
        """The journal of this process, begun with its first test: by then the plan is frozen."""
        if self._journal is None:
            self._journal = Journal.begin(
                self._settings.folder,
                run_id=self._settings.run.run_id,
                plan_digest=digest_of_file(self._settings.folder / PLAN),
                process=self._worker,
            )
        return self._journal

    def on_record(self) -> None:
        """Return when the beginning of the attempt in hand, and the end of the one before, are on the disk.

        :class:`RecordFault` where they cannot be.
        """
        if self.current is not None:
            self.journal.disk.settle()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        """What is not on the disk in the end is no record: then the run says why it stopped."""
        result = yield
        try:
            if self._journal is not None:
                self._journal.disk.settle()
        except RecordFault as fault:
            session.shouldstop = str(fault)  # so xdist tells it of a worker
            if not hasattr(session.config, "workerinput"):
                raise
        return result

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Nothing is written after an interruption: a start without an end *is* its record."""
        case: Case = item.callspec.params[CASE]  # type: ignore[attr-defined]  # parametrised by us
        attempt = self._begin(planned_id(item), case)
        result = yield
        if attempt.in_doubt:
            self._keeper.put_down()  # what has broken stays broken: the next attempt takes the rig anew
        return result

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self) -> Generator[None, object, object]:
        """No test stops the run."""
        return (yield from stopped_by_no_test(may_exit=self._lone))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self) -> Generator[None, object, object]:
        """Nor here."""
        return (yield from stopped_by_no_test(may_exit=self._lone))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self) -> Generator[None, object, object]:
        """Nor here."""
        return (yield from stopped_by_no_test(may_exit=self._lone))

    def _begin(self, test: str, case: Case) -> Attempt:
        number, evidence = self._new_evidence(test)
        rig = self._keeper.turn_to(case.entry.dmc.id)
        attempt = Attempt(
            id=f"{evidence.folder.parent.name}/{number}",
            test=test,
            number=number,
            rig=rig,
            evidence=evidence,
            began=time.monotonic(),
        )
        self.journal.note(
            "attempt_started",
            attempt=attempt.id,
            test=test,
            number=number,
            rig=rig,
            worker=self._worker,
        )
        self.current = attempt
        self._keeper.trace.begins(attempt.id, test, number, evidence)
        self._keeper.follow_clock()
        attempt.lab_started = self._keeper.lab_time()
        return attempt

    def _new_evidence(self, test: str) -> tuple[int, AttemptEvidence]:
        """The next attempt at a test, whoever made the earlier ones: making its folder claims its number."""
        for number in itertools.count(1):
            with contextlib.suppress(FileExistsError):
                folder = evidence_folder(self._settings.folder, test, number)
                return number, AttemptEvidence(folder, disk=self.journal.disk)
        raise AssertionError("the numbers have ended")

    def _finish(self, attempt: Attempt) -> None:
        """The end: written before anybody is told, on the disk before the next test speaks to a device."""
        verdict = attempt.verdict
        self._keeper.trace.ends(verdict.result, verdict.message)
        self.journal.note(
            "attempt_finished",
            attempt=attempt.id,
            test=attempt.test,
            result=verdict.result,
            cause=verdict.cause or "",
            message=verdict.message,
            trace="\n".join(attempt.trace),
            seconds=round(time.monotonic() - attempt.began, 4),
            lab_started=attempt.lab_started or self._keeper.opened,
            lab_ended=self._keeper.lab_time(),
            phases=attempt.phases,
            devices=self._keeper.devices(),
            evidence=attempt.evidence.files(),
        )
        self.current = None
        self._keeper.judged(attempt.rig, attempt.faults, in_doubt=attempt.in_doubt)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Judge each phase; after the last one hand the verdict to the controller with the report."""
        report = yield
        attempt = self.current
        if attempt is None:
            return report
        if call.excinfo is not None:
            self._judge(attempt, call.excinfo.value, report)
        elif report.failed:  # pytest says so by itself, as where a test passes that was to fail
            attempt.verdict = together(attempt.verdict, Verdict(FAILED, Cause.HARNESS, report.longreprtext))
        phase = {"name": report.when, "result": report.outcome, "seconds": round(report.duration, 4)}
        attempt.phases.append(phase)
        if report.when == "teardown":
            self._hold_to_deadline(attempt)
            self._hold_to_its_body(attempt)
            if attempt.verdict.result is FAILED and all(
                each["result"] == "passed" for each in attempt.phases
            ):
                report.outcome, report.longrepr = "failed", attempt.verdict.message  # pytest knows of none
            self._hold_to_lease(attempt, report)
            self._finish(attempt)
            self._ended(attempt).tell(report)
        _make_encodable(report)
        return report

    def _judge(self, attempt: Attempt, error: BaseException, report: pytest.TestReport) -> None:
        verdict = judge(error)
        attempt.verdict = together(attempt.verdict, verdict)
        attempt.in_doubt |= verdict.cause is Cause.LAB
        attempt.trace.append(f"{report.when}:\n{report.longreprtext}")
        attempt.faults.extend(lab_faults(error))
        if why := _why_blocked(verdict, attempt.verdict):
            report.user_properties.append((_BLOCKED, why))

    @staticmethod
    def _hold_to_deadline(attempt: Attempt) -> None:
        """A test that has caught what stops it has not passed."""
        if attempt.overdue is not None:
            attempt.in_doubt = True
            attempt.verdict = together(attempt.verdict, judge(attempt.overdue))

    @staticmethod
    def _hold_to_its_body(attempt: Attempt) -> None:
        """Nor has one whose body never ran."""
        if attempt.verdict is PASSED and not any(phase["name"] == "call" for phase in attempt.phases):
            attempt.verdict = Verdict(FAILED, Cause.HARNESS, "its body did not run")

    def _hold_to_lease(self, attempt: Attempt, report: pytest.TestReport) -> None:
        """What was found on a rig that was not ours to the end proves nothing: another may have had it."""
        try:
            self._keeper.check()
        except LabFault as fault:
            attempt.verdict = judge(fault)
            attempt.faults.append(fault)
            attempt.in_doubt = True
            report.user_properties.append((_BLOCKED, attempt.verdict.message))

    def _ended(self, attempt: Attempt) -> Ended:
        verdict = attempt.verdict
        return Ended(attempt.test, attempt.rig, verdict.result, verdict.message, self._keeper.lost)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Put the rig down before anything else ends."""
        self._keeper.end()
        if self._journal is not None:
            self._journal.close()


def _make_encodable(report: pytest.TestReport) -> None:
    """Tests may say what is no text, as bytes of a device that were decoded: xdist sends UTF-8 alone."""
    told = [
        report.longreprtext,
        *itertools.chain(*report.sections),
        *itertools.chain(*report.user_properties),
    ]
    try:
        "".join(map(str, told)).encode()
    except UnicodeEncodeError:
        report.longrepr = _encodable(report.longreprtext) or None
        report.sections = [(name, _encodable(text)) for name, text in report.sections]
        report.user_properties = [(name, _encodable(str(value))) for name, value in report.user_properties]


def _encodable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def _why_blocked(phase: Verdict, attempt: Verdict) -> str:
    """Of a phase that met a lab fault itself, or came after one that excuses it."""
    blocked = (each.message for each in (phase, attempt) if each.result is AttemptResult.BLOCKED)
    return next(blocked, "")
