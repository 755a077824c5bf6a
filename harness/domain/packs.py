"""Test Packs (Clauses 20.15 to 20.17), as their manifests describe them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from harness.domain.lab import Environment, EpclEntry
from harness.domain.words import CapabilityRelease, InstallationType, PackKind, TestPhase


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Tests taken from one module: all of them but ``without``, or the named function."""

    module: Path
    function: str = ""
    without: frozenset[str] = frozenset()  # functions that a non-standard pack removed

    def takes(self, module: Path, function: str) -> bool:
        """Whether the selection takes that test function."""
        return module == self.module and self.function in {"", function} and function not in self.without


class ChangeKind(StrEnum):
    """What a non-standard pack does to the pack that it derives from (Clause 20.17)."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class PackChange:
    """One difference of a non-standard pack from the pack that it derives from."""

    kind: ChangeKind
    test: str  # module.py or module.py::test_name, below the packs folder
    rationale: str
    agreement: str = ""  # reference of the TAG's agreement to it; empty while there is none
    by: str = ""  # what a changed test is replaced by


class PackStanding(StrEnum):
    """How a pack stands to what was agreed with the TAG."""

    AGREED = "agreed"
    DIFFERS = "differs"  # another digest was agreed
    NOT_AGREED = "not agreed"  # none ever was


@dataclass(frozen=True, slots=True, kw_only=True)
class DepthAndBreadth:
    """A Depth and Breadth of Regression Testing document (Clause 7.6): the plan of a regression pack."""

    file: Path
    title: str
    version: str
    test_phases: frozenset[TestPhase]
    dmcs: frozenset[str]
    environment: str  # the id of the environment that it says
    codebase: Mapping[str, str]  # the version that it says of each DCC System
    reference: str = ""  # of the version that was published (Clause 7.7); empty while it is a draft

    def departures(self, environment: Environment) -> tuple[str, ...]:
        """In what an environment is not the one, or has not the codebase, that the document says."""
        found = []
        if environment.id != self.environment:
            found.append(f"the environment is {environment.id}, and {self.environment} in {self.file.name}")
        for system in sorted({*self.codebase, *environment.dcc_systems}):
            said, there = self.codebase.get(system, "none"), environment.dcc_systems.get(system, "none")
            if said != there:
                found.append(f"{system} is {there}, and {said} in {self.file.name}")
        return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """A Test Pack. ``digest`` covers its manifest and every source that it may use."""

    name: str
    title: str
    version: str
    kind: PackKind
    release: CapabilityRelease
    test_phase: TestPhase
    installation_types: frozenset[InstallationType]
    tag_agreement: str  # reference of the TAG's agreement (Clause 20.16); empty while there is none
    selections: tuple[Selection, ...]
    manifest: Path
    digest: str
    deadline: float = 0.0  # seconds of real time that a test may last which has no such mark; 0: it says none
    expected: float = 0.0  # seconds that a test is guessed to last which has no such mark; 0: it says none
    durations: Mapping[str, float] = field(default_factory=dict)  # guesses for single modules and tests
    state: str = ""  # that tests without such a mark need the installation to be in
    stages: tuple[str, ...] = ()  # the order that tests marked with them are run in, on each installation
    dmcs: frozenset[str] = frozenset()  # that it is for alone; none: every DMC of its Capability Release
    derives: str = ""  # the standard pack that a non-standard one differs from
    changes: tuple[PackChange, ...] = ()  # in which it differs
    regression: DepthAndBreadth | None = None
    files: Mapping[str, str] = field(default_factory=dict, repr=False)  # what the digest covers: SHA-256 each

    @property
    def folder(self) -> Path:
        """The packs folder."""
        return self.manifest.resolve().parents[1]

    @property
    def modules(self) -> tuple[Path, ...]:
        """Modules that the pack selects from, in its order."""
        return tuple(dict.fromkeys(selection.module for selection in self.selections))

    def selects(self, module: Path, function: str) -> bool:
        """Whether the pack plans that test function."""
        return any(selection.takes(module, function) for selection in self.selections)

    def is_for(self, entry: EpclEntry) -> bool:
        """Whether the pack is run on that EPCL entry: its Capability Release, DMC and installation type."""
        return (
            entry.dmc.release is self.release
            and entry.installation_type in self.installation_types
            and (not self.dmcs or entry.dmc.id in self.dmcs)
        )

    def guess(self, module: Path, function: str) -> float:
        """Seconds that the manifest guesses a test to last; 0: it says none. The closest guess counts."""
        if not self.durations:
            return self.expected
        name = module.relative_to(self.folder).as_posix()
        return self.durations.get(f"{name}::{function}") or self.durations.get(name) or self.expected
