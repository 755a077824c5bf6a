"""Checks that are missing at devices: at their ports, at the hub, of firmware and of top-up codes."""

from __future__ import annotations

import re
from typing import Any, Final

from device_drivers.simulated.faults.making import at, event, lose, unchecked
from device_drivers.utrn import make_utrn
from harness.domain.events import Event
from harness.domain.faults import Fault, Place, Point, Seen

_PORTS: Final = ("Security: device ports",)
_FIRMWARE: Final = ("Security: firmware",)
_HAN_AND_WAN: Final = ("Security: HAN and WAN",)
_CODES: Final = ("Security: top-up codes",)

_UTRN: Final = re.compile(r"(\d{6})(\d{7})\d{7}")


# Top-up codes


def _code(seen: Seen) -> re.Match[str] | None:
    """The code of a top-up; ``None`` for what is none, or for another item."""
    return (
        _UTRN.fullmatch(bytes(seen.value or b"").decode(errors="replace")) if seen.item == "top_up" else None
    )


def _any_meters_code(seen: Seen) -> Any:
    """Whatever its check says, the code is taken for one of this meter."""
    if (found := _code(seen)) is None:
        return seen.value
    return make_utrn(seen.details["device_id"], int(found[1]), int(found[2])).encode()


def _never_spent(seen: Seen) -> Any:
    """A code that comes again is taken for a new one."""
    if (found := _code(seen)) is None:
        return seen.value
    codes = seen.memory.setdefault("codes", set())
    if seen.value not in codes:
        codes.add(seen.value)
        return seen.value
    fresh = (int(found[2]) + 5_000_000 + len(codes)) % 10_000_000
    return make_utrn(seen.details["device_id"], int(found[1]), fresh).encode()


_PORT_CHECKS: Final = (
    # Name, check, what is wrong
    ("tag-unverified", "tag", "the authentication tag of an APDU is not verified"),
    ("proof-unverified", "challenge", "any answer to the challenge will do"),
    ("proof-optional", "unproven", "a client that leaves the challenge unanswered is served"),
    ("security-on-request", "mechanism", "a client gets as little security as it asks for"),
    ("plain-served", "ciphered", "an APDU that is not ciphered is served where all must be"),
    ("encryption-optional", "security_control", "an APDU that is only authenticated is served"),
    ("counter-unchecked", "counter", "an APDU under a counter that was used is done again"),
    ("title-unchecked", "title", "the keys are good under any system title"),
    ("password-unchecked", "password", "any password will do"),
    ("guessing-unbounded", "lockout", "a client may guess for ever"),
    ("rights-unchecked", "rights", "every client may read and write all"),
    ("unknown-clients-heard", "client", "a client whom nobody knows is heard"),
)


def _at_port(place: Place) -> tuple[Fault, ...]:
    fault = at(place)
    return (
        *(
            fault(name, Point.CHECK, what, unchecked(check), groups=_PORTS)
            for name, check, what in _PORT_CHECKS
        ),
        fault(
            "failures-unlogged",
            Point.EVENT,
            "a failed authentication is neither logged nor alerted",
            event(Event.AUTHENTICATION_FAILED),
            groups=_PORTS,
        ),
        fault(
            "failures-unalerted",
            Point.ALERT,
            "a failed authentication is logged, and nobody is alerted",
            lose("0083"),
            groups=_PORTS,
        ),
    )


def _of_meter(place: Place) -> tuple[Fault, ...]:
    fault = at(place)
    return (
        *_at_port(place),
        fault(
            "image-hash-unchecked",
            Point.CHECK,
            "firmware is taken whatever its hash",
            unchecked("image"),
            groups=_FIRMWARE,
        ),
        fault(
            "image-of-others-taken",
            Point.CHECK,
            "firmware is taken whatever device it is for",
            unchecked("image_fit"),
            groups=_FIRMWARE,
        ),
        fault(
            "image-refusal-untold",
            Point.EVENT,
            "firmware that is refused is neither logged nor alerted",
            event(Event.FIRMWARE_REFUSED),
            groups=_FIRMWARE,
        ),
        fault(
            "utrn-of-any-meter",
            Point.ACTION,
            "the check of a top-up code is not looked at",
            _any_meters_code,
            groups=_CODES,
        ),
        fault(
            "utrn-never-spent",
            Point.ACTION,
            "a top-up code is good as often as it comes",
            _never_spent,
            groups=_CODES,
        ),
        fault(
            "utrn-guessing-unbounded",
            Point.CHECK,
            "top-up codes may be guessed for ever",
            unchecked("guessing"),
            groups=_CODES,
        ),
    )


def _of_hub() -> tuple[Fault, ...]:
    fault = at(Place.CH)
    untold = {"title-unchecked", "guessing-unbounded", "counter-unchecked", "tag-unverified"}
    unused = {"password-unchecked", "encryption-optional", *untold}  # of what no test asks the hub
    kept = tuple(each for each in _at_port(Place.CH) if each.name.removeprefix("ch-") not in unused)
    return (
        *kept,
        fault(
            "anybody-joins",
            Point.CHECK,
            "a device that is not on the log may join the HAN",
            unchecked("join"),
            groups=_HAN_AND_WAN,
        ),
        fault(
            "join-refusal-unlogged",
            Point.EVENT,
            "a device that may not join leaves no trace in the log",
            event(Event.JOIN_REFUSED),
            groups=_HAN_AND_WAN,
        ),
        Fault(
            "s1sp-any-hub-believed",
            Place.S1SP,
            Point.CHECK,
            "whoever says that he is a hub is taken for it",
            unchecked("hub"),
            groups=_HAN_AND_WAN,
        ),
    )


FAULTS: tuple[Fault, ...] = (
    *_of_meter(Place.ESME),
    *_of_meter(Place.GSME),
    *_of_hub(),
)
