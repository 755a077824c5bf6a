"""What a person sees while packs run: a live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections import Counter
from threading import RLock
from typing import TYPE_CHECKING, Any, Final

import pytest

from harness.execution.attempts import Ended
from harness.execution.controller_plugin import ControllerPlugin
from harness.execution.terminal import TERMINAL

if TYPE_CHECKING:
    from harness.domain.lab import Lab
    from harness.execution.fork_server import Forks

_INDENT: Final = " " * 12
_LINES: Final = 4  # of a reason
_WAITS: Final = 4  # rigs whose wait is shown, unless there is only one more
_LOWEST: Final = 24  # lines of a terminal
_AROUND: Final = 8  # lines of the display that are no rig's
_STYLES = {
    "passed": "green",
    "failed": "bold red",
    "blocked": "yellow",
    "interrupted": "magenta",
}


class _Screen(io.TextIOWrapper):
    """Standard error as it was before pytest took it. Where it goes away the run goes on, unseen.

    It goes away with a viewer that quits, or with the disk that a log is on.
    """

    def __init__(self) -> None:
        buffer = os.fdopen(os.dup(sys.stderr.fileno()), "wb")
        super().__init__(buffer, encoding=sys.stderr.encoding, errors="backslashreplace", line_buffering=True)

    def write(self, text: str) -> int:
        try:
            return super().write(text)
        except OSError:
            with open(os.devnull, "wb") as nowhere:  # noqa: PTH123  # a descriptor is what is wanted
                os.dup2(nowhere.fileno(), self.fileno())
            return len(text)


class Progress:
    """A pytest plugin of the controller. ``quiet`` shows nothing but errors.

    Pytest captures standard error while it runs, so the display writes to a copy of it made before. While the
    engineer is asked something (by another thread) it keeps what there is to show.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._screen = _Screen()
        self._by_rig: dict[str, Counter[str]] = {}
        self._done: set[str] = set()  # planned tests that have had an attempt
        self._planned = 0
        self._plugin: ControllerPlugin | None = None
        self._live: Any = None
        self._lock = RLock()
        self._kept: list[tuple[str, str]] | None = None  # while a question has the terminal
        self._waits: dict[str, str] = {}  # what rigs wait for
        self._last = ""  # the test that ended last

    @property
    def problems(self) -> tuple[str, ...]:
        """Why the run was stopped, and what could not be written, once it has ended."""
        if self._plugin is None:
            return ()
        stopped = (f"the run was stopped: {self._plugin.stopped}",) if self._plugin.stopped else ()
        return stopped + self._plugin.controller.problems

    @property
    def lab_to_report_on(self) -> Lab | None:
        """The run's lab, where its reports are to be made at its end."""
        if self._plugin is None or not self._plugin.controller.settings.exports:
            return None
        return self._plugin.controller.settings.lab

    @property
    def sealed(self) -> bool:
        """Whether the run is sealed, or is not to be."""
        return self._plugin is None or self._plugin.controller.sealed

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
        plugin.told_of_rig = self.rig_news
        self._planned = len(plugin.controller.to_run)
        if self._quiet:
            return
        for notice in plan.notices:
            self._tell(notice)
        if plan.witness:
            self._tell(f"witnessed by {plan.witness}")
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
        line = f"{len(self._done):>5}/{self._planned} {ended.result:<11} {ended.rig:<10} {ended.test}"
        with self._lock:
            self._last = ended.test
            self._update()
            if self._live is None or ended.result != "passed":
                self._show(line, ended.message.partition("\n")[0])

    def rig_news(self, rig: str, sentence: str) -> None:
        """What a rig of the run waits for, in words; "" when it is at work again."""
        with self._lock:
            known = self._waits.pop(rig, "")
            if sentence:
                self._waits[rig] = sentence
            if sentence == known or self._quiet:
                return
            if self._live is None:
                self._show(f"{rig} waits: {sentence}" if sentence else f"{rig} is at work again")
            self._update()

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
            for line, reason in kept:
                self._show(line, reason)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Leave the terminal as it was."""
        with self._lock:
            if self._live is not None:
                self._live.stop()
                self._live = None

    def pytest_unconfigure(self, config: pytest.Config) -> None:
        """If workers could not be forked, say why."""
        forks: Forks | None = config.pluginmanager.getplugin("smets1-forks")
        if forks is not None and forks.lost and not self._quiet:
            self._tell(forks.lost)

    def _show(self, line: str, reason: str = "") -> None:
        """A line and, on a terminal below it, why: a reason that is cut off is none."""
        if self._kept is not None:
            self._kept.append((line, reason))
        elif self._live is None:
            self._tell(f"{line}: {reason}" if reason else line)
        else:
            console = self._live.console
            why = [_folded(reason, console.width)] if reason else []
            console.print(_cut(line), *why, sep="\n", no_wrap=True, overflow="ellipsis")

    def _tell_of_the_end(self) -> None:
        """In a signal handler, which may have come in the midst of a line: nothing is buffered here."""
        with contextlib.suppress(OSError):
            os.write(
                self._screen.fileno(),
                b"\nending: tests in hand are finished first; Ctrl-C again stops them\n",
            )

    def _tell(self, line: str) -> None:
        print(line, file=self._screen)

    def _start_display(self) -> None:
        from rich.console import Console
        from rich.live import Live

        console = Console(file=self._screen)
        self._live = Live(
            self._table(),
            console=console,
            refresh_per_second=8,
            transient=True,
            redirect_stdout=False,  # the engineer's questions stop and start it in the midst of a test,
            redirect_stderr=False,  # where these are pytest's own
        )
        self._live.start()

    def _table(self) -> Any:
        from rich.console import Group
        from rich.table import Table

        table = Table(title=f"{len(self._done)} of {self._planned}", title_justify="left")
        table.add_column("rig")
        for name, style in _STYLES.items():
            table.add_column(name, style=style, justify="right")
        for rig, counts in self._rows():
            table.add_row(rig, *(str(counts[name] or "") for name in _STYLES))
        total = sum(self._by_rig.values(), Counter())
        table.add_row("all", *(str(total[name] or "") for name in _STYLES), style="bold")
        return Group(table, *map(_cut, self._who_waits()), _cut(self._last))

    def _who_waits(self) -> list[str]:
        lines = [f"{rig} waits: {sentence}" for rig, sentence in sorted(self._waits.items())]
        more = len(lines) - _WAITS
        return [*lines[:_WAITS], f"and {more} more rigs wait"] if more > 1 else lines

    def _rows(self) -> list[tuple[str, Counter[str]]]:
        """As many rigs as the terminal has room for: the ones on which not all is well come first."""
        rigs = sorted(self._by_rig.items())
        height = self._live.console.height if self._live is not None else _LOWEST
        room = max(1, height - _AROUND - len(self._who_waits()))
        if len(rigs) <= room:
            return rigs
        rigs.sort(key=lambda rig: rig[1]["passed"] == rig[1].total())
        rest = sum((counts for _, counts in rigs[room:]), Counter())
        return [*rigs[:room], (f"{len(rigs) - room} more", rest)]

    def _update(self) -> None:
        if self._live is not None:
            self._live.update(self._table())


def _cut(line: str) -> Any:
    """One line of the terminal, whatever its width."""
    from rich.text import Text

    return Text(line, no_wrap=True, overflow="ellipsis")


def _folded(reason: str, width: int) -> Any:
    """A reason whole, indented, on as many lines as it takes, up to a few."""
    import textwrap

    from rich.text import Text

    lines = textwrap.wrap(reason, max(20, width - len(_INDENT)), max_lines=_LINES, placeholder=" …")
    return Text("\n".join(_INDENT + line for line in lines), style="dim", no_wrap=True, overflow="ellipsis")
