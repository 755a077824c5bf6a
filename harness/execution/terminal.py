"""The terminal that a run was started from, for questions to the engineer who sits at it.

Pytest captures the standard streams, so this holds a copy of standard input that was made before.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import termios
from typing import Protocol

import pytest

_LINE = 4096  # bytes: no terminal gives longer lines


class Screen(Protocol):
    """What else is shown on the terminal and makes way for a question."""

    def make_way(self) -> None:
        """Show nothing more until :meth:`go_on`."""

    def go_on(self) -> None:
        """Show what has gathered, and go on."""


class Terminal:
    """Reads and writes a terminal in the line mode that it is in, so that Ctrl-C stays Ctrl-C.

    ``operator`` is who sits there. Life cycle: :meth:`found`, questions, :meth:`close`.
    """

    def __init__(self, descriptor: int, operator: str) -> None:
        self._descriptor = descriptor
        self.operator = operator
        self.screen: Screen | None = None

    @classmethod
    def found(cls, operator: str = "") -> Terminal | None:
        """The terminal on standard input; ``None`` where that is none, or belongs to another job."""
        if not os.isatty(0) or _in_the_background():
            return None
        return cls(os.dup(0), operator or login_name())

    def fileno(self) -> int:
        """For a selector: readable when a line has been typed."""
        return self._descriptor

    def make_way(self) -> None:
        """Let a question have the screen, and forget what was typed before it was there to be read."""
        if self.screen is not None:
            self.screen.make_way()
        with contextlib.suppress(termios.error):  # the terminal is gone: reading will tell
            termios.tcflush(self._descriptor, termios.TCIFLUSH)

    def go_on(self) -> None:
        """Give the screen back."""
        if self.screen is not None:
            self.screen.go_on()

    def write(self, text: str) -> None:
        """Show text; a terminal that is gone shows nothing."""
        with contextlib.suppress(OSError):
            os.write(self._descriptor, text.encode(errors="replace"))

    def read(self) -> str | None:
        """The line that was typed, without what cannot be printed; ``None``: Ctrl-D, or it is gone."""
        try:
            typed = os.read(self._descriptor, _LINE)
        except OSError:
            return None
        if not typed:
            return None
        return "".join(filter(str.isprintable, typed.decode(errors="replace"))).strip()

    def close(self) -> None:
        """Let go of the copy; closing twice is fine."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


TERMINAL = pytest.StashKey[Terminal]()
"""Where the run's configuration keeps its terminal, if it has one."""


def _in_the_background() -> bool:
    """A job in the background is stopped as soon as it reads."""
    try:
        return os.tcgetpgrp(0) != os.getpgrp()
    except OSError:  # a terminal, though not the one that controls this session
        return False


def login_name() -> str:
    """Who this process works for."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # 3.13 says the one, versions before it the other
        return f"user {os.getuid()}"
