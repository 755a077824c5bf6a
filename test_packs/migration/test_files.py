"""The Requesting Party's files, and what S1SP and DCO make of them before they touch a device."""

from __future__ import annotations

from datetime import timedelta

import pytest

from harness.domain.instruments import EvidenceLog
from harness.domain.migration import Circumstance, Files, KeyHolder, Progress
from harness.domain.migration_rules import MigrationParty, MigrationStage
from harness.domain.words import DeviceType
from test_packs.migration.journey import ABSENT, PENDING, Journey

pytestmark = pytest.mark.functional_group("Migration files")

_NOT_SERVED = "E5"  # the device's status does not fit
_BOMB = (
    b'<?xml version="1.0"?><!DOCTYPE m [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    b'<MigrationCommonFile xmlns="urn:smets1-harness:migration"><FileID>&b;</FileID></MigrationCommonFile>'
)


@pytest.mark.ttm("TTM-MIG-F-01", "TTM-MIG-F-02")
@pytest.mark.devices("ESME", "CH")
def test_files_that_are_right_are_taken_once_and_the_devices_are_pending(
    journey: Journey, evidence: EvidenceLog
) -> None:
    """Migration, files: handed in twice they are taken once; the DCC knows the devices, and serves none."""
    migration, submitted = journey.migration, MigrationStage.SUBMITTED
    journey.to(journey.ready)
    journey.expect_known(ABSENT)
    files = migration.submission()
    for _ in range(2):
        journey.expect(migration.submit(files), submitted, attempts=0)
    journey.expect_known(PENDING)
    for device in journey.devices(DeviceType.ESME, DeviceType.CH):
        response = journey.user.request("11.2", device)
        evidence.expect(f"code for the {device.device_type}", found=response.code, expected=_NOT_SERVED)
    journey.expect_with(KeyHolder.SMSO)
    journey.expect_same()


@pytest.mark.ttm("TTM-MIG-F-03")
@pytest.mark.devices("ESME", "CH")
def test_a_file_that_was_changed_after_it_was_signed_is_refused(
    journey: Journey, evidence: EvidenceLog
) -> None:
    """Migration, files: one changed letter in any of the three, and none of them is taken."""
    migration = journey.migration
    journey.to(journey.ready)
    right = migration.submission()
    for name, content in right.items():
        changed = _another_second(content)
        evidence.expect(f"{name} was changed", found=changed != content, expected=True)
        journey.expect(migration.submit({**right, name: changed}), journey.ready, "file_signature")
    journey.expect_untouched()
    journey.expect(migration.submit(right), MigrationStage.SUBMITTED)


@pytest.mark.ttm("TTM-MIG-F-04")
@pytest.mark.devices("ESME", "CH")
def test_files_that_are_not_of_the_schema_are_refused(journey: Journey) -> None:
    """Migration, files: missing, misnamed, torn, foreign, too long or with entities, they are refused."""
    migration = journey.migration
    journey.to(journey.ready)
    right = migration.submission()
    common, group = _named(right, "MC_"), _named(right, "MG_")
    for files in (
        {common: right[common]},
        {name.replace(".xml", ".txt"): content for name, content in right.items()},
        {**right, group: right[group][:-200]},
        {**right, common: right[group]},
        {**right, group: right[group].replace(b"MPAN>", b"MPxN>")},
        {**right, common: _BOMB},
        {**right, common: right[common] + b" " * (1 << 20)},
    ):
        journey.expect(migration.submit(files), journey.ready, "file_form")
    journey.expect_untouched()


@pytest.mark.ttm("TTM-MIG-F-05")
@pytest.mark.devices("ESME", "CH")
def test_files_of_two_sets_are_refused(journey: Journey) -> None:
    """Migration, files: a group file of an earlier set does not go with the others."""
    migration = journey.migration
    journey.to(journey.ready)
    earlier = migration.submission()
    journey.clock.sleep(timedelta(minutes=1))
    later = migration.submission()
    mixed = {name: content for name, content in later.items() if not name.startswith("MG_")} | {
        _named(earlier, "MG_"): earlier[_named(earlier, "MG_")]
    }
    journey.expect(migration.submit(mixed), journey.ready, "file_set")
    journey.expect(migration.submit(later), MigrationStage.SUBMITTED)
    journey.expect(migration.submit(earlier), MigrationStage.SUBMITTED, "file_again")
    journey.expect_with(KeyHolder.SMSO)


