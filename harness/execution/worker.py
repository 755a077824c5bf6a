"""Puts the plugin's parts together in a process that runs tests: a worker of xdist, or the only one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import pluggy
import pytest

from harness.execution.attempts import AttemptRecorder
from harness.execution.collection import COLLECTION, PackCollection
from harness.execution.context import WORKER_INPUT, Settings, WorkerContext
from harness.execution.deadline import Deadlines
from harness.execution.desk import DESK
from harness.execution.discretion import DISCRETION, Discretion
from harness.execution.fixtures import PackFixtures
from harness.execution.interruption import leave_the_terminals_group
from harness.execution.rig_keeper import RigKeeper
from harness.execution.worker_loop import WorkerLoop
from harness.hooks import plugin_manager
from harness.records.redaction import hide_secrets_of
from harness.records.run_lock import work_on

FIXTURES: Final = "smets1-fixtures"


def set_up_worker(config: pytest.Config) -> None:
    """A worker collects what the controller does, and runs what it is sent, on the rig that it has.

    Without a rig it is what workers are forked from (:mod:`harness.execution.fork_template`).
    """
    context = context_of(config)
    hide_secrets_of(context.settings.lab)
    config.args = list(context.arguments)
    config.pluginmanager.register(Discretion(), DISCRETION)
    config.pluginmanager.register(PackCollection(context.settings), COLLECTION)
    config.pluginmanager.register(PackFixtures(), FIXTURES)
    if context.rig:
        take_up(config)


def take_up(config: pytest.Config) -> WorkerLoop:
    """Be the worker of a rig from here on, whether the tests have been collected yet or not."""
    leave_the_terminals_group()
    context = context_of(config)
    settings = context.settings
    config.add_cleanup(work_on(settings.folder).close)
    hooks = plugin_manager(settings.lab.plugins)
    desk = config.workerinput.get(DESK, "")  # type: ignore[attr-defined]  # xdist's
    services = context.services
    keeper = run_tests_here(config, settings, hooks, lambda: services, rig=context.rig, desk=desk)
    loop = WorkerLoop(keeper)
    config.pluginmanager.register(loop, "smets1-worker-loop")
    return loop


def context_of(config: pytest.Config) -> WorkerContext:
    """What the controller has told this worker, or what workers are forked from."""
    given: Mapping[str, Any] = config.workerinput  # type: ignore[attr-defined]  # xdist's
    return WorkerContext.unpack(given[WORKER_INPUT])


def run_tests_here(
    config: pytest.Config,
    settings: Settings,
    hooks: pluggy.PluginManager,
    services: Callable[[], Mapping[str, Any]],
    *,
    rig: str = "",
    desk: str = "",
) -> RigKeeper:
    """Register what journals attempts and gives tests their fixtures; bound to a rig, or to none.

    ``desk`` is where questions to the engineer go; empty without a terminal.
    """
    keeper = RigKeeper(settings, services, hooks, bound=rig)
    recorder = AttemptRecorder(settings, keeper, f"rig-{rig}" if rig else "alone", lone=not rig)
    config.pluginmanager.register(recorder, "smets1-attempts")
    config.pluginmanager.register(Deadlines(settings, recorder, lone=not rig), "smets1-deadlines")
    fixtures: PackFixtures | None = config.pluginmanager.getplugin(FIXTURES)
    if fixtures is None:
        fixtures = PackFixtures()
        config.pluginmanager.register(fixtures, FIXTURES)
    fixtures.serve(keeper, recorder, settings.answers, desk)
    return keeper
