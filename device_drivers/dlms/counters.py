"""Invocation counters: a number that is used once under a key and never again (Green Book 9.2.3.3.7.3).

A repeated counter breaks AES-GCM, so a number is durable before it is handed out: a crash may skip
numbers, never repeat one.
"""

from __future__ import annotations

import fcntl
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from harness.domain.errors import LabFault

HIGHEST = 0xFFFF_FFFF


class CounterStore(Protocol):
    """Counters by name. A client names its own after the key and the meter; a server keeps the highest
    counter received under :func:`received_from`.
    """  # noqa: D205 - one sentence says it

    def next(self, name: str) -> int:
        """The next number, from 1, strictly rising; durable before it is returned."""

    def last(self, name: str) -> int:
        """The highest number used so far, or given up to a crash; 0 if none."""

    def raise_to(self, name: str, value: int) -> None:
        """Let ``value`` count as used, durably; a lower value than the last changes nothing."""


def received_from(client_sap: int) -> str:
    """Under which name a server keeps the highest counter received from a client."""
    return f"received-from-{client_sap}"


SENT = "sent"
"""Under which name a server counts what it sends."""


def _after(name: str, value: int) -> int:
    if value >= HIGHEST:
        raise LabFault(
            f"invocation counter {name!r} is used up",
            remedy="change the device's keys, then remove the counter",
        )
    return value + 1


class MemoryCounters:
    """Counters for the life of the process, for twins and tests."""

    def __init__(self) -> None:
        self._last: dict[str, int] = {}
        self._lock = threading.Lock()

    def next(self, name: str) -> int:
        with self._lock:
            self._last[name] = _after(name, self._last.get(name, 0))
            return self._last[name]

    def last(self, name: str) -> int:
        return self._last.get(name, 0)

    def raise_to(self, name: str, value: int) -> None:
        with self._lock:
            self._last[name] = max(self._last.get(name, 0), value)


class ServerCounters:
    """For a server that starts anew more often than its keys change, as a twin does.

    What it sends is counted in ``sent`` under ``name``, a store that outlives it, for a number repeated
    under a key would lay the key open; what it received it forgets with its end.
    """

    def __init__(self, sent: CounterStore, name: str) -> None:
        self._sent = sent
        self._name = name
        self._received = MemoryCounters()

    def next(self, name: str) -> int:
        return self._sent.next(self._name) if name == SENT else self._received.next(name)

    def last(self, name: str) -> int:
        return self._sent.last(self._name) if name == SENT else self._received.last(name)

    def raise_to(self, name: str, value: int) -> None:
        if name == SENT:
            self._sent.raise_to(self._name, value)
        else:
            self._received.raise_to(name, value)


class FileCounters:
    """Counters in a folder, one small file each, safe against crashes, threads and other processes.

    The file holds the highest number that may have been used. Numbers are reserved ``block`` at a time,
    so that most cost no fsync; where another process has reserved since, ours are given up, so that
    numbers rise whoever asks.
    """

    def __init__(self, folder: Path, *, block: int = 100) -> None:
        self._folder = folder
        self._block = block
        self._reserved: dict[str, tuple[int, int]] = {}  # last used, highest reserved
        self._lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)

    def next(self, name: str) -> int:
        with self._exclusive(name) as path:
            last, reserved = self._where(name, path)
            value = _after(name, last)
            if value > reserved:
                reserved = min(last + self._block, HIGHEST)
                self._write(path, reserved)
            self._reserved[name] = value, reserved
            return value

    def last(self, name: str) -> int:
        with self._exclusive(name) as path:
            return self._where(name, path)[0]

    def raise_to(self, name: str, value: int) -> None:
        with self._exclusive(name) as path:
            last, _ = self._where(name, path)
            if value > last:
                self._write(path, value)
                self._reserved[name] = value, value

    def _where(self, name: str, path: Path) -> tuple[int, int]:
        kept = self._read(path)
        last, reserved = self._reserved.get(name, (kept, kept))
        return (last, reserved) if reserved == kept else (max(kept, last), kept)

    @contextmanager
    def _exclusive(self, name: str) -> Iterator[Path]:
        path = self._folder / (re.sub(r"[^A-Za-z0-9._-]", "_", name) + ".counter")
        with self._lock, path.with_suffix(".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield path

    def _read(self, path: Path) -> int:
        if not path.exists():
            return 0
        text = path.read_text(encoding="ascii", errors="replace").strip()
        if not (text.isascii() and text.isdecimal() and int(text) <= HIGHEST):
            raise LabFault(
                f"{path}: not an invocation counter: {text[:20]!r}",
                remedy="write into it the device's own value of the counter, read as the public client",
            )
        return int(text)

    def _write(self, path: Path, value: int) -> None:
        fresh = path.with_suffix(".new")
        with fresh.open("w", encoding="ascii") as file:
            file.write(f"{value}\n")
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