@pytest.mark.ttm("TTM-MIG-F-06")
@pytest.mark.devices("ESME", "CH")
def test_key_material_is_read_by_s1sp_and_dco_alone_each_its_half(
    journey: Journey, evidence: EvidenceLog
) -> None:
    """Migration, files: no key stands in any file, and each party reads its part of the encrypted one."""
    migration = journey.migration
    journey.to(journey.ready)
    files = migration.submission()
    for name, content in files.items():
        evidence.expect(f"keys that {name} discloses", found=migration.discloses(content), expected=())
    encrypted = files[_named(files, "MGE_")]
    reading = {party: migration.deciphered_by(party, encrypted) for party in MigrationParty}
    both = (MigrationParty.S1SP, MigrationParty.DCO)
    due = {party: (party,) if party in both else () for party in MigrationParty}
    evidence.expect("whose half each party can read", found=reading, expected=due)
    journey.to(MigrationStage.VALIDATED)
    for name, content in migration.lists().items():
        evidence.expect(f"keys that {name} discloses", found=migration.discloses(content), expected=())
    journey.expect_with(KeyHolder.SMSO)


@pytest.mark.ttm("TTM-MIG-X-04")
@pytest.mark.devices("ESME", "CH")
def test_an_installation_without_a_master_key_is_excluded(journey: Journey) -> None:
    """Migration, exclusion: where one device's master key is missing, the installation goes no further."""
    journey.migration.arrange(Circumstance.MASTER_KEY_MISSING, DeviceType.CH)
    journey.to(MigrationStage.SUBMITTED)
    journey.expect(journey.migration.validate(), MigrationStage.EXCLUDED, "master_key")
    journey.expect(journey.migration.test_devices(), MigrationStage.EXCLUDED, "order")
    journey.expect_untouched()


@pytest.mark.ttm("TTM-MIG-F-07")
@pytest.mark.devices("ESME", "CH")
def test_key_material_that_cannot_be_deciphered_stops_the_installation(journey: Journey) -> None:
    """Migration, files: where a party cannot read its half, the installation goes no further."""
    migration, submitted = journey.migration, MigrationStage.SUBMITTED
    migration.arrange(Circumstance.KEY_MATERIAL_SPOILT)
    journey.to(submitted)
    journey.expect(migration.validate(), submitted, "key_material")
    journey.expect(_tried(journey), submitted, "order")
    journey.expect_with(KeyHolder.SMSO)
    journey.expect_same()


@pytest.mark.ttm("TTM-MIG-V-01", "TTM-MIG-V-02")
@pytest.mark.devices("ESME", "CH")
def test_an_installation_that_only_one_of_s1sp_and_dco_lists_goes_no_further(
    journey: Journey, evidence: EvidenceLog
) -> None:
    """Migration, validation: S1SP and DCO each list what they take; one of them is not enough."""
    migration, submitted = journey.migration, MigrationStage.SUBMITTED
    journey.to(submitted)
    migration.arrange(Circumstance.NOT_VIABLE_FOR_DCO)
    journey.expect(migration.validate(), submitted, "dco_viability")
    told = {party: _lists(migration.lists(), party, journey) for party in ("S1SP", "DCO")}
    evidence.expect("parties that list the installation", found=told, expected={"S1SP": True, "DCO": False})
    journey.expect(_tried(journey), submitted, "order")
    journey.expect_with(KeyHolder.SMSO)
    journey.expect_same()


@pytest.mark.ttm("TTM-MIG-V-01")
@pytest.mark.devices("ESME", "CH")
def test_an_installation_that_the_s1sp_does_not_list_goes_no_further(journey: Journey) -> None:
    """Migration, validation: the DCO's list does not stand for the S1SP's."""
    migration, submitted = journey.migration, MigrationStage.SUBMITTED
    journey.to(submitted)
    migration.arrange(Circumstance.NOT_VIABLE_FOR_S1SP)
    journey.expect(migration.validate(), submitted, "s1sp_viability")
    journey.expect(_tried(journey), submitted, "order")
    journey.expect_with(KeyHolder.SMSO)
    journey.expect_same()


def _tried(journey: Journey) -> Progress:
    """The steps behind an installation that is not viable, tried all the same."""
    journey.migration.test_devices()
    journey.migration.change_credentials()
    return journey.migration.commission()


def _lists(lists: Files, party: str, journey: Journey) -> bool:
    """Whether the party's list names each device."""
    content = next(content for name, content in lists.items() if f"_{party}_" in name)
    return all(device.device_id.encode() in content for device in journey.devices())


def _named(files: Files, start: str) -> str:
    return next(name for name in files if name.startswith(start))


def _another_second(content: bytes) -> bytes:
    """The file, made at another second than it was."""
    at = content.index(b"</", content.index(b"Created>")) - 2
    return content[:at] + (b"9" if content[at : at + 1] != b"9" else b"8") + content[at + 1 :]
