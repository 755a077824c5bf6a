"""Runs that a test makes go on: plan, journals, logs and leases of its own process, on the simulated lab."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from harness.domain.lab import Lab
from harness.records.journal import Journal
from harness.records.plan import PlannedTest
from harness.records.rig_log import RigLog
from harness.rigs.leases import Lease
from harness.rigs.pool import Pool
from tests.harness.conftest import make_plan


class Running:
    """A run that holds rigs and does tests when it is told to. Closed, its rigs are free again."""

    def __init__(self, lab: Lab, runs: Path, run_id: str) -> None:
        self.id, self.folder, self._over = run_id, runs / run_id, False
        self.plan = make_plan(lab, run_id)
        self.plan.write(self.folder)
        self._held = ExitStack()
        self.pool = self._held.enter_context(Pool(lab, "ann"))
        self.controller = self._process("controller")
        self._journals: dict[str, Journal] = {}
        self._logs: dict[str, RigLog] = {}
        self._begun: dict[str, tuple[str, PlannedTest]] = {}

    def take(self, rig: str) -> Lease:
        """Hold a rig, as a worker of the run does."""
        lease = self.pool.take(rig, f"run {self.id}", lambda _: ())
        self._held.callback(lease.release)
        self._journals[rig] = self._process(f"rig-{rig}")
        self._logs[rig] = RigLog(self.folder, rig)
        self._held.callback(self._logs[rig].close)
        return lease

    def begin(self, rig: str, test: PlannedTest, number: int = 1) -> None:
        """An attempt begins."""
        attempt = f"test-{abs(hash(test.id)) % 16**8:08x}/{number}"
        told = {"attempt": attempt, "test": test.id, "number": number, "rig": rig, "worker": rig}
        self._journals[rig].write("attempt_started", **told)
        self._logs[rig].begins(attempt, test.id, number)
        self._begun[rig] = (attempt, test)

    def end(self, rig: str, result: str, seconds: float = 2.0) -> None:
        """It ends."""
        attempt, test = self._begun.pop(rig)
        told = {"attempt": attempt, "test": test.id, "result": result, "seconds": seconds}
        self._journals[rig].write("attempt_finished", **told)
        self._logs[rig].ends(result)

    def tests(self, dmc: str) -> list[PlannedTest]:
        """Its planned tests of a DMC."""
        return [test for test in self.plan.tests if test.dmc == dmc]

    def close(self) -> None:
        """The run has ended; twice is fine."""
        if self._over:
            return
        self._over = True
        self.controller.write("run_ended", reason="completed")
        self._held.close()

    def _process(self, name: str) -> Journal:
        run = {"run_id": self.id, "plan_digest": self.plan.digest}
        return self._held.enter_context(Journal.begin(self.folder, process=name, **run))
