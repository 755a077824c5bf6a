"""Migration of a rig in hand, with the whole simulated DCC behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from device_drivers.dcc.services import start_lab
from device_drivers.named.device import NoTrace
from device_drivers.plugin import harness_migration
from device_drivers.simulated.migration.client import SimulatedMigration
from device_drivers.simulated.rig import open_simulated_rig
from harness.config import load_lab
from harness.domain.errors import AccessRefused, HarnessError
from harness.domain.instruments import RigInHand
from harness.domain.lab import Lab
from harness.domain.migration import Circumstance, KeyHolder, Migration
from harness.domain.migration_rules import MigrationStage
from harness.domain.words import DeviceType
from harness.hooks import RunContext, unfenced

REPO = Path(__file__).parents[4]
ESME, GSME, CH = DeviceType.ESME, DeviceType.GSME, DeviceType.CH


class Started:
    """A lab's services, and rigs opened on them."""

    def __init__(self, lab: Lab, run: RunContext, held: ExitStack) -> None:
        self.lab, self._run, self._held = lab, run, held
        services = start_lab(lab, run)
        held.callback(services.close)
        self.addresses = services.addresses

    def open(self, rig_id: str) -> RigInHand:
        rig = open_simulated_rig(self.lab, self.lab.rig(rig_id), self.addresses, self._run, NoTrace())
        self._held.callback(rig.close)
        return rig

    def migrate(self, rig: RigInHand, entry: str) -> SimulatedMigration:
        (found,) = (each for each in self.lab.epcl if each.id == entry)
        migration = SimulatedMigration(self.lab, rig, found, self.addresses, NoTrace())  # type: ignore[arg-type]
        self._held.callback(migration.close)
        return migration


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    folder = tmp_path_factory.mktemp("migration")
    lab = load_lab(REPO / "lab_config" / "simulated.yaml", state=folder / "state")
    with ExitStack() as held:
        yield Started(lab, RunContext("run", folder / "run", 7), held)


@pytest.fixture(scope="module")
def rig(started: Started) -> RigInHand:
    return started.open("ioc-1")


@pytest.fixture
def migration(started: Started, rig: RigInHand) -> Iterator[SimulatedMigration]:
    migration = started.migrate(rig, "ioc-alderwick-dormant")
    yield migration
    migration.close()


def steps(migration: Migration) -> list[Callable[[], Any]]:
    return [
        lambda: migration.authorise(migration.authorisation()),
        migration.prepare,
        lambda: migration.submit(migration.submission()),
        migration.validate,
        migration.test_devices,
        migration.change_credentials,
        migration.commission,
    ]


@pytest.mark.parametrize("count", [0, 3, 6, 7])
def test_the_rig_is_enrolled_as_it_was_whatever_stage_the_test_ended_at(
    migration: SimulatedMigration, rig: RigInHand, count: int
) -> None:
    for step in steps(migration)[:count]:
        assert step().codes == ()
    migration.close()
    for device in rig.devices.values():
        assert device.device_type is CH or rig.user.request("11.2", device).success
        opened = [holder for holder in KeyHolder if migration.opens(device, holder)]
        assert opened == [KeyHolder.S1SP_AND_DCO]
    entry = rig.user.request("8.2", rig.devices[ESME], {"DeviceID": rig.devices[ESME].device_id}).payload
    assert entry.all("DSPInventory/Device")[0].text("DateCommissioned").startswith("2025-03-03")


def test_a_rig_that_is_opened_anew_is_enrolled_though_its_migration_never_ended(started: Started) -> None:
    rig = started.open("ioc-2")
    started.migrate(rig, "ioc-alderwick-active")
    assert rig.user.request("11.2", rig.devices[ESME]).code == "E19"
    rig.close()
    rig = started.open("ioc-2")
    assert rig.user.request("11.2", rig.devices[ESME]).success
    told = rig.user.request("6.24.1", rig.devices[ESME], {"RemotePartyRole": ["Supplier"]}).payload
    assert len(told.all("RemotePartyDetails")) == 1  # the supplier is notified as it was
    since = rig.clock.now()
    rig.bench.tamper(ESME, True)
    assert rig.user.alert("0081", rig.devices[ESME], since=since)
    other = started.migrate(rig, "ioc-alderwick-active")
    assert other.progress().stage is MigrationStage.WITH_SMSO


def test_a_migration_that_was_left_is_put_back_before_the_next_one_begins(
    started: Started, rig: RigInHand
) -> None:
    started.migrate(rig, "ioc-alderwick-active")  # and never closed here
    migration = started.migrate(rig, "ioc-alderwick-active")
    migration.close()
    assert rig.user.request("11.2", rig.devices[ESME]).success


def test_the_parties_keep_their_files_on_disk_for_their_owner_alone(
    migration: SimulatedMigration, started: Started
) -> None:
    for step in steps(migration)[:4]:
        step()
    folder = started.lab.state / "migration" / "ioc-1"
    found = {each.name: len(list(each.iterdir())) for each in folder.iterdir()}
    assert found == {"requesting-party": 5, "s1sp": 4, "dco": 4}
    assert all(each.stat().st_mode & 0o077 == 0 for each in folder.iterdir())


def test_a_lost_answer_in_the_change_of_keys_leaves_no_device_behind(
    migration: SimulatedMigration, rig: RigInHand
) -> None:
    for step in steps(migration)[:5]:
        step()
    cabinet = rig.site.cabinets[rig.devices[ESME].device_id]  # type: ignore[attr-defined]
    commands = rig.site.twins.esme.commands  # type: ignore[attr-defined]

    def take_and_deny(wrapped: Any) -> None:
        cabinet.transfer(wrapped)
        raise AccessRefused("no answer that could be believed", result="temporary-failure")

    kept = commands["key_transfer"]
    commands["key_transfer"] = take_and_deny
    try:
        failed = migration.change_credentials(ESME)
    finally:
        commands["key_transfer"] = kept
    assert (failed.stage, failed.codes) == (MigrationStage.ROLLED_BACK, ("XC01",))
    for device in rig.devices.values():
        assert migration.opens(device, KeyHolder.SMSO)


def test_a_step_for_a_rig_that_is_not_being_migrated_is_an_error_of_the_caller(
    migration: SimulatedMigration,
) -> None:
    migration.close()
    with pytest.raises((HarnessError, RuntimeError)):
        migration.progress()


def test_nobody_migrates_a_rig_that_is_not_simulated(started: Started, rig: RigInHand) -> None:
    found = harness_migration(started.lab, rig, started.lab.epcl[0], {}, NoTrace(), unfenced)
    assert found is None


def test_what_is_wrong_with_an_installation_stays_with_the_one_it_was_arranged_for(
    started: Started, rig: RigInHand
) -> None:
    for arranged, stage in ((True, MigrationStage.EXCLUDED), (False, MigrationStage.AUTHORISED)):
        migration = started.migrate(rig, "ioc-alderwick-dormant")
        if arranged:
            migration.arrange(Circumstance.UNECONOMIC)
        assert migration.authorise(migration.authorisation()).stage is stage
        migration.close()
