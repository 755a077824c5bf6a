"""What the fault modules make their interceptions with.

An interception made here changes what it is about and lets all else pass.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from harness.domain.faults import DROP, Fault, Place, Point, Seen

Intercept = Callable[[Seen], Any]
How = Callable[[Any], Any]

S1SP: Final = 2
"""The S1SP's client at a device's DLMS server; the lab's own management is client 1."""


def at(place: Place) -> Callable[..., Fault]:
    """Makes faults of one place, whose names begin with it."""

    def fault(
        name: str,
        point: Point,
        description: str,
        intercept: Intercept,
        *srvs: str,
        groups: tuple[str, ...] = (),
        may_be_missed: str = "",
    ) -> Fault:
        return Fault(f"{place}-{name}", place, point, description, intercept, srvs, groups, may_be_missed)

    return fault


def lose(*items: str) -> Intercept:
    """Let nothing pass of those items."""
    return lambda seen: DROP if seen.item in items else seen.value


def unchecked(*checks: str) -> Intercept:
    """Let those checks refuse nothing."""
    return lambda seen: "" if seen.item in checks else seen.value


def turned(how: How, *items: str) -> Intercept:
    """Another value of those items."""
    return lambda seen: how(seen.value) if seen.item in items else seen.value


def unheard(*items: str) -> Intercept:
    """Let nothing pass of those items that the S1SP sends."""
    return told(lambda _: DROP, *items)


def told(how: How, *items: str) -> Intercept:
    """Another value of those items between device and S1SP alone: what the lab reads and writes is right."""

    def tell(seen: Seen) -> Any:
        asked = seen.item in items and seen.details["client"] == S1SP
        return how(seen.value) if asked else seen.value

    return tell


def stale(*items: str) -> Intercept:
    """What the S1SP was told first of those items, ever after."""

    def tell(seen: Seen) -> Any:
        asked = seen.item in items and seen.details["client"] == S1SP
        return seen.memory.setdefault(seen.item, seen.value) if asked else seen.value

    return tell


def column(number: int, how: How) -> How:
    """A row with another value in one column, of which the first (0) is its time."""
    return lambda row: (*row[:number], how(row[number]), *row[number + 1 :])


def exchanged(first: int, second: int) -> How:
    """A row with two columns in each other's place."""

    def swap(row: tuple[Any, ...]) -> tuple[Any, ...]:
        cells = list(row)
        cells[first], cells[second] = cells[second], cells[first]
        return tuple(cells)

    return swap


def forgetting(*kept: str) -> Intercept:
    """Lose some of what is kept over a power cut."""
    return lambda seen: {name: value for name, value in seen.value.items() if name not in kept}


def event(code: int, *instead: int) -> Intercept:
    """Let other events happen instead of one, or none."""
    return lambda seen: instead if seen.item == f"{code:04X}" else seen.value


def answered(srv: str, how: How) -> Intercept:
    """Another answer to an SRV, where there is one with content."""

    def answer(seen: Seen) -> Any:
        if seen.item != srv or not getattr(seen.value, "data", None):
            return seen.value
        return replace(seen.value, data=how(seen.value.data))

    return answer


def deep(how: How, *elements: str) -> How:
    """Content with another value of every element of those names, however deep; ``DROP`` leaves it out."""

    def change(content: Any) -> Any:
        if isinstance(content, list | tuple):
            return [change(each) for each in content]
        if not hasattr(content, "items"):
            return content
        found = {name: how(value) if name in elements else change(value) for name, value in content.items()}
        return {name: value for name, value in found.items() if value is not DROP}

    return change


def renamed(names: dict[str, str]) -> How:
    """Content with elements under other names."""

    def change(content: Any) -> Any:
        if isinstance(content, list | tuple):
            return [change(each) for each in content]
        if not hasattr(content, "items"):
            return content
        return {names.get(name, name): change(value) for name, value in content.items()}

    return change


def in_summer(moment: datetime) -> bool:
    """Whether British Summer Time is in force; from 01:00 UTC of a Sunday in March to one in October."""
    begins, ends = (_last_sunday(moment, month) for month in (3, 10))
    return begins <= moment < ends


def _last_sunday(moment: datetime, month: int) -> datetime:
    last = moment.replace(month=month, day=31, hour=1, minute=0, second=0, microsecond=0)
    return last.replace(day=31 - last.isoweekday() % 7)
