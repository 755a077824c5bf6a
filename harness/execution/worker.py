"""Puts the plugin's parts together in a process that runs tests: a worker of xdist, or the only one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pluggy
import pytest

from harness.execution.attempts import AttemptRecorder
from harness.execution.collection import PackCollection
from harness.execution.context import WORKER_INPUT, Settings, WorkerContext
from harness.execution.fixtures import PackFixtures
from harness.execution.rig_keeper import RigKeeper
from harness.execution.worker_loop import WorkerLoop
from harness.hooks import plugin_manager


def set_up_worker(config: pytest.Config) -> None:
    """A worker collects what the controller does, and runs what it is sent, on the rig that it has."""
    context = WorkerContext.unpack(config.workerinput[WORKER_INPUT])  # type: ignore[attr-defined]  # xdist's
    settings = context.settings
    config.args = list(context.arguments)
    config.pluginmanager.register(PackCollection(settings), "smets1-collection")
    config.pluginmanager.register(WorkerLoop(), "smets1-worker-loop")
    hooks = plugin_manager(settings.lab.plugins)
    run_tests_here(config, settings, hooks, lambda: context.services, rig=context.rig)


def run_tests_here(
    config: pytest.Config,
    settings: Settings,
    hooks: pluggy.PluginManager,
    services: Callable[[], Mapping[str, Any]],
    *,
    rig: str = "",
) -> None:
    """Register what journals attempts and gives tests their fixtures; bound to a rig, or to none."""
    keeper = RigKeeper(settings, services, hooks, bound=rig)
    recorder = AttemptRecorder(settings, keeper, f"rig-{rig}" if rig else "alone")
    config.pluginmanager.register(recorder, "smets1-attempts")
    config.pluginmanager.register(PackFixtures(keeper, recorder), "smets1-fixtures")
