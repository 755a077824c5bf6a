"""The controller's side of a run: shared services, the frozen plan, workers on rigs, exports at the end."""

from __future__ import annotations

import contextlib
import os
import signal
from collections import deque
from collections.abc import Callable, Generator, Mapping
from dataclasses import replace
from typing import Any

import pluggy
import pytest

from harness.config.ttm import Requirement
from harness.domain.errors import HarnessError, LabFault, UsageError
from harness.domain.lab import Rig
from harness.domain.packs import Pack
from harness.domain.words import AttemptResult, Outcome
from harness.execution.attempts import Ended, lab_fault_of
from harness.execution.context import WORKER_INPUT, Settings, WorkerContext
from harness.execution.deadline import hung_in
from harness.execution.interruption import Interruption
from harness.execution.planning import planned_id, planned_test
from harness.execution.resumption import Resumption
from harness.execution.scheduler import RigScheduler
from harness.hooks import LabServices
from harness.records.canonical import digest_of_file
from harness.records.exports import make_exports
from harness.records.journal import CONTROLLER, RUN_RESUMED, Journal
from harness.records.plan import Plan, PlannedPack, PlannedTest
from harness.records.run import read_run
from harness.records.run_lock import RunLock
from harness.rigs.health import now_suspect

_GOOD = {Outcome.PASSED, Outcome.DESCOPED}
BY_OUTCOMES = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED)
"""Exit statuses of pytest that tell of tests, where we tell of outcomes."""
_INTERRUPTED = "interrupted"
"""Outcome of the report that stands for an attempt whose worker died; pytest and xdist have no such word."""


class Controller:
    """Plans a run, writes the plan down before the first test, and keeps the controller's journal.

    Life cycle: :meth:`services`, :meth:`freeze`, the run, :meth:`end`; the end may come at any time.
    """

    def __init__(
        self,
        settings: Settings,
        ttm: Mapping[str, Requirement],
        hooks: pluggy.PluginManager,
        resumption: Resumption | None = None,
    ) -> None:
        self.settings = settings
        self.resumption = resumption
        self.plan: Plan | None = None
        self.to_run: tuple[PlannedTest, ...] = ()  # with the node ids that pytest gives them now
        self.problems: tuple[str, ...] = ()  # exports that could not be made
        self._ttm = ttm
        self._hooks = hooks
        self._journal: Journal | None = None
        self._services: LabServices | None = None
        self._lock: RunLock | None = None

    def services(self) -> Mapping[str, Any]:
        """Where the run's shared services are; they start when they are first asked for."""
        if self._services is None:
            settings = self.settings
            settings.folder.mkdir(parents=True, exist_ok=True)
            if self.resumption is None:  # else who resumes it holds the lock
                self._lock = self._lock or RunLock.take(settings.folder)
            self._services = self._hooks.hook.harness_start_lab(lab=settings.lab, run=settings.run)
        return self._services.addresses if self._services else {}

    def freeze(self, items: list[pytest.Item]) -> Plan:
        """Write the plan of the collected items, and at once what cannot run at all."""
        settings = self.settings
        tests = _planned_tests(items, settings, self._ttm)
        self.plan = Plan.of_lab(
            settings.lab,
            run_id=settings.run.run_id,
            created=settings.started,
            seed=settings.run.seed,
            test_phase=settings.packs[0].test_phase,
            packs=[_planned(pack) for pack in settings.packs],
            tests=tests,
            faults=settings.run.faults,
            cycle=settings.cycle,
        )
        self.plan.write(settings.folder)
        self._begin_journal(self.plan)
        for test in self.plan.tests:
            if test.not_run:
                self.set_aside(test, test.not_run)
        self.to_run = tuple(test for test in self.plan.tests if not test.not_run)
        return self.plan

    def take_up(self, resumption: Resumption, node_ids: Mapping[str, str]) -> Plan:
        """Go on with a run's own frozen plan; ``node_ids`` are those of the collected items, by planned test.

        :class:`UsageError` where a test that is left is not among them.
        """
        if missing := [test.id for test in resumption.left if test.id not in node_ids]:
            raise UsageError(
                f"run {resumption.plan.run_id} cannot be resumed: {len(missing)} of its planned tests are "
                f"not planned any more, the first is {missing[0]}",
                remedy="did the lab's EPCL or its SRV catalogue change?",
            )
        self.plan = resumption.plan
        self.to_run = tuple(replace(test, node_id=node_ids[test.id]) for test in resumption.left)
        self._begin_journal(self.plan).write(
            RUN_RESUMED, left=len(self.to_run), lab_digest=digest_of_file(self.settings.lab.file)
        )
        return self.plan

    def _begin_journal(self, plan: Plan) -> Journal:
        self._journal = Journal.begin(
            self.settings.folder, run_id=plan.run_id, plan_digest=plan.digest, process=CONTROLLER
        )
        return self._journal

    def set_aside(self, test: PlannedTest, reason: str) -> None:
        """A planned test that will not run: its reason is its record."""
        assert self._journal is not None
        self._journal.write("not_run", test=test.id, reason=reason)

    def end(self, reason: str) -> None:
        """Stop the services, close the journal and make every export; a second call does nothing."""
        services, self._services = self._services, None
        try:
            if services is not None:
                services.close()
        finally:
            try:
                if self._journal is not None:
                    self._close(self._journal, reason)
            finally:
                self.let_go()

    def let_go(self) -> None:
        """Unlock the run folder; a second call does nothing."""
        if self._lock is not None:
            self._lock.release()

    def _close(self, journal: Journal, reason: str) -> None:
        self._journal = None
        journal.write("run_ended", reason=reason)
        journal.close()
        renderers = self._hooks.hook.harness_renderers()
        self.problems = make_exports(renderers, self.settings.folder, self.settings.lab)
        _point_at(self.settings)


