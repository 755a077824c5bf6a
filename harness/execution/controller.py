"""The controller's side of a run: shared services, the frozen plan, workers on rigs, exports at the end."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Mapping
from typing import Any

import pluggy
import pytest

from harness.domain.errors import HarnessError
from harness.domain.words import Outcome
from harness.execution.attempts import verdict_of
from harness.execution.context import WORKER_INPUT, Settings, WorkerContext
from harness.execution.planning import planned_test
from harness.execution.scheduler import RigScheduler
from harness.hooks import LabServices
from harness.records.journal import Journal
from harness.records.plan import Plan, PlannedPack, PlannedTest
from harness.records.run import read_run

_GOOD = {Outcome.PASSED, Outcome.DESCOPED}


class Controller:
    """Plans a run, writes the plan down before the first test, and keeps the controller's journal."""

    def __init__(self, settings: Settings, hooks: pluggy.PluginManager) -> None:
        self.settings = settings
        self.hooks = hooks
        self.plan: Plan | None = None
        self._journal: Journal | None = None
        self._services: LabServices | None = None

    @property
    def addresses(self) -> Mapping[str, Any]:
        """Where the run's shared services are; they start when they are first asked for."""
        if self._services is None:
            settings = self.settings
            settings.folder.mkdir(parents=True, exist_ok=True)
            self._services = self.hooks.hook.harness_start_lab(lab=settings.lab, run=settings.run)
        return self._services.addresses if self._services else {}

    def freeze(self, items: list[pytest.Item]) -> Plan:
        """Write the plan of the collected items, and at once what cannot run at all."""
        settings = self.settings
        tests = _planned_tests(items, settings)
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
        self._journal = Journal.begin(
            settings.folder, run_id=self.plan.run_id, plan_digest=self.plan.digest, process="controller"
        )
        for test in self.plan.tests:
            if test.not_run:
                self.set_aside(test, test.not_run)
        return self.plan

    def set_aside(self, test: PlannedTest, reason: str) -> None:
        """A planned test that will not run: its reason is its record."""
        assert self._journal is not None
        self._journal.write("not_run", test=test.id, reason=reason)

    def end(self, reason: str) -> None:
        """Stop the services, close the journal and make every export."""
        services, self._services = self._services, None
        if services is not None:
            services.close()
        if self._journal is None:
            return
        self._journal.write("run_ended", reason=reason)
        self._journal.close()
        self._journal = None
        for renderers in self.hooks.hook.harness_renderers():
            for renderer in renderers:
                list(renderer.render(self.settings.folder, self.settings.lab))
        _point_at(self.settings)


def _planned_tests(items: list[pytest.Item], settings: Settings) -> list[PlannedTest]:
    """All of them, or all that is wrong with them at once."""
    tests, wrong = [], []
    for item in items:
        try:
            tests.append(planned_test(item, settings.ttm, settings.lab))
        except pytest.UsageError as error:
            wrong.append(str(error))
    if wrong:
        raise pytest.UsageError(*dict.fromkeys(wrong))
    return tests


def _planned(pack: Any) -> PlannedPack:
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
        self._rig_of_node: dict[str, str] = {}
        self._rigs = {rig.id: rig.dmc.id for rig in rigs_in_use(controller.settings)}
        self._ended = "completed"

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionstart(self, session: pytest.Session) -> Generator[None, None, None]:
        """Services first, for the workers are told where they are."""
        del session
        with as_usage_error():
            _ = self.controller.addresses
        yield

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection(self, session: pytest.Session) -> Generator[None, object, object]:
        """The workers are starting by now; meanwhile the controller collects too, and plans."""
        result = yield
        if self._distributed:
            session.perform_collect()
            if session.testsfailed:
                raise session.Interrupted(f"{session.testsfailed} errors while planning")
            self._freeze(session.items)
        return result

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Without xdist the collection is pytest's own."""
        if not self._distributed and not session.testsfailed:
            self._freeze(session.items)

    def _freeze(self, items: list[pytest.Item]) -> None:
        if not items:
            raise pytest.UsageError("the packs plan no test on any EPCL entry of this lab")
        with as_usage_error():
            self.controller.freeze(items)

    # -- xdist -------------------------------------------------------------------------------------

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Bind a new worker to a rig that has none; a replacement gets its predecessor's."""
        free = [rig for rig in self._rigs if rig not in self._rig_of_node.values()]
        rig = free[0]
        self._rig_of_node[node.gateway.id] = rig
        context = WorkerContext(
            settings=self.controller.settings,
            rig=rig,
            arguments=self._arguments,
            services=self.controller.addresses,
        )
        node.workerinput[WORKER_INPUT] = context.pack()

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """The rig of a worker that has gone is free for its replacement."""
        self._rig_of_node.pop(node.gateway.id, None)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(self) -> RigScheduler:
        """Our own: a test goes to a free rig of its DMC, one at a time."""
        plan = self.controller.plan
        assert plan is not None
        self._scheduler = RigScheduler(plan.tests, self._rig_of, self.controller.set_aside)
        self._scheduler.expected_rigs = dict(self._rigs)
        return self._scheduler

    def _rig_of(self, node: Any) -> tuple[str, str]:
        rig = self._rig_of_node[node.gateway.id]
        return rig, self._rigs[rig]

    @pytest.hookimpl(optionalhook=True)
    def pytest_handlecrashitem(self, crashitem: str, report: pytest.TestReport) -> None:
        """A worker died in a test: its attempt shows as interrupted, and the next one follows."""
        assert self._scheduler is not None
        report.outcome = "rerun"  # type: ignore[assignment]  # as xdist's own documentation has it
        self._scheduler.interrupted(crashitem)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A blocked attempt goes back to the scheduler."""
        verdict = verdict_of(report)
        if verdict and verdict["result"] == "blocked" and self._scheduler is not None:
            self._scheduler.blocked(report.nodeid, verdict["rig"], rig_lost=verdict["rig_lost"])

    # -- the end -----------------------------------------------------------------------------------

    def pytest_keyboard_interrupt(self) -> None:
        """Ctrl-C: what is left stays not run, with that reason."""
        self._ended = "interrupted"

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
        if self.controller.plan is not None and session.exitstatus in (
            pytest.ExitCode.OK,
            pytest.ExitCode.TESTS_FAILED,
        ):
            record = read_run(self.controller.settings.folder)
            good = all(record.outcome(test.id) in _GOOD for test in record.plan.tests)
            session.exitstatus = pytest.ExitCode.OK if good else pytest.ExitCode.TESTS_FAILED


def rigs_in_use(settings: Settings) -> list[Any]:
    """The lab's rigs whose DMC has an EPCL entry that one of the packs is for."""
    dmcs = {
        entry.dmc.id
        for pack in settings.packs
        for entry in settings.lab.epcl
        if entry.dmc.release is pack.release and entry.installation_type in pack.installation_types
    }
    return [rig for rig in settings.lab.rigs if rig.dmc.id in dmcs]


@contextlib.contextmanager
def as_usage_error() -> Generator[None, None, None]:
    """Errors of configuration and lab reach the user as one line, never as a traceback."""
    try:
        yield
    except HarnessError as error:
        raise pytest.UsageError(str(error)) from error
