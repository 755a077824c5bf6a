"""Commissioning, and the enrolled installation: it answers service requests (Clause 20.13)."""

from __future__ import annotations

import base64
import hashlib
from datetime import timedelta
from decimal import Decimal
from typing import Final

import pytest

from harness.domain.events import Event
from harness.domain.instruments import (
    Bench,
    CommunicationsHub,
    Esme,
    EvidenceLog,
    LabClock,
    Meter,
    RigInHand,
    ServiceUser,
)
from harness.domain.migration import KeyHolder
from harness.domain.migration_rules import MigrationStage
from harness.domain.words import DeviceType, SupplyState, UserRole
from test_packs.arrange import GBP, Served, crediting, expect_held, prepaying, supplying, watch_alerts
from test_packs.consumption import Consume, step_of
from test_packs.estate import INVENTORY_TYPES, inventory
from test_packs.migration.journey import ABSENT, COMMISSIONED, MOVING, Journey

pytestmark = pytest.mark.functional_group("Migration commissioning")

_NOTIFIED: Final = {  # who is notified for which remote party of a device
    DeviceType.ESME: {"Supplier": UserRole.IS, "NetworkOperator": UserRole.ED},
    DeviceType.GSME: {"Supplier": UserRole.GS, "NetworkOperator": UserRole.GT},
}
_REGION: Final = "SMETS1"
_VISITOR: Final = "00-DB-12-34-56-FE-00-08"  # a device of no rig
_REGISTERS: Final = {
    DeviceType.ESME: ("Electricity/ActiveImportRegister/Value", "active_import"),
    DeviceType.GSME: ("Gas/ConsumptionRegister/Value", "gas_volume"),
}


@pytest.mark.ttm("TTM-MIG-C-01", "TTM-MIG-C-02")
@pytest.mark.devices("ESME", "CH")
def test_the_inventory_has_each_device_commissioned_with_region_s1sp_and_day(
    journey: Journey, rig: RigInHand, user: ServiceUser, esme: Esme, clock: LabClock, evidence: EvidenceLog
) -> None:
    """Migration, commissioning: each device is in the inventory, whole, commissioned on that day."""
    journey.to(MigrationStage.COMMISSIONED)
    today = f"{clock.now():%Y-%m-%d}"
    entries = inventory(evidence, user, esme)
    evidence.expect(
        "devices in the inventory",
        found=sorted(entries),
        expected=sorted(device.device_id.upper() for device in rig.devices.values()),
    )
    for type_, device in rig.rig.devices.items():
        entry = entries[device.device_id.upper()]
        due = {
            "DeviceType": INVENTORY_TYPES[type_],
            "DeviceStatus": COMMISSIONED,
            "DeviceManufacturer": device.model.manufacturer,
            "DeviceModel": device.model.model,
            "DeviceFirmwareVersion": device.model.firmware,
            "DateCommissioned": today,
            "CSPRegion": _REGION,
        }
        mpxn = {DeviceType.ESME: rig.rig.mpan, DeviceType.GSME: rig.rig.mprn}.get(type_, "")
        due |= {"ImportMPxN": mpxn} if mpxn else {}
        due |= {"ExportMPAN": rig.rig.export_mpan} if type_ is DeviceType.ESME and rig.rig.export_mpan else {}
        found = {name: entry.get(name, "")[: len(value)] for name, value in due.items()}
        evidence.expect(f"entry of the {type_}", found=found, expected=due)
        evidence.expect(f"an S1SP serves the {type_}", found=bool(entry.get("S1SP")), expected=True)
    journey.expect_with(KeyHolder.S1SP_AND_DCO)


@pytest.mark.srv("6.24.1")
@pytest.mark.ttm("TTM-MIG-C-03")
@pytest.mark.devices("ESME", "GSME")
def test_the_certificates_notified_are_those_of_supplier_and_network_operator(
    journey: Journey, served: Served, user: ServiceUser, meter: Meter, evidence: EvidenceLog
) -> None:
    """Migration, commissioning: for each meter its own supplier and network operator are notified."""
    journey.to(MigrationStage.COMMISSIONED)
    parties = _NOTIFIED[meter.device_type]
    payload = served("6.24.1", meter, {"RemotePartyRole": list(parties)})
    told = {entry.text("RemotePartyRole"): entry for entry in payload.all("RemotePartyDetails")}
    evidence.expect("parties that are notified", found=sorted(told), expected=sorted(parties))
    for party, role in parties.items():
        own = user.certified(role)
        digest = hashlib.sha1(own.certificate, usedforsecurity=False).digest()
        due = {"id": own.eui, "certificate": base64.b64encode(digest).decode()}
        found = {
            "id": told[party].text("ExistingRemotePartyID"),
            "certificate": told[party].text("ExistingCertificateHash"),
        }
        evidence.expect(f"notified for the {party}", found=found, expected=due)
    journey.expect_with(KeyHolder.S1SP_AND_DCO, meter.device_type)


