"""The way of an installation from its SMSO to the DCC, and what must hold along it.

What the parties say of a step is one thing, what the devices hold is another: :meth:`Journey.expect_with`
tries keys at each device's own port, and :meth:`Journey.expect_known` asks the DCC what it has.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from harness.domain.errors import BeyondLab
from harness.domain.instruments import Bench, Device, EvidenceLog, LabClock, RigInHand, ServiceUser
from harness.domain.migration import KeyHolder, Migration, Progress
from harness.domain.migration_rules import MigrationStage
from harness.domain.words import DeviceType
from test_packs.estate import UNKNOWN_DEVICE, inventory

ABSENT: Final = ""
PENDING: Final = "Pending"
COMMISSIONED: Final = "Commissioned"
MOVING: Final = frozenset(
    {
        "clock", "active_price", "active_power_import", "active_power_export", "voltage", "battery_capacity",
        "wake_ups", "han_devices", "wan_state", "gas_proxy_updated",
    }
)  # fmt: skip
"""Items that move with time and traffic, whatever migration does."""
_FIRMWARE_VERSION: Final = "11.2"  # any request that every device serves


@dataclass(frozen=True, slots=True)
class Journey:
    """One installation on its way; it is with its SMSO when a test gets it."""

    migration: Migration
    rig: RigInHand
    user: ServiceUser
    bench: Bench
    clock: LabClock
    evidence: EvidenceLog
    _pictures: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    # -- the way -----------------------------------------------------------------------------------

    def to(self, stage: MigrationStage) -> Progress:
        """Go the main way from here as far as a stage, each step as it must be."""
        progress = self.migration.progress()
        for reached, step in self._way().items():
            if progress.stage is stage:
                break
            if self._is_past(progress.stage, reached):
                continue
            progress = step()
            self.expect(progress, reached)
        self.evidence.expect("stage reached", found=progress.stage, expected=stage)
        return progress

    def _way(self) -> dict[MigrationStage, Callable[[], Progress]]:
        migration = self.migration
        way: dict[MigrationStage, Callable[[], Progress]] = {
            MigrationStage.AUTHORISED: lambda: migration.authorise(migration.authorisation()),
            MigrationStage.PREPARED: migration.prepare,
            MigrationStage.SUBMITTED: lambda: migration.submit(migration.submission()),
            MigrationStage.VALIDATED: migration.validate,
            MigrationStage.DEVICE_TESTED: migration.test_devices,
            MigrationStage.CREDENTIALS_CHANGED: migration.change_credentials,
            MigrationStage.COMMISSIONED: migration.commission,
        }
        if not migration.dormant:
            del way[MigrationStage.PREPARED]
        return way

    def _is_past(self, now: MigrationStage, stage: MigrationStage) -> bool:
        """Whether a stage lies behind; an attempt that was rolled back begins anew with its files."""
        way = list(self._way())
        if now is MigrationStage.ROLLED_BACK:
            return way.index(stage) < way.index(MigrationStage.SUBMITTED)
        return now in way and way.index(stage) <= way.index(now)

    @property
    def ready(self) -> MigrationStage:
        """The stage from which files can be handed in."""
        return MigrationStage.PREPARED if self.migration.dormant else MigrationStage.AUTHORISED

    # -- what the parties say ----------------------------------------------------------------------

    def expect(
        self,
        progress: Progress,
        stage: MigrationStage,
        *rules: str,
        without: Collection[DeviceType] = (),
        attempts: int | None = None,
    ) -> None:
        """The parties tell that stage, and the codes of those rules and no others."""
        found: dict[str, Any] = {
            "stage": progress.stage,
            "codes": progress.codes,
            "devices": sorted(progress.devices),
        }
        due: dict[str, Any] = {
            "stage": stage,
            "codes": tuple(self.code(rule) for rule in rules),
            "devices": sorted(set(self.rig.devices) - set(without)),
        }
        if attempts is not None:
            found["failed attempts"], due["failed attempts"] = progress.attempts, attempts
        self.evidence.expect(
            f"what the parties tell ({', '.join(rules) or stage})", found=found, expected=due
        )

    def code(self, rule: str) -> str:
        """The code by which a rule refuses; a lab that has removed the check cannot run the test."""
        check = self.migration.rules.checks.get(rule)
        if check is None or not check.on:
            raise BeyondLab(
                f"the check {rule!r} is removed in this lab",
                remedy="take the test out of the pack, or turn the check on in the lab's migration file",
            )
        return check.code

    # -- what is so --------------------------------------------------------------------------------

    def expect_with(self, holder: KeyHolder, *types: DeviceType) -> None:
        """At its own port each device opens under the keys of that holder, and of the other one not."""
        other = KeyHolder.SMSO if holder is KeyHolder.S1SP_AND_DCO else KeyHolder.S1SP_AND_DCO
        for device in self.devices(*types):
            found = {who: self.migration.opens(device, who) for who in (holder, other)}
            due = {holder: True, other: False}
            self.evidence.expect(f"keys that open the {device.device_type}", found=found, expected=due)

    def expect_known(self, status: str, *types: DeviceType) -> None:
        """The DCC's inventory has each device with that status, or does not know it."""
        for device in self.devices(*types):
            if status == ABSENT:
                response = self.user.request(_FIRMWARE_VERSION, device)
                self.evidence.expect(
                    f"code for the {device.device_type}", found=response.code, expected=UNKNOWN_DEVICE
                )
                continue
            entry = inventory(self.evidence, self.user, device)[device.device_id.upper()]
            self.evidence.expect(
                f"status of the {device.device_type}", found=entry.get("DeviceStatus"), expected=status
            )

    def expect_untouched(self) -> None:
        """All is as at the beginning: SMSO's keys, unknown to the DCC, settings and state as they were."""
        self.expect_with(KeyHolder.SMSO)
        self.expect_known(ABSENT)
        self.expect_same()

    def remember(self) -> None:
        """What :meth:`expect_same` compares with: settings, state, registers and logs of every device."""
        self._pictures.clear()
        self._pictures.update({id_: self._picture(device) for id_, device in self._by_id().items()})

    def expect_same(self) -> None:
        """Settings and state of every device are as they were remembered, and so is what it had counted."""
        for id_, device in self._by_id().items():
            before, after = self._pictures[id_], self._picture(device)
            moved = {name: (before[name], after[name]) for name in before if before[name] != after[name]}
            self.evidence.expect(f"what moved on the {device.device_type}", found=moved, expected={})

    def devices(self, *types: DeviceType) -> tuple[Device, ...]:
        """Those devices of the installation that it has; all where none is named."""
        return tuple(device for type_, device in self.rig.devices.items() if not types or type_ in types)

    def lose_power(self, duration: timedelta = timedelta(minutes=5)) -> None:
        """A power cut, from which electricity meter and hub come back."""
        self.bench.mains(on=False)
        self.clock.sleep(duration)
        self.bench.mains(on=True)
        self.clock.sleep(timedelta(minutes=2))

    def _by_id(self) -> dict[str, Device]:
        return {device.device_id: device for device in self.rig.devices.values()}

    @staticmethod
    def _picture(device: Device) -> Mapping[str, Any]:
        """But for what moves by itself, and for what a hub hears while it passes messages on."""
        picture = device.snapshot(("setting", "state", "register"))
        return {name: value for name, value in picture.items() if name not in MOVING}
