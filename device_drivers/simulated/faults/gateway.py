"""Ways in which the DCC's gateway can be wrong: messages, alerts, the inventory, firmware on its way."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from device_drivers.simulated.faults.making import at, deep, lose, unchecked
from harness.domain.faults import DROP, Fault, Place, Point, Seen
from harness.domain.payload import Payload

_SIGNATURE: Final = re.compile(rb"(<(?:\w+:)?SignatureValue>\s*)(\S)")
_INSTALLATION: Final = ("The installation",)
_HOUR: Final = 3_600

_fault = at(Place.GATEWAY)


def _ten_minutes_late(seen: Seen) -> Any:
    if seen.item == "response":
        seen.details["hold"](600)
    return seen.value


def _alerts_an_hour_late(seen: Seen) -> Any:
    if seen.item == "alert":
        seen.details["hold"](_HOUR)
    return seen.value


def _signature_changed(seen: Seen) -> Any:
    if seen.item != "response":
        return seen.value
    return tuple(_SIGNATURE.sub(_another_letter, xml, count=1) for xml in seen.value)


def _another_letter(found: re.Match[bytes]) -> bytes:
    return found[1] + (b"A" if found[2] != b"A" else b"B")


def _with_the_one_before(seen: Seen) -> Any:
    """Each response comes with the one before it once more."""
    if seen.item != "response":
        return seen.value
    before = seen.memory.get("before", ())
    seen.memory["before"] = seen.value
    return (*before, *seen.value)


def _listed(how: Any) -> Any:
    """The DCC's answer to a question for the inventory, with other content."""

    def answer(seen: Seen) -> Any:
        if seen.item != "8.2" or not getattr(seen.value, "content", None):
            return seen.value
        return replace(seen.value, content=how(seen.value.content))

    return answer


def _neighbour(device_id: str) -> str:
    """The next device of the same rig: by our numbering its electricity meter is 01, its gas meter 02."""
    return f"{device_id[:-2]}02" if device_id.endswith("01") else f"{device_id[:-2]}01"


def _asked(srv: str, **elements: Any) -> Any:
    """A request with other content: each element's function makes its value of the one sent."""

    def ask(seen: Seen) -> Any:
        if seen.item != srv or seen.value is DROP:
            return seen.value
        content: Mapping[str, Any] = seen.value.body.tree
        changed = {name: how(content[name]) for name, how in elements.items() if name in content}
        return replace(seen.value, body=Payload({**content, **changed}))

    return ask


def _told_as_distributed(seen: Seen) -> Any:
    return replace(seen.value, code="FW1") if seen.item == "firmware_not_distributed" else seen.value


