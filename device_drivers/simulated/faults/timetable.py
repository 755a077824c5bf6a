"""Ways in which schedules and future-dated requests can go wrong, in the DCC and in meters."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from device_drivers.simulated.faults.making import at
from harness.domain.faults import DROP, Fault, Place, Point, Seen
from harness.domain.payload import Payload

_HOUR: Final = timedelta(hours=1)
_SCHEDULES: Final = ("5.1", "5.2", "5.3")
_HELD_BY_DEVICES: Final = ("1.1.1", "1.2.1", "1.6", "2.1", "6.4.1", "11.3")
_HELD_BY_THE_DCC: Final = ("3.2", "4.1.1")

_gateway = at(Place.GATEWAY)


def _instead(item: str, how: Any) -> Any:
    """What passes under an item, by ``how``; all else as it is."""
    return lambda seen: how(seen) if seen.item == item else seen.value


def _twice(seen: Seen) -> Any:
    """Each time comes once more a minute later."""
    if seen.item != "next" or seen.value is None:
        return seen.value
    again = seen.memory.pop("again", None)
    if again is None:
        seen.memory["again"] = seen.value
        return seen.value
    return again + timedelta(minutes=1)


def _other_day(seen: Seen) -> Any:
    """The schedule asks for the period of the day before."""
    details = dict(seen.value.details.tree)
    for name, asked in details.items():
        if isinstance(asked, dict) and "StartDateOffset" in asked:
            offsets = {end: str(int(asked[end]) - 1) for end in ("StartDateOffset", "EndDateOffset")}
            details[name] = asked | offsets
    return replace(seen.value, details=Payload(details))


def _once(seen: Seen) -> Any:
    """Only the first time of a schedule comes."""
    first, seen.memory["first"] = "first" not in seen.memory, True
    return seen.value if first else None


def _of_all(seen: Seen) -> Any:
    """Deleting one schedule deletes the next one too."""
    return (*seen.value, *(number + 1 for number in seen.value))


def _at_once(seen: Seen) -> Any:
    """What is to be held for later takes effect a second from now."""
    return {**seen.value, "at": seen.details["now"] + timedelta(seconds=1)}


def _late(seen: Seen) -> Any:
    return {**seen.value, "at": seen.value["at"] + _HOUR}


def _one_name(seen: Seen) -> Any:
    """A meter holds one thing only, whatever it is."""
    return {**seen.value, "name": "held"}


def _half(seen: Seen) -> Any:
    """Of settings that were held, one does not take effect."""
    held = seen.value
    if held.settings is None or len(held.settings) < 2:
        return held
    return replace(held, settings=dict(list(held.settings.items())[:-1]))


def _not_kept(seen: Seen) -> Any:
    return {**seen.value, "holding": {}}


def _meters(
    name: str, point: Point, description: str, intercept: Any, srvs: tuple[str, ...]
) -> tuple[Fault, ...]:
    """The same fault in both meters."""
    return tuple(
        Fault(f"{place}-{name}", place, point, description, intercept, srvs=srvs)
        for place in (Place.ESME, Place.GSME)
    )


_LATER: Final = ("release_settings_at", "image_activate_at")


def _when_held(how: Any) -> Any:
    return lambda seen: how(seen) if seen.item in _LATER else seen.value


FAULTS: tuple[Fault, ...] = (
    _gateway(
        "schedule-forgotten",
        Point.SCHEDULE,
        "a schedule is answered with its id and forgotten",
        _instead("create", lambda _: DROP),
        *_SCHEDULES,
    ),
    _gateway(
        "schedule-once",
        Point.SCHEDULE,
        "a schedule is carried out once and never again",
        _instead("next", _once),
        "5.1",
    ),
    _gateway(
        "schedule-twice",
        Point.SCHEDULE,
        "each time of a schedule comes once more a minute later",
        _twice,
        "5.1",
    ),
    _gateway(
        "schedule-hour-late",
        Point.SCHEDULE,
        "a schedule is carried out an hour late",
        _instead("next", lambda seen: seen.value and seen.value + _HOUR),
        "5.1",
    ),
    _gateway(
        "schedule-hour-early",
        Point.SCHEDULE,
        "a schedule is carried out an hour early, or at once",
        _instead("next", lambda seen: seen.value and seen.value - _HOUR),
        "5.1",
    ),
    _gateway(
        "schedule-other-day",
        Point.SCHEDULE,
        "a schedule asks for the period of the day before",
        _instead("create", _other_day),
        "5.1",
    ),
    _gateway(
        "schedule-deletion-ignored",
        Point.SCHEDULE,
        "a schedule's deletion is answered and not done",
        _instead("removed", lambda _: DROP),
        "5.3",
    ),
    _gateway(
        "schedule-deletion-too-much",
        Point.SCHEDULE,
        "with a schedule the next one is deleted",
        _instead("removed", _of_all),
        "5.3",
    ),
    _gateway(
        "held-lost",
        Point.SCHEDULE,
        "what the DCC is to hold until its time is lost",
        _instead("held", lambda _: DROP),
        *_HELD_BY_THE_DCC,
    ),
    _gateway(
        "held-not",
        Point.SCHEDULE,
        "what the DCC is to hold until its time goes at once",
        _instead("held", lambda seen: seen.details["now"]),
        *_HELD_BY_THE_DCC,
    ),
    _gateway(
        "held-hour-late",
        Point.SCHEDULE,
        "what the DCC holds goes an hour late",
        _instead("held", lambda seen: seen.value + _HOUR),
        *_HELD_BY_THE_DCC,
    ),
    *_meters(
        "held-at-once",
        Point.ACTION,
        "what is to take effect later takes effect at once",
        _when_held(_at_once),
        _HELD_BY_DEVICES,
    ),
    *_meters(
        "held-late",
        Point.ACTION,
        "what is to take effect at a time takes effect an hour later",
        _when_held(_late),
        _HELD_BY_DEVICES,
    ),
    *_meters(
        "held-one-only",
        Point.ACTION,
        "what is to take effect later pushes out what was held before",
        _when_held(_one_name),
        ("1.1.1", "1.6", "2.1"),
    ),
    *_meters(
        "held-never",
        Point.ACTION,
        "what was held for its time never takes effect",
        _instead("held", lambda _: DROP),
        _HELD_BY_DEVICES,
    ),
    *_meters(
        "held-in-part",
        Point.ACTION,
        "of settings held for their time one does not take effect",
        _instead("held", _half),
        ("1.1.1", "1.2.1", "2.1"),
    ),
    Fault(
        "esme-held-forgotten-without-power",
        Place.ESME,
        Point.POWER,
        "what was held is forgotten in a power cut",
        _not_kept,
        srvs=("1.2.1",),
    ),
    *_meters(
        "held-alert-missing",
        Point.ALERT,
        "a meter does not tell that it has done what it held",
        _instead("8F66", lambda _: DROP),
        ("1.2.1",),
    ),
)
