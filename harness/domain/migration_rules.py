"""What migration of a SMETS1 installation is judged by: its stages, and the checks of its parties.

What is publicly known of migration is little (the checks MA110 and GT01, the exclusions, names of files);
the order of stages, who checks what, and every other code are **ours**, kept as data (``migration:`` of the
lab file) and marked so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from harness.domain.words import DeviceType


class MigrationStage(StrEnum):
    """How far an installation has come. Our model: the sources name only parts of it."""

    WITH_SMSO = "with its SMSO"
    AUTHORISED = "authorised"
    PREPARED = "prepared"  # where a meter is dormant
    SUBMITTED = "submitted"
    VALIDATED = "validated"
    DEVICE_TESTED = "device tested"
    CREDENTIALS_CHANGED = "credentials changed"  # the last from which there is a way back
    COMMISSIONED = "commissioned"
    ROLL_BACK_DUE = "roll-back due"  # a device could not be given back to its SMSO yet
    ROLLED_BACK = "rolled back"
    EXCLUDED = "excluded"


class MigrationParty(StrEnum):
    """Who takes part (names confirmed; who does what is ours)."""

    DCC = "DCC"
    REQUESTING_PARTY = "Requesting Party"
    S1SP = "S1SP"
    DCO = "DCO"
    COMMISSIONING_PARTY = "Commissioning Party"


class Consequence(StrEnum):
    """What a check that refuses does to the installation."""

    REJECTED = "rejected"  # what was handed in is not taken; all stays as it was
    FAILED = "failed"  # the attempt has failed: rolled back, and counted
    ELECTRICITY_ONLY = "electricity only"  # the gas meter is left out, the others go on
    EXCLUDED = "excluded"  # the installation is out of migration


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationCheck:
    """One check of migration: a rule that the parties know by name, and what the lab's data say of it."""

    rule: str
    code: str
    party: MigrationParty
    stage: MigrationStage  # that the installation does not reach where the check refuses
    consequence: Consequence
    on: bool  # checks can be removed
    evidence: str  # how well it is known: confirmed (by name), or ours
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationRules:
    """The error set of a lab, and what else migration is judged by."""

    attempts: int  # failed ones after which an installation is excluded
    checks: Mapping[str, MigrationCheck]  # by rule
    configuration: Mapping[DeviceType, Mapping[str, int]] = field(default_factory=dict)  # of dormant meters
    uneconomic: frozenset[str] = frozenset()  # DMCs
