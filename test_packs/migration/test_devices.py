"""Device testing, the change of credentials, and the ways back: what happens on the devices themselves."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from harness.domain.instruments import (
    Bench,
    CommunicationsHub,
    EvidenceLog,
    Gsme,
    LabClock,
    RigInHand,
)
from harness.domain.migration import Circumstance, KeyHolder
from harness.domain.migration_rules import MigrationStage
from harness.domain.words import DeviceType
from test_packs.estate import meters_of
from test_packs.migration.journey import ABSENT, COMMISSIONED, Journey

pytestmark = pytest.mark.functional_group("Migration of devices")

_ESME, _GSME, _CH = DeviceType.ESME, DeviceType.GSME, DeviceType.CH
_ROLLED_BACK = MigrationStage.ROLLED_BACK


@pytest.mark.ttm("TTM-MIG-D-01")
@pytest.mark.devices("ESME", "CH")
def test_device_testing_contacts_every_device_and_changes_none(
    journey: Journey, rig: RigInHand, ch: CommunicationsHub, clock: LabClock, evidence: EvidenceLog
) -> None:
    """Migration, device testing: the hub has heard of each meter anew, and all is as it was."""
    journey.to(MigrationStage.VALIDATED)
    clock.sleep(timedelta(minutes=1))
    asked = clock.now()
    journey.expect(journey.migration.test_devices(), MigrationStage.DEVICE_TESTED)
    heard = {row["device_id"]: row["last_communication"] for row in ch.read("han_devices")}
    for meter in meters_of(rig):
        what = f"last communication of the {meter.device_type}"
        evidence.expect_between(what, found=heard[meter.device_id], low=asked, high=clock.now())
    journey.expect_with(KeyHolder.SMSO)
    journey.expect_same()


@pytest.mark.ttm("TTM-MIG-X-05")
@pytest.mark.devices("ESME", "CH")
def test_without_wan_at_migration_an_installation_is_excluded(
    journey: Journey, ch: CommunicationsHub
) -> None:
    """Migration, exclusion: where the hub cannot be reached for device testing, the installation is out."""
    journey.to(MigrationStage.VALIDATED)
    ch.write("wan_state", "down")
    journey.expect(journey.migration.test_devices(), MigrationStage.EXCLUDED, "wan_at_migration")
    ch.write("wan_state", "up")
    journey.expect(journey.migration.change_credentials(), MigrationStage.EXCLUDED, "order")
    journey.expect_untouched()


@pytest.mark.ttm("TTM-MIG-D-02", "TTM-MIG-D-03")
@pytest.mark.devices("ESME", "GSME", "CH")
def test_a_gas_meter_that_is_not_on_the_han_is_gt01_and_left_out(
    journey: Journey, gsme: Gsme, ch: CommunicationsHub
) -> None:
    """GT01: electricity meter and hub are enrolled without the gas meter, which stays with its SMSO."""
    journey.to(MigrationStage.VALIDATED)
    ch.perform("han_remove", gsme.device_id)
    tested = journey.migration.test_devices()
    journey.expect(tested, MigrationStage.DEVICE_TESTED, "han_gas", without=(_GSME,))
    ch.perform("han_add", {"device_id": gsme.device_id, "install_code": b"", "period": 600})
    for step, stage in (
        (journey.migration.change_credentials, MigrationStage.CREDENTIALS_CHANGED),
        (journey.migration.commission, MigrationStage.COMMISSIONED),
    ):
        journey.expect(step(), stage, without=(_GSME,))
    journey.expect_with(KeyHolder.S1SP_AND_DCO, _ESME, _CH)
    journey.expect_with(KeyHolder.SMSO, _GSME)
    journey.expect_known(COMMISSIONED, _ESME, _CH)
    journey.expect_known(ABSENT, _GSME)


@pytest.mark.ttm("TTM-MIG-D-04")
@pytest.mark.devices("ESME", "CH")
def test_an_electricity_meter_that_does_not_answer_fails_the_attempt(journey: Journey, bench: Bench) -> None:
    """Migration, device testing: without its electricity meter an installation is rolled back and counted."""
    journey.to(MigrationStage.VALIDATED)
    bench.power(_ESME, on=False)
    journey.expect(journey.migration.test_devices(), _ROLLED_BACK, "han_electricity", attempts=1)
    bench.power(_ESME, on=True)
    journey.expect_with(KeyHolder.SMSO)
    journey.expect_known(ABSENT)
    journey.to(MigrationStage.COMMISSIONED)


@pytest.mark.ttm("TTM-MIG-D-05")
@pytest.mark.devices("ESME", "CH")
def test_a_device_that_is_not_the_one_of_the_files_fails_the_attempt(journey: Journey) -> None:
    """Migration, device testing: each device must say that it is the one that the files name."""
    journey.migration.arrange(Circumstance.WRONG_SERIAL_NUMBER, _CH)
    journey.to(MigrationStage.VALIDATED)
    journey.expect(journey.migration.test_devices(), _ROLLED_BACK, "device_identity", attempts=1)
    journey.expect_untouched()


@pytest.mark.ttm("TTM-MIG-K-01", "TTM-MIG-K-02")
@pytest.mark.devices("ESME", "CH")
def test_the_keys_change_and_nothing_else_does(
    journey: Journey, rig: RigInHand, clock: LabClock, evidence: EvidenceLog
) -> None:
    """Migration, credentials: new keys open each device, old ones none; logs and registers are kept."""
    journey.to(MigrationStage.DEVICE_TESTED)
    journey.remember()
    end = clock.now()
    before = _logs(rig, end)
    journey.to(MigrationStage.CREDENTIALS_CHANGED)
    journey.expect_same()
    evidence.expect("rows of the logs", found=_logs(rig, end), expected=before)
    journey.expect_with(KeyHolder.S1SP_AND_DCO)


@pytest.mark.ttm("TTM-MIG-K-03")
@pytest.mark.devices("ESME", "CH")
def test_neither_s1sp_nor_dco_opens_a_device_alone(journey: Journey, evidence: EvidenceLog) -> None:
    """Dual control: the S1SP's key alone opens no device, nor does the DCO's; each try is an event there."""
    journey.to(MigrationStage.COMMISSIONED)
    for device in journey.devices():
        found = {holder: journey.migration.opens(device, holder) for holder in KeyHolder}
        due = {holder: holder is KeyHolder.S1SP_AND_DCO for holder in KeyHolder}
        evidence.expect(f"who opens the {device.device_type}", found=found, expected=due)


@pytest.mark.ttm("TTM-MIG-K-04")
@pytest.mark.devices("ESME", "CH")
def test_new_keys_survive_a_power_cut(journey: Journey) -> None:
    """Migration, credentials: devices that lost their mains after the change keep the new keys."""
    journey.to(MigrationStage.CREDENTIALS_CHANGED)
    journey.lose_power()
    journey.expect_with(KeyHolder.S1SP_AND_DCO)
    journey.to(MigrationStage.COMMISSIONED)


@pytest.mark.ttm("TTM-MIG-R-01")
@pytest.mark.devices("ESME", "CH")
def test_a_wan_that_is_lost_between_two_devices_leaves_no_mixture(
    journey: Journey, ch: CommunicationsHub
) -> None:
    """Migration, interruption: what was changed when the WAN went is given back when it returns."""
    migration = journey.migration
    journey.to(MigrationStage.DEVICE_TESTED)
    journey.expect(migration.change_credentials(_ESME), MigrationStage.DEVICE_TESTED)
    journey.expect_with(KeyHolder.S1SP_AND_DCO, _ESME)
    journey.expect_with(KeyHolder.SMSO, _CH)
    ch.write("wan_state", "down")
    due = MigrationStage.ROLL_BACK_DUE
    journey.expect(migration.change_credentials(), due, "credentials", attempts=1)
    journey.expect(migration.roll_back(), due, attempts=1)
    journey.expect(migration.commission(), due, "order", attempts=1)
    ch.write("wan_state", "up")
    journey.expect(migration.roll_back(), _ROLLED_BACK, attempts=1)
    journey.expect_with(KeyHolder.SMSO)
    journey.expect_known(ABSENT)
    journey.to(MigrationStage.COMMISSIONED)
    journey.expect_with(KeyHolder.S1SP_AND_DCO)


@pytest.mark.ttm("TTM-MIG-R-02")
@pytest.mark.devices("ESME", "CH")
def test_a_power_cut_between_two_devices_leaves_no_mixture(
    journey: Journey, bench: Bench, clock: LabClock
) -> None:
    """Migration, interruption: after a power cut in the middle of the change all devices are the SMSO's."""
    migration = journey.migration
    journey.to(MigrationStage.DEVICE_TESTED)
    journey.expect(migration.change_credentials(_CH), MigrationStage.DEVICE_TESTED)
    bench.mains(on=False)
    clock.sleep(timedelta(minutes=3))
    journey.expect(migration.change_credentials(), MigrationStage.ROLL_BACK_DUE, "credentials", attempts=1)
    bench.mains(on=True)
    clock.sleep(timedelta(minutes=2))
    journey.expect(migration.roll_back(), _ROLLED_BACK, attempts=1)
    journey.expect_with(KeyHolder.SMSO)
    journey.expect_known(ABSENT)


