"""Rigs in hand with the whole simulated DCC behind them: one DCC-side process, several rigs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from device_drivers.dcc.services import start_lab
from device_drivers.named.device import NoTrace
from device_drivers.simulated.firmware import make_image
from device_drivers.simulated.rig import open_simulated_rig
from harness.config import load_lab
from harness.domain.instruments import Forgery, RigInHand
from harness.domain.lab import Lab
from harness.domain.words import DeviceType
from harness.hooks import RunContext

REPO = Path(__file__).parents[3]
ESME, GSME, CH = DeviceType.ESME, DeviceType.GSME, DeviceType.CH


class Started:
    """A lab's services, and rigs opened on them."""

    def __init__(self, lab: Lab, run: RunContext, held: ExitStack) -> None:
        self.lab, self.run, self._held = lab, run, held
        services = start_lab(lab, run)
        held.callback(services.close)
        self.addresses: Mapping[str, Any] = services.addresses

    def open(self, rig_id: str) -> RigInHand:
        rig = open_simulated_rig(self.lab, self.lab.rig(rig_id), self.addresses, self.run, NoTrace())
        self._held.callback(rig.close)
        return rig


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    folder = tmp_path_factory.mktemp("dcc")
    lab = load_lab(REPO / "lab_config" / "simulated.yaml", state=folder / "state")
    with ExitStack() as held:
        yield Started(lab, RunContext("run", folder / "run", 7), held)


@pytest.fixture(scope="module")
def rig(started: Started) -> RigInHand:
    return started.open("ioc-1")


def test_what_the_user_is_told_is_what_the_meter_holds(rig: RigInHand) -> None:
    rig.bench.load(3000)
    rig.clock.sleep(timedelta(minutes=20))
    response = rig.user.request("4.1.1", rig.devices[ESME])
    assert (response.success, response.problems) == (True, ())
    found = response.payload.integer("Electricity/ActiveImportRegister/Value")
    assert found == rig.devices[ESME].read("active_import")
    rig.bench.load(0)


def test_a_gas_reading_takes_the_lab_time_until_the_meter_wakes_and_no_real_time(rig: RigInHand) -> None:
    rig.clock.sleep(timedelta(minutes=1))
    before = rig.clock.now()
    response = rig.user.request("4.1.1", rig.devices[GSME])
    assert response.success
    assert timedelta(0) < response.elapsed == rig.clock.now() - before <= timedelta(minutes=30)


def test_several_rigs_share_one_dcc_and_keep_their_own_time(started: Started, rig: RigInHand) -> None:
    other = started.open("foc-1")
    before = rig.clock.now()
    other.clock.sleep(timedelta(days=1))
    assert rig.clock.now() == before
    for each in (rig, other):
        response = each.user.request("6.2.4", each.devices[ESME])
        assert (response.success, response.device_id) == (True, each.devices[ESME].device_id)


def test_a_slow_wan_takes_ninety_seconds_to_wake_and_counts_it(started: Started) -> None:
    slow = started.open("moc-2")
    response = slow.user.request("4.18", slow.devices[ESME])
    assert response.success
    assert response.elapsed == timedelta(seconds=90)
    assert slow.devices[CH].wake_ups() == 1  # type: ignore[attr-defined]


def test_over_a_wan_that_is_down_nothing_goes_and_alerts_come_later(rig: RigInHand) -> None:
    hub, esme, since = rig.devices[CH], rig.devices[ESME], rig.clock.now()
    hub.write("wan_state", "down")
    response = rig.user.request("4.18", esme)
    assert (response.code, response.success) == ("E20", False)
    rig.bench.tamper(ESME, True)
    rig.clock.sleep(timedelta(minutes=5))
    assert rig.user.alerts(esme, since=since) == ()
    hub.write("wan_state", "up")
    alert = rig.user.alert("0081", esme, since=since)
    assert alert.device_id == esme.device_id
    rig.bench.tamper(ESME, False)


def test_a_power_cut_is_survived_by_meter_hub_and_driver(rig: RigInHand) -> None:
    esme, since = rig.devices[ESME], rig.clock.now()
    held = esme.read("active_import")
    rig.bench.mains(False)
    assert rig.user.request("4.18", esme).code == "E20"
    rig.clock.sleep(timedelta(hours=1))
    rig.bench.mains(True)
    assert rig.user.alert("0003", esme, since=since)
    assert esme.read("active_import") == held
    assert rig.user.request("4.18", esme).success


def test_a_meter_that_left_the_han_is_not_reached_until_it_is_back(rig: RigInHand) -> None:
    hub, gsme = rig.devices[CH], rig.devices[GSME]
    hub.perform("han_remove", gsme.device_id)
    assert hub.han_devices() == (rig.devices[ESME].device_id,)  # type: ignore[attr-defined]
    assert not rig.user.request("4.18", gsme).success
    hub.perform("han_add", {"device_id": gsme.device_id, "install_code": b"", "period": 60})
    assert rig.user.request("4.18", gsme).success


