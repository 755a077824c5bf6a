"""Where the questions of all rigs come in, and are put to the engineer one at a time.

Workers have no terminal, so the process that has one listens on a Unix socket: a question is a line of JSON
on a connection of its own, and so is the answer. A connection that closes takes its question back. Without
workers the one process asks itself the same way.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from harness.domain.operator import Answer, Asking, Question, reason, understood
from harness.execution.terminal import TERMINAL, Terminal
from harness.records.answers import AnswerRecord

DESK: Final = "smets1_desk"
"""Key under which a worker is told the desk's address, in xdist's ``workerinput``."""

_LONGEST: Final = 65_536  # bytes of a question
_LONGEST_PATH: Final = 90  # bytes: what every system takes as a socket's path
_STOP_SECONDS: Final = 2.0
_TAKEN_BACK: Final = "(taken back: who asked is gone)"
_PROMPTS: Final = {
    Asking.DO: "'done' when it is",
    Asking.TELL: "the answer",
    Asking.CONFIRM: "'yes' or 'no'",
    Asking.READ: "each of its lines, then an empty one",
}


@dataclass(slots=True)
class _Asked:
    """A question under way, and the connection that waits for its answer."""

    line: socket.socket
    heard: bytes = b""
    question: Question | None = None
    ends: float = 0.0  # monotonic seconds


class Desk:
    """Puts questions to the terminal, in the order in which they came. ``record`` gets each answer.

    Life cycle: made (it listens), :meth:`start`, :meth:`close`: whoever then still waits is told that nobody
    will answer. A pytest plugin, so that workers learn where it is.
    """

    def __init__(self, terminal: Terminal, record: AnswerRecord | None = None) -> None:
        self._terminal = terminal
        self._record = record
        self._folder = _short_folder()
        self.address = str(self._folder / "desk")
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.address)
        self._listener.listen()
        self._wake, self._woken = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        self._selector.register(self._woken, selectors.EVENT_READ, lambda: None)
        self._open: list[_Asked] = []  # in the order in which they came
        self._shown: _Asked | None = None
        self._lines: list[str] = []  # of a display, so far
        self._stopping = threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._serve, name="operator's desk", daemon=True)

    def start(self) -> None:
        """Begin to put questions."""
        self._thread.start()

    def stop(self) -> None:
        """Put no more questions, and tell those who wait; stopping twice is fine."""
        if not self._stopping.is_set():
            self._stopping.set()
            self._wake.send(b"\0")
            if self._thread.ident is not None:
                self._thread.join(_STOP_SECONDS)  # a terminal that was stopped with Ctrl-S holds it longer

    def close(self) -> None:
        """Stop, and leave nothing behind; closing twice is fine."""
        self.stop()
        if self._closed:
            return
        self._closed = True
        self._selector.close()
        for held in (self._listener, self._wake, self._woken):
            held.close()
        shutil.rmtree(self._folder, ignore_errors=True)
        if self._record is not None:
            self._record.close()

    # -- pytest ------------------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """Before the workers are."""
        self.start()

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a new worker where the desk is."""
        node.workerinput[DESK] = self.address

    def pytest_keyboard_interrupt(self) -> None:
        """Ctrl-C: no worker waits for an answer any more."""
        self.stop()

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Before the workers are ended, which may wait for an answer."""
        self.stop()

    # -- the thread --------------------------------------------------------------------------------

    def _serve(self) -> None:
        while not self._stopping.is_set():
            for key, _ in self._selector.select(self._patience()):
                act: Callable[[], None] = key.data
                act()
            self._end_what_is_late()
            self._show_the_next()
        self._selector.unregister(self._listener)
        self._listener.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                self._accept()
        self._listener.close()  # whoever asks from now on is told at once that nobody is there
        for asked in list(self._open):
            self._reply(asked, absent="the run was ended", notice="(the run was ended)")

    def _waiting(self) -> list[_Asked]:
        return [asked for asked in self._open if asked.question is not None]

    def _patience(self) -> float | None:
        ends = min((asked.ends for asked in self._waiting()), default=None)
        return None if ends is None else max(0.0, ends - time.monotonic())

    def _accept(self) -> None:
        line, _ = self._listener.accept()
        line.settimeout(1.0)  # the peers are our own workers: they read what they wait for
        asked = _Asked(line)
        self._open.append(asked)
        self._selector.register(line, selectors.EVENT_READ, lambda: self._hear(asked))

    def _hear(self, asked: _Asked) -> None:
        """The question, or the end of who asked it."""
        if asked.line.fileno() < 0:  # let go of in this very round
            return
        try:
            heard = asked.line.recv(_LONGEST)
        except OSError:
            heard = b""
        asked.heard += heard
        if not heard or len(asked.heard) > _LONGEST:
            self._let_go(asked, _TAKEN_BACK)
        elif asked.question is None and asked.heard.endswith(b"\n"):
            asked.question = _question(asked.heard)
            if asked.question is None:
                self._let_go(asked)
            else:
                asked.ends = time.monotonic() + asked.question.seconds

    def _end_what_is_late(self) -> None:
        for asked in [asked for asked in self._waiting() if asked.ends <= time.monotonic()]:
            assert asked.question is not None
            seen = "" if asked is self._shown else ", in which other questions were on the terminal"
            self._reply(
                asked,
                absent=f"no answer within {asked.question.seconds:g} s{seen}",
                notice="(too late: the test waits for it no more)",
            )

    def _show_the_next(self) -> None:
        waiting = self._waiting()
        if self._shown is not None or not waiting:
            return
        self._terminal.make_way()
        self._shown = waiting[0]
        self._lines = []
        self._terminal.write(_presented(self._shown, len(waiting) - 1))
        self._prompt()
        self._selector.register(self._terminal, selectors.EVENT_READ, self._typed)

    def _prompt(self, complaint: str = "") -> None:
        assert self._shown is not None
        assert self._shown.question is not None
        prompt = _PROMPTS[self._shown.question.asking]
        self._terminal.write(f"{complaint}{prompt}; or 'cannot: REASON'\n> ")

    def _typed(self) -> None:
        shown = self._shown
        if shown is None or shown.question is None:  # taken back in this very round
            return
        typed = self._terminal.read()
        if typed is None:
            self._reply(shown, absent="the terminal was closed", notice="(no answer)")
            return
        if (why := reason(typed)) is not None:
            if why:
                self._answer(shown, why, refused=True)
            else:
                self._prompt("say why. ")
            return
        if shown.question.asking is Asking.READ and typed:
            self._lines.append(typed)
            self._terminal.write("> ")
            return
        text = understood(shown.question.asking, "\n".join(self._lines) or typed)
        if text is None:
            self._prompt("please, ")
        else:
            self._answer(shown, text)

    def _answer(self, asked: _Asked, text: str, *, refused: bool = False) -> None:
        answer = Answer(text=text, by=self._terminal.operator, at=datetime.now(UTC), refused=refused)
        told = {**asdict(answer), "at": answer.at.isoformat()}
        if self._reply(asked, **told) and self._record is not None:
            assert asked.question is not None
            self._record.add(asked.question, answer)

    def _reply(self, asked: _Asked, *, notice: str = "", **told: Any) -> bool:
        """Send the last word to who asked; whether it was still there."""
        try:
            asked.line.sendall(json.dumps(told).encode() + b"\n")
        except OSError:
            self._let_go(asked, _TAKEN_BACK)
            return False
        self._let_go(asked, notice)
        return True

    def _let_go(self, asked: _Asked, notice: str = "") -> None:
        self._open.remove(asked)
        self._selector.unregister(asked.line)
        asked.line.close()
        if asked is self._shown:
            self._take_from_screen(notice)

    def _take_from_screen(self, notice: str) -> None:
        if self._shown is None:
            return
        self._shown = None
        self._selector.unregister(self._terminal)
        if notice:
            self._terminal.write(f"\n{notice}\n")
        self._terminal.go_on()


def open_desk(config: pytest.Config) -> Desk | None:
    """The desk of a run that has a terminal; :class:`ConfigurationError` where answers cannot be recorded."""
    terminal = config.stash.get(TERMINAL, None)
    if terminal is None:
        return None
    name = config.getoption("record_answers")
    desk = Desk(terminal, AnswerRecord(Path(name)) if name else None)
    config.add_cleanup(desk.close)
    return desk


def _question(heard: bytes) -> Question | None:
    """The question in a line; ``None`` where the line is not from one of our workers."""
    try:
        fields = json.loads(heard)
        return Question(**{**fields, "asking": Asking(fields["asking"])})
    except (ValueError, TypeError, KeyError):
        return None


def _presented(asked: _Asked, waiting: int) -> str:
    question = asked.question
    assert question is not None
    left = max(0.0, asked.ends - time.monotonic())
    until = datetime.now().astimezone() + timedelta(seconds=left)
    more = f" ({waiting} more waiting)" if waiting else ""
    return (
        f"\n--- rig {question.rig} asks{more}: answer until {until:%H:%M:%S}, in {left:.0f} s\n"
        f"    {question.test}\n"
        f"{question.asking.upper()}: {question.text}\n"
    )


def _short_folder() -> Path:
    """A folder of this user alone; the path of a socket may be no longer than about a hundred bytes."""
    folder = Path(tempfile.mkdtemp(prefix="harness-"))
    if len(os.fsencode(folder)) <= _LONGEST_PATH:
        return folder
    folder.rmdir()
    return Path(tempfile.mkdtemp(prefix="harness-", dir="/tmp"))
