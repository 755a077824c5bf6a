"""The controller's side of a run: shared services, the frozen plan, its journal, exports at the end."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Generator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pluggy
import pytest

from harness.config.ttm import Requirement
from harness.domain.errors import HarnessError, LabFault, UsageError
from harness.domain.lab import Rig
from harness.execution.context import Settings
from harness.execution.planning import planned_test
from harness.execution.resumption import Resumption
from harness.hooks import LabServices
from harness.records.canonical import digest_of_file
from harness.records.exports import conclude
from harness.records.journal import CONTROLLER, RUN_RESUMED, Journal
from harness.records.plan import PLAN, Plan, PlannedTest
from harness.records.recording import RecordFault, recording
from harness.records.run_folder import make_run_folder
from harness.records.run_lock import RunLock

if TYPE_CHECKING:
    from harness.rigs.pool import Pool

BY_OUTCOMES = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED)
"""Exit statuses of pytest that tell of tests, where we tell of outcomes."""


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
        self.problems: tuple[str, ...] = ()  # what could not be written at the end, and what to do
        self.sealed = not settings.exports  # or is not to be
        self._ttm = ttm
        self._hooks = hooks
        self._journal: Journal | None = None
        self._services: LabServices | None = None
        self._lock: RunLock | None = None
        self._made = False  # the run folder, and nothing in it is worth keeping yet
        self._pool: Pool | None = None

    @property
    def pool(self) -> Pool:
        """The lab's rigs as its store has them. The workers hold the leases."""
        if self._pool is None:
            from harness.rigs.pool import Pool

            self._pool = Pool(self.settings.lab, self.settings.owner)
        return self._pool

    def services(self) -> Mapping[str, Any]:
        """Where the run's shared services are; they start when they are first asked for."""
        if self._services is None:
            settings = self.settings
            if self.resumption is None and self._lock is None:  # else who resumes it holds the lock
                self._made = make_run_folder(settings.folder)
                self._lock = RunLock.take(settings.folder)
            try:
                self._services = self._hooks.hook.harness_start_lab(lab=settings.lab, run=settings.run)
            except LabFault:
                self._made = False  # why they did not start may stand in a log there
                raise
        return self._services.addresses if self._services else {}

    def freeze(
        self, items: list[pytest.Item], narrowed: Mapping[str, tuple[str, ...]], left_out: int
    ) -> Plan:
        """Write the plan of the collected items, and at once what cannot run at all.

        ``narrowed`` is what was asked for, by kind; ``left_out`` is how many tests that left out.
        """
        settings = self.settings
        tests = _planned_tests(items, settings, self._ttm)
        self.plan = Plan.of_lab(
            settings.lab,
            run_id=settings.run.run_id,
            created=settings.started,
            seed=settings.run.seed,
            test_phase=settings.packs[0].test_phase,
            packs=settings.planned_packs,
            witness=settings.witness,
            tests=tests,
            faults=settings.run.faults,
            cycle=settings.cycle,
            narrowed=narrowed,
            left_out=left_out,
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
        if self.settings.exports:  # a run of a proof is nobody's newest
            with contextlib.suppress(RecordFault), recording(self.settings.folder.parent):  # only a name
                _point_at(self.settings)  # now, for a run that is killed has no end
        return self._journal

    def set_aside(self, test: PlannedTest, reason: str) -> None:
        """A planned test that will not run: its reason is its record."""
        assert self._journal is not None
        self._journal.write("not_run", test=test.id, reason=reason)

    def end(self, reason: str, measured: Mapping[str, float]) -> None:
        """Stop the services, close the journal and make every export; a second call does nothing.

        ``measured`` is how many seconds planned tests have lasted, for the plans of later runs.
        """
        services, self._services = self._services, None
        try:
            if services is not None:
                services.close()
        finally:
            try:
                if self._journal is not None:
                    self._close(self._journal, reason)
            finally:
                self._leave_store(measured)
                self.let_go()

    def _leave_store(self, measured: Mapping[str, float]) -> None:
        try:
            if measured:
                self.pool.durations.keep(measured)
        except LabFault as fault:
            self.problems += (f"how long the tests lasted is not kept: {fault}",)
        finally:
            pool, self._pool = self._pool, None
            if pool is not None:
                pool.close()

    def let_go(self) -> None:
        """Unlock the run folder, which goes where no plan was frozen in it; a second call does nothing."""
        if self._lock is None:
            return
        if self._made and not (self.settings.folder / PLAN).exists():
            shutil.rmtree(self.settings.folder, ignore_errors=True)
        self._made = False
        self._lock.release()

    def _close(self, journal: Journal, reason: str) -> None:
        self._journal = None
        try:
            journal.write("run_ended", reason=reason)
        except RecordFault as fault:
            self.problems += (f"the run's end is not recorded: {fault}",)
            return
        finally:
            journal.close()
        if not self.settings.exports:
            return
        renderers = self._hooks.hook.harness_renderers()
        folder = self.settings.folder
        failed, self.sealed = conclude(renderers, folder, self.settings.lab)
        self.problems += failed


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


def _point_at(settings: Settings) -> None:
    """``runs/latest`` names the newest run: the one that was begun, or taken up again, last."""
    latest = settings.folder.parent / "latest"
    part = latest.with_name(f".latest-{settings.run.run_id}")
    part.unlink(missing_ok=True)  # of a run that was killed at just this place
    part.symlink_to(settings.folder.name)
    part.replace(latest)


def rigs_in_use(settings: Settings, resumption: Resumption | None = None) -> list[Rig]:
    """The lab's rigs whose DMC has an EPCL entry that one of the packs is for, and that has tests left."""
    dmcs = {entry.dmc.id for pack in settings.packs for entry in settings.lab.epcl if pack.is_for(entry)}
    rigs = [rig for rig in settings.lab.rigs if rig.dmc.id in dmcs]
    return [rig for rig in rigs if resumption is None or resumption.uses(rig.id)]


@contextlib.contextmanager
def as_usage_error() -> Generator[None, None, None]:
    """Errors of configuration and lab reach the user as one line, never as a traceback."""
    try:
        yield
    except HarnessError as error:
        raise pytest.UsageError(str(error)) from error
