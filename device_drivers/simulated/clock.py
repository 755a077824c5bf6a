"""A simulated rig's lab time: it stands still until somebody waits, and then it jumps.

>>> from datetime import UTC, datetime, timedelta
>>> clock = VirtualClock(datetime(2026, 3, 2, 9, tzinfo=UTC))
>>> rung = []
>>> clock.call_at(datetime(2026, 3, 2, 9, 30, tzinfo=UTC), lambda: rung.append(clock.now().minute))
>>> clock.sleep(timedelta(hours=1)); rung, clock.now().hour
([30], 10)
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import count
from typing import TypeVar

from harness.domain.errors import DeviceTimeout

T = TypeVar("T")


class VirtualClock:
    """Implements :class:`harness.domain.instruments.LabClock` for a rig of twins.

    ``lock`` is the rig's one lock: whoever touches a twin's model holds it, so the twins' server threads
    and a jump never mix. Callbacks run under it, in order of time, with the clock standing at their moment.
    """

    def __init__(self, starts: datetime) -> None:
        self._now = starts
        self._timers: list[tuple[datetime, int, Callable[[], None]]] = []
        self._appointments: list[datetime] = []
        self._order = count()
        self._settlers: list[Callable[[], None]] = []
        self.lock = threading.RLock()

    def now(self) -> datetime:
        return self._now

    def call_at(self, moment: datetime, callback: Callable[[], None]) -> None:
        """Run ``callback`` when lab time reaches ``moment``; at the next jump if that is past."""
        with self.lock:
            heapq.heappush(self._timers, (moment, next(self._order), callback))

    def appoint(self, moment: datetime, callback: Callable[[], None]) -> None:
        """As :meth:`call_at`; besides, whoever sleeps past ``moment`` stops there until all has settled.

        For what sets messages under way: lab time stands at their moment until they have arrived.
        """
        with self.lock:
            heapq.heappush(self._appointments, moment)
            self.call_at(moment, callback)

    def on_settle(self, settler: Callable[[], None]) -> None:
        """Add a barrier: it returns when no message of this rig is on its way any more."""
        self._settlers.append(settler)

    def settle(self) -> None:
        """Wait, in real time, until nothing is on its way; lab time does not move."""
        for settler in self._settlers:
            settler()

    def advance_to(self, moment: datetime) -> None:
        """Jump, ringing every timer on the way at its own moment."""
        with self.lock:
            while self._timers and self._timers[0][0] <= moment:
                due, _, callback = heapq.heappop(self._timers)
                self._now = max(self._now, due)
                callback()
            self._now = max(self._now, moment)

    def sleep(self, duration: timedelta) -> None:
        self.settle()
        end = self._now + duration
        while True:
            self.advance_to(min(end, self._next_appointment(end)))
            self.settle()
            if self._now >= end:
                return

    def until(self, condition: Callable[[], T | None], *, within: timedelta, what: str) -> T:
        """Jump from timer to timer until ``condition`` is true; nothing on its way is ever overtaken."""
        deadline = self._now + within
        while True:
            if found := condition():
                return found
            self.settle()
            if found := condition():
                return found
            with self.lock:
                if self._now >= deadline:
                    raise DeviceTimeout(
                        f"{what}: not within {within} of lab time (until {deadline:%F %T} UTC)"
                    )
                upcoming = self._timers[0][0] if self._timers else deadline
                self.advance_to(max(self._now, min(upcoming, deadline)))

    def _next_appointment(self, otherwise: datetime) -> datetime:
        with self.lock:
            while self._appointments and self._appointments[0] <= self._now:
                heapq.heappop(self._appointments)
            return self._appointments[0] if self._appointments else otherwise
