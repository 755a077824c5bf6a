"""What a person sees while packs run: a live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import sys
from collections import Counter
from threading import RLock
from typing import Any

import pytest

from harness.execution.attempts import Ended
from harness.execution.controller import ControllerPlugin
from harness.execution.terminal import TERMINAL

_STYLES = {
    "passed": "green",
    "failed": "bold red",
    "blocked": "yellow",
    "interrupted": "magenta",
}


class Progress:
    """A pytest plugin of the controller. ``quiet`` shows nothing but errors.

    Pytest captures standard error while it runs, so the display writes to a copy of it made before. While the
    engineer is asked something (by another thread) it keeps what there is to show.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._screen = os.fdopen(os.dup(sys.stderr.fileno()), "w", buffering=1)
        self._by_rig: dict[str, Counter[str]] = {}
        self._done: set[str] = set()  # planned tests that have had an attempt
        self._planned = 0
        self._plugin: ControllerPlugin | None = None
        self._live: Any = None
        self._lock = RLock()
        self._kept: list[str] | None = None  # while a question has the terminal

    @property
    def problems(self) -> tuple[str, ...]:
        """Exports that could not be made, once the run has ended."""
        return self._plugin.controller.problems if self._plugin else ()

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
        self._plugin = plugin
        if terminal := session.config.stash.get(TERMINAL, None):
            terminal.screen = self
        plugin.told_to_finish = self._tell_of_the_end
        self._planned = len(plugin.controller.to_run)
        if self._quiet:
            return
        self._tell(
            f"run {plan.run_id}: {len(plan.tests)} planned tests, {len(plan.rigs)} rigs, seed {plan.seed}"
        )
        if plugin.controller.resumption is not None:
            self._tell(f"resumed: {self._planned} of them are left")
        elif cannot := len(plan.tests) - self._planned:
            self._tell(f"{cannot} of them cannot run: no rig of their DMC")
        if self._screen.isatty():
            self._start_display()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count and show each attempt that has ended, or that its worker's death interrupted."""
        ended = Ended.of(report)
        if ended is None:
            return
        self._done.add(ended.test)
        self._by_rig.setdefault(ended.rig, Counter())[ended.result] += 1
        if self._quiet:
            return
        line = f"{len(self._done):>5}/{self._planned} {_line(ended)}"
        with self._lock:
            if self._live is not None:
                self._live.update(self._table(ended.test))
            if self._live is None or ended.result != "passed":
                self._show(line)

    def make_way(self) -> None:
        """Show nothing more: a question has the terminal."""
        with self._lock:
            self._kept = []
            if self._live is not None:
                self._live.stop()

    def go_on(self) -> None:
        """Show what has ended meanwhile, and go on."""
        with self._lock:
            kept, self._kept = self._kept or [], None
            if self._live is not None:
                self._live.start()
            for line in kept:
                self._show(line)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Leave the terminal as it was."""
        with self._lock:
            if self._live is not None:
                self._live.stop()
                self._live = None

    def _show(self, line: str) -> None:
        if self._kept is not None:
            self._kept.append(line)
        elif self._live is None:
            self._tell(line)
        else:
            self._live.console.print(_cut(line), no_wrap=True, overflow="ellipsis")

    def _tell_of_the_end(self) -> None:
        """In a signal handler, which may have come in the midst of a line: nothing is buffered here."""
        os.write(
            self._screen.fileno(), b"\nending: tests in hand are finished first; Ctrl-C again stops them\n"
        )

    def _tell(self, line: str) -> None:
        print(line, file=self._screen)

    def _start_display(self) -> None:
        from rich.console import Console
        from rich.live import Live

        console = Console(file=self._screen)
        self._live = Live(
            self._table(""),
            console=console,
            refresh_per_second=8,
            transient=True,
            redirect_stdout=False,  # the engineer's questions stop and start it in the midst of a test,
            redirect_stderr=False,  # where these are pytest's own
        )
        self._live.start()

    def _table(self, last: str) -> Any:
        from rich.console import Group
        from rich.table import Table

        table = Table(title=f"{len(self._done)} of {self._planned}", title_justify="left")
        table.add_column("rig")
        for name, style in _STYLES.items():
            table.add_column(name, style=style, justify="right")
        for rig, counts in sorted(self._by_rig.items()):
            table.add_row(rig, *(str(counts[name] or "") for name in _STYLES))
        total = sum(self._by_rig.values(), Counter())
        table.add_row("all", *(str(total[name] or "") for name in _STYLES), style="bold")
        return Group(table, _cut(last))


def _line(ended: Ended) -> str:
    line = f"{ended.result:<11} {ended.rig:<10} {ended.test}"
    return f"{line}: {ended.message.splitlines()[0]}" if ended.message else line


def _cut(line: str) -> Any:
    """One line of the terminal, whatever its width."""
    from rich.text import Text

    return Text(line, no_wrap=True, overflow="ellipsis")