MESSAGES: Final = (
    Fault(
        "replay-accepted",
        Place.GATEWAY,
        Point.CHECK,
        "a counter that has been used before is accepted again",
        unchecked("counter"),
    ),
    Fault(
        "signature-unchecked",
        Place.GATEWAY,
        Point.CHECK,
        "the signature of a request is not checked",
        unchecked("signature"),
    ),
    Fault(
        "role-unchecked",
        Place.GATEWAY,
        Point.CHECK,
        "a User Role may ask for what is not its own",
        unchecked("role", "authorised"),
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
    _fault(
        "old-response-again",
        Point.DELIVERY,
        "with each response the one before it is posted again",
        _with_the_one_before,
    ),
    _fault(
        "status-request-lost",
        Point.REQUEST,
        "requests for the state of the supply are acknowledged and forgotten",
        lose("7.4"),
        "7.4",
    ),
    _fault(
        "version-response-lost",
        Point.RESPONSE,
        "responses with a firmware version are never sent",
        lose("11.2"),
        "11.2",
    ),
    _fault(
        "silence-for-an-answer",
        Point.RESPONSE,
        "the DCC says that a meter which has answered is silent",
        lambda seen: "E21" if seen.item == "4.16" else seen.value,
        "4.16",
    ),
    _fault(
        "alerts-late",
        Point.DELIVERY,
        "alerts are sent on an hour late",
        _alerts_an_hour_late,
    ),
    _fault(
        "alerts-posted-twice",
        Point.DELIVERY,
        "every alert is posted twice",
        lambda seen: seen.value * 2 if seen.item == "alert" else seen.value,
    ),
    _fault(
        "tamper-alert-lost",
        Point.ALERT,
        "the alert of an opened cover goes no further than the DCC",
        lose("0081"),
        groups=_INSTALLATION,
    ),
    _fault(
        "status-unchecked",
        Point.CHECK,
        "a device is served whatever its status in the inventory",
        unchecked("status"),
        "8.3", "8.4", "12.2",
    ),
)  # fmt: skip

INVENTORY: Final = (
    _fault(
        "inventory-of-one",
        Point.RESPONSE,
        "the inventory tells the first device of an installation alone",
        _listed(deep(lambda devices: list(devices)[:1], "Device")),
        "8.2",
    ),
    _fault(
        "inventory-number-untold",
        Point.RESPONSE,
        "the inventory tells no supply numbers",
        _listed(deep(lambda _: DROP, "ImportMPxN", "ExportMPAN")),
        "8.2", "8.4",
    ),
    _fault(
        "inventory-of-another-firmware",
        Point.RESPONSE,
        "the inventory tells another firmware version",
        _listed(deep(lambda version: f"{version[:-1]}X", "DeviceFirmwareVersion")),
        "8.2",
    ),
    _fault(
        "inventory-all-commissioned",
        Point.RESPONSE,
        "the inventory tells of every device that it is commissioned",
        _listed(deep(lambda _: "Commissioned", "DeviceStatus")),
        "8.3", "8.4", "12.2",
    ),
    _fault(
        "neighbour-decommissioned",
        Point.REQUEST,
        "another device of the installation is decommissioned",
        _asked("8.3", DeviceID=_neighbour),
        "8.3",
    ),
    _fault(
        "neighbour-updated",
        Point.REQUEST,
        "the record of another device of the installation is updated",
        _asked("8.4", DeviceID=_neighbour),
        "8.4",
    ),
    _fault(
        "pre-notified-as-another",
        Point.REQUEST,
        "a pre-notified device is entered as one of another model",
        _asked("12.2", DeviceModel=lambda model: f"{model[:-1]}X"),
        "12.2",
    ),
    _fault(
        "commissioning-refused",
        Point.RESPONSE,
        "a device that is commissioned is answered, and noted, as one that is not",
        lambda seen: (
            replace(seen.value, success=False, debug=((1, "not noted"),))
            if seen.item == "8.1.1" and not isinstance(seen.value, str)
            else seen.value
        ),
        "8.1.1",
    ),
)  # fmt: skip

FIRMWARE: Final = (
    _fault(
        "image-for-the-neighbour",
        Point.REQUEST,
        "an image is brought to another device of the installation",
        _asked("11.1", DeviceIDList=_neighbour),
        "11.1",
    ),
    _fault(
        "image-cut-short",
        Point.REQUEST,
        "an image reaches the device without its end",
        _asked("11.1", FirmwareImage=lambda image: image[: len(image) // 8 * 4]),
        "11.1", "11.3",
    ),
    _fault(
        "image-under-another-version",
        Point.REQUEST,
        "an image is brought to the device under another version",
        _asked("11.1", FirmwareVersion=lambda version: f"{version[:-1]}X"),
        "11.1", "11.3",
    ),
    _fault(
        "distribution-untold",
        Point.ALERT,
        "nobody is told that an image has reached its device",
        lose("firmware_distributed"),
        "11.1",
    ),
    _fault(
        "refused-image-told-as-distributed",
        Point.ALERT,
        "an image that a device refused is told as one that has reached it",
        _told_as_distributed,
        "11.1",
    ),
)  # fmt: skip

FAULTS: tuple[Fault, ...] = (*MESSAGES, *INVENTORY, *FIRMWARE)
