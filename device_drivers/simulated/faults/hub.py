"""Ways in which a Communications Hub can be wrong: the HAN and its log, the WAN, alerts on their way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from device_drivers.simulated.faults.making import at, lose, stale, told, turned
from harness.domain.events import Event
from harness.domain.faults import DROP, Fault, Place, Point, Seen

_INSTALLATION: Final = ("The installation",)

_fault = at(Place.CH)


def _first_to_each(seen: Seen) -> Any:
    """The first message to each device is lost after a start."""
    met = seen.memory.setdefault("met", set())
    if seen.item in met or seen.item == "CH":
        return seen.value
    met.add(seen.item)
    return DROP


def _answer_before(seen: Seen) -> Any:
    """The gas meter's answer to the question before."""
    if seen.item != "GSME":
        return seen.value
    before = seen.memory.get("before", seen.value)
    seen.memory["before"] = seen.value
    return before


def _altered(seen: Seen) -> Any:
    apdu = bytes(seen.value)
    return apdu[:-1] + bytes([apdu[-1] ^ 0xFF]) if seen.item == "ESME" else apdu


def _kept_back(seen: Seen) -> Any:
    """Each alert goes out with the next one."""
    waiting: list[Any] = seen.memory.setdefault("waiting", [])
    out = tuple(waiting)
    waiting[:] = seen.value
    return out


def _without_gas(rows: Iterable[Mapping[str, Any]]) -> tuple[Mapping[str, Any], ...]:
    return tuple(row for row in rows if row["type"] != "GSME")


def _never(rows: Iterable[Mapping[str, Any]]) -> tuple[Mapping[str, Any], ...]:
    never = datetime(2000, 1, 1).astimezone()
    return tuple({**row, "last_communication": never} for row in rows)


def _gas_left(seen: Seen) -> Any:
    """After a power cut only the first meter is joined."""
    return dict(list(seen.value.items())[:1])


def _other_meter(seen: Seen) -> Any:
    """Alerts are sent as the hub's own."""
    return tuple(replace(alert, device_id=seen.details["device_id"]) for alert in seen.value)


def _with_tamper(seen: Seen) -> Any:
    """With each alert of lost power one of an opened cover, which nobody has opened."""
    return tuple(
        each
        for alert in seen.value
        for each in (
            (alert, replace(alert, code=Event.COVER_OPENED)) if alert.code == Event.POWER_LOST else (alert,)
        )
    )


def _in_local_time(seen: Seen) -> Any:
    return tuple(replace(alert, timestamp=alert.timestamp + timedelta(hours=1)) for alert in seen.value)


FAULTS: tuple[Fault, ...] = (
    Fault(
        "alert-lost",
        Place.CH,
        Point.ALERT,
        "the hub passes no alert on",
        lambda seen: DROP,  # noqa: ARG005 - every alert
    ),
    _fault(
        "alerts-doubled",
        Point.DELIVERY,
        "each alert is sent twice",
        lambda seen: tuple(alert for alert in seen.value for _ in range(2)),
    ),
    _fault(
        "alerts-kept-back",
        Point.DELIVERY,
        "each alert waits in the hub until there is another",
        _kept_back,
    ),
    _fault(
        "alerts-as-its-own",
        Point.DELIVERY,
        "alerts of the meters are sent as the hub's own",
        _other_meter,
    ),
    _fault(
        "alert-without-cause",
        Point.DELIVERY,
        "with lost power an opened cover is alerted, which nobody opened",
        _with_tamper,
        groups=_INSTALLATION,
    ),
    _fault(
        "alerts-in-local-time",
        Point.DELIVERY,
        "alerts bear a time an hour ahead",
        _in_local_time,
    ),
    _fault(
        "last-gasp-lost",
        Point.ALERT,
        "the loss of power is not told",
        lose("0002"),
        groups=_INSTALLATION,
    ),
    _fault(
        "first-message-lost",
        Point.REQUEST,
        "the first message to each meter is lost",
        _first_to_each,
    ),
    _fault(
        "gas-answers-lost",
        Point.RESPONSE,
        "what the gas meter answers does not reach the WAN",
        lose("GSME"),
    ),
    _fault(
        "gas-answers-of-before",
        Point.RESPONSE,
        "each question to the gas meter is answered with what it answered before",
        _answer_before,
    ),
    _fault(
        "answers-altered",
        Point.RESPONSE,
        "the last byte of each answer of the electricity meter is altered on its way",
        _altered,
    ),
    _fault(
        "gas-never-wakes",
        Point.WAKE,
        "what is for the gas meter never finds it awake",
        lose("GSME"),
    ),
    _fault(
        "slow-to-wake",
        Point.WAKE,
        "a hub that sleeps needs the time of two messages to wake",
        turned(lambda wait: 2 * wait, "CH"),
        groups=_INSTALLATION,
        may_be_missed="no source says how long a hub may take to wake: within the user's patience is in time",
    ),
    _fault(
        "log-without-gas",
        Point.READ,
        "the gas meter is missing from the HAN Device Log that is told",
        told(_without_gas, "han_devices"),
        "8.9",
    ),
    _fault(
        "log-stale",
        Point.READ,
        "the HAN Device Log is told as it was first told",
        stale("han_devices"),
        "8.9",
    ),
    _fault(
        "log-without-times",
        Point.READ,
        "no device of the HAN Device Log is told to have ever communicated",
        told(_never, "han_devices"),
        "8.9",
    ),
    _fault(
        "join-ignored",
        Point.ACTION,
        "a device is to be put on the log, and is not",
        lose("han_add"),
        "8.11",
    ),
    _fault(
        "removal-ignored",
        Point.ACTION,
        "a device is to be taken off the log, and stays",
        lose("han_remove"),
        "8.11",
    ),
    _fault(
        "another-device-joins",
        Point.ACTION,
        "the device that joins is another than the one named",
        turned(
            lambda argument: {**argument, "device_id": f"{argument['device_id'][:-2]}FE"}, "han_add"
        ),
        "8.11",
    ),
    _fault(
        "cut-loses-a-join",
        Point.POWER,
        "after a power cut only the electricity meter is joined",
        _gas_left,
    ),
    _fault(
        "cut-loses-the-joins",
        Point.POWER,
        "after a power cut no meter is joined",
        lambda seen: {},  # noqa: ARG005 - every device
    ),
)  # fmt: skip
