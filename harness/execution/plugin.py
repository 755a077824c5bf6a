"""The pytest plugin: options, marks, and, where packs are to be run, everything else.

``pytest --lab lab_config/simulated.yaml --pack standard-srvt-ioc -n rigs`` is what ``harness run`` drives.
Without ``--pack`` the plugin does nothing, and it imports nothing heavy: it is loaded by every pytest session
of an environment that the harness is installed in.
"""

from __future__ import annotations

import math
import os
from collections.abc import Generator
from typing import Any

import pytest

from harness.execution import garbage

_MARKS = (
    "ttm(id, ...): the Test Traceability Matrix ids that the test shows",
    "srv(variant, ...): the Service Reference Variants that the test uses",
    "devices(type, ...): the device types that the test is about or needs",
    "duis_schema: rests on the DCC's check against the schema; not planned on a simulated lab without it",
    "days_of_lab_time: waits for days; planned only where the lab time of every rig of the DMC jumps",
    "functional_group(name): the functional group of the heatmap",
    "reads_no_device(why): what it asserts no device holds, so it looks at none",
    "deadline(seconds): how long, in real time, the test may last before it is stopped",
    "expected(seconds): a first guess how long the test lasts; measured durations outweigh it",
    "stage(name): the stage of its pack's order that the test belongs to, on one installation",
    "installation_state(name): tests that need the installation in the same state are grouped",
)


@pytest.hookimpl(trylast=True)  # after xdist has added its own
def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the harness's options, and teach xdist's ``-n`` the word ``rigs``."""
    group = parser.getgroup("smets1", "SMETS1 test-lab harness")
    default_lab = os.environ.get("HARNESS_LAB", "lab_config/simulated.yaml")
    group.addoption(
        "--pack", action="append", default=[], metavar="PACK", help="run this test pack (repeatable)"
    )
    group.addoption("--lab", default=default_lab, metavar="FILE", help="the lab file (default: %(default)s)")
    group.addoption("--runs", default="runs", metavar="DIR", help="where run folders are made")
    group.addoption(
        "--run-id", default=None, metavar="ID", help="the run's id; made from the time by default"
    )
    group.addoption(
        "--seed", type=int, default=None, help="seed of everything random (default: the lab file's)"
    )
    group.addoption("--cycle", default="", help="the test cycle that the run belongs to")
    group.addoption(
        "--witnessed",
        default=None,
        metavar="WHO",
        help="who witnesses the run: it starts only if its packs are what was agreed with the TAG",
    )
    group.addoption(
        "--fault", action="append", default=[], metavar="NAME", help="switch a twin fault on (repeatable)"
    )
    group.addoption(
        "--no-exports",
        action="store_true",
        help="leave the exports at the end of the run to who wants them: harness ttm heatmap RUN",
    )
    for kind in ("entry", "srv", "group", "device", "test"):  # harness.execution.narrowing's
        group.addoption(
            f"--only-{kind}",
            action="append",
            default=[],
            metavar=kind.upper(),
            help=f"of what is planned, only this {kind} (repeatable)",
        )
    group.addoption(
        "--answers",
        action="append",
        default=[],
        metavar="FILE",
        help="answers to what tests ask of the engineer (repeatable)",
    )
    group.addoption(
        "--record-answers", default="", metavar="FILE", help="keep the answers given here, as JSON lines"
    )
    group.addoption(
        "--operator", default="", metavar="NAME", help="who answers here (default: who is logged in)"
    )
    group.addoption(
        "--wait",
        type=float,
        default=math.inf,
        metavar="SECONDS",
        help="how long to wait for a rig that somebody else has (default: as long as it takes)",
    )
    group.addoption(
        "--priority",
        type=int,
        default=0,
        metavar="N",
        help="whoever waits for a rig with a greater one gets it first (default: 0)",
    )
    for xdist in parser.getgroup("xdist").options:
        if "-n" in xdist.names():
            _teach_rigs(xdist)


def _teach_rigs(option: Any) -> None:
    """``-n rigs``: xdist then asks ``pytest_xdist_auto_num_workers``, which answers with the rigs in use."""
    parse = option.type
    option.attrs()["type"] = lambda text: parse("auto" if text == "rigs" else text)


@pytest.hookimpl(tryfirst=True)  # xdist then asks how many workers there are, which takes reading the lab
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Begin what the workers are forked from while the controller has everything yet to import."""
    if not config.getoption("pack"):
        return
    if garbage.none_yet():
        config.pluginmanager.register(_Garbage(config), "smets1-garbage")
    if hasattr(config, "workerinput") or config.option.collectonly:
        return
    if config.getoption("numprocesses", default=None) == "auto":
        from harness.execution import fork_ahead

        fork_ahead.begin([str(argument) for argument in config.invocation_params.args])


@pytest.hookimpl(optionalhook=True, tryfirst=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """One worker for each rig in use; asked for ``-n rigs`` only."""
    if not config.getoption("pack"):
        return None
    from harness.execution.session import count_rigs

    return count_rigs(config)


@pytest.hookimpl(wrapper=True, tryfirst=True)  # around pytest's capturing, which takes the terminal away
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None]:
    """Keep the terminal that the run is started from, for questions to the engineer."""
    options = early_config.known_args_namespace
    if options.pack and os.isatty(0):
        from harness.execution.terminal import TERMINAL, Terminal

        terminal = Terminal.found(options.operator)
        if terminal is not None:
            early_config.stash[TERMINAL] = terminal
            early_config.add_cleanup(terminal.close)
    return (yield)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Register marks always, the rest only where packs are run."""
    for mark in _MARKS:
        config.addinivalue_line("markers", mark)
    if config.getoption("pack"):
        _set_up(config)


class _Garbage:
    """Is looked for from the first test on."""

    def __init__(self, config: pytest.Config) -> None:
        config.add_cleanup(garbage.look)  # also where no test is reached

    @pytest.hookimpl(wrapper=True)  # for a worker's loop replaces pytest's
    def pytest_runtestloop(self) -> Generator[None, object, object]:
        garbage.look()
        return (yield)


def _set_up(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        from harness.execution.worker import set_up_worker

        set_up_worker(config)
    else:
        from harness.execution.session import set_up_controller

        set_up_controller(config)
