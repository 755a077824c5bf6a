"""Service groups 8 and 12: the inventory (SRV 8.1.1, 8.2, 8.3, 8.4, 12.2)."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Final

import pytest

from harness.domain.instruments import Device, EvidenceLog, LabClock, Meter, RigInHand, ServiceUser
from harness.domain.words import DeviceType
from test_packs.arrange import Served, Unchanged
from test_packs.estate import (
    INVENTORY_TYPES,
    KNOWN_ALREADY,
    NOT_IN_THIS_STATUS,
    NOTHING_FOUND,
    ask_dcc,
    expect_refused,
    inventory,
    meters_of,
    read_inventory,
    synchronised,
    with_status,
)

pytestmark = pytest.mark.functional_group("8 Device estate management")

_CHARACTERS: Final = 30  # of a name that the inventory has room for


@pytest.fixture
def commissioned(rig: RigInHand, user: ServiceUser, clock: LabClock, evidence: EvidenceLog) -> Iterator[None]:
    """Brings every meter that a test leaves in another status back to Commissioned: SRV 8.4, then 8.1.1."""
    yield
    for meter in meters_of(rig):
        found = inventory(evidence, user, meter)[meter.device_id.upper()]
        if found["DeviceStatus"] != "Commissioned":
            _put_status(evidence, user, meter, "Pending")
            user.request("8.1.1", meter, synchronised(clock))


def _put_status(evidence: EvidenceLog, user: ServiceUser, meter: Device, status: str) -> None:
    body = {"DeviceID": meter.device_id, "UpdateDeviceStatusExceptCH": status}
    ask_dcc(evidence, user, "8.4", meter, body)


def _expect_refused_and_others_served(
    evidence: EvidenceLog, user: ServiceUser, clock: LabClock, rig: RigInHand, meter: Meter, served: Served
) -> None:
    """A request for the meter is refused because of its status; one for the other meter is served."""
    expect_refused(evidence, user, clock, user.request("4.18", meter), code=NOT_IN_THIS_STATUS)
    for other in meters_of(rig):
        if other.device_id != meter.device_id:
            served("4.18", other)


@pytest.mark.srv("8.2")
@pytest.mark.ttm("TTM-8.2-D-01", "TTM-8.2-D-02", "TTM-8.2-E-01", "TTM-8.2-G-01", "TTM-8.2-C-01")
@pytest.mark.devices("ESME", "GSME", "CH")
def test_the_inventory_is_the_rigs(
    unchanged: Unchanged, user: ServiceUser, rig: RigInHand, meter: Device, evidence: EvidenceLog
) -> None:
    """SRV 8.2: each device of the rig once: type, status, Device Model, firmware and supply numbers."""
    with unchanged(meter):
        found = inventory(evidence, user, meter)
    ids = {device.device_id.upper() for device in rig.devices.values()}
    evidence.expect("devices of the installation", found=set(found), expected=ids)
    identity, known = meter.identity(), rig.rig.devices[meter.device_type].model
    due = {
        "DeviceID": identity.device_id,
        "DeviceType": INVENTORY_TYPES[meter.device_type],
        "DeviceStatus": "Commissioned",
        "DeviceManufacturer": known.manufacturer[:_CHARACTERS],
        "DeviceModel": known.model[:_CHARACTERS],
        "DeviceFirmwareVersion": identity.firmware,
        "ImportMPxN": {DeviceType.ESME: rig.rig.mpan, DeviceType.GSME: rig.rig.mprn}.get(
            meter.device_type, ""
        ),
        "ExportMPAN": rig.rig.export_mpan if meter.device_type is DeviceType.ESME else "",
    }
    entry = found[meter.device_id.upper()]
    told = {element: entry.get(element, "") for element in due}
    evidence.expect(f"inventory entry of the {meter.device_type}", found=told, expected=due)


@pytest.mark.srv("8.2")
@pytest.mark.ttm("TTM-8.2-D-03")
@pytest.mark.devices("ESME", "GSME")
@pytest.mark.reads_no_device("the inventory and its look-up are the DCC's, and no device knows of them")
def test_an_installation_is_found_by_its_supply_number(
    user: ServiceUser, rig: RigInHand, meter: Meter, evidence: EvidenceLog
) -> None:
    """SRV 8.2: asked by MPAN or MPRN the same installation is told; an unknown device is not found."""
    number = rig.rig.mpan if meter.device_type is DeviceType.ESME else rig.rig.mprn
    by_number = read_inventory(evidence, user, meter, {"MPxN": number})
    evidence.expect("by number and by id", found=by_number, expected=inventory(evidence, user, meter))
    for body in ({"DeviceID": _stranger(meter)}, {"MPxN": "9900000999"}):
        ask_dcc(evidence, user, "8.2", meter, body, code=NOTHING_FOUND)


def _stranger(meter: Device) -> str:
    """The id of a device that nobody has: our range, one that no rig uses, another each time.

    For an attempt that the lab has cut short may have left its own in the inventory.
    """
    drawn = uuid.uuid4().hex.upper()
    return f"{meter.device_id[:12]}FE-{meter.device_id[15:17]}-{drawn[:2]}-{drawn[2:4]}"


@pytest.mark.srv("8.2", "8.4", "4.18", "8.1.1")
@pytest.mark.ttm("TTM-8.4-D-01", "TTM-8.4-D-02", "TTM-8.4-E-01", "TTM-8.4-G-01")
@pytest.mark.devices("ESME", "GSME")
@pytest.mark.usefixtures("commissioned")
def test_a_status_is_held_and_decides_what_is_served(
    served: Served,
    unchanged: Unchanged,
    user: ServiceUser,
    rig: RigInHand,
    meter: Meter,
    clock: LabClock,
    evidence: EvidenceLog,
) -> None:
    """SRV 8.4: the status sent is held, no other device's changes, and requests are refused because of it."""
    before = inventory(evidence, user, meter)
    for status in ("InstalledNotCommissioned", "Pending"):
        with unchanged(meter, events=[]):
            _put_status(evidence, user, meter, status)
            due = with_status(before, meter, status)
            evidence.expect("inventory", found=inventory(evidence, user, meter), expected=due)
            _expect_refused_and_others_served(evidence, user, clock, rig, meter, served)
    served("8.1.1", meter, synchronised(clock))
    served("4.18", meter)


