"""The built-in fault catalogue: ways in which a simulated lab can be wrong, switched on by name.

``srvs`` names the SRVs whose tests have reason to notice; a pack that passes one of these is a defect in the
pack. See :mod:`harness.domain.faults` for the points and for how to write one of your own.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from device_drivers.utrn import make_utrn, parse_utrn
from harness.domain.faults import DROP, Fault, Place, Point, Seen

_S1SP_CLIENT: Final = 2
_SIGNATURE: Final = re.compile(rb"(<(?:\w+:)?SignatureValue>\s*)(\S)")

Intercept = Callable[[Seen], Any]


def _lose(*items: str) -> Intercept:
    """Let nothing pass of those items."""
    return lambda seen: DROP if seen.item in items else seen.value


def _standing_still(seen: Seen) -> Any:
    return seen.memory.setdefault("first", seen.value) if seen.item == "active_import" else seen.value


def _every_third_row(seen: Seen) -> Any:
    if seen.item != "profile":
        return seen.value
    seen.memory["rows"] = seen.memory.get("rows", 0) + 1
    return seen.value if seen.memory["rows"] % 3 else DROP


def _kilowatt_hours(seen: Seen) -> Any:
    if seen.item == "active_import" and seen.details["client"] == _S1SP_CLIENT:
        return seen.value // 1000
    return seen.value


def _another_device(seen: Seen) -> Any:
    device_id = seen.value.device_id
    return replace(seen.value, device_id=device_id[:-1] + ("E" if device_id[-1] != "E" else "F"))


def _double_worth(seen: Seen) -> Any:
    if seen.item != "top_up":
        return seen.value
    device_id = seen.details["device_id"]
    try:
        pence, serial = parse_utrn(device_id, bytes(seen.value).decode())
    except ValueError:
        return seen.value  # a code that the meter refuses anyway
    return make_utrn(device_id, 2 * pence, serial).encode()


def _unchecked(*checks: str) -> Intercept:
    """Let those checks of the gateway refuse nothing."""
    return lambda seen: "" if seen.item in checks else seen.value


def _ten_minutes_late(seen: Seen) -> Any:
    if seen.item == "response":
        seen.details["hold"](600)
    return seen.value


def _signature_changed(seen: Seen) -> Any:
    if seen.item != "response":
        return seen.value
    return tuple(_SIGNATURE.sub(_another_letter, xml, count=1) for xml in seen.value)


def _another_letter(found: re.Match[bytes]) -> bytes:
    return found[1] + (b"A" if found[2] != b"A" else b"B")


FAULTS: tuple[Fault, ...] = (
    Fault(
        "esme-import-stuck",
        Place.ESME,
        Point.READ,
        "the active import register stays at what was first read of it, whatever the load",
        _standing_still,
        # All whose tests hold something against the register
        srvs=("4.1.1", "4.4.2", "4.4.3", "4.6.1", "4.8.1", "6.8", "6.11", "11.3"),
    ),
    Fault(
        "esme-profile-gap",
        Place.ESME,
        Point.LOG,
        "every third half hour is missing from the profile",
        _every_third_row,
        srvs=("4.8.1", "4.8.2", "4.8.3"),
    ),
    Fault(
        "esme-import-unit",
        Place.ESME,
        Point.READ,
        "the meter tells the S1SP its import register in kWh, where Wh is due",
        _kilowatt_hours,
        srvs=("4.1.1",),
    ),
    Fault(
        "esme-disable-ignored",
        Place.ESME,
        Point.ACTION,
        "a disable supply command is acknowledged, and the supply stays on",
        _lose("disable_supply"),
        srvs=("7.2",),
    ),
    Fault(
        "esme-clock-set-ignored",
        Place.ESME,
        Point.WRITE,
        "setting the clock is acknowledged, and the clock is left as it was",
        _lose("clock"),
        srvs=("6.11", "8.1.1"),
    ),
    Fault(
        "esme-price-not-applied",
        Place.ESME,
        Point.WRITE,
        "new prices are acknowledged, and the old ones stay",
        _lose("tou_prices", "block_prices"),
        srvs=("1.1.1", "1.2.1", "4.11.1"),
    ),
    Fault(
        "esme-top-up-doubled",
        Place.ESME,
        Point.ACTION,
        "a top-up is credited twice over",
        _double_worth,
        srvs=("2.2",),
    ),
    Fault(
        "esme-event-not-logged",
        Place.ESME,
        Point.LOG,
        "events are missing from the event log",
        _lose("event_log"),
        srvs=("6.13",),
    ),
    Fault(
        "gsme-valve-stays-open",
        Place.GSME,
        Point.ACTION,
        "a disable supply command is acknowledged, and the valve stays open",
        _lose("disable_supply"),
        srvs=("7.2",),
    ),
    Fault(
        "alert-lost",
        Place.CH,
        Point.ALERT,
        "the hub passes no alert on",
        lambda seen: DROP,  # noqa: ARG005 - every alert
    ),
    Fault(
        "response-of-another-device",
        Place.S1SP,
        Point.RESPONSE,
        "the S1SP puts another device's id on a response",
        _another_device,
    ),
    Fault(
        "replay-accepted",
        Place.GATEWAY,
        Point.CHECK,
        "a counter that has been used before is accepted again",
        _unchecked("counter"),
    ),
    Fault(
        "signature-unchecked",
        Place.GATEWAY,
        Point.CHECK,
        "the signature of a request is not checked",
        _unchecked("signature"),
    ),
    Fault(
        "role-unchecked",
        Place.GATEWAY,
        Point.CHECK,
        "a User Role may ask for what is not its own",
        _unchecked("role", "authorised"),
    ),
    Fault(
        "response-late",
        Place.GATEWAY,
        Point.DELIVERY,
        "every response comes ten minutes late",
        _ten_minutes_late,
    ),
    Fault(
        "response-signature-broken",
        Place.GATEWAY,
        Point.DELIVERY,
        "a signature of every response is not that of its content",
        _signature_changed,
    ),
    Fault(
        "response-delivered-twice",
        Place.GATEWAY,
        Point.DELIVERY,
        "every response is posted twice",
        lambda seen: seen.value * 2 if seen.item == "response" else seen.value,
    ),
)