@pytest.mark.ttm("TTM-MIG-R-03", "TTM-MIG-X-06")
@pytest.mark.devices("ESME", "CH")
def test_an_installation_is_rolled_back_from_each_stage_and_out_after_five_attempts(
    journey: Journey,
) -> None:
    """Migration: each roll-back gives the devices back to the SMSO; after the fifth attempt all is over."""
    migration = journey.migration
    stages = (
        MigrationStage.SUBMITTED,
        MigrationStage.VALIDATED,
        MigrationStage.DEVICE_TESTED,
        MigrationStage.CREDENTIALS_CHANGED,
        MigrationStage.CREDENTIALS_CHANGED,
    )
    for attempt, stage in enumerate(stages[: migration.rules.attempts], start=1):
        journey.to(stage)
        journey.expect(migration.roll_back(), _ROLLED_BACK, attempts=attempt)
        journey.expect_with(KeyHolder.SMSO, _ESME, _CH)
        journey.expect_known(ABSENT, _ESME)
    journey.expect(migration.submit(migration.submission()), MigrationStage.EXCLUDED, "attempts")
    journey.expect_untouched()


def _logs(rig: RigInHand, end: datetime) -> dict[str, Any]:
    """The half hours of the last day, and all events since: what a change of keys must leave alone."""
    start = end - timedelta(days=1)
    lasts = {"event_log": None, "security_log": None, "profile": end}
    return {
        f"{meter.device_type} {name}": meter.log(name, start, last)
        for meter in meters_of(rig)
        for name, last in lasts.items()
    }
