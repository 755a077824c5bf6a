"""Lab time of a physical rig: real time, really waited for, with progress."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar

from harness.domain.errors import DeviceTimeout

T = TypeVar("T")

_PROGRESS_SECONDS: Final = 30.0
_LOOK_SECONDS: Final = 1.0  # a condition may read a device over a slow port: no more often than this


class WallClock:
    """Implements :class:`harness.domain.instruments.LabClock`.

    ``progress`` is told every half minute what is waited for and how many seconds are left.
    """

    def __init__(self, progress: Callable[[str, float], None]) -> None:
        self._progress = progress

    def now(self) -> datetime:
        return datetime.now(UTC)

    def sleep(self, duration: timedelta) -> None:
        deadline = time.monotonic() + duration.total_seconds()
        while (left := deadline - time.monotonic()) > 0:
            if left > _PROGRESS_SECONDS:
                self._progress("time to pass", left)
            time.sleep(min(left, _PROGRESS_SECONDS))

    def until(self, condition: Callable[[], T | None], *, within: timedelta, what: str) -> T:
        deadline = time.monotonic() + within.total_seconds()
        told = time.monotonic()
        while not (found := condition()):
            now = time.monotonic()
            if now >= deadline:
                raise DeviceTimeout(f"{what}: not within {within}")
            if now - told >= _PROGRESS_SECONDS:
                self._progress(what, deadline - now)
                told = now
            time.sleep(min(_LOOK_SECONDS, deadline - now))
        return found