def _planned_tests(
    items: list[pytest.Item], settings: Settings, ttm: Mapping[str, Requirement]
) -> list[PlannedTest]:
    """All of them, or all that is wrong with them at once."""
    tests, wrong = [], []
    for item in items:
        try:
            tests.append(planned_test(item, ttm, settings.lab))
        except pytest.UsageError as error:
            wrong.append(str(error))
    if wrong:
        raise pytest.UsageError(*dict.fromkeys(wrong))
    return tests


def _planned(pack: Pack) -> PlannedPack:
    return PlannedPack(
        name=pack.name,
        version=pack.version,
        digest=pack.digest,
        kind=pack.kind,
        capability_release=pack.release,
        test_phase=pack.test_phase,
    )


def _point_at(settings: Settings) -> None:
    """``runs/latest`` names the newest run."""
    latest = settings.folder.parent / "latest"
    part = latest.with_name(f".latest-{settings.run.run_id}")
    part.symlink_to(settings.folder.name)
    part.replace(latest)


class ControllerPlugin:
    """Pytest hooks of the controller; with xdist it collects beside its workers, to write the plan."""

    def __init__(self, controller: Controller, arguments: tuple[str, ...], *, distributed: bool) -> None:
        self.controller = controller
        self._arguments = arguments
        self._distributed = distributed
        self._scheduler: RigScheduler | None = None
        self._rigs = {rig.id: rig.dmc.id for rig in rigs_in_use(controller.settings, controller.resumption)}
        self._free = deque(self._rigs)
        self._rig_of_worker: dict[str, str] = {}
        self._blocked: list[str] = []
        self._ended = "completed"
        self._nodes: list[Any] = []  # every worker there was
        self._session: pytest.Session | None = None
        self.interruption = Interruption(self._finish, self._stop)
        self.told_to_finish: Callable[[], None] = _nothing  # runs in a signal handler: it may take no lock

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionstart(self) -> Generator[None, None, None]:
        """Services first, for the workers are told where they are."""
        with as_usage_error():
            self.controller.services()
        yield

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection(self, session: pytest.Session) -> Generator[None, object, object]:
        """The workers are starting by now; meanwhile the controller collects too, and plans."""
        result = yield
        if self._distributed:
            session.perform_collect()
        if session.testsfailed:
            raise pytest.UsageError(
                f"nothing is run: {session.testsfailed} of the packs' modules cannot be collected"
            )
        self._freeze(session.items)
        return result

    def _freeze(self, items: list[pytest.Item]) -> None:
        resumption = self.controller.resumption
        if not items and resumption is None:
            raise pytest.UsageError("the packs plan no test on any EPCL entry of this lab")
        with as_usage_error():
            if resumption is None:
                self.controller.freeze(items)
            else:
                self.controller.take_up(resumption, {planned_id(item): item.nodeid for item in items})
        will_run = {test.node_id for test in self.controller.to_run}
        items[:] = [item for item in items if item.nodeid in will_run]

    # -- xdist -------------------------------------------------------------------------------------

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Bind a new worker to a rig that has none; a replacement gets its predecessor's."""
        self._nodes.append(node)
        rig = self._free.popleft()
        self._rig_of_worker[node.gateway.id] = rig
        context = WorkerContext(
            settings=self.controller.settings,
            rig=rig,
            arguments=self._arguments,
            services=self.controller.services(),
        )
        node.workerinput[WORKER_INPUT] = context.pack()

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """The rig of a worker that has gone is free for its replacement."""
        rig = self._rig_of(node)
        if rig not in self._free:  # xdist says it twice of a worker that was interrupted
            self._free.append(rig)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(self) -> RigScheduler:
        """Our own: a test goes to a free rig of its DMC, one at a time."""
        self._scheduler = RigScheduler(self.controller.to_run, self._rigs, self._rig_of, self._set_aside)
        return self._scheduler

    def _set_aside(self, test: PlannedTest, reason: str) -> None:
        with self.interruption.held():
            self.controller.set_aside(test, reason)

    def _rig_of(self, node: Any) -> str:
        return self._rig_of_worker[node.gateway.id]

    @pytest.hookimpl(optionalhook=True)
    def pytest_handlecrashitem(self, crashitem: str, report: pytest.TestReport) -> None:
        """A worker died in a test: its attempt shows as interrupted, and the next one follows."""
        assert self._scheduler is not None
        report.outcome = _INTERRUPTED  # type: ignore[assignment]  # so it counts as no failure
        test, rig = self._scheduler.test_of(crashitem), self._rig_of(report.node)
        why = self._why_it_died(test, rig)  # before the next attempt begins
        self._scheduler.interrupted(crashitem)
        Ended(test.id, rig, AttemptResult.INTERRUPTED, why).tell(report)

    def _why_it_died(self, test: PlannedTest, rig: str) -> str:
        settings = self.controller.settings
        if not hung_in(settings.folder, test.id):
            return "its worker died"
        hung = LabFault(f"{test.id} hung, and left the rig as it was", remedy="harness lab check")
        now_suspect(settings.lab.state, rig, hung, f"run {settings.run.run_id}")
        return "it hung, deaf to its deadline, and was ended with its worker"

    # -- reports -----------------------------------------------------------------------------------

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A blocked attempt goes back to the scheduler."""
        ended = Ended.of(report)
        if ended is None or ended.result is not AttemptResult.BLOCKED:
            return
        self._blocked.append(f"{ended.test} on {ended.rig}: {ended.message}")
        if self._scheduler is not None:
            self._scheduler.blocked(report.nodeid, ended.rig, rig_lost=ended.rig_lost)

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(
        self, report: pytest.TestReport
    ) -> tuple[str, str, tuple[str, dict[str, bool]]] | None:
        """In pytest's own output, a blocked attempt is a yellow ``B``, an interrupted one a purple ``I``."""
        if report.outcome == _INTERRUPTED:
            return "interrupted", "I", ("INTERRUPTED", {"purple": True})
        if lab_fault_of(report) is not None:
            return "blocked", "B", ("BLOCKED", {"yellow": True})
        return None

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """What pytest's own summary knows nothing of: why attempts were blocked, and where the record is."""
        if self._blocked:
            terminalreporter.section("blocked by the lab", yellow=True)
        for line in (*self._blocked, *self.controller.problems):
            terminalreporter.write_line(line)
        if self.controller.plan is not None:
            terminalreporter.write_line(f"record: {self.controller.settings.folder}")

    # -- the end -----------------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        """From here on a first Ctrl-C lets the tests in hand be finished."""
        self._session = session
        self.interruption.begin()
        try:
            result = yield
        finally:
            self.interruption.wind_down()
        if self.interruption.count:
            raise session.Interrupted("interrupted")
        return result

    def _finish(self) -> None:
        """The first Ctrl-C, in a signal handler. No test waits for the engineer any more."""
        session = self._session
        assert session is not None
        if self._scheduler is not None:
            self._scheduler.give_out_no_more()
        if not self._distributed:
            session.shouldstop = "interrupted"
        self.told_to_finish()
        if desk := session.config.pluginmanager.getplugin("smets1-desk"):
            desk.stop()

    def _stop(self) -> None:
        """The second one, in a signal handler: workers put their rigs down, and so shall we end."""
        for node in self._nodes:
            if not node.shutting_down or self._scheduler is None or node in self._scheduler.nodes:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(node.gateway._rinfo().pid, signal.SIGINT)  # xdist has asked for it: no message

    def pytest_keyboard_interrupt(self) -> None:
        """Ctrl-C: what is left stays not run, with that reason."""
        self._ended = "interrupted" if self.interruption.count < 2 else "interrupted, at once"

    def pytest_unconfigure(self) -> None:
        """Also where the session ended before it had begun."""
        self.interruption.end()
        self.controller.let_go()

    def pytest_internalerror(self, excrepr: object) -> None:
        """An error of the harness itself; the record says so."""
        self._ended = f"internal error: {str(excrepr).splitlines()[-1]}"

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """After the workers have ended: close the record and make the exports.

        Pytest's exit status then follows outcomes, not attempts: a test that a lab fault kept from one rig
        and that passed on another has passed, and one that never ran has not.
        """
        self.controller.end(self._ended)
        if self.controller.plan is not None and session.exitstatus in BY_OUTCOMES:
            record = read_run(self.controller.settings.folder)
            good = all(record.outcome(test.id) in _GOOD for test in record.plan.tests)
            session.exitstatus = pytest.ExitCode.OK if good else pytest.ExitCode.TESTS_FAILED


def rigs_in_use(settings: Settings, resumption: Resumption | None = None) -> list[Rig]:
    """The lab's rigs whose DMC has an EPCL entry that one of the packs is for, and that has tests left."""
    dmcs = {entry.dmc.id for pack in settings.packs for entry in settings.lab.epcl if pack.is_for(entry)}
    rigs = [rig for rig in settings.lab.rigs if rig.dmc.id in dmcs]
    return [rig for rig in rigs if resumption is None or resumption.uses(rig.id)]


def _nothing() -> None:
    """Nobody wants to be told."""


@contextlib.contextmanager
def as_usage_error() -> Generator[None, None, None]:
    """Errors of configuration and lab reach the user as one line, never as a traceback."""
    try:
        yield
    except HarnessError as error:
        raise pytest.UsageError(str(error)) from error
