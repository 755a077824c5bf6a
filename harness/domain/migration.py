"""Migration of a SMETS1 installation: what a test of it holds in its hand.

:class:`Migration` is the data sheet: twins implement it, and so may a lab's plug-in for parties of its own
(hook ``harness_migration``). What is known of migration, and what is ours: :mod:`.migration_rules`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from harness.domain.instruments import Device
from harness.domain.migration_rules import MigrationParty, MigrationRules, MigrationStage
from harness.domain.words import DeviceType, InstallationType

Files = Mapping[str, bytes]
"""Files by name, as they lie on disk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What the parties say of an installation after a step."""

    stage: MigrationStage
    devices: tuple[DeviceType, ...]  # those that go on
    codes: tuple[str, ...] = ()  # of the checks that refused in the step
    attempts: int = 0  # failed ones so far
    told: tuple[str, ...] = ()  # what the checks found, for people


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorisation:
    """How a Migration Authorisation is to differ from the right one; a field left alone is right."""

    party: str = ""  # a Requesting Party
    mpan: str = ""  # of another installation
    communications_provider: str = ""
    installation_type: InstallationType | None = None
    model_of: DeviceType | None = None  # a device that is named as another model than it is
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    password: str = ""  # in the password file, another than the one that seals it


class KeyHolder(StrEnum):
    """Whose keys are tried on a device."""

    SMSO = "SMSO"
    S1SP_AND_DCO = "S1SP and DCO"
    S1SP_ALONE = "S1SP alone"
    DCO_ALONE = "DCO alone"


class Circumstance(StrEnum):
    """What may be wrong with an installation before anybody looks at its devices."""

    MASTER_KEY_MISSING = "its master key is not known"
    WRONG_SERIAL_NUMBER = "the SMSO's records have another serial number"
    KEY_MATERIAL_SPOILT = "its key material is sealed for nobody"
    NOT_VIABLE_FOR_S1SP = "the S1SP does not take it"
    NOT_VIABLE_FOR_DCO = "the DCO does not take it"
    CONTRACT_ENDED = "it became dormant when its contract ended"
    UNECONOMIC = "its DMC is uneconomic"


class Migration(Protocol):
    """The parties of migration, and one installation that is with its SMSO.

    Every step returns what the parties say afterwards; a step that the installation is not ready for is
    refused by the rule ``order``. A test looks at the devices themselves whatever the parties say.
    """

    @property
    def rules(self) -> MigrationRules:
        """The lab's error set."""

    @property
    def dormant(self) -> tuple[DeviceType, ...]:
        """The meters that their SMSO does not serve any more."""

    @property
    def eligible(self) -> tuple[InstallationType, ...]:
        """The installation types for which its DMC has an EPCL entry."""

    def progress(self) -> Progress:
        """What the parties say now."""

    def arrange(self, circumstance: Circumstance, device: DeviceType = DeviceType.ESME) -> None:
        """Let something be wrong with the installation, or with one device of it, from now on."""

    def authorisation(self, wish: Authorisation | None = None) -> Files:
        """A Migration Authorisation and its password file, as the DCC gives them to a Requesting Party."""

    def authorise(self, files: Files) -> Progress:
        """Hand an authorisation in."""

    def prepare(self) -> Progress:
        """The SMSO brings dormant meters to the firmware and configuration of their EPCL entry."""

    def submission(self) -> Files:
        """The Requesting Party's files for one attempt: common, group, and encrypted group file."""

    def submit(self, files: Files) -> Progress:
        """Hand the files in."""

    def validate(self) -> Progress:
        """S1SP and DCO each list what they take."""

    def test_devices(self) -> Progress:
        """Each device is contacted over WAN and HAN, under the keys that the SMSO gave away."""

    def change_credentials(self, *devices: DeviceType) -> Progress:
        """S1SP and DCO put their keys in place of the SMSO's; on all devices, or first on those named."""

    def commission(self) -> Progress:
        """The Commissioning Party enters the devices in the inventory and has certificates notified."""

    def roll_back(self) -> Progress:
        """Give every device back to its SMSO."""

    def lists(self) -> Files:
        """What S1SP, DCO and Commissioning Party have written so far."""

    def opens(self, device: Device, holder: KeyHolder) -> bool:
        """Whether a holder's keys open the head end's association at the device's own port."""

    def discloses(self, content: bytes) -> tuple[str, ...]:
        """Which keys of the installation stand in there for everybody to read."""

    def deciphered_by(self, party: MigrationParty, content: bytes) -> tuple[MigrationParty, ...]:
        """Whose halves of the key material a party can read, in an encrypted group file."""

    def close(self) -> None:
        """Put the installation back to where it was enrolled, whatever state it is in."""