@pytest.mark.srv("4.1.1")
@pytest.mark.ttm("TTM-MIG-C-04")
@pytest.mark.devices("ESME", "CH")
def test_requests_are_served_from_commissioning_on_and_not_before(
    journey: Journey, served: Served, user: ServiceUser, esme: Esme, evidence: EvidenceLog
) -> None:
    """Migration, commissioning: until then the DCC refuses each request, and no meter hears of it."""
    crediting(esme)
    admitted = {}
    for stage in (journey.ready, MigrationStage.DEVICE_TESTED, MigrationStage.CREDENTIALS_CHANGED):
        journey.to(stage)
        for srv in ("4.1.1", "7.2"):
            admitted[f"{srv} while {stage}"] = user.request(srv, esme).code.startswith("I")
    evidence.expect("admitted too early", found=admitted, expected=dict.fromkeys(admitted, False))
    evidence.expect("supply", found=esme.supply(), expected=SupplyState.ENABLED)
    journey.to(MigrationStage.COMMISSIONED)
    payload = served("4.1.1", esme)
    told = payload.integer("Electricity/ActiveImportRegister/Value")
    evidence.expect("import told and counted", found=told, expected=esme.read("active_import"))


@pytest.mark.srv("4.1.1", "1.5", "7.2")
@pytest.mark.ttm("TTM-MIG-C-05", "TTM-AK-20.13b-01", "TTM-AK-20.13b-02")
@pytest.mark.devices("ESME", "GSME")
def test_an_enrolled_meter_is_read_written_commanded_and_heard(
    journey: Journey,
    served: Served,
    user: ServiceUser,
    meter: Meter,
    bench: Bench,
    clock: LabClock,
    evidence: EvidenceLog,
) -> None:
    """Clause 20.13(b): a reading, a write, a command and an alert of each meter work once it is enrolled."""
    crediting(meter, balance=GBP)
    journey.to(MigrationStage.COMMISSIONED)
    place, name = _REGISTERS[meter.device_type]
    before = Decimal(meter.read(name))
    told = served("4.1.1", meter).decimal(place)
    evidence.expect_between("import told", found=told, low=before, high=Decimal(meter.read(name)))
    served("1.5", meter, {"CreditMode": {"AdjustMeterBalance": 4_321}})
    evidence.expect("balance", found=meter.read("meter_balance"), expected=GBP + 4_321)
    served("7.2", meter)
    evidence.expect("supply", found=meter.supply(), expected=SupplyState.DISABLED)
    supplying(meter)
    alerts = watch_alerts(user, clock, meter)
    bench.tamper(meter.device_type, open_=True)
    alerts.expect_once(evidence, Event.COVER_OPENED)


@pytest.mark.srv("8.9", "8.11")
@pytest.mark.ttm("TTM-MIG-C-10")
@pytest.mark.devices("CH")
def test_an_enrolled_hub_is_read_and_commanded(
    journey: Journey, served: Served, ch: CommunicationsHub, evidence: EvidenceLog
) -> None:
    """Clause 20.13(b): an enrolled hub tells its HAN Device Log, and takes devices on it and off it."""
    journey.to(MigrationStage.COMMISSIONED)
    joining = {"JoinTimePeriod": 600, "InstallCode": "00" * 16}
    meters = set(ch.han_devices())
    for request, due in (
        ({"RequestType": "Add", "AddDeviceToCHFWhitelist": joining}, meters | {_VISITOR}),
        ({"RequestType": "Remove"}, meters),
    ):
        served("8.11", ch, {"DeviceID": _VISITOR, **request})
        evidence.expect("devices on the hub's log", found=set(ch.han_devices()), expected=due)
        entries = served("8.9", ch, {"ReadSecurityDetails": None}).all("CHFDeviceLog/CHFDeviceLogEntry")
        told = {entry.text("DeviceID") for entry in entries}
        evidence.expect("devices told", found=told, expected=due)


@pytest.mark.ttm("TTM-MIG-C-06")
@pytest.mark.devices("ESME", "CH")
def test_nobody_of_the_dcc_hears_alerts_before_the_installation_is_enrolled(
    journey: Journey, user: ServiceUser, esme: Esme, bench: Bench, clock: LabClock, evidence: EvidenceLog
) -> None:
    """Migration: an alert of a meter that is still its SMSO's reaches no User; the meter logs it."""
    for stage in (journey.ready, MigrationStage.CREDENTIALS_CHANGED):
        journey.to(stage)
        alerts = watch_alerts(user, clock, esme)
        bench.tamper(DeviceType.ESME, open_=True)
        clock.sleep(timedelta(minutes=5))
        evidence.expect(f"alerts while {stage}", found=[each.code for each in alerts.all()], expected=[])
        row = esme.log("security_log")[-1]
        evidence.expect("last event in the log", found=row.values["code"], expected=Event.COVER_OPENED)
        bench.tamper(DeviceType.ESME, open_=False)
        clock.sleep(timedelta(minutes=1))


