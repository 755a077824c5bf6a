"""``harness rigs --watch``: rigs, leases, tests in hand and runs, refreshed in place until Ctrl-C.

Where standard output is no terminal, the runs are told in plain lines again and again, and a rig whenever
something about it has changed.
"""

from __future__ import annotations

import json
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import NoReturn, Protocol

from harness.cli.output import ExitCode, tell
from harness.cli.overview import Observer, Overview, RigSeen, RunSeen
from harness.cli.picture import Picture
from harness.cli.rigs import told_reservation
from harness.config import load_lab
from harness.domain.errors import LabFault
from harness.records.canonical import plain
from harness.rigs.health_words import HealthState

ON_A_TERMINAL, ELSEWHERE = 1.0, 10.0  # seconds between two looks


class _Shows(Protocol):
    """Shows a lab as it is found, or why it could not be looked at."""

    def __call__(self, seen: Overview, problem: str) -> None: ...


def watch(file: Path, runs: Path, person: str, every: float | None, *, as_json: bool) -> ExitCode:
    """Look again and again, until Ctrl-C. A store that is away for a while is said to be, and looked for."""
    lab = load_lab(file)
    terminal = sys.stdout.isatty() and not as_json
    pause = every or (ON_A_TERMINAL if terminal else ELSEWHERE)
    observer = Observer(lab, runs, person)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # it too gives the terminal back
    try:
        if terminal:
            with _Screen(lab.name) as screen:
                _look_again_and_again(observer, screen.show, pause)
        else:
            _look_again_and_again(observer, _told_as_json if as_json else _Lines().show, pause)
    except KeyboardInterrupt:
        return ExitCode.GOOD
    finally:
        observer.close()


def _look_again_and_again(observer: Observer, show: _Shows, pause: float) -> NoReturn:
    seen, problem, waiting = Overview(datetime.now(UTC)), "", Event()
    while True:
        try:
            seen, problem = observer.look(), ""
        except LabFault as fault:  # of the store: the rigs are as they were
            problem = str(fault)
        show(seen, problem)
        waiting.wait(pause)


# -- for programs and logs -------------------------------------------------------------------------


def _told_as_json(seen: Overview, problem: str) -> None:
    """One object a line."""
    print(json.dumps(plain(seen.plain() | {"problem": problem}), ensure_ascii=False), flush=True)


class _Lines:
    """Plain lines."""

    def __init__(self) -> None:
        self._said: dict[str, str] = {}
        self._problem = ""

    def show(self, seen: Overview, problem: str) -> None:
        """Runs each time, all else where it is news."""
        now = f"{datetime.now(UTC):%FT%TZ}"
        if problem != self._problem:
            told = f"cannot be read: {' '.join(problem.split())}" if problem else "can be read again"
            tell(f"{now} the store {told}")
            self._problem = problem
        if problem:
            return
        news = {rig.status.rig: _of_rig(rig) for rig in seen.rigs}
        news |= {str(each): str(each) for each in seen.waiting}
        news |= {each.id: told_reservation(each) for each in seen.reservations}
        news |= {run.id: _of_run(run) for run in seen.runs}
        going_on = {run.id for run in seen.runs if not run.over}
        for what, line in news.items():
            if what in going_on or self._said.get(what) != line:
                print(f"{now} {line}")
        self._said = news
        sys.stdout.flush()


def _of_run(run: RunSeen) -> str:
    told = [f"run {run.id}: {run.results}"]
    if run.rate is not None and not run.over:
        told.append(f"{run.rate:.1f} tests/min")
    told.append(run.end)
    if run.estimate is not None:
        told.append(str(run.estimate))
    return "; ".join(told)


def _of_rig(rig: RigSeen) -> str:
    status, attempt = rig.status, rig.in_hand
    told = [str(status)]
    if attempt is not None:
        told.append(f"attempt {attempt.number} at {attempt.test} since {attempt.since:%T}Z")
    if rig.health.state is not HealthState.MAINTENANCE:
        told.append(str(rig.health))
    return "; ".join(told)


# -- on a terminal ---------------------------------------------------------------------------------


class _Screen:
    """The whole terminal, given back as it was. It follows when the terminal changes its size."""

    def __init__(self, lab: str) -> None:
        from rich.live import Live

        self._picture = Picture(lab)
        self._live = Live(self._picture, screen=True, auto_refresh=True, refresh_per_second=2)

    def __enter__(self) -> _Screen:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, seen: Overview, problem: str) -> None:
        """What was seen last is drawn from now on."""
        self._picture.seen, self._picture.problem = seen, problem
        self._live.refresh()
