"""Test Packs (Clauses 20.15 to 20.17), as their manifests describe them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.domain.lab import EpclEntry
from harness.domain.words import CapabilityRelease, InstallationType, PackKind, TestPhase


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Tests taken from one module: all of them, or the named function."""

    module: Path
    function: str = ""

    def takes(self, module: Path, function: str) -> bool:
        """Whether the selection takes that test function."""
        return module == self.module and self.function in {"", function}


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
    stages: tuple[str, ...] = ()  # the order that tests marked with them are run in, on each installation

    @property
    def modules(self) -> tuple[Path, ...]:
        """Modules that the pack selects from, in its order."""
        return tuple(dict.fromkeys(selection.module for selection in self.selections))

    def selects(self, module: Path, function: str) -> bool:
        """Whether the pack plans that test function."""
        return any(selection.takes(module, function) for selection in self.selections)

    def is_for(self, entry: EpclEntry) -> bool:
        """Whether the pack is run on that EPCL entry: its Capability Release and installation type."""
        return entry.dmc.release is self.release and entry.installation_type in self.installation_types