@pytest.mark.ttm("TTM-MIG-C-07")
@pytest.mark.devices("ESME", "CH")
def test_steps_out_of_their_order_change_nothing(journey: Journey) -> None:
    """Migration: no step is taken before the one that it rests on, and none is undone after commissioning."""
    migration, submitted = journey.migration, MigrationStage.SUBMITTED
    journey.expect(migration.submit(migration.submission()), MigrationStage.WITH_SMSO, "order")
    journey.to(submitted)
    for step in (migration.test_devices, migration.change_credentials, migration.commission):
        journey.expect(step(), submitted, "order")
    journey.expect_with(KeyHolder.SMSO)
    journey.to(MigrationStage.COMMISSIONED)
    journey.expect(migration.roll_back(), MigrationStage.COMMISSIONED, "order")
    journey.expect_with(KeyHolder.S1SP_AND_DCO)
    journey.expect_known(COMMISSIONED)


@pytest.mark.srv("4.1.1")
@pytest.mark.ttm("TTM-MIG-C-08")
@pytest.mark.devices("ESME", "GSME")
def test_what_was_counted_and_paid_before_migration_is_there_after_it(
    journey: Journey,
    served: Served,
    meter: Meter,
    consume: Consume,
    clock: LabClock,
    evidence: EvidenceLog,
) -> None:
    """Migration: registers, profile, balance and tariff go over with the meter, and it goes on counting."""
    prepaying(meter, balance=25 * GBP)
    consume(meter, timedelta(minutes=45))
    end = clock.now()
    names = ({*meter.items("register"), "meter_balance", "payment_mode"} & {*meter.items()}) - MOVING
    held = dict(meter.read_many(sorted(names)))
    profile = meter.log("profile", end - timedelta(hours=6), end)
    journey.to(MigrationStage.COMMISSIONED)
    expect_held(evidence, meter, "after migration", held)
    rows = meter.log("profile", end - timedelta(hours=6), end)
    evidence.expect("rows of the profile", found=rows, expected=profile)
    served("4.1.1", meter)
    more = consume(meter, timedelta(minutes=30))
    what = f"it goes on counting, {'Wh' if meter.device_type is DeviceType.ESME else 'm3'}"
    evidence.expect_between(what, found=more.registered, low=step_of(meter), high=2 * more.wanted)


@pytest.mark.ttm("TTM-MIG-M-01")
@pytest.mark.devices("ESME", "CH")
def test_what_was_commissioned_is_on_disk_for_who_has_to_know(
    journey: Journey, rig: RigInHand, evidence: EvidenceLog
) -> None:
    """Migration, commissioning: S1SP's and DCO's lists, commissioning file and outcome name each device."""
    journey.to(MigrationStage.COMMISSIONED)
    lists = journey.migration.lists()
    evidence.expect("files", found=len(lists), expected=4)
    for name, content in lists.items():
        missing = [each.device_id for each in rig.devices.values() if each.device_id.encode() not in content]
        evidence.expect(f"devices that {name} does not name", found=missing, expected=[])
    journey.expect_with(KeyHolder.S1SP_AND_DCO)


@pytest.mark.ttm("TTM-MIG-M-02")
@pytest.mark.devices("ESME", "CH")
def test_an_enrolled_installation_is_not_migrated_again(journey: Journey, clock: LabClock) -> None:
    """Migration: authorised and handed in once more, an enrolled installation stays what it is."""
    migration, enrolled = journey.migration, MigrationStage.COMMISSIONED
    journey.to(enrolled)
    clock.sleep(timedelta(minutes=1))
    journey.expect(migration.authorise(migration.authorisation()), enrolled, "order")
    journey.expect(migration.submit(migration.submission()), enrolled, "order")
    journey.expect_with(KeyHolder.S1SP_AND_DCO)
    journey.expect_known(COMMISSIONED)


@pytest.mark.ttm("TTM-MIG-C-09")
@pytest.mark.devices("ESME", "CH")
def test_a_meter_that_does_not_answer_under_its_new_keys_is_not_commissioned(
    journey: Journey, bench: Bench
) -> None:
    """Migration, commissioning: where one device is silent none is commissioned; all go back to the SMSO."""
    migration, due = journey.migration, MigrationStage.ROLL_BACK_DUE
    journey.to(MigrationStage.CREDENTIALS_CHANGED)
    bench.power(DeviceType.ESME, on=False)
    journey.expect(migration.commission(), due, "commissioning", attempts=1)
    journey.expect_known(ABSENT)
    bench.power(DeviceType.ESME, on=True)
    journey.expect(migration.roll_back(), MigrationStage.ROLLED_BACK, attempts=1)
    journey.expect_untouched()
