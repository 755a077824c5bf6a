"""Counters that never repeat: one file each, on disk before the number is used, across processes.

>>> from tempfile import TemporaryDirectory
>>> with TemporaryDirectory() as folder:
...     counter = DurableCounter(Path(folder) / "counter", floor=lambda: 7)
...     counter.next(), counter.next()
(7, 8)
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from harness.domain.errors import ConfigurationError, LinkLost


def originator_counter(state: Path, eui: str) -> DurableCounter:
    """The counter of a User identity, in the lab's state folder."""
    return DurableCounter(state / "dcc" / "counters" / eui, floor=milliseconds)


def milliseconds() -> int:
    """Milliseconds since 1970: the floor of an originator's counter, as DCC Boxed has it."""
    return time.time_ns() // 1_000_000


class Held:
    """A counter while one thread of one process holds it."""

    def __init__(self, file: IO[str], path: Path, floor: Callable[[], int]) -> None:
        self._file = file
        self._floor = floor
        written = file.read().strip() or "0"
        if not written.isdecimal():
            raise ConfigurationError(
                f"{path} holds {written[:40]!r}, not a counter",
                remedy="write the last counter used, or delete the file if none ever was",
            )
        self.last = int(written)

    def next(self) -> int:
        """The next number: above every earlier one, and on disk before it is returned."""
        self.last = max(self.last + 1, self._floor())
        self._file.seek(0)
        self._file.write(f"{self.last}\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        return self.last


class DurableCounter:
    """A counter in a file; whoever holds it keeps every other thread and process waiting."""

    def __init__(self, path: Path, *, floor: Callable[[], int] = lambda: 1, patience: float = 60.0) -> None:
        self._path = path
        self._floor = floor
        self._patience = patience  # seconds of waiting for another process
        self._threads = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def held(self) -> Iterator[Held]:
        """Hold the counter; :class:`LinkLost` where another run keeps it too long."""
        with self._threads, os.fdopen(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600), "r+") as file:
            self._lock(file)
            yield Held(file, self._path, self._floor)

    def next(self) -> int:
        """One number."""
        with self.held() as counter:
            return counter.next()

    def _lock(self, file: IO[str]) -> None:
        deadline = time.monotonic() + self._patience
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise LinkLost(
                        f"{self._path} has been held by another run for {self._patience:g} s",
                        remedy="wait for that run, or end it",
                    ) from None
                time.sleep(0.01)  # a lock with a deadline can only be asked for again
