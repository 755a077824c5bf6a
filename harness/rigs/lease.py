"""A lease on a rig: nobody else on this host uses it while its holder lives.

The lock is the kernel's (``flock`` on a file under the lab's state folder), so it dies with its owner and
needs no clean-up; the file beside it says who holds the rig.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from harness.domain.errors import LabFault


class RigInUse(LabFault):
    """Somebody else holds the rig: wait for the named holder, or use another rig of the DMC."""

    suspect = False


@dataclass(slots=True)
class Lease:
    """A held rig. Life cycle: :func:`take`, use, :meth:`release`; also released when the process dies."""

    rig: str
    _file: IO[str]

    def release(self) -> None:
        """Give the rig back; releasing twice is fine."""
        if not self._file.closed:
            self._file.truncate(0)
            self._file.close()


def _path(state: Path, rig: str) -> Path:
    return state / "leases" / f"{rig}.json"


def take(state: Path, rig: str, purpose: str) -> Lease:
    """Hold the rig, or raise :class:`RigInUse` naming who does."""
    path = _path(state, rig)
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("a+")
    if not _lock(file):
        file.close()
        by = holder(state, rig) or {}
        who = ", ".join(f"{key} {value}" for key, value in by.items()) or "somebody"
        raise RigInUse(f"rig {rig} is in use: {who}", remedy="wait for it to end, or stop it")
    file.seek(0)
    file.truncate()
    json.dump(
        {
            "purpose": purpose,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "since": f"{datetime.now(UTC):%FT%TZ}",
        },
        file,
    )
    file.flush()
    return Lease(rig, file)


def _lock(file: IO[str]) -> bool:
    """Whether the lock is ours now. Who only looks at the lease shares the lock for an instant: no holder."""
    while True:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False


def holder(state: Path, rig: str) -> Mapping[str, Any] | None:
    """Who holds the rig; ``None`` when it is free."""
    path = _path(state, rig)
    if not path.exists():
        return None
    with path.open("r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            text = file.read()
            return json.loads(text) if text else {}
    return None
