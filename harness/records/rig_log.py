"""The log of one rig in one run: what happened there, a line an event, for an engineer to read as it happens.

``<run folder>/rigs/<rig>.log`` is appended to by whichever process has the rig. A line is

    2026-03-02T09:15:00.123Z 1a2b3c4d/1 lab 2025-03-03T08:30:00Z ESME: read clock (value 08:30, ahead 2 s)

- the wall clock (UTC);
- the end of the attempt's id, whose whole is in the line with which it begins; ``-`` between attempts;
- lab time, where the rig tells it;
- who, what, and the details; of a message its size and media type.

A line is on its way to the disk when it is told, has none of the secrets that this process knows
(:mod:`harness.records.redaction`), and is :data:`LIMIT` characters long at most: the evidence of the attempt
has everything whole. The log is a witness of second rank. A line that cannot be written (a full disk) is
counted, and the next one that can be says how many are missing; nothing else fails for it.

>>> from tempfile import TemporaryDirectory
>>> with TemporaryDirectory() as folder:
...     log = RigLog(Path(folder), "bench-a")
...     log.begins("reads-1a2b3c4d/1", "test_reads[ioc]", 1)
...     log.event("ESME", "read active_import", value=1204)
...     print(log.ends("passed").decode().splitlines()[1].partition(" ")[2])
...     log.close()
1a2b3c4d/1 ESME: read active_import (value 1204)
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Any, Final

from harness.records.difference import show
from harness.records.redaction import hidden

RIGS: Final = "rigs"
LIMIT: Final = 400  # characters of a line, from who says it on
LIBRARIES: Final = ("harness", "device_drivers", "pymodbus", "paramiko", "sqlalchemy")
"""Whose warnings and errors are told in the log."""


def log_of(run_folder: Path, rig: str) -> Path:
    """Where a rig's log is, in a run that used it."""
    return run_folder / RIGS / f"{rig}.log"


class RigLog:
    """Appends to a rig's log. Threads may share it. Life cycle: made, told of what happens, closed.

    ``clock`` tells lab time while the rig is open. What is told after :meth:`close` is left out.
    """

    def __init__(self, folder: Path, rig: str) -> None:
        self.path = log_of(folder, rig)
        self.rig = rig
        self.clock: Callable[[], datetime] | None = None
        self.path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._file = os.open(self.path, flags, 0o666)
        self._lock = Lock()
        self._closed = False
        self._attempt = "-"
        self._began = size = os.fstat(self._file).st_size
        self._torn = size > 0 and os.pread(self._file, 1, size - 1) != b"\n"
        self._missing = 0

    def event(self, source: str, what: str, /, **detail: Any) -> None:
        """One thing that happened at ``source``, with its details."""
        told = ", ".join(f"{name} {show(value)}" for name, value in detail.items())
        self._tell(f"{source}: {what} ({told})" if told else f"{source}: {what}")

    def message(self, source: str, name: str, content: bytes, media_type: str) -> None:
        """One whole message: only that it passed."""
        self._tell(f"{source}: {name} ({len(content)} bytes of {media_type})")

    def begins(self, attempt: str, test: str, number: int) -> None:
        """An attempt begins; the lines that follow are its own."""
        with self._lock:
            self._began = os.fstat(self._file).st_size if not self._closed else 0
            self._attempt = attempt[-_short(attempt) :]
        self._tell(f"begins: attempt {number} at {test}, evidence {attempt}")

    def ends(self, result: str, message: str = "") -> bytes:
        """The attempt has ended; its part of the log, from its first line to this one."""
        self._tell(f"ends: {result}{f': {message}' if message else ''}")
        with self._lock:
            self._attempt = "-"
            if self._closed:
                return b""
            size = os.fstat(self._file).st_size - self._began
            return os.pread(self._file, size, self._began).lstrip(b"\n")  # the end of a torn line

    def close(self) -> None:
        """Take no more lines; twice is fine."""
        with self._lock:
            if not self._closed:
                self._closed = True
                os.close(self._file)

    def _tell(self, text: str) -> None:
        lab = f" lab {_seconds(self.clock())}" if self.clock else ""  # a clock has a lock of its own
        text = _printable(hidden.of_text(text))
        if len(text) > LIMIT:
            text = f"{text[: LIMIT - 1]}…"
        with self._lock:
            if self._closed:
                return
            head = f"{datetime.now(UTC).isoformat(timespec='milliseconds')[:-6]}Z {self._attempt}{lab}"
            self._append(head, text)

    def _append(self, head: str, text: str) -> None:
        """One line, by one call of the kernel, so that nobody sees half of it."""
        said = (
            f"{head} log: {self._missing} lines before this could not be written\n" if self._missing else ""
        )
        torn = "\n" if self._torn else ""
        line = f"{torn}{said}{head} {text}\n".encode("utf-8", "backslashreplace")
        try:
            written = os.write(self._file, line)
        except OSError:
            self._missing += 1
            return
        self._torn = written < len(line) and not line[:written].endswith(b"\n")
        self._missing = self._missing + 1 if written < len(line) else 0


class _Handler(logging.Handler):
    """Tells a rig's log what libraries warn of."""

    def __init__(self, log: RigLog) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        try:
            what = record.getMessage()
        except (TypeError, ValueError, KeyError):  # arguments that do not fit are no reason to lose it
            what = f"{record.msg} {record.args}"
        if record.exc_info and record.exc_info[1] is not None:
            what += f": {type(record.exc_info[1]).__name__}: {record.exc_info[1]}"
        self._log.event(record.name, f"{record.levelname.lower()}: {what}")


def attach(log: RigLog) -> Callable[[], None]:
    """From now on the log has what the libraries of this process warn of; what is returned ends that."""
    handler = _Handler(log)
    loggers = [logging.getLogger(name) for name in LIBRARIES]
    for logger in loggers:
        logger.addHandler(handler)

    def detach() -> None:
        for logger in loggers:
            logger.removeHandler(handler)
        handler.close()

    return detach


def _short(attempt: str) -> int:
    """How long the end of an attempt's id is that tells it from others: ``reads-1a2b3c4d/1``.

    >>> "reads-1a2b3c4d/1"[-_short("reads-1a2b3c4d/1") :]
    '1a2b3c4d/1'
    """
    folder, slash, number = attempt.rpartition("/")
    return len(folder.rpartition("-")[2]) + len(slash) + len(number)


def _seconds(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _printable(text: str) -> str:
    r"""Line ends, and what would move a terminal's cursor, as Python shows them.

    >>> _printable("two\nlines, \x1b[2J, £")
    'two\\nlines, \\x1b[2J, £'
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)
