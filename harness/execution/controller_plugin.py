"""Pytest's and xdist's hooks of the controller: workers on rigs, what they report, and the end."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import warnings
from collections import defaultdict
from collections.abc import Callable, Generator, Mapping
from typing import Any

import pytest

from harness.domain.errors import LabFault
from harness.domain.words import AttemptResult, Outcome
from harness.execution.attempts import Ended, lab_fault_of
from harness.execution.chains import in_order
from harness.execution.collection import COLLECTION, PackCollection
from harness.execution.context import WORKER_INPUT, WorkerContext
from harness.execution.controller import BY_OUTCOMES, Controller, as_usage_error, rigs_in_use
from harness.execution.deadline import hung_in
from harness.execution.fork_server import expected_durations
from harness.execution.interruption import Interruption
from harness.execution.narrowing import asked_for, told
from harness.execution.planning import planned_id
from harness.execution.rig_news import RigNews
from harness.execution.scheduler import RigScheduler
from harness.execution.starting import Starting
from harness.records.plan import PlannedTest, notices
from harness.records.recording import RecordFault
from harness.records.run import read_run

_GOOD = {Outcome.PASSED, Outcome.DESCOPED}
_INTERRUPTED = "interrupted"
"""Outcome of the report that stands for an attempt whose worker died; pytest and xdist have no such word."""
_KNOWN = "known"
"""Outcome of the report where the worker died after its attempt had ended, which another report has told."""


class ControllerPlugin:
    """Pytest hooks of the controller; with xdist it collects too, to write the plan.

    ``starting`` is another plugin, for xdist.
    """

    def __init__(self, controller: Controller, arguments: tuple[str, ...], *, distributed: bool) -> None:
        self.controller = controller
        self._arguments = arguments
        self._distributed = distributed
        self._scheduler: RigScheduler | None = None
        self._rigs = {rig.id: rig.dmc.id for rig in rigs_in_use(controller.settings, controller.resumption)}
        self.starting = Starting(self._rigs)
        self._packed_settings = controller.settings.pack() if distributed else b""
        self._rig_of_worker: dict[str, str] = {}
        self._blocked: list[str] = []
        self._ended = "completed"
        self.stopped = ""  # why it ended where nobody had asked for that
        self._nodes: list[Any] = []  # every worker there was
        self._session: pytest.Session | None = None
        self.interruption = Interruption(self._finish, self._stop)
        self._told = threading.Event()  # to finish, or that it is over; the main thread never waits for it
        self._expected: Mapping[str, float] = {}  # seconds that a planned test lasted before
        self._lasted: defaultdict[str, float] = defaultdict(float)  # seconds of the attempt in hand
        self._ended_items: set[str] = set()  # node ids of attempts whose end we have heard
        self._measured: dict[str, float] = {}  # seconds that a planned test lasted now
        self._away: set[str] = set()  # rigs that are not ours now
        self.told_to_finish: Callable[[], None] = _nothing  # runs in a signal handler: it may take no lock
        self.told_of_rig: Callable[[str, str], None] = _nothing  # what a rig waits for; "" when it is at work

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionstart(self) -> Generator[None, None, None]:
        """Services first, for the workers are told where they are."""
        with as_usage_error():
            self.controller.services()
        yield

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection(self, session: pytest.Session) -> Generator[None, object, object]:
        """Xdist's controller collects nothing; ours does, and plans, while the workers' template collects."""
        result = yield
        if self._distributed:
            session.perform_collect()
        if session.testsfailed:
            raise pytest.UsageError(
                f"nothing is run: {session.testsfailed} of the packs' modules cannot be collected"
            )
        self._freeze(session.items, session.config)
        return result

    def _freeze(self, items: list[pytest.Item], config: pytest.Config) -> None:
        resumption = self.controller.resumption
        collection: PackCollection = config.pluginmanager.getplugin(COLLECTION)
        if not items and resumption is None:
            raise pytest.UsageError(
                f"no planned test {told(asked_for(config))}"
                if collection.planned
                else "the packs plan no test on any EPCL entry of this lab" + _turned_off(collection)
            )
        with as_usage_error():
            if resumption is None:
                self.controller.freeze(items, asked_for(config), collection.planned - len(items))
            else:
                self.controller.take_up(resumption, {planned_id(item): item.nodeid for item in items})
            tests = [test.id for test in self.controller.to_run]
            expected = expected_durations(config, tests)
            self._expected = self.controller.pool.durations.expected(tests) if expected is None else expected
        self.starting.busiest_first(self._work())
        place = {test.node_id: number for number, test in enumerate(in_order(self.controller.to_run))}
        to_run = (item for item in items if item.nodeid in place)
        items[:] = sorted(to_run, key=lambda item: place[item.nodeid])

    def _work(self) -> Mapping[str, float]:
        """Expected seconds of what is to be run, by DMC."""
        work: defaultdict[str, float] = defaultdict(float)
        for test in self.controller.to_run:
            work[test.dmc] += self._expected.get(test.id, test.expected)
        return work

    def pytest_report_header(self) -> list[str]:
        """Where pytest itself shows the run: in what its packs are not what was agreed with the TAG."""
        return list(notices(self.controller.settings.planned_packs))

    # -- xdist -------------------------------------------------------------------------------------

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Bind a new worker to a rig that has none; a replacement gets its predecessor's."""
        self._nodes.append(node)
        rig = self.starting.next_rig()
        self._rig_of_worker[node.gateway.id] = rig
        context = WorkerContext(
            packed_settings=self._packed_settings,
            rig=rig,
            arguments=self._arguments,
            services=self.controller.services(),
        )
        node.workerinput[WORKER_INPUT] = context.pack()

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """The rig of a worker that has gone is free."""
        self.starting.give_back(self._rig_of(node), died=bool(error))

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(self) -> RigScheduler:
        """Our own: a test goes to a free rig of its DMC, one at a time."""
        self._scheduler = RigScheduler(
            self.controller.to_run,
            self._rigs,
            self._rig_of,
            self._set_aside,
            expected=self._expected,
        )
        if self.interruption.count:
            self._scheduler.give_out_no_more()
        return self._scheduler

    def pytest_warning_recorded(self, warning_message: warnings.WarningMessage) -> None:
        """A worker cannot have its rig now."""
        news = warning_message.message
        if isinstance(news, RigNews):
            self._away.add(news.rig)
            self.told_of_rig(news.rig, news.sentence)

    def _set_aside(self, test: PlannedTest, reason: str) -> None:
        with self.interruption.held():
            self.controller.set_aside(test, reason)

    def _rig_of(self, node: Any) -> str:
        return self._rig_of_worker[node.gateway.id]

    @pytest.hookimpl(optionalhook=True)
    def pytest_handlecrashitem(self, crashitem: str, report: pytest.TestReport) -> None:
        """A worker died in a test: its attempt shows as interrupted, and the next one follows.

        If we have heard how the attempt ended, that stands.
        """
        assert self._scheduler is not None
        if crashitem in self._ended_items:
            report.outcome = _KNOWN  # type: ignore[assignment]  # it is told already
            self._scheduler.ended_and_died(crashitem)
            return
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
        with contextlib.suppress(LabFault):  # of the store: the attempt's record tells it too
            self.controller.pool.health.fault(rig, hung, f"run {settings.run.run_id}")
        return "it hung, deaf to its deadline, and was ended with its worker"

    # -- reports -----------------------------------------------------------------------------------

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """An attempt begins."""
        self._ended_items.discard(nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A blocked attempt goes back to the scheduler."""
        self._lasted[report.nodeid] += report.duration
        ended = Ended.of(report)
        if ended is None:
            return
        self._ended_items.add(report.nodeid)
        seconds = self._lasted.pop(report.nodeid)
        if ended.result in {AttemptResult.PASSED, AttemptResult.FAILED}:
            self._measured[ended.test] = seconds
        if ended.rig in self._away:
            self._away.discard(ended.rig)
            self.told_of_rig(ended.rig, "")
        if ended.result is not AttemptResult.BLOCKED:
            if ended.rig_lost and self._scheduler is not None:
                self._scheduler.lost(ended.rig, ended.rig_lost)
            return
        self._blocked.append(f"{ended.test} on {ended.rig}: {ended.message}")
        if self._scheduler is not None:
            self._scheduler.blocked(report.nodeid, ended.rig, rig_lost=ended.rig_lost)

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(
        self, report: pytest.TestReport
    ) -> tuple[str, str, tuple[str, dict[str, bool]]] | None:
        """In pytest's own output, a blocked attempt is a yellow ``B``, an interrupted one a purple ``I``."""
        if report.outcome == _KNOWN:
            return "", "", ("", {})
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
        waking = threading.Thread(target=self._wake, name="wakes xdist at the end", daemon=True)
        waking.start()
        try:
            result = yield
        except RecordFault as fault:
            raise session.Interrupted(str(fault)) from fault
        except session.Failed as enough:  # -x, --maxfail
            self._ended = self.stopped = str(enough)
            raise
        finally:
            self.interruption.wind_down()
            self._told.set()
            waking.join()
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
        self._told.set()
        if desk := session.config.pluginmanager.getplugin("smets1-desk"):
            desk.stop()

    def _wake(self) -> None:
        """In a thread: xdist looks whether all is over when a worker speaks; one that waits does not."""
        self._told.wait()
        session, scheduler = self._session, self._scheduler
        if self.interruption.count and session is not None and scheduler is not None:
            for node in scheduler.nodes[:1]:
                queue = session.config.pluginmanager.getplugin("dsession").queue
                queue.put(("unscheduled", {"node": node, "indices": []}))

    def _stop(self) -> None:
        """The second one, in a signal handler: workers put their rigs down, and so shall we end."""
        for node in self._nodes:
            if not node.shutting_down or self._scheduler is None or node in self._scheduler.nodes:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(node.gateway._rinfo().pid, signal.SIGINT)  # xdist has asked for it: no message

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Ctrl-C, or what made a worker stop: what is left stays not run, with that reason."""
        if self.interruption.count or not str(excinfo.value):
            at_once = ", at once" if self.interruption.count > 1 else ""
            by = f" by {self.interruption.by}" if self.interruption.by else ""
            self._ended = f"interrupted{at_once}{by}"
        else:
            self._ended = self.stopped = str(excinfo.value)

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
        and that passed on another has passed, and one that never ran has not. Nor is a run good that could
        not be sealed.
        """
        self.controller.end(self._ended, self._measured)
        if self.controller.plan is not None and session.exitstatus in BY_OUTCOMES:
            record = read_run(self.controller.settings.folder)
            good = all(record.outcome(test.id) in _GOOD for test in record.plan.tests)
            good = good and self.controller.sealed
            session.exitstatus = pytest.ExitCode.OK if good else pytest.ExitCode.TESTS_FAILED


def _nothing(*_: str) -> None:
    """Nobody wants to be told."""


def _turned_off(collection: PackCollection) -> str:
    if not collection.switched_off:
        return ""
    return (
        f": {collection.switched_off} of their tests are of SRVs that the catalogue marks unknown (?) for "
        "SMETS1; a lab whose devices serve them says unknown_services: true in its lab file"
    )
