"""Preparation: a dormant meter gets the configuration and firmware of its EPCL entry (Clause 5.2(c)(ii))."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, cast

import pytest

from harness.domain.instruments import CommunicationsHub, EvidenceLog, Gsme, Meter, RigInHand
from harness.domain.migration import KeyHolder
from harness.domain.migration_rules import MigrationStage
from test_packs.arrange import put
from test_packs.estate import meters_of
from test_packs.images import another, baseline, install
from test_packs.migration.journey import Journey

pytestmark = pytest.mark.functional_group("Migration of devices")

_PENDING: Final = "firmware_pending"


@pytest.fixture
def baseline_put_back(rig: RigInHand) -> Iterator[None]:
    """Leaves every meter on its baseline firmware, by management access."""
    yield
    for meter in meters_of(rig):
        image = baseline(rig, meter)
        held = meter.read_many(("firmware_version", _PENDING))
        if held["firmware_version"] != image.version or held[_PENDING]:
            install(meter, image)


@pytest.mark.ttm("TTM-MIG-P-01")
@pytest.mark.devices("ESME", "CH")
def test_a_dormant_meter_gets_the_configuration_of_its_entry_and_nothing_else(
    journey: Journey, rig: RigInHand, evidence: EvidenceLog
) -> None:
    """Migration, preparation: settings that differ are put right on dormant meters; nothing else changes."""
    configuration = journey.migration.rules.configuration
    meters = {meter.device_type: meter for meter in meters_of(rig)}
    for type_, meter in meters.items():
        put(cast(Meter, meter), {name: value + 5 for name, value in configuration.get(type_, {}).items()})
    before = {type_: meter.snapshot() for type_, meter in meters.items()}
    journey.to(MigrationStage.PREPARED)
    for type_, meter in meters.items():
        changed = configuration.get(type_, {}) if type_ in journey.migration.dormant else {}
        due = {**before[type_], **changed}
        evidence.expect(f"settings and state of the {type_}", found=meter.snapshot(), expected=due)
    journey.expect_with(KeyHolder.SMSO)


@pytest.mark.ttm("TTM-MIG-P-02")
@pytest.mark.devices("ESME", "CH")
@pytest.mark.usefixtures("baseline_put_back")
def test_a_dormant_meter_of_other_firmware_is_upgraded_first(
    journey: Journey, rig: RigInHand, evidence: EvidenceLog
) -> None:
    """Migration, preparation: the firmware that runs afterwards is that of the EPCL entry."""
    dormant = [meter for meter in meters_of(rig) if meter.device_type in journey.migration.dormant]
    for meter in dormant:
        install(meter, another(rig, meter))
    journey.to(MigrationStage.PREPARED)
    for meter in dormant:
        due = rig.rig.devices[meter.device_type].model.firmware
        found = meter.identity().firmware
        evidence.expect(f"firmware of the {meter.device_type}", found=found, expected=due)
    journey.to(MigrationStage.DEVICE_TESTED)


@pytest.mark.ttm("TTM-MIG-P-03")
@pytest.mark.devices("ESME", "CH")
def test_a_dormant_installation_is_not_submitted_unprepared(journey: Journey) -> None:
    """Migration, preparation: files for an installation that was not prepared are refused."""
    migration, authorised = journey.migration, MigrationStage.AUTHORISED
    journey.to(authorised)
    journey.expect(migration.submit(migration.submission()), authorised, "order")
    journey.expect_untouched()


@pytest.mark.ttm("TTM-MIG-P-04")
@pytest.mark.devices("ESME", "GSME", "CH")
def test_a_dormant_meter_that_cannot_be_prepared_keeps_the_installation_waiting(
    journey: Journey, gsme: Gsme, ch: CommunicationsHub
) -> None:
    """Migration, preparation: a meter that does not answer is prepared later, and nothing goes on before."""
    migration, authorised = journey.migration, MigrationStage.AUTHORISED
    journey.to(authorised)
    ch.perform("han_remove", gsme.device_id)
    journey.expect(migration.prepare(), authorised, "preparation")
    journey.expect(migration.submit(migration.submission()), authorised, "order")
    ch.perform("han_add", {"device_id": gsme.device_id, "install_code": b"", "period": 600})
    journey.expect(migration.prepare(), MigrationStage.PREPARED)
    journey.expect_untouched()


@pytest.mark.ttm("TTM-MIG-X-03")
@pytest.mark.devices("ESME", "CH")
def test_without_wan_before_migration_an_installation_is_excluded(
    journey: Journey, ch: CommunicationsHub
) -> None:
    """Migration, exclusion: a dormant installation whose hub cannot be reached is out, and as it was."""
    journey.to(MigrationStage.AUTHORISED)
    ch.write("wan_state", "down")
    journey.expect(journey.migration.prepare(), MigrationStage.EXCLUDED, "wan_before")
    ch.write("wan_state", "up")
    submitted = journey.migration.submit(journey.migration.submission())
    journey.expect(submitted, MigrationStage.EXCLUDED, "order")
    journey.expect_untouched()
