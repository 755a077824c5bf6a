"""What the parties know of one installation that is being migrated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from device_drivers.simulated.gateway.inventory import Record
from device_drivers.simulated.migration.authorisation import ReadAuthorisation
from device_drivers.simulated.migration.files import ReadSubmission
from device_drivers.simulated.migration.keys import Half
from device_drivers.simulated.s1sp.record import DeviceRecord
from harness.domain.lab import EpclEntry, Rig, RigDevice
from harness.domain.migration import Circumstance, Progress
from harness.domain.migration_rules import MigrationParty, MigrationStage
from harness.domain.words import DeviceType, InstallationType

_ELECTRICITY_FIRST = (DeviceType.CH, DeviceType.ESME, DeviceType.GSME)


@dataclass(slots=True)
class Installation:
    """One rig's installation, from the moment that it is with its SMSO."""

    rig: Rig
    entry: EpclEntry
    records: tuple[Record, ...]  # the inventory's, to be put back
    kept: Mapping[str, DeviceRecord]  # the S1SP's, by device id, to be put back
    devices: list[DeviceType]
    stage: MigrationStage = MigrationStage.WITH_SMSO
    attempts: int = 0
    authorisation: ReadAuthorisation | None = None
    digest: str = ""  # of the files of the attempt under way
    submission: ReadSubmission | None = None
    parts: dict[MigrationParty, dict[str, Half]] = field(default_factory=dict)
    changed: set[DeviceType] = field(default_factory=set)  # have, or may have, new keys
    circumstances: set[tuple[Circumstance, DeviceType]] = field(default_factory=set)
    lists: dict[str, bytes] = field(default_factory=dict)

    @property
    def ch_id(self) -> str:
        """The hub that it is reached through."""
        return self.rig.devices[DeviceType.CH].device_id

    @property
    def dormant(self) -> tuple[DeviceType, ...]:
        """Its dormant meters."""
        return dormant_meters(self.entry.installation_type, self.rig.devices)

    @property
    def ready(self) -> MigrationStage:
        """The stage that the first attempt begins from."""
        return MigrationStage.PREPARED if self.dormant else MigrationStage.AUTHORISED

    def device(self, type_: DeviceType) -> RigDevice:
        """One device of it."""
        return self.rig.devices[type_]

    def going_on(self) -> tuple[RigDevice, ...]:
        """The devices that are not left out, hub first and gas meter last."""
        return tuple(self.device(type_) for type_ in _ELECTRICITY_FIRST if type_ in self.devices)

    def suffers(self, circumstance: Circumstance, type_: DeviceType = DeviceType.ESME) -> bool:
        """Whether that is wrong with it."""
        return (circumstance, type_) in self.circumstances

    def enrolled(self, device_id: str) -> bool:
        """Whether the device has been commissioned."""
        types = {device.device_id.upper(): type_ for type_, device in self.rig.devices.items()}
        return self.stage is MigrationStage.COMMISSIONED and types.get(device_id.upper()) in self.devices

    def begin_anew(self) -> None:
        """No attempt is under way."""
        self.digest, self.submission, self.parts = "", None, {}
        self.devices = list(self.rig.devices)

    def progress(self, codes: tuple[str, ...] = (), told: tuple[str, ...] = ()) -> Progress:
        """As the parties tell it."""
        return Progress(
            stage=self.stage, devices=tuple(self.devices), codes=codes, attempts=self.attempts, told=told
        )


def dormant_meters(kind: InstallationType, types: Iterable[DeviceType]) -> tuple[DeviceType, ...]:
    """The meters that no SMSO serves any more; of a mixed installation that is the gas meter (ours)."""
    meters = [type_ for type_ in types if type_ is not DeviceType.CH]
    match kind:
        case InstallationType.DORMANT:
            return tuple(meters)
        case InstallationType.MIXED:
            return tuple(type_ for type_ in meters if type_ is DeviceType.GSME)
        case _:
            return ()
