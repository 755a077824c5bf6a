"""What the DCC answers itself: non-device requests, and the inventory that it holds of an installation."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from harness.domain.instruments import (
    Body,
    Device,
    EvidenceLog,
    LabClock,
    RigInHand,
    ServiceResponse,
    ServiceUser,
)
from harness.domain.payload import Payload
from harness.domain.words import DeviceType

DONE: Final = "I99"  # a non-device request that was done and has nothing to tell
NOT_IN_THIS_STATUS: Final = "E5"
UNKNOWN_DEVICE: Final = "E19"
NOTHING_FOUND: Final = "E080201"
KNOWN_ALREADY: Final = "E120201"

INVENTORY_TYPES: Final = {DeviceType.ESME: "ESME", DeviceType.GSME: "GSME", DeviceType.CH: "CHF"}

Entry = Mapping[str, str]  # an inventory entry's elements with their texts


def ask_dcc(
    evidence: EvidenceLog, user: ServiceUser, srv: str, device: Device, body: Body, *, code: str = DONE
) -> Payload:
    """Send a non-device request in the role that fits the device, and prove the whole answer."""
    response = user.request(srv, device, body)
    for what, found, expected in (
        ("response code", response.code, code),
        ("SRV of the response", response.srv, srv),
        ("problems of the message", response.problems, ()),
    ):
        evidence.expect(f"{srv}: {what}", found=found, expected=expected)
    return response.payload


def inventory(evidence: EvidenceLog, user: ServiceUser, device: Device) -> dict[str, Entry]:
    """The installation that a device is part of, by device id, as SRV 8.2 tells it."""
    return read_inventory(evidence, user, device, {"DeviceID": device.device_id})


def read_inventory(evidence: EvidenceLog, user: ServiceUser, device: Device, body: Body) -> dict[str, Entry]:
    """SRV 8.2 for a device id or a supply number; every device is told once."""
    payload = ask_dcc(evidence, user, "8.2", device, body, code="I0")
    entries = payload.all("DSPInventory/Device")
    ids = [entry.text("DeviceID").upper() for entry in entries]
    evidence.expect("devices that are told twice", found=sorted(set(ids)), expected=sorted(ids))
    return {id_: dict(entry.leaves()) for id_, entry in zip(ids, entries, strict=True)}


def with_status(entries: Mapping[str, Entry], device: Device, status: str) -> dict[str, Entry]:
    """An inventory in which one device has another status and all else is the same."""
    own = device.device_id.upper()
    return {id_: {**entry, "DeviceStatus": status} if id_ == own else entry for id_, entry in entries.items()}


def expect_refused(
    evidence: EvidenceLog, user: ServiceUser, clock: LabClock, response: ServiceResponse, *, code: str = ""
) -> None:
    """The DCC itself refused: with this code where one is known, and no response comes later either."""
    evidence.expect("success of a refused request", found=response.success, expected=False)
    evidence.expect("response code of a refused request", found=response.code, expected=code or response.code)
    admitted = response.acknowledgement.startswith("I")
    evidence.expect(f"admitted (acknowledgement {response.acknowledgement})", found=admitted, expected=False)
    evidence.expect("problems of the refusal", found=response.problems, expected=())
    strays = user.strays()
    clock.sleep(timedelta(minutes=5))
    evidence.expect("messages that came later", found=user.strays(), expected=strays)


def meters_of(rig: RigInHand) -> tuple[Device, ...]:
    """The rig's meters."""
    return tuple(device for device in rig.devices.values() if device.device_type is not DeviceType.CH)


def synchronised(clock: LabClock) -> dict[str, Any]:
    """SRV 6.11 and 8.1.1 for the time now, wide enough for a gas meter that hears of it in half an hour."""
    return {"CurrentDateTime": clock.now(), "TolerancePeriod": 3_600}
