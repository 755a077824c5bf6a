"""Puts the plugin's parts together for a session that runs packs, in the controller or in a worker."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from harness.config import load_lab
from harness.config.packs import find_packs
from harness.config.ttm import load_ttm
from harness.execution.attempts import AttemptRecorder
from harness.execution.context import WORKER_INPUT, Settings, WorkerContext, new_run_id
from harness.execution.controller import Controller, ControllerPlugin, as_usage_error, rigs_in_use
from harness.execution.fixtures import PackFixtures
from harness.execution.planning import CASE, Case, cases
from harness.execution.rig_keeper import RigKeeper
from harness.execution.worker_loop import WorkerLoop
from harness.hooks import RunContext, plugin_manager

_SETTINGS = pytest.StashKey[Settings]()
_RIGS = pytest.StashKey[int]()


def count_rigs(config: pytest.Config) -> int:
    """How many workers ``-n rigs`` means."""
    with as_usage_error():
        config.stash[_RIGS] = len(rigs_in_use(_settings(config)))
    return config.stash[_RIGS]


def set_up(config: pytest.Config) -> None:
    """Register what this process needs; configuration errors become pytest's usage errors."""
    with as_usage_error():
        if hasattr(config, "workerinput"):
            _set_up_worker(config, WorkerContext.unpack(config.workerinput[WORKER_INPUT]))
        else:
            _set_up_controller(config)


def _set_up_controller(config: pytest.Config) -> None:
    settings = _settings(config)
    distributed = _distributed(config)
    hooks = plugin_manager(settings.lab.plugins)
    controller = Controller(settings, hooks)
    if config.args_source is not pytest.Config.ArgsSource.ARGS:
        modules = (module for pack in settings.packs for module in pack.modules)
        config.args = [str(module) for module in dict.fromkeys(modules)]
    plugin = ControllerPlugin(controller, tuple(config.args), distributed=distributed)
    config.pluginmanager.register(plugin, "smets1-controller")
    config.pluginmanager.register(PackCollection(settings), "smets1-collection")
    if not distributed:
        keeper = RigKeeper(settings, controller.addresses, hooks)
        _register_test_runner(config, settings, keeper, "alone")


def _set_up_worker(config: pytest.Config, context: WorkerContext) -> None:
    settings = context.settings
    config.args = list(context.arguments)
    config.pluginmanager.register(PackCollection(settings), "smets1-collection")
    config.pluginmanager.register(WorkerLoop(), "smets1-worker-loop")
    keeper = RigKeeper(settings, context.services, plugin_manager(settings.lab.plugins), bound=context.rig)
    _register_test_runner(config, settings, keeper, f"rig-{context.rig}")


def _register_test_runner(config: pytest.Config, settings: Settings, keeper: RigKeeper, process: str) -> None:
    recorder = AttemptRecorder(settings, keeper, process)
    config.pluginmanager.register(recorder, "smets1-attempts")
    config.pluginmanager.register(PackFixtures(keeper, recorder), "smets1-fixtures")


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
    seed = config.getoption("seed")
    run_id = config.getoption("run_id") or new_run_id()
    return Settings(
        lab=lab,
        packs=find_packs(lab.packs, config.getoption("pack")),
        ttm=load_ttm(lab.ttm, srvs=lab.catalogue).by_id,
        run=RunContext(
            run_id=run_id,
            folder=Path(config.getoption("runs")).resolve() / run_id,
            seed=lab.seed if seed is None else seed,
            faults=tuple(config.getoption("fault")),
        ),
        started=started,
        cycle=config.getoption("cycle"),
    )


class PackCollection:
    """Turns pack tests into planned tests; what no pack selects is left out."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        home = str(settings.lab.packs.resolve().parent)
        if home not in sys.path:  # so that test modules can import what they share
            sys.path.insert(0, home)

    @pytest.fixture(autouse=True)
    def planned_case(self, request: pytest.FixtureRequest) -> Case:
        """The planning of this test: its pack, EPCL entry and device type."""
        case: Case = request.param
        return case

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Parametrise a test by its plannings."""
        if CASE not in metafunc.fixturenames:
            return
        definition: Any = metafunc.definition
        found = list(
            cases(
                definition.path,
                definition.originalname,
                definition,
                metafunc.fixturenames,
                self._settings.packs,
                self._settings.lab,
            )
        )
        metafunc.parametrize(CASE, found, ids=[case.id for case in found], indirect=True)

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Leave out what is not planned (pytest makes a placeholder where there are no plannings)."""

        def planned(item: pytest.Item) -> bool:
            callspec = getattr(item, "callspec", None)
            return callspec is not None and hasattr(callspec.params.get(CASE), "entry")

        left_out = [item for item in items if not planned(item)]
        items[:] = [item for item in items if planned(item)]
        config.hook.pytest_deselected(items=left_out)
