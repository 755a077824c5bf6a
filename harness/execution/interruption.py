"""Ctrl-C: once, the tests in hand are finished first; twice, everything stops at once, and safely.

SIGTERM, as a service manager or CI sends it, and SIGHUP, of a terminal that is closed, stop everything at
once: whoever sends them does not wait for long. Workers sit in process groups of their own, so a terminal's
Ctrl-C reaches the controller alone: it decides.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterator
from types import FrameType
from typing import Any, Final

import pytest

_AT_ONCE: Final = (signal.SIGTERM, signal.SIGHUP)


class Stop(KeyboardInterrupt):
    """Somebody has asked for the end. A test that raises its like by itself has not."""


class StoppedByTest(Exception):
    """A test has tried to stop the run: that is an error of its script, and the run goes on."""


class Interruption:
    """Takes Ctrl-C from a process for as long as tests run, and until the record is complete.

    ``finish`` is called at the first one: give out no more tests. At the second one ``stop`` is called and
    :class:`Stop` is raised. Both run in a signal handler: they may take no lock. After
    :meth:`wind_down` a Ctrl-C does nothing any more, for what is left is to make things safe and write them
    down.

    Life cycle: made, :meth:`begin`, :meth:`wind_down`, :meth:`end`.
    """

    def __init__(self, finish: Callable[[], None], stop: Callable[[], None]) -> None:
        self.count = 0
        self.by = ""  # the signal, where it was not Ctrl-C
        self._finish = finish
        self._stop = stop
        self._winding_down = False
        self._held = 0
        self._before: dict[int, Any] = {}

    def begin(self) -> None:
        """Take over the signals; one is left alone that somebody else has, as in a shell's background job."""
        if threading.current_thread() is not threading.main_thread():
            return
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._before[signal.SIGINT] = signal.signal(signal.SIGINT, self._pressed)
        for number in _AT_ONCE:
            if signal.getsignal(number) is signal.SIG_DFL:
                self._before[number] = signal.signal(number, self._told_to_stop)

    def wind_down(self) -> None:
        """The tests have ended."""
        self._winding_down = True

    def end(self) -> None:
        """Give the signals back; ending twice is fine."""
        while self._before:
            signal.signal(*self._before.popitem())

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Let what is done here be done whole: a journal is no place to raise in."""
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1
        self._raise_if_due()

    def _pressed(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        if self._winding_down:
            return
        self.count += 1
        if self.count == 1:
            self._finish()
        elif self.count == 2:
            self._stop()
            self._raise_if_due()

    def _told_to_stop(self, number: int, frame: FrameType | None) -> None:
        self.by = self.by or signal.Signals(number).name
        while self.count < 2 and not self._winding_down:
            self._pressed(number, frame)

    def _raise_if_due(self) -> None:
        if self.count > 1 and not self._held and not self._winding_down:
            self._winding_down = True
            raise Stop


def leave_the_terminals_group() -> None:
    """A worker's part: its Ctrl-C comes from the controller, which is told by the terminal."""
    with contextlib.suppress(PermissionError):  # the leader of a session stays where it is
        os.setpgid(0, 0)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, _stop)


def _stop(*_: object) -> None:
    raise Stop


def stopped_by_no_test(*, may_exit: bool) -> Generator[None, object, object]:
    """Around a phase of a test: what would stop the run, and nobody has asked for, fails the test.

    ``may_exit``: pytest's own exit is let through, as of a debugger that somebody leaves.
    """
    try:
        return (yield)
    except Stop:
        raise
    except KeyboardInterrupt as error:
        raise StoppedByTest("the test raised KeyboardInterrupt, and nobody had pressed Ctrl-C") from error
    except pytest.exit.Exception as error:
        if may_exit:
            raise
        raise StoppedByTest(f"the test told pytest to exit: {error}") from error
