"""``harness rigs log``: a rig's log as it is, and as it grows."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from harness.cli.app import app
from harness.records.rig_log import RigLog, log_of
from tests.harness.cli.physical import CONFIG
from tests.harness.cli.shown import Shown


@pytest.fixture(autouse=True)
def _lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("HARNESS_LAB", str(CONFIG / "simulated.yaml"))


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    folder = tmp_path / "runs"
    folder.mkdir()
    return folder


@pytest.fixture
def logs(runs: Path) -> Iterator[Callable[..., RigLog]]:
    """A run's log of a rig, with lines in it."""
    opened: list[RigLog] = []

    def open_log(run: str, *lines: str, rig: str = "ioc-1") -> RigLog:
        opened.append(RigLog(runs / run, rig))
        for line in lines:
            opened[-1].event("ESME", line)
        return opened[-1]

    yield open_log
    for log in opened:
        log.close()


def shown(runs: Path, *arguments: str) -> list[str]:
    """What each line says, without the time."""
    result = CliRunner().invoke(app, ["rigs", "log", "ioc-1", "--runs", str(runs), *arguments])
    assert result.exit_code == 0, result.output
    return [line.partition("ESME: ")[2] for line in result.stdout.splitlines()]


def test_it_is_the_log_of_the_run_that_had_the_rig_last(runs: Path, logs: Callable[..., RigLog]) -> None:
    logs("run-1", "read clock")
    logs("run-2", "read volts", "read import")
    logs("run-3", "read nothing", rig="ioc-2")
    (runs / "latest").symlink_to("run-3")
    assert shown(runs) == ["read volts", "read import"]
    os.utime(log_of(runs / "run-1", "ioc-1"), (4e9, 4e9))  # it is resumed
    assert shown(runs) == ["read clock"]


def test_a_run_may_be_named_and_the_last_lines_alone_be_wanted(
    runs: Path, logs: Callable[..., RigLog]
) -> None:
    logs("run-1", *(f"read {number}" for number in range(100)))
    logs("run-2", "read volts")
    assert shown(runs, "--run", "run-1", "--last", "2") == ["read 98", "read 99"]
    assert shown(runs, "--run", str(runs / "run-1")) == [f"read {number}" for number in range(60, 100)]
    assert len(shown(runs, "--run", "run-1", "--last", "0")) == 100


def test_a_rig_that_has_left_the_lab_still_has_its_logs(runs: Path, logs: Callable[..., RigLog]) -> None:
    logs("run-1", "read clock", rig="sold-1")
    result = CliRunner().invoke(app, ["rigs", "log", "sold-1", "--runs", str(runs)])
    assert result.stdout.endswith("ESME: read clock\n")


def test_it_is_followed_as_it_grows_into_the_next_run_until_ctrl_c(
    runs: Path, logs: Callable[..., RigLog]
) -> None:
    with closing(Shown("rigs", "log", "ioc-1", "--follow", "--runs", str(runs))) as following:
        following.until("there is no log of rig ioc-1 in the runs of .* yet: waiting for one")
        first = logs("run-1", "read clock")
        following.until("of run run-1:\n.*ESME: read clock\n")
        first.event("ESME", "read volts")
        following.until("ESME: read volts\n")
        first.close()
        logs("run-2", "read import")
        following.until("of run run-2:\n.*ESME: read import\n")
        assert following.stop() == 0
        assert following.shown == ""
