"""Puts the plugin's parts together in the process that plans a run, with workers or without."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from harness.config import load_lab
from harness.config.answers import load_answers
from harness.config.packs import find_packs
from harness.config.ttm import load_ttm
from harness.domain.errors import UsageError
from harness.domain.run_ids import new_run_id
from harness.execution.agreement import planned_packs, refuse_unagreed
from harness.execution.collection import COLLECTION, PackCollection
from harness.execution.context import Settings
from harness.execution.controller import Controller, as_usage_error, rigs_in_use
from harness.execution.controller_plugin import ControllerPlugin
from harness.execution.desk import open_desk
from harness.execution.discretion import DISCRETION, Discretion
from harness.execution.fork_server import begin_forking, fork_workers, import_ahead
from harness.execution.resumption import Resumption
from harness.execution.terminal import login_name
from harness.execution.worker import run_tests_here
from harness.hooks import RunContext, plugin_manager
from harness.records.redaction import hide_secrets_of
from harness.records.seal import check_reference

_SETTINGS = pytest.StashKey[Settings]()
_RIGS = pytest.StashKey[int]()
_RUN_ID: Final = re.compile(r"(?!latest$)[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""The name of a folder; ``runs/latest`` names the newest run."""


def count_rigs(config: pytest.Config) -> int:
    """How many workers ``-n rigs`` means."""
    begin_forking(config)
    with as_usage_error():
        config.stash[_RIGS] = len(rigs_in_use(_settings(config), resumption_of(config)))
    return config.stash[_RIGS]


def set_up_controller(config: pytest.Config) -> None:
    """Register what plans and records; errors of configuration become pytest's usage errors."""
    with as_usage_error():
        settings = _settings(config)
        hooks = plugin_manager(settings.lab.plugins)
        ttm = load_ttm(settings.lab.ttm, srvs=settings.lab.catalogue).by_id
    if config.args_source is not pytest.Config.ArgsSource.ARGS:
        modules = (module for pack in settings.packs for module in pack.modules)
        config.args = [str(module) for module in dict.fromkeys(modules)]
    config.pluginmanager.register(Discretion(), DISCRETION)
    config.pluginmanager.register(PackCollection(settings), COLLECTION)
    if config.option.setuponly or config.option.setupplan:
        raise pytest.UsageError("a pack's tests are run, or shown by --collect-only: not their set-up alone")
    if config.option.collectonly:  # shows what would be planned; no run, no record
        return
    distributed = _distributed(config)
    with as_usage_error():
        desk = open_desk(config)
    if desk is not None:
        config.pluginmanager.register(desk, "smets1-desk")
    controller = Controller(settings, ttm, hooks, resumption_of(config))
    plugin = ControllerPlugin(controller, tuple(config.args), distributed=distributed)
    config.pluginmanager.register(plugin, "smets1-controller")
    if distributed:
        config.pluginmanager.register(plugin.starting, "smets1-starting")
        fork_workers(config, settings)
    else:
        run_tests_here(config, settings, hooks, controller.services, desk=desk.address if desk else "")


def resumption_of(config: pytest.Config) -> Resumption | None:
    """The run that is resumed, as ``harness resume`` hands it over; pytest's options only begin new runs."""
    plugins = config.pluginmanager.get_plugins()
    return next((plugin for plugin in plugins if isinstance(plugin, Resumption)), None)


def _distributed(config: pytest.Config) -> bool:
    """Whether xdist runs the tests; one worker a rig, or none at all."""
    workers = config.getoption("numprocesses", default=None)
    if not workers:
        return False
    if _RIGS not in config.stash:
        raise pytest.UsageError(f"-n {workers}: a worker is a rig's; say -n rigs, or -n 0 for one process")
    return True


def _settings(config: pytest.Config) -> Settings:
    """Read once: xdist asks for the number of rigs before pytest is configured."""
    if _SETTINGS not in config.stash:
        config.stash[_SETTINGS] = _read_settings(config)
    return config.stash[_SETTINGS]


def _read_settings(config: pytest.Config) -> Settings:
    started = datetime.now(UTC)
    lab = load_lab(Path(config.getoption("lab")))
    import_ahead(config, lab)
    check_reference(lab)
    hide_secrets_of(lab)
    seed = config.getoption("seed")
    run_id = chosen_run_id(config)
    packs = find_packs(lab.packs, config.getoption("pack"))
    planned = planned_packs(packs, lab, config.getoption("cycle"))
    if witness := chosen_witness(config):
        refuse_unagreed(planned)
    return Settings(
        lab=lab,
        packs=packs,
        planned_packs=planned,
        witness=witness,
        run=RunContext(
            run_id=run_id,
            folder=Path(config.getoption("runs")).resolve() / run_id,
            seed=lab.seed if seed is None else seed,
            faults=tuple(config.getoption("fault")),
        ),
        started=started,
        cycle=config.getoption("cycle"),
        answers=load_answers(map(Path, config.getoption("answers"))),
        owner=config.getoption("operator") or login_name(),
        wait=config.getoption("wait"),
        priority=config.getoption("priority"),
        exports=not config.getoption("no_exports"),
    )


def chosen_witness(config: pytest.Config) -> str:
    """Who witnesses the run; a name that was left blank by mistake must not make it an unwitnessed one."""
    given: str | None = config.getoption("witnessed")
    if given is not None and not given.strip():
        raise UsageError("--witnessed: no name is given", remedy="say who witnesses the run, or leave it out")
    return given or ""


def chosen_run_id(config: pytest.Config) -> str:
    """The one that was given, if it can be a folder's name wherever the run is taken; else a new one."""
    given: str | None = config.getoption("run_id")
    if given is None:
        return new_run_id()
    if not _RUN_ID.fullmatch(given):
        raise UsageError(
            f"--run-id {given!r} cannot be the name of a run",
            remedy="at most 100 letters, digits, dots, underscores and hyphens, of which the first is a "
            "letter or a digit; and not 'latest'",
        )
    return given
