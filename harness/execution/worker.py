"""Puts the plugin's parts together in a process that runs tests: a worker of xdist, or the only one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pluggy
import pytest

from harness.execution.attempts import AttemptRecorder
from harness.execution.collection import PackCollection
from harness.execution.context import WORKER_INPUT, Settings, WorkerContext
from harness.execution.deadline import Deadlines
from harness.execution.desk import DESK
from harness.execution.discretion import Discretion
from harness.execution.fixtures import PackFixtures
from harness.execution.interruption import leave_the_terminals_group
from harness.execution.rig_keeper import RigKeeper
from harness.execution.worker_loop import WorkerLoop
from harness.hooks import plugin_manager
from harness.records.run_lock import work_on


def set_up_worker(config: pytest.Config) -> None:
    """A worker collects what the controller does, and runs what it is sent, on the rig that it has."""
    leave_the_terminals_group()
    given: Mapping[str, Any] = config.workerinput  # type: ignore[attr-defined]  # xdist's
    context = WorkerContext.unpack(given[WORKER_INPUT])
    settings = context.settings
    config.add_cleanup(work_on(settings.folder).close)
    config.args = list(context.arguments)
    config.pluginmanager.register(PackCollection(settings), "smets1-collection")
    config.pluginmanager.register(WorkerLoop(), "smets1-worker-loop")
    hooks = plugin_manager(settings.lab.plugins)
    run_tests_here(
        config, settings, hooks, lambda: context.services, rig=context.rig, desk=given.get(DESK, "")
    )


def run_tests_here(
    config: pytest.Config,
    settings: Settings,
    hooks: pluggy.PluginManager,
    services: Callable[[], Mapping[str, Any]],
    *,
    rig: str = "",
    desk: str = "",
) -> None:
    """Register what journals attempts and gives tests their fixtures; bound to a rig, or to none.

    ``desk`` is where questions to the engineer go; empty without a terminal.
    """
    config.pluginmanager.register(Discretion(settings.lab), "smets1-discretion")
    keeper = RigKeeper(settings, services, hooks, bound=rig)
    recorder = AttemptRecorder(settings, keeper, f"rig-{rig}" if rig else "alone")
    config.pluginmanager.register(recorder, "smets1-attempts")
    config.pluginmanager.register(Deadlines(settings, recorder, lone=not rig), "smets1-deadlines")
    config.pluginmanager.register(PackFixtures(keeper, recorder, settings.answers, desk), "smets1-fixtures")