def test_what_became_of_firmware_is_alerted_to_who_sent_it(rig: RigInHand) -> None:
    esme = rig.devices[ESME]
    for image, code in ((make_image(b"new" * 9000), "FW1"), (b"spoilt" * 9000, "FW2")):
        since = rig.clock.now()
        body = {"FirmwareImage": image, "FirmwareVersion": "1.5.0", "DeviceIDList": esme.device_id}
        assert rig.user.request("11.1", esme, body).code == "I99"
        alert = rig.user.alert("N55", esme, since=since)
        assert alert.problems == ()
        assert alert.description.startswith(f"S1SPAlertDSP {code} firmware 1.5.0 ")
        rig.clock.sleep(timedelta(seconds=1))
    assert rig.user.strays() == ()


def test_a_hub_that_gets_new_firmware_is_told_to_its_suppliers(rig: RigInHand) -> None:
    hub, since, image = rig.devices[CH], rig.clock.now(), make_image(b"hub")
    hub.perform("image_initiate", {"version": b"7.7", "size": len(image)})
    hub.perform("image_block", {"number": 0, "block": image})
    hub.perform("image_verify")
    hub.perform("image_activate")
    alert = rig.user.alert("N56", hub, since=since)
    assert (alert.device_id, alert.problems) == (hub.device_id, ())
    assert alert.description == "SMETS1CHFirmwareNotification 7.7 ActivationSuccessful"
    rig.clock.sleep(timedelta())  # the second supplier's is on its way
    assert [each.code for each in rig.user.alerts(hub, since=since)] == ["0014", "N56", "N56"]
    inventory = rig.user.request("8.2", hub, {"DeviceID": hub.device_id}).payload
    assert inventory.text("DSPInventory/Device/DeviceFirmwareVersion") == "7.7"


def test_a_rig_that_is_opened_again_is_reached_at_once(started: Started) -> None:
    for _ in range(2):
        rig = started.open("ioc-2")
        assert rig.user.request("4.18", rig.devices[ESME]).success
        rig.close()


def test_a_replayed_request_never_reaches_the_meter(rig: RigInHand) -> None:
    assert rig.user.request("4.18", rig.devices[ESME]).success
    before = rig.devices[ESME].snapshot()
    response = rig.user.request("7.2", rig.devices[ESME], forgery=Forgery(counter="replayed"))
    assert not response.success
    assert rig.devices[ESME].snapshot() == before


def test_lab_time_stops_where_the_dcc_has_something_to_do(rig: RigInHand) -> None:
    esme, at = rig.devices[ESME], rig.clock.now() + timedelta(hours=2)
    rig.bench.load(3_000)
    held = rig.user.send("4.1.1", esme, {"ExecutionDateTime": at})
    assert (held.accepted, held.response()) == (True, None)
    rig.clock.sleep(timedelta(hours=6))
    response = held.wait(timedelta(0))
    assert (response.code, response.timestamp, response.problems) == ("I0", at, ())
    used = esme.read("active_import") - response.payload.integer("Electricity/ActiveImportRegister/Value")
    assert used == 4 * 3_000
    rig.bench.load(0)


def test_a_schedule_brings_its_readings_over_days_without_the_wan_too(rig: RigInHand) -> None:
    esme, at = rig.devices[ESME], (rig.clock.now() + timedelta(hours=1)).replace(microsecond=0)
    body = {
        "ScheduleFrequency": "Daily",
        "ScheduleStartDate": f"{at:%Y-%m-%d}",
        "ScheduleExecutionStartTime": f"{at:%H:%M:%S}Z",
        "DSPScheduledServiceReference": "4.16",
        "DSPScheduledServiceReferenceVariant": "4.16",
        "DeviceID": esme.device_id,
        "DSPReadActivePowerImport": None,
    }
    number = rig.user.request("5.1", esme, body).payload.integer("DSPScheduleID")
    rig.clock.sleep(timedelta(days=1))
    rig.bench.mains(on=False)
    rig.clock.sleep(timedelta(days=1))
    rig.bench.mains(on=True)
    rig.clock.sleep(timedelta(days=1))
    brought = rig.user.scheduled(number, esme)
    assert [(each.code, each.srv, each.problems) for each in brought] == [
        ("I0", "4.16", ()), ("E20", "4.16", ()), ("I0", "4.16", ()),
    ]  # fmt: skip
    assert rig.user.request("5.3", esme, {"DSPScheduleID": number}).code == "I99"
    rig.clock.sleep(timedelta(days=1))
    assert (len(rig.user.scheduled(number, esme)), rig.user.strays()) == (3, ())