@pytest.mark.srv("8.2", "8.4")
@pytest.mark.ttm("TTM-8.4-D-03")
@pytest.mark.devices("ESME", "GSME")
def test_a_supply_number_and_a_device_model_are_held_in_the_inventory(
    unchanged: Unchanged, user: ServiceUser, meter: Meter, evidence: EvidenceLog
) -> None:
    """SRV 8.4: number, manufacturer and model sent are held and nothing else changes; they are put back."""
    before, own = inventory(evidence, user, meter), meter.device_id.upper()
    number = {"ImportMPxN": "9900000776"}
    names = {"DeviceManufacturer": "Another Maker", "DeviceModel": "AM-77"}
    untold = {*number, *names} - before[own].keys()
    evidence.expect("what the inventory does not tell of the device", found=untold, expected=set())
    for update, sent in (("UpdateMPxN", number), ("UpdateDeviceDetails", names)):
        for values in (sent, {element: before[own][element] for element in sent}):
            with unchanged(meter, events=[]):
                ask_dcc(evidence, user, "8.4", meter, {"DeviceID": meter.device_id, update: values})
            due = before | {own: {**before[own], **values}}
            evidence.expect(f"inventory, {values}", found=inventory(evidence, user, meter), expected=due)


@pytest.mark.srv("8.2", "8.3", "8.4", "4.18", "8.1.1")
@pytest.mark.ttm("TTM-8.3-D-01", "TTM-8.3-D-02", "TTM-8.3-E-01", "TTM-8.3-G-01")
@pytest.mark.devices("ESME", "GSME")
@pytest.mark.usefixtures("commissioned")
def test_a_decommissioned_device_is_served_no_more(
    served: Served,
    unchanged: Unchanged,
    user: ServiceUser,
    rig: RigInHand,
    meter: Meter,
    clock: LabClock,
    evidence: EvidenceLog,
) -> None:
    """SRV 8.3: the device is Decommissioned, no other is, and requests for it are refused ever after."""
    before = inventory(evidence, user, meter)
    with unchanged(meter, events=[]):
        ask_dcc(evidence, user, "8.3", meter, {"DeviceID": meter.device_id})
        due = with_status(before, meter, "Decommissioned")
        evidence.expect("inventory", found=inventory(evidence, user, meter), expected=due)
        _expect_refused_and_others_served(evidence, user, clock, rig, meter, served)
        clock.sleep(timedelta(hours=1))
        expect_refused(evidence, user, clock, user.request("4.18", meter), code=NOT_IN_THIS_STATUS)
    _put_status(evidence, user, meter, "Pending")
    served("8.1.1", meter, synchronised(clock))
    served("4.18", meter)


