"""The Migration Authorisation: which installation may be migrated by whom, and when."""

from __future__ import annotations

from datetime import timedelta

import pytest

from harness.domain.migration import Authorisation, Circumstance, KeyHolder
from harness.domain.migration_rules import MigrationStage
from harness.domain.words import DeviceType, InstallationType
from test_packs.migration.journey import Journey

pytestmark = pytest.mark.functional_group("Migration authorisation")

_NOT_YET = MigrationStage.WITH_SMSO
_AUTHORISED = MigrationStage.AUTHORISED


@pytest.mark.ttm("TTM-MIG-A-01")
@pytest.mark.devices("ESME", "CH")
def test_a_valid_authorisation_is_taken_and_touches_nothing(journey: Journey) -> None:
    """Migration: an authorisation that is right lets its Requesting Party begin, and changes no device."""
    journey.expect(journey.migration.authorise(journey.migration.authorisation()), _AUTHORISED)
    journey.expect_untouched()


@pytest.mark.ttm("TTM-MIG-A-02")
@pytest.mark.devices("ESME", "CH")
def test_an_authorisation_is_good_in_its_period_only(journey: Journey) -> None:
    """Migration: before its first moment and after its last an authorisation is refused; then it is taken."""
    migration, now = journey.migration, journey.clock.now()
    week, soon = timedelta(days=7), timedelta(minutes=10)
    early, late = (
        migration.authorisation(Authorisation(valid_from=first, valid_to=last))
        for first, last in ((now + soon, now + week), (now - week, now - soon))
    )
    for files in (early, late):
        journey.expect(migration.authorise(files), _NOT_YET, "authorisation_period")
    journey.expect_untouched()
    journey.clock.sleep(2 * soon)
    journey.expect(migration.authorise(early), _AUTHORISED)


@pytest.mark.ttm("TTM-MIG-A-03")
@pytest.mark.devices("ESME", "CH")
def test_an_authorisation_of_another_is_refused(journey: Journey) -> None:
    """Migration: what is for another Requesting Party, or for another installation, authorises nothing."""
    migration = journey.migration
    for wish, rule in (
        (Authorisation(party="KESTREL"), "authorisation_party"),
        (Authorisation(mpan="9900000009993"), "authorisation_installation"),
    ):
        journey.expect(migration.authorise(migration.authorisation(wish)), _NOT_YET, rule)
    journey.expect(migration.submit(migration.submission()), _NOT_YET, "order")
    journey.expect_untouched()


@pytest.mark.ttm("TTM-MIG-A-04")
@pytest.mark.devices("ESME", "CH")
def test_an_authorisation_is_opened_by_its_password_alone(journey: Journey) -> None:
    """Migration: a wrong password is refused, and so is content that was changed under the right one."""
    migration = journey.migration
    wrong = migration.authorisation(Authorisation(password=journey.rig.rig.mpan))
    journey.expect(migration.authorise(wrong), _NOT_YET, "authorisation_password")
    right = migration.authorisation()
    mpan = journey.rig.rig.mpan.encode()
    changed = {name: content.replace(mpan, mpan[:-1] + b"x") for name, content in right.items()}
    journey.evidence.expect("the content was changed", found=changed != right, expected=True)
    journey.expect(migration.authorise(changed), _NOT_YET, "authorisation_password")
    journey.expect_untouched()
    journey.expect(migration.authorise(right), _AUTHORISED)


@pytest.mark.ttm("TTM-MIG-A-05")
@pytest.mark.devices("ESME", "CH")
def test_an_installation_without_an_epcl_entry_is_ma110(journey: Journey) -> None:
    """MA110: a model, communications provider or installation type that no EPCL entry has is refused."""
    migration = journey.migration
    free = sorted(set(InstallationType) - set(migration.eligible))
    wishes = [
        Authorisation(model_of=DeviceType.ESME),
        Authorisation(communications_provider="Nightjar Radio"),
    ]
    wishes += [Authorisation(installation_type=kind) for kind in free[:1]]
    for wish in wishes:
        journey.expect(migration.authorise(migration.authorisation(wish)), _NOT_YET, "epcl_entry")
    journey.expect_untouched()


@pytest.mark.ttm("TTM-MIG-A-06")
@pytest.mark.devices("ESME", "CH")
def test_the_same_authorisation_again_changes_nothing_and_another_is_refused(journey: Journey) -> None:
    """Migration: an authorisation handed in twice is taken once; one more for the installation is not."""
    migration = journey.migration
    files = migration.authorisation()
    for _ in range(2):
        journey.expect(migration.authorise(files), _AUTHORISED, attempts=0)
    journey.clock.sleep(timedelta(minutes=1))
    journey.expect(migration.authorise(migration.authorisation()), _AUTHORISED, "order")
    journey.expect_with(KeyHolder.SMSO)


@pytest.mark.ttm("TTM-MIG-A-07")
@pytest.mark.devices("ESME", "CH")
def test_an_authorisation_that_is_not_of_the_form_is_refused(journey: Journey) -> None:
    """Migration: without its password file, under another name, torn or far too long, it is refused whole."""
    migration = journey.migration
    right = migration.authorisation()
    name = next(name for name in right if name.startswith("MA_"))
    alone = {name: right[name]}
    renamed = {each.replace("MA_", "XX_"): content for each, content in right.items()}
    torn = {**right, name: right[name][:40]}
    long = {**right, name: right[name] * 1_000}
    for files in (alone, renamed, torn, long):
        journey.expect(migration.authorise(files), _NOT_YET, "authorisation_form")
    journey.expect_untouched()


@pytest.mark.ttm("TTM-MIG-X-01")
@pytest.mark.devices("ESME", "CH")
def test_an_installation_whose_contract_has_ended_is_excluded(journey: Journey) -> None:
    """Migration, exclusion: what became dormant when its contract ended goes no further."""
    journey.migration.arrange(Circumstance.CONTRACT_ENDED)
    _expect_excluded(journey, "contract_ended")


@pytest.mark.ttm("TTM-MIG-X-02")
@pytest.mark.devices("ESME", "CH")
def test_an_installation_of_an_uneconomic_dmc_is_excluded(journey: Journey) -> None:
    """Migration, exclusion: an installation whose DMC is uneconomic goes no further."""
    journey.migration.arrange(Circumstance.UNECONOMIC)
    _expect_excluded(journey, "uneconomic")


def _expect_excluded(journey: Journey, rule: str) -> None:
    migration, excluded = journey.migration, MigrationStage.EXCLUDED
    journey.expect(migration.authorise(migration.authorisation()), excluded, rule)
    journey.expect(migration.submit(migration.submission()), excluded, "order")
    journey.expect_untouched()
