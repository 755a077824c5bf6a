"""Supply (SRV 7.x), the hub's device log (8.9, 8.11) and firmware (11.x)."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from device_drivers.simulated.firmware import make_image
from harness.domain.errors import AccessRefused
from harness.domain.words import DeviceType

ESME, GSME, CH = DeviceType.ESME, DeviceType.GSME, DeviceType.CH
STRANGER = "00-DB-12-34-56-78-90-FF"


@pytest.mark.parametrize("device", [ESME, GSME])
def test_supply_is_disabled_and_armed(bed: Any, device: DeviceType) -> None:
    bed.done("7.2", device)
    assert bed.twin(device).get("supply_state") == "Disabled"
    assert bed.done("7.4", device).text("SupplyState") == "Disabled"
    bed.done("7.3", device)
    assert bed.done("7.4", device).text("SupplyState") == "Armed"


def test_supply_is_enabled(bed: Any) -> None:
    bed.done("7.2", ESME)
    bed.done("7.1", ESME)
    assert bed.twin(ESME).get("supply_output")
    assert bed.done("7.4", ESME).text("SupplyState") == "Enabled"


def test_a_gas_meter_tells_its_battery(bed: Any) -> None:
    read = bed.done("7.4", GSME)
    assert read.integer("Gas/RemainingBatteryCapacity") == bed.twin(GSME).get("battery_capacity")


def test_a_gas_supply_is_never_enabled_from_afar(bed: Any) -> None:
    bed.done("7.2", GSME)
    assert "not for a SMETS1 GSME" in bed.refused("7.1", GSME)


def test_the_device_log_lists_the_devices_of_the_han(bed: Any) -> None:
    read = bed.done("8.9", CH, {"ReadSecurityDetails": None})
    entries = read.all("CHFDeviceLog/CHFDeviceLogEntry")
    assert {entry.text("DeviceID") for entry in entries} == {
        bed.twin(ESME).device_id,
        bed.twin(GSME).device_id,
    }


def test_a_device_that_never_communicated_has_no_time_in_the_log(bed: Any) -> None:
    add = {"JoinTimePeriod": 600, "InstallCode": "0123456789AB"}
    bed.done("8.11", CH, {"DeviceID": STRANGER, "RequestType": "Add", "AddDeviceToCHFWhitelist": add})
    read = bed.done("8.9", CH)
    (entry,) = [
        entry for entry in read.all("CHFDeviceLog/CHFDeviceLogEntry") if entry.text("DeviceID") == STRANGER
    ]
    assert entry.names() == ("DeviceID",)


def test_a_device_taken_off_the_log_is_silent_until_it_is_put_back(bed: Any) -> None:
    meter = bed.twin(ESME).device_id
    bed.done("8.11", CH, {"DeviceID": meter, "RequestType": "Remove"})
    assert meter not in bed.twins.hub.han()
    add = {"JoinTimePeriod": 600, "InstallCode": "0123456789AB"}
    bed.done("8.11", CH, {"DeviceID": meter, "RequestType": "Add", "AddDeviceToCHFWhitelist": add})
    assert bed.done("7.4", ESME).text("SupplyState") == "Enabled"


def test_a_device_that_is_not_on_the_log_cannot_be_removed(bed: Any) -> None:
    assert "han_remove" in bed.refused("8.11", CH, {"DeviceID": STRANGER, "RequestType": "Remove"})


@pytest.mark.parametrize("device", [ESME, GSME])
def test_the_firmware_version_is_that_of_the_device(bed: Any, device: DeviceType) -> None:
    assert bed.done("11.2", device).text("FirmwareVersion") == bed.twin(device).get("firmware_version")


@pytest.mark.parametrize("device", [ESME, GSME])
def test_an_image_is_distributed_and_then_activated_by_its_hash(bed: Any, device: DeviceType) -> None:
    image = make_image(bytes(range(256)) * 100)
    before = bed.twin(device).get("firmware_version")
    bed.s1sp.distribute_firmware(bed.twin(device).device_id, "NEW-2.0", image)
    assert bed.twin(device).get("firmware_pending") == "NEW-2.0"
    assert bed.twin(device).get("firmware_version") == before
    digest = hashlib.sha256(image).hexdigest().upper()
    assert bed.done("11.3", device, {"FirmwareHash": digest}).text("FirmwareVersion") == "NEW-2.0"
    assert bed.twin(device).get("firmware_version") == "NEW-2.0"


def test_a_hash_that_nobody_distributed_activates_nothing(bed: Any) -> None:
    image = make_image(b"firmware")
    bed.s1sp.distribute_firmware(bed.twin(ESME).device_id, "2.0", image)
    other = hashlib.sha256(b"another").hexdigest()
    assert "no image with the hash" in bed.refused("11.3", ESME, {"FirmwareHash": other})
    assert bed.twin(ESME).get("firmware_pending") == "2.0"


def test_a_broken_image_is_refused_by_the_device(bed: Any) -> None:
    image = make_image(b"firmware")
    with pytest.raises(AccessRefused, match="image_verify"):
        bed.s1sp.distribute_firmware(bed.twin(ESME).device_id, "2.0", image[:-1] + b"!")
    assert bed.twin(ESME).get("firmware_pending") == ""
