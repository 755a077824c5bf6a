"""What a person sees while packs run: a live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest

from harness.execution.attempts import verdict_of
from harness.execution.controller import ControllerPlugin

_STYLES = {
    "passed": "green",
    "failed": "bold red",
    "blocked": "yellow",
    "interrupted": "magenta",
    "not run": "cyan",
}


class Progress:
    """A pytest plugin of the controller. ``quiet`` shows nothing but errors.

    Pytest captures standard error while it runs, so the display writes to a copy of it made before.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._screen = os.fdopen(os.dup(sys.stderr.fileno()), "w", buffering=1)
        self._counts: Counter[str] = Counter()
        self._by_rig: dict[str, Counter[str]] = {}
        self._planned = 0
        self._live: Any = None

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A test module that cannot be read is an error to show in full."""
        if report.failed:
            self._tell(str(report.longrepr))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> None:
        """The plan is frozen: say what it is."""
        plugin = session.config.pluginmanager.getplugin("smets1-controller")
        assert isinstance(plugin, ControllerPlugin)
        plan = plugin.controller.plan
        assert plan is not None
        self._planned = len(plan.tests)
        self._counts["not run"] = sum(1 for test in plan.tests if test.not_run)
        if self._quiet:
            return
        self._tell(
            f"run {plan.run_id}: {self._planned} planned tests, {len(plan.rigs)} rigs, seed {plan.seed}"
        )
        if self._screen.isatty():
            self._start_display()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count and show each finished attempt, and each that its worker's death interrupted."""
        verdict: Mapping[str, str] | None = verdict_of(report)
        if verdict is None and str(report.outcome) == "rerun":
            verdict = {
                "result": "interrupted",
                "rig": "",
                "test": report.nodeid,
                "message": "its worker died",
            }
        if verdict is None:
            return
        self._counts[verdict["result"]] += 1
        self._by_rig.setdefault(verdict["rig"], Counter())[verdict["result"]] += 1
        if self._quiet:
            return
        if self._live is not None:
            self._live.update(self._table(verdict))
        else:
            self._tell(_line(self._counts.total(), self._planned, verdict))
        if self._live is not None and verdict["result"] != "passed":
            self._live.console.print(_line(self._counts.total(), self._planned, verdict), markup=False)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Leave the terminal as it was."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _tell(self, line: str) -> None:
        print(line, file=self._screen)

    def _start_display(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self._live = Live(
            self._table({}), console=Console(file=self._screen), refresh_per_second=8, transient=True
        )
        self._live.start()

    def _table(self, last: Mapping[str, str]) -> Any:
        from rich.table import Table

        done = self._counts.total()
        table = Table(title=f"{done} of {self._planned}", title_justify="left", caption=last.get("test", ""))
        table.add_column("rig")
        for name, style in _STYLES.items():
            table.add_column(name, style=style, justify="right")
        for rig, counts in sorted(self._by_rig.items()):
            table.add_row(rig or "–", *(str(counts[name] or "") for name in _STYLES))
        table.add_row("all", *(str(self._counts[name] or "") for name in _STYLES), style="bold")
        return table


def _line(done: int, planned: int, verdict: Mapping[str, str]) -> str:
    line = f"{done:>5}/{planned} {verdict['result']:<11} {verdict['rig']:<10} {verdict['test']}"
    message = verdict["message"].splitlines()
    return f"{line}: {message[0]}" if message else line
