"""What may stand in a pack's manifest, and in a Depth and Breadth of Regression Testing file.

A manifest is one of four, by the key that says where its tests come from: ``select`` (it names them itself),
``derives`` (a non-standard pack, Clause 20.17), ``depth_and_breadth`` (a regression pack, Clause 7.6) or
``planned_functional`` (an end of cycle pack, Clause 7.4(c)).
"""

from __future__ import annotations

import math
from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints

from harness.config.models import FileModel, Text
from harness.domain.words import CapabilityRelease, InstallationType, PackKind, TestPhase

Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Guess = Annotated[float, Field(gt=0, lt=math.inf)]
_ALL: Final = list(InstallationType)


class PackHeader(FileModel):
    """What every manifest says, ``test_packs/manifests/<name>.yaml``."""

    title: Text = Field(description="what the pack is, in a line")
    version: Text = Field(description="the pack's version")
    tag_agreement: str = Field(
        "", description="the reference of the TAG's agreement (Clauses 20.16 and 20.17); empty: none yet"
    )
    deadline: float = Field(
        0.0, description="seconds of real time after which a test without such a mark is stopped", ge=0
    )
    expected: float = Field(
        0.0, description="seconds that a test without such a mark is guessed to last", ge=0, lt=math.inf
    )
    durations: dict[str, Guess] = Field(
        default_factory=dict, description="such guesses for single modules and tests, by their name"
    )
    installation_state: str = Field(
        "", description="the state that tests without such a mark need the installation to be in"
    )
    stages: list[Text] = Field(
        [], description="the order that tests marked with these names are run in, on each installation"
    )


class ManifestFile(PackHeader):
    """A pack that selects its tests itself."""

    kind: PackKind = Field(description="what the pack is for")
    capability_release: CapabilityRelease = Field(description="the Capability Release: IOC, MOC or FOC")
    test_phase: TestPhase = Field(description="the Test Phase, or the testing of Clause 20.15")
    installation_types: list[InstallationType] = Field(description="dormant, active, mixed", min_length=1)
    dmcs: list[Text] = Field([], description="the DMCs that it is for; none: every one of its release")
    select: list[Text] = Field(
        description="folders (folder/), modules (module.py) or tests (module.py::test_name) of the packs "
        "folder, or all that another pack selects (pack:name)",
        min_length=1,
    )


class AddedFile(FileModel):
    """A test that a non-standard pack adds, or removes."""

    test: Text = Field(description="the module (module.py) or test (module.py::test_name)")
    rationale: Reason = Field(description="why; the TAG reads it")
    agreement: str = Field("", description="the reference of the TAG's agreement; empty: none yet")


class ChangedFile(AddedFile):
    """A test that a non-standard pack replaces by another."""

    by: Text = Field(description="the test that replaces it, module.py::test_name")


class DerivedFile(PackHeader):
    """A non-standard pack: another one, but for what is added, removed and changed (Clause 20.17)."""

    derives: Text = Field(description="the pack that it differs from; what is not said here is as there")
    dmcs: list[Text] = Field(description="the DMCs that it is proposed for", min_length=1)
    add: list[AddedFile] = Field([], description="tests that the other pack has not")
    remove: list[AddedFile] = Field([], description="tests of the other pack that are left out")
    change: list[ChangedFile] = Field([], description="tests of the other pack that are replaced")


class RegressionFile(PackHeader):
    """A regression pack: its tests, DMCs and release stand in its Depth and Breadth file."""

    test_phase: TestPhase = Field(description="the Test Phase that it is run in")
    installation_types: list[InstallationType] = Field(
        _ALL, description="dormant, active, mixed", min_length=1
    )
    depth_and_breadth: Text = Field(
        description="the Depth and Breadth of Regression Testing file, from the packs folder"
    )


class EndOfCycleFile(PackHeader):
    """An end of cycle pack: all tests of the functional packs of its Test Phase and Capability Release."""

    capability_release: CapabilityRelease = Field(description="the Capability Release: IOC, MOC or FOC")
    planned_functional: TestPhase = Field(description="the Test Phase whose functional packs it repeats")
    installation_types: list[InstallationType] = Field(
        [], description="dormant, active, mixed; none: those of the packs that it repeats"
    )


class DepthAndBreadthFile(FileModel):
    """A Depth and Breadth of Regression Testing document (Clauses 7.6 and 7.7) as the harness reads it."""

    title: Text = Field(description="what it is about, in a line")
    version: Text = Field(description="the version of the document")
    reference: str = Field("", description="where that version was published (Clause 7.7); empty: a draft")
    capability_release: Literal[CapabilityRelease.MOC, CapabilityRelease.FOC] = Field(
        description="MOC or FOC; regression testing for IOC has no such document (Clause 7.5)"
    )
    test_phases: list[TestPhase] = Field(
        description="the Test Phases that it covers: SIT and Migration Testing", min_length=1
    )
    dmcs: list[Text] = Field(description="the DMCs that it relates to", min_length=1)
    environment: Text = Field(description="the id of the environment that the tests are performed in")
    codebase: dict[str, Text] = Field(
        description="the version of each DCC System that they are run on", min_length=1
    )
    planned_tests: list[Text] = Field(
        description="folders, modules or tests of the packs folder, as a manifest selects them", min_length=1
    )
