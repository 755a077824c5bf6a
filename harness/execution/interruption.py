"""Ctrl-C: once, the tests in hand are finished first; twice, everything stops at once, and safely.

Workers sit in process groups of their own, so a terminal's Ctrl-C reaches the controller alone: it decides.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any


class Interruption:
    """Takes Ctrl-C from a process for as long as tests run, and until the record is complete.

    ``finish`` is called at the first one: give out no more tests. At the second one ``stop`` is called and
    :class:`KeyboardInterrupt` is raised. Both run in a signal handler: they may take no lock. After
    :meth:`wind_down` a Ctrl-C does nothing any more, for what is left is to make things safe and write them
    down.

    Life cycle: made, :meth:`begin`, :meth:`wind_down`, :meth:`end`.
    """

    def __init__(self, finish: Callable[[], None], stop: Callable[[], None]) -> None:
        self.count = 0
        self._finish = finish
        self._stop = stop
        self._winding_down = False
        self._held = 0
        self._before: Any = None

    def begin(self) -> None:
        """Take over Ctrl-C; left alone where somebody else has it, as in a background job of a shell."""
        ours = threading.current_thread() is threading.main_thread()
        if ours and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._before = signal.signal(signal.SIGINT, self._pressed)

    def wind_down(self) -> None:
        """The tests have ended."""
        self._winding_down = True

    def end(self) -> None:
        """Give Ctrl-C back; ending twice is fine."""
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
            self._before = None

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

    def _raise_if_due(self) -> None:
        if self.count > 1 and not self._held and not self._winding_down:
            self._winding_down = True
            raise KeyboardInterrupt


def leave_the_terminals_group() -> None:
    """A worker's part: its Ctrl-C comes from the controller, which is told by the terminal."""
    with contextlib.suppress(PermissionError):  # the leader of a session stays where it is
        os.setpgid(0, 0)