@pytest.mark.srv("8.1.1", "8.2", "8.4")
@pytest.mark.ttm("TTM-8.1.1-E-01", "TTM-8.1.1-E-02", "TTM-8.1.1-G-01", "TTM-8.1.1-G-02")
@pytest.mark.devices("ESME", "GSME")
@pytest.mark.usefixtures("commissioned")
def test_a_device_is_commissioned_and_its_clock_is_set(
    served: Served,
    unchanged: Unchanged,
    user: ServiceUser,
    meter: Meter,
    clock: LabClock,
    evidence: EvidenceLog,
) -> None:
    """SRV 8.1.1: an installed device becomes Commissioned and tells lab time; nothing else in it changes."""
    before, tolerance = inventory(evidence, user, meter), timedelta(seconds=2)
    _put_status(evidence, user, meter, "InstalledNotCommissioned")
    meter.write("clock", clock.now() - timedelta(seconds=90))
    asked = clock.now()
    slow, slowest = asked - timedelta(seconds=80), asked - timedelta(seconds=100)
    evidence.expect_between("the slow clock", found=meter.clock(), low=slowest, high=slow)
    with unchanged(meter):
        payload = served("8.1.1", meter, synchronised(clock))
    evidence.expect("inventory", found=inventory(evidence, user, meter), expected=before)
    now = clock.now()
    evidence.expect_between("meter's clock", found=meter.clock(), low=now - tolerance, high=now + tolerance)
    told = payload.time("DeviceTime")
    evidence.expect_between("device time told", found=told, low=asked - tolerance, high=now + tolerance)
    meter.write("clock", clock.now())


@pytest.mark.srv("8.2", "8.4", "12.2", "4.18")
@pytest.mark.ttm("TTM-12.2-D-01", "TTM-12.2-D-02", "TTM-12.2-E-01", "TTM-12.2-G-01")
@pytest.mark.functional_group("12 Pre-installation")
@pytest.mark.devices("ESME", "GSME")
def test_a_pre_notified_device_is_pending_and_not_yet_served(
    unchanged: Unchanged, user: ServiceUser, meter: Meter, clock: LabClock, evidence: EvidenceLog
) -> None:
    """SRV 12.2: the inventory holds the device as Pending, once, by type and Device Model, until deleted."""
    stranger, before = _stranger(meter), inventory(evidence, user, meter)
    model = {"DeviceManufacturer": "Another Maker", "DeviceModel": "AM-77"}
    body = {"DeviceID": stranger} | model | {"DeviceType": str(meter.device_type)}
    try:
        with unchanged(meter, events=[]):
            ask_dcc(evidence, user, "12.2", meter, body | {"FirmwareVersion": "7.7"})
        due = {"DeviceID": stranger, "DeviceType": str(meter.device_type), "DeviceStatus": "Pending"} | model
        entry = read_inventory(evidence, user, meter, {"DeviceID": stranger})[stranger.upper()]
        told = {element: entry.get(element, "") for element in due}
        evidence.expect("inventory entry", found=told, expected=due)
        response = user.request("4.18", stranger, role=user.catalogue["4.18"].roles[_fuel(meter)])
        expect_refused(evidence, user, clock, response, code=NOT_IN_THIS_STATUS)
        ask_dcc(evidence, user, "12.2", meter, body, code=KNOWN_ALREADY)
    finally:
        ask_dcc(evidence, user, "8.4", meter, {"DeviceID": stranger, "DeleteDevice": None})
    ask_dcc(evidence, user, "8.2", meter, {"DeviceID": stranger}, code=NOTHING_FOUND)
    evidence.expect("the rig's inventory", found=inventory(evidence, user, meter), expected=before)


def _fuel(meter: Device) -> int:
    """Which of the catalogue's roles for SRV 4.18, IS and GS, is the meter's."""
    return 0 if meter.device_type is DeviceType.ESME else 1
