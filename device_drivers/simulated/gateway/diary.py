"""What the gateway has to do at a moment of lab time, hub by hub: schedules and future-dated requests."""

from __future__ import annotations

import heapq
import logging
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from typing import Final, Protocol

from device_drivers.simulated.wan.head import DeviceSilent, HubUnreachable

_log: Final = logging.getLogger(__name__)


class Ringing(Protocol):
    """Who knows the lab time of a hub's rig, and rings when it has come to a moment: the WAN head."""

    def ring(self, ch_id: str, moment: datetime) -> None:
        """See to it that the diary is told when lab time has come to ``moment``."""


@dataclass(slots=True, order=True)
class Appointment:
    """Something to do at a moment; ``off`` when it is not to be done any more."""

    moment: datetime
    number: int
    device_id: str = field(compare=False)
    work: Callable[[], None] = field(compare=False)
    off: bool = field(compare=False, default=False)


class Diary:
    """Appointments by hub, in order of time. Safe for threads."""

    def __init__(self, time: Ringing) -> None:
        self._time = time
        self._hubs: dict[str, list[Appointment]] = {}
        self._numbers = count()
        self._lock = threading.Lock()

    def enter(self, hub: str, moment: datetime, device_id: str, work: Callable[[], None]) -> Appointment:
        """Have ``work`` done at ``moment``, by :meth:`due`."""
        appointment = Appointment(moment, next(self._numbers), device_id, work)
        with self._lock:
            heapq.heappush(self._hubs.setdefault(hub, []), appointment)
        try:
            self._time.ring(hub, moment)
        except (HubUnreachable, DeviceSilent) as error:
            _log.warning("nobody will tell that it is %s for %s: %s", moment, device_id, error)
        return appointment

    def due(self, hub: str, now: datetime) -> tuple[Appointment, ...]:
        """What was to be done by now, in order; each is handed out once."""
        with self._lock:
            waiting = self._hubs.get(hub, [])
            found = []
            while waiting and waiting[0].moment <= now:
                found.append(heapq.heappop(waiting))
        return tuple(each for each in found if not each.off)

    def forget(self, device_ids: Collection[str]) -> None:
        """Nothing is to be done for these devices any more."""
        with self._lock:
            for waiting in self._hubs.values():
                for appointment in waiting:
                    appointment.off = appointment.off or appointment.device_id in device_ids
