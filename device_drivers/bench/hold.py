"""A bench in one hand: its lock, and the guard that makes it safe if this process dies.

A driver of any kind of bench can use it; :mod:`device_drivers.bench.modbus.bench` does.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pickle
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, Final

from device_drivers.bench import guard
from harness.domain.errors import BenchFault
from harness.domain.lab import Lab, Rig
from harness.hooks import Permit, Trace

_LIMIT_SECONDS: Final = 60  # that a guard may take
_LOOK_SECONDS: Final = 0.05
_BY_HAND: Final = "switch the bench off by hand before anything else"


class BenchHold:
    """Life cycle: :meth:`take`, :meth:`post` before anything is switched, :meth:`release`.

    The lock is the kernel's (``flock``), shared with the guard: whoever opens the bench next waits until
    both have let go of it.
    """

    def __init__(self, lock: IO[str], report: Path, rig: Rig, lab: Lab) -> None:
        self._lock = lock
        self._report = report
        self._rig = rig
        self._lab = lab
        self._guard: subprocess.Popen[bytes] | None = None
        self.asks = False  # whether the guard asks before it acts

    @classmethod
    def take(cls, rig: Rig, lab: Lab, trace: Trace, within: float = _LIMIT_SECONDS + 5) -> BenchHold:
        """Hold the bench of a rig, once a guard at work has ended; what such a guard came to is traced.

        :class:`BenchFault` if it is still held after so many seconds.
        """
        folder = lab.state / "benches"
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / f"{rig.id}.lock").open("a")
        if not _locked(lock, within, rig, trace):
            lock.close()
            raise BenchFault(
                f"the bench of rig {rig.id} is still held after {within:g} s",
                remedy="another harness has it, or a guard is making it safe: wait for it to end",
                suspect=False,
            )
        report = folder / f"{rig.id}.guard.json"
        if report.exists():
            found = json.loads(report.read_text("utf-8"))
            trace.event("bench", "a guard had to bring the bench to its safe state", **found)
            report.unlink()
        return cls(lock, report, rig, lab)

    def post(
        self, rescue: str, permit: Permit | None = None, *, attempts: int = 3, pause: float = 0.5
    ) -> None:
        """Start the guard: it calls ``rescue``, ``module:function``, with rig and lab if we die.

        With a ``permit`` it asks first whether the rig is ours even then.
        """
        lab = replace(self._lab, rigs=(self._rig,), catalogue={}, dmcs=(), epcl=())
        orders: guard.Orders = {
            "path": [entry or str(Path.cwd()) for entry in sys.path],
            "rescue": rescue,
            "arguments": pickle.dumps((self._rig, lab)),
            "permit": pickle.dumps((permit.ask, permit.arguments)) if permit else b"",
            "report": str(self._report),
            "attempts": attempts,
            "pause": pause,
            "limit": _LIMIT_SECONDS,
        }
        self.asks = permit is not None
        content = pickle.dumps(orders)
        self._guard = subprocess.Popen(  # noqa: S603 - our own script
            [sys.executable, "-P", guard.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(self._lock.fileno(),),
            start_new_session=True,
        )
        with contextlib.suppress(BrokenPipeError):  # it has died: watched() tells
            self._pipe.write(len(content).to_bytes(guard.LENGTH_BYTES) + content)
            self._pipe.flush()

    def watched(self) -> None:
        """:class:`BenchFault` unless the guard lives: nothing is switched on without it."""
        if self._guard is None or self._guard.poll() is not None:
            raise BenchFault(
                f"the guard of the bench of rig {self._rig.id} has died",
                remedy="find out what ended it, and open the rig anew",
            )

    def release(self, *, safe: bool) -> None:
        """Let go. Where the bench is not ``safe`` its guard makes it so first.

        :class:`BenchFault` if it cannot.
        """
        if self._lock.closed:
            return
        try:
            if self._guard is not None:
                self._dismiss(self._guard, safe=safe)
        finally:
            self._lock.close()

    def _dismiss(self, watching: subprocess.Popen[bytes], *, safe: bool) -> None:
        with contextlib.suppress(BrokenPipeError):
            if safe:
                self._pipe.write(guard.SAFE)
            self._pipe.close()
        try:
            status = watching.wait(_LIMIT_SECONDS + 5)
        except subprocess.TimeoutExpired:
            watching.kill()
            status = watching.wait()
        found: dict[str, Any] = {}
        if self._report.exists():
            found = json.loads(self._report.read_text("utf-8"))
            self._report.unlink()
        if not safe and status != 0:
            why = found.get("told", "its guard died")
            raise BenchFault(
                f"the bench of rig {self._rig.id} is in no known state: {why}",
                remedy=_BY_HAND,
            )

    @property
    def _pipe(self) -> IO[bytes]:
        if self._guard is None or self._guard.stdin is None:
            raise ValueError("no guard was posted")
        return self._guard.stdin


def _locked(lock: IO[str], within: float, rig: Rig, trace: Trace) -> bool:
    """Whether the lock is ours, at the latest after so many seconds."""
    deadline = time.monotonic() + within
    told = False
    while True:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        if time.monotonic() >= deadline:
            return False
        if not told:
            trace.event("bench", "waiting for whoever holds the bench", rig=rig.id, pid=os.getpid())
            told = True
        time.sleep(_LOOK_SECONDS)
