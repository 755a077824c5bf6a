"""The lock on a run folder: one controller at a time writes a run, be it the first or one that resumes it.

The lock is the kernel's (``flock``) on a file in the folder, so it dies with its owner and needs no clean-up.
The file says who holds it, is gone when the run has ended (a kill leaves it), and is no part of the record.

Workers outlive a controller that was killed by some seconds: they put their rigs down. They share a lock of
their own, which whoever takes up the run waits for.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Final, Self

from harness.domain.errors import ConfigurationError, LabFault

LOCK: Final = ".lock"
WORKERS: Final = ".lock-of-workers"
LOCKS: Final = (LOCK, WORKERS)


class RunInUse(LabFault):
    """Another controller runs or resumes the run: wait for it to end, or stop it."""

    suspect = False


class RunLock:
    """A run folder that is ours to write in. Life cycle: :meth:`take`, :meth:`release`, or death."""

    def __init__(self, path: Path, file: IO[str]) -> None:
        self._path = path
        self._file = file

    @classmethod
    def take(cls, folder: Path) -> Self:
        """Lock a run folder that exists, or raise :class:`RunInUse` naming who holds it.

        Waits for the workers of a controller that was killed.
        """
        path = folder / LOCK
        while True:
            try:
                file = path.open("a+", encoding="utf-8")
            except OSError as error:
                raise ConfigurationError(f"{path} cannot be written: {error.strerror}") from None
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                with file:
                    raise _in_use(folder, file) from None
            if _is_still(path, file):
                _wait_for_workers(folder)
                return cls(path, _signed(file))
            file.close()  # its holder took the file away when it ended: what we hold locks nobody out

    def release(self) -> None:
        """Let others have the run; releasing twice is fine."""
        if not self._file.closed:
            (self._path.parent / WORKERS).unlink(missing_ok=True)
            self._path.unlink(missing_ok=True)
            self._file.close()


def work_on(folder: Path) -> IO[bytes]:
    """A worker's share in the run, until it closes the file or its process ends."""
    file = (folder / WORKERS).open("ab")
    fcntl.flock(file, fcntl.LOCK_SH)
    return file


def _wait_for_workers(folder: Path) -> None:
    with contextlib.suppress(FileNotFoundError), (folder / WORKERS).open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)


def _is_still(path: Path, file: IO[str]) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    return False


def _signed(file: IO[str]) -> IO[str]:
    file.seek(0)
    file.truncate()
    json.dump(
        {"host": socket.gethostname(), "pid": os.getpid(), "since": f"{datetime.now(UTC):%FT%TZ}"}, file
    )
    file.flush()
    return file


def _in_use(folder: Path, file: IO[str]) -> RunInUse:
    file.seek(0)
    try:
        who = ", ".join(f"{key} {value}" for key, value in json.load(file).items())
    except ValueError:  # it is about to write its name
        who = "somebody who has just begun"
    return RunInUse(
        f"run {folder.resolve().name} is in use: {who}", remedy="it goes on by itself; or stop that one first"
    )
