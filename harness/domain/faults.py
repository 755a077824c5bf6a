"""Twin faults: named interceptions at documented points of a simulated lab.

A fault is a function that sees what passes a point and returns what goes on instead::

    def stuck(seen):
        return seen.memory.setdefault("first", seen.value) if seen.item == "active_import" else seen.value

    Fault("esme-import-stuck", Place.ESME, Point.READ, "the import register never moves", stuck,
          srvs=("4.1.1",))

Hand faults to the harness from the ``harness_faults`` hook; ``harness run --fault NAME`` switches one on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from typing import Any, Final


class Place(StrEnum):
    """The part of the simulated lab that a fault sits in."""

    ESME = "esme"
    GSME = "gsme"
    CH = "ch"
    S1SP = "s1sp"
    GATEWAY = "gateway"
    MIGRATION = "migration"  # its parties: device_drivers.simulated.migration says what passes where


class Point(StrEnum):
    """Where a fault may intercept. What ``item`` and ``value`` are is said at each point."""

    READ = "read"  # item: the name read; value: its Python value; client in details
    WRITE = "write"  # item: the name written; value: what is to be stored; DROP leaves the old value
    ACTION = "action"  # item: the command; value: its argument; DROP acknowledges and does nothing
    TICK = "tick"  # item: the quantity counted ("active_import", "gas_volume", …); value: the increment
    LOG = "log_entry"  # item: the log's name; value: the entry (a tuple); DROP loses the entry
    POWER = "kept_over_power_cut"  # item: "state"; value: mapping of what is kept; returned mapping is kept
    INTAKE = "intake"  # gateway; item: "xml"; value: the bytes posted, unparsed; or "tls": its SSL context
    REQUEST = "request"  # item: the SRV; value: the request as received (gateway, s1sp)
    RESPONSE = "response"  # item: the SRV; value: the response before it is signed (s1sp, gateway)
    ALERT = "alert"  # item: the alert code; value: the alert; DROP: never raised
    DELIVERY = "delivery"  # item: "response" or "alert"; value: tuple of XML messages to post, () for none
    SCHEDULE = "schedule"  # what the gateway does at a time of its own; items: gateway/timetable.py
    CHECK = "check"  # item: what is checked ("signature", "counter", …); value: the refusal or "", or a flag
    STORE = "stored"  # item: "settings"; value: mapping of what takes effect at once; DROP: nothing does
    EVENT = "event"  # item: its code, four hex digits; value: tuple of the codes that happen, () for none
    MONEY = "money"  # item: why an account moves; value: how much; DROP: it does not
    SUPPLY = "supply"  # item: the state of a meter's supply; value: whether anything can flow then
    WAKE = "wake"  # item: type of a device that sleeps; value: timedelta until it listens; DROP: never


class _Drop:
    def __repr__(self) -> str:
        return "DROP"


DROP: Final = _Drop()
"""Returned by a fault to let nothing pass; what that means is said at the point."""


@dataclass(slots=True)
class Seen:
    """What a fault sees of one passage."""

    item: str
    value: Any
    details: Mapping[str, Any]  # device_id, lab time ("now"), and what the point adds
    memory: dict[str, Any]  # the fault's own, kept for the life of the twin
    random: Random  # seeded from the run's seed and the fault's name


@dataclass(frozen=True, slots=True)
class Fault:
    """A named way in which a simulated device, hub, S1SP or gateway can be wrong."""

    name: str
    place: Place
    point: Point
    description: str
    intercept: Callable[[Seen], Any]
    srvs: tuple[str, ...] = ()  # the SRVs whose tests have reason to notice
    groups: tuple[str, ...] = ()  # and the functional groups, for what is about no SRV; both () for any test
    may_be_missed: str = ""  # why, where no pack can be blamed for it


@dataclass(slots=True)
class Interceptions:
    """The faults switched on in one part of the simulated lab; passes values through them in order."""

    place: Place
    seed: int
    faults: tuple[Fault, ...] = ()
    _memory: dict[str, tuple[dict[str, Any], Random]] = field(default_factory=dict)

    def passing(self, point: Point, item: str, value: Any, **details: Any) -> Any:
        """What goes on instead of ``value``: ``value`` itself where no fault sits at this point."""
        for fault in self.faults:
            if fault.place is self.place and fault.point is point:
                memory, random = self._memory.setdefault(
                    fault.name, ({}, Random(f"{self.seed}:{fault.name}"))
                )
                value = fault.intercept(Seen(item, value, details, memory, random))
                if value is DROP:
                    return DROP
        return value
