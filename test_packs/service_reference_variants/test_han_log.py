"""Service group 8: the hub's HAN Device Log (SRV 8.9, 8.11)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

import pytest

from harness.domain.events import Event
from harness.domain.instruments import (
    Bench,
    CommunicationsHub,
    Device,
    EvidenceLog,
    LabClock,
    RigInHand,
    ServiceUser,
)
from harness.domain.payload import Payload
from test_packs.arrange import Declined, Served, Unchanged, added_rows, power_cut
from test_packs.content import expect_content
from test_packs.estate import meters_of

pytestmark = pytest.mark.functional_group("8 Device estate management")

_INSTALL_CODE: Final = "0123456789ABCDEF"
_NO_ANSWER: Final = "E21"
_STRANGER: Final = "00-DB-12-34-56-FE-00-09"


@pytest.fixture(autouse=True)
def han_log_put_back(ch: CommunicationsHub) -> Iterator[None]:
    """Puts what a test took off the log back on it, and takes off what it added, by management access."""
    before = ch.han_devices()
    yield
    for device_id in set(ch.han_devices()) - set(before):
        ch.perform("han_remove", device_id)
    for device_id in before:
        if device_id not in ch.han_devices():
            code = bytes.fromhex(_INSTALL_CODE)
            ch.perform("han_add", {"device_id": device_id, "install_code": code, "period": 600})


def _add(device_id: str) -> dict[str, Any]:
    join = {"JoinTimePeriod": 600, "InstallCode": _INSTALL_CODE}
    return {"DeviceID": device_id, "RequestType": "Add", "AddDeviceToCHFWhitelist": join}


def _remove(device_id: str) -> dict[str, Any]:
    return {"DeviceID": device_id, "RequestType": "Remove"}


def _read(served: Served, ch: CommunicationsHub) -> Payload:
    return served("8.9", ch, {"ReadSecurityDetails": None})


def _last(ch: CommunicationsHub, device: Device) -> Any:
    """When the hub last heard of a device, by its own log."""
    return {row["device_id"]: row["last_communication"] for row in ch.read("han_devices")}[device.device_id]


@pytest.mark.srv("8.9")
@pytest.mark.ttm("TTM-8.9-C-01", "TTM-8.9-C-02", "TTM-AK-20.13b-01")
@pytest.mark.devices("CH")
def test_every_joined_device_is_told_with_its_last_communication(
    served: Served,
    unchanged: Unchanged,
    rig: RigInHand,
    ch: CommunicationsHub,
    clock: LabClock,
    evidence: EvidenceLog,
) -> None:
    """SRV 8.9: the rig's meters, each once, with the time at which the hub last heard of it."""
    meters = meters_of(rig)
    for meter in meters:
        clock.sleep(timedelta(minutes=3))
        asked = clock.now()
        served("4.18", meter)
        heard = _last(ch, meter)
        evidence.expect_between("last communication", found=heard, low=asked, high=clock.now())
    with unchanged(ch):
        payload = _read(served, ch)
    entries = [
        {"DeviceID": row["device_id"], "LastCommunicationsDateTime": row["last_communication"]}
        for row in ch.read("han_devices")
    ]
    expect_content(evidence, "the HAN Device Log", payload, {"CHFDeviceLog": {"CHFDeviceLogEntry": entries}})
    ids = {entry["DeviceID"] for entry in entries}
    evidence.expect("devices of the rig", found=ids, expected={meter.device_id for meter in meters})


@pytest.mark.srv("8.9", "8.11")
@pytest.mark.ttm("TTM-8.11-C-01", "TTM-8.11-C-02")
@pytest.mark.devices("CH")
def test_a_device_is_taken_off_the_log_and_put_back(
    served: Served,
    unchanged: Unchanged,
    user: ServiceUser,
    rig: RigInHand,
    ch: CommunicationsHub,
    bench: Bench,
    clock: LabClock,
    evidence: EvidenceLog,
) -> None:
    """SRV 8.11: a meter taken off the log is not reached, over a power cut too; put back on it, it is."""
    before, logged = ch.han_devices(), ch.log("event_log")
    for meter in meters_of(rig):
        with unchanged(ch, but={"han_devices"}):
            served("8.11", ch, _remove(meter.device_id))
        others = tuple(device_id for device_id in before if device_id != meter.device_id)
        evidence.expect("the log without it", found=ch.han_devices(), expected=others)
        told = [entry.text("DeviceID") for entry in _read(served, ch).all("CHFDeviceLog/CHFDeviceLogEntry")]
        evidence.expect("the log told without it", found=tuple(told), expected=others)
        power_cut(bench, clock)
        evidence.expect("answer", found=user.request("4.18", meter).code, expected=_NO_ANSWER)
        with unchanged(ch, but={"han_devices"}):
            served("8.11", ch, _add(meter.device_id))
        evidence.expect("the log with it", found=set(ch.han_devices()), expected=set(before))
        served("4.18", meter)
    events = [row.values["code"] for row in added_rows(logged, ch.log("event_log"))]
    due = [Event.DEVICE_LEFT, Event.DEVICE_JOINED] * len(before)
    evidence.expect("events of the hub", found=events, expected=due)


@pytest.mark.srv("8.9", "8.11")
@pytest.mark.ttm("TTM-8.11-C-03", "TTM-AK-5.4a-01")
@pytest.mark.devices("CH")
def test_a_device_that_is_not_there_waits_on_the_log(
    served: Served, declined: Declined, unchanged: Unchanged, ch: CommunicationsHub, evidence: EvidenceLog
) -> None:
    """SRV 8.11: a device far away is listed without a time, not twice, and can be taken off once."""
    before = ch.han_devices()
    with unchanged(ch, but={"han_devices"}):
        served("8.11", ch, _add(_STRANGER))
    evidence.expect("the log", found=set(ch.han_devices()), expected={*before, _STRANGER})
    entries = _read(served, ch).all("CHFDeviceLog/CHFDeviceLogEntry")
    told = [dict(entry.leaves()) for entry in entries if entry.text("DeviceID") == _STRANGER]
    evidence.expect("what is told of it", found=told, expected=[{"DeviceID": _STRANGER}])
    with unchanged(ch):
        declined("8.11", ch, _add(_STRANGER))
    with unchanged(ch, but={"han_devices"}):
        served("8.11", ch, _remove(_STRANGER))
    evidence.expect("the log", found=ch.han_devices(), expected=before)
    with unchanged(ch):
        declined("8.11", ch, _remove(_STRANGER))
