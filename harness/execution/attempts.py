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

from harness.domain.words import Cause
from harness.execution.context import Settings
from harness.execution.planning import CASE, Case
from harness.execution.rig_keeper import RigKeeper
from harness.execution.verdict import PASSED, Verdict, judge, worse
from harness.records.evidence import AttemptEvidence, evidence_folder
from harness.records.journal import Journal
from harness.records.plan import Plan

REPORT_KEY = "smets1_harness"
"""Key of the user property by which the verdict travels from worker to controller, as JSON."""


@dataclass(slots=True)
class Attempt:
    """The attempt in hand."""

    id: str
    test: str
    number: int
    rig: str
    evidence: AttemptEvidence
    began: float
    lab_started: datetime | None = None
    verdict: Verdict = PASSED
    lab_fault: bool = False  # in any of its phases, whatever the verdict
    trace: list[str] = field(default_factory=list)


class AttemptRecorder:
    """Journals the attempts of one process, and keeps the evidence router on the attempt in hand."""

    def __init__(self, settings: Settings, keeper: RigKeeper, worker: str) -> None:
        self._settings = settings
        self._keeper = keeper
        self._worker = worker
        self._journal: Journal | None = None
        self._plan: Plan | None = None
        self.current: Attempt | None = None

    @property
    def plan(self) -> Plan:
        """The frozen plan, read when the first test starts: by then the controller has written it."""
        if self._plan is None:
            self._plan = Plan.read(self._settings.folder)
        return self._plan

    @property
    def journal(self) -> Journal:
        """The journal of this process."""
        if self._journal is None:
            self._journal = Journal.begin(
                self._settings.folder,
                run_id=self.plan.run_id,
                plan_digest=self.plan.digest,
                process=self._worker,
            )
        return self._journal

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Nothing is written after an interruption: a start without an end *is* its record."""
        case: Case = item.callspec.params[CASE]  # type: ignore[attr-defined]  # parametrised by us
        attempt = self._begin(item.nodeid, case)
        result = yield
        self._finish(attempt)
        return result

    def _begin(self, node_id: str, case: Case) -> Attempt:
        test = next(test for test in self.plan.tests if test.node_id == node_id)
        number, evidence = self._new_evidence(test.id)
        rig = self._keeper.rig_for(case.entry.dmc.id)
        attempt = Attempt(
            id=f"{evidence.folder.parent.name}/{number}",
            test=test.id,
            number=number,
            rig=rig,
            evidence=evidence,
            began=time.monotonic(),
        )
        self.journal.write(
            "attempt_started",
            attempt=attempt.id,
            test=test.id,
            number=number,
            rig=rig,
            worker=self._worker,
        )
        self.current = attempt
        self._keeper.trace.current = attempt.evidence
        self._keeper.follow_clock()
        attempt.lab_started = self._keeper.lab_time()
        return attempt

    def _new_evidence(self, test: str) -> tuple[int, AttemptEvidence]:
        """The next attempt at a test, whoever made the earlier ones: making its folder claims its number."""
        for number in itertools.count(1):
            with contextlib.suppress(FileExistsError):
                return number, AttemptEvidence(evidence_folder(self._settings.folder, test, number))
        raise AssertionError("the numbers have ended")

    def _finish(self, attempt: Attempt) -> None:
        self._keeper.trace.current = None
        attempt.evidence.close()
        verdict = attempt.verdict
        self.journal.write(
            "attempt_finished",
            attempt=attempt.id,
            test=attempt.test,
            result=verdict.result,
            cause=verdict.cause or "",
            message=verdict.message,
            trace="\n".join(attempt.trace),
            seconds=round(time.monotonic() - attempt.began, 4),
            lab_started=attempt.lab_started,
            lab_ended=self._keeper.lab_time(),
            devices=self._keeper.devices(),
            evidence=attempt.evidence.files(),
        )
        self.current = None
        if attempt.lab_fault:
            self._keeper.close()  # what has broken stays broken: the next attempt takes the rig anew

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
            verdict = judge(call.excinfo.value)
            attempt.verdict = worse(attempt.verdict, verdict)
            attempt.lab_fault |= verdict.cause is Cause.LAB
            attempt.trace.append(f"{report.when}:\n{report.longreprtext}")
        self.journal.write(
            "attempt_phase",
            attempt=attempt.id,
            phase=report.when,
            result=report.outcome,
            seconds=round(report.duration, 4),
        )
        if report.when == "teardown":
            report.user_properties.append((REPORT_KEY, self._verdict_json(attempt)))
        return report

    def _verdict_json(self, attempt: Attempt) -> str:
        return json.dumps(
            {
                "test": attempt.test,
                "attempt": attempt.number,
                "rig": attempt.rig,
                "rig_lost": self._keeper.lost,
                "result": attempt.verdict.result,
                "cause": attempt.verdict.cause or "",
                "message": attempt.verdict.message,
            }
        )

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Put the rig down before anything else ends."""
        self._keeper.close()
        if self._journal is not None:
            self._journal.close()


def verdict_of(report: pytest.TestReport) -> dict[str, str] | None:
    """What a worker said of an attempt; ``None`` on the reports of earlier phases."""
    for key, value in report.user_properties:
        if key == REPORT_KEY:
            found: dict[str, str] = json.loads(str(value))
            return found
    return None
