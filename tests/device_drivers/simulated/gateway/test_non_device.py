"""What the DCC answers itself: inventory, pre-notification, decommissioning, firmware."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from device_drivers.dcc.duis import ResponseMessage
from device_drivers.dcc.tree import parse
from device_drivers.simulated.wan.head import HubAlert
from harness.domain.errors import AccessRefused
from harness.domain.faults import DROP, Fault, Place, Point
from harness.domain.lab import Lab
from harness.domain.payload import Payload

MORNING = datetime(2025, 3, 3, 8, tzinfo=UTC)

NEW = "00-DB-12-34-FF-00-00-01"
DEVICE = {
    "DeviceID": NEW,
    "DeviceManufacturer": "Alderwick",
    "DeviceModel": "AE-110",
    "DeviceType": "ESME",
    "FirmwareVersion": "1.4.20",
}


def answer(dcc: Any, srv: str, body: dict[str, Any], role: str = "IS") -> tuple[str, Payload]:
    sent = dcc.send(srv, body, role=role)
    assert (sent.status, sent.problems) == (200, ())
    message = ResponseMessage.read(parse(sent.answer))
    return message.code, message.content


def test_the_inventory_tells_the_whole_installation_with_the_device_first(dcc: Any) -> None:
    code, content = answer(dcc, "8.2", {"DeviceID": dcc.gsme.lower()}, "GS")
    assert code == "I0"
    gas, *others = content.all("DSPInventory/Device")
    rig = dcc.lab.rigs[0]
    assert {name: gas.text(name) for name in gas.names()} == {
        "DeviceID": dcc.gsme,
        "DeviceType": "GSME",
        "DeviceStatus": "Commissioned",
        "DeviceManufacturer": rig.devices["GSME"].model.manufacturer,
        "DeviceModel": rig.devices["GSME"].model.model,
        "DeviceFirmwareVersion": rig.devices["GSME"].model.firmware,
        "DateCommissioned": "2025-03-03",
        "ImportMPxN": rig.mprn,
        "CSPRegion": "SMETS1",
        "S1SP": "Simulated S1SP",
    }
    assert {device.text("DeviceType") for device in others} == {"ESME", "CHF"}


def test_a_supply_number_finds_its_installation(dcc: Any) -> None:
    rig = dcc.lab.rigs[1]
    for mpxn in (rig.mpan, rig.mprn, rig.export_mpan):
        _, content = answer(dcc, "8.2", {"MPxN": mpxn})
        devices = {device.text("DeviceID") for device in content.all("DSPInventory/Device")}
        assert devices == {device.device_id for device in rig.devices.values()}


@pytest.mark.parametrize("body", [{"DeviceID": NEW}, {"MPxN": "1"}, {"UPRN": 1}])
def test_what_is_not_in_the_inventory_is_an_error(dcc: Any, body: dict[str, Any]) -> None:
    assert answer(dcc, "8.2", body)[0] == "E080201"


def test_a_device_is_prenotified_once_and_pending(dcc: Any) -> None:
    assert answer(dcc, "12.2", DEVICE)[0] == "I99"
    assert answer(dcc, "12.2", DEVICE)[0] == "E120201"
    code, content = answer(dcc, "8.2", {"DeviceID": NEW})
    assert (code, content.text("DSPInventory/Device/DeviceStatus")) == ("I0", "Pending")
    assert dcc.code("4.1.1", target=NEW) == "E5"


def test_a_decommissioned_device_is_served_no_more(dcc: Any) -> None:
    assert answer(dcc, "8.3", {"DeviceID": dcc.esme})[0] == "I99"
    assert answer(dcc, "8.3", {"DeviceID": dcc.esme})[0] == "E5"
    assert answer(dcc, "8.3", {"DeviceID": NEW})[0] == "E19"
    assert dcc.code("4.1.1") == "E5"


def test_the_inventory_can_be_changed(dcc: Any) -> None:
    def device() -> Payload:
        return answer(dcc, "8.2", {"DeviceID": dcc.esme})[1].all("DSPInventory/Device")[0]

    answer(dcc, "8.4", {"DeviceID": dcc.esme, "UpdateDeviceDetails": {"FirmwareVersion": "9.9.99"}})
    answer(dcc, "8.4", {"DeviceID": dcc.esme, "UpdateMPxN": {"ExportMPAN": "9900000009028"}})
    answer(dcc, "8.4", {"DeviceID": dcc.esme, "UpdateDeviceStatusExceptCH": "Pending"})
    changed = device()
    assert changed.text("DeviceFirmwareVersion") == "9.9.99"
    assert changed.text("ExportMPAN") == "9900000009028"
    assert changed.text("ImportMPxN") == dcc.lab.rigs[0].mpan
    assert changed.text("DeviceStatus") == "Pending"
    assert answer(dcc, "8.4", {"DeviceID": dcc.esme, "DeleteDevice": None})[0] == "I99"
    assert answer(dcc, "8.2", {"DeviceID": dcc.esme})[0] == "E080201"
    assert answer(dcc, "8.4", {"DeviceID": dcc.esme, "DeleteDevice": None})[0] == "E19"


def firmware(*devices: str) -> dict[str, Any]:
    return {"FirmwareImage": b"image" * 1000, "FirmwareVersion": "1.5.00", "DeviceIDList": ",".join(devices)}


def test_firmware_is_brought_to_every_device_named(dcc: Any) -> None:
    assert answer(dcc, "11.1", firmware(dcc.esme, dcc.lab.rigs[1].devices["ESME"].device_id))[0] == "I99"
    dcc.settle()
    assert [image[1:] for image in dcc.s1sp.images] == [("1.5.00", b"image" * 1000)] * 2


def test_who_sent_firmware_is_told_by_the_s1sp_when_it_has_arrived(dcc: Any) -> None:
    answer(dcc, "11.1", firmware(dcc.esme, dcc.gsme), "GS")
    dcc.settle()
    for device_id in (dcc.esme, dcc.gsme):
        (alert,) = dcc.link.mailbox.alerts([device_id], 0)
        assert alert.problems == ()
        assert alert.response_id.startswith(f"{dcc.lab.dcc.dcc_eui}:{user(dcc, 'GS')}:")
        message = ResponseMessage.read(parse(alert.xml))
        told = message.content.all("DCCAlert/S1SPAlertDSP/S1SPAlert")[0]
        assert message.dcc_alert == "N55"
        assert (told.text("DeviceID"), told.text("S1SPAlertCode")) == (device_id, "FW1")
        assert f":{dcc.lab.dcc.dcc_eui}:" in told.text("RequestID")


def test_firmware_that_does_not_arrive_is_told_as_well_by_the_labs_own_code(
    open_dcc: Callable[..., Any], dcc_lab: Lab
) -> None:
    knowing = replace(dcc_lab.dcc, s1sp_alert_codes={"firmware_not_distributed": "S9"}, s1sp_alert_code="N54")
    dcc = open_dcc(replace(dcc_lab, dcc=knowing))

    def refuse(device_id: str, version: str, image: bytes) -> None:
        raise AccessRefused("the hash is wrong", result="other-reason")

    dcc.s1sp.distribute_firmware = refuse
    answer(dcc, "11.1", firmware(dcc.esme))
    dcc.settle()
    (alert,) = dcc.link.mailbox.alerts([dcc.esme], 0)
    assert alert.problems == ()
    assert b"N54" in alert.xml
    assert b">S9<" in alert.xml
    assert b"firmware 1.5.00 did not reach the device: the hash is wrong" in alert.xml


def test_a_hub_with_new_firmware_is_told_to_the_suppliers_and_in_the_inventory(dcc: Any) -> None:
    hub = dcc.lab.rigs[0].devices["CH"].device_id
    dcc.s1sp.images.append((hub, "2.0.0", b""))
    dcc.gateway.alert(HubAlert(hub, hub, 0x0014, "Firmware activated", MORNING))
    dcc.settle()
    activated, *told = dcc.link.mailbox.alerts([hub], 0)
    assert b"0014" in activated.xml
    assert [alert.problems for alert in told] == [(), ()]
    assert [alert.response_id.split(":")[1] for alert in told] == [user(dcc, "IS"), user(dcc, "GS")]
    content = ResponseMessage.read(parse(told[0].xml)).content
    notice = content.all("DCCAlert/SMETS1CHFirmwareNotification")[0]
    assert content.text("DCCAlertCode") == "N56"
    assert (notice.text("DeviceID"), notice.text("FirmwareVersion")) == (hub, "2.0.0")
    assert notice.text("FirmwareVersionUpdateStatus") == "ActivationSuccessful"
    assert dcc.gateway.inventory.find(hub).firmware == "2.0.0"


def test_a_meter_with_new_firmware_raises_its_own_alert_only(dcc: Any) -> None:
    dcc.gateway.alert(HubAlert("hub", dcc.esme, 0x0014, "Firmware activated", MORNING))
    dcc.settle()
    assert len(dcc.link.mailbox.alerts([dcc.esme], 0)) == 1


@pytest.mark.parametrize("item", ["firmware_distributed", "ch_firmware"])
def test_a_fault_can_lose_what_the_dcc_itself_tells(
    open_dcc: Callable[..., Any], dcc_lab: Lab, item: str
) -> None:
    lose = Fault(
        "lost", Place.GATEWAY, Point.ALERT, "", lambda seen: DROP if seen.item == item else seen.value
    )
    dcc, hub = open_dcc(dcc_lab, lose), dcc_lab.rigs[0].devices["CH"].device_id
    answer(dcc, "11.1", firmware(dcc.esme))
    dcc.gateway.alert(HubAlert(hub, hub, 0x0014, "Firmware activated", MORNING))
    dcc.settle()
    lost, kept = (dcc.esme, hub) if item == "firmware_distributed" else (hub, dcc.esme)
    assert {alert.code for alert in dcc.link.mailbox.alerts([kept], 0)} == {"I0"}
    assert not any(b"DCCAlertMessage" in alert.xml for alert in dcc.link.mailbox.alerts([lost], 0))


def user(dcc: Any, role: str) -> str:
    return next(user.eui for user in dcc.lab.dcc.users if user.role == role)


def test_firmware_for_devices_that_cannot_have_it_is_a_warning(dcc: Any) -> None:
    dcc.gateway.inventory.set_status(dcc.gsme, "Suspended")
    code, content = answer(dcc, "11.1", firmware(dcc.esme, NEW, dcc.gsme))
    assert code == "W110101"
    warning = content.all("DSPUpdateFirmwareWarning")[0]
    assert warning.text("InvalidDeviceIDList") == NEW
    assert warning.text("NotCommissionedDeviceIDList") == dcc.gsme
    dcc.settle()
    assert [image[0] for image in dcc.s1sp.images] == [dcc.esme]


def test_a_non_device_request_is_for_the_dcc_itself(dcc: Any) -> None:
    assert dcc.code("8.2", {"DeviceID": dcc.esme}, target=dcc.esme) == "E19"
