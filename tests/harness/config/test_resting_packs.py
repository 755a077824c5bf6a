# ruff: noqa: E501 - messages stand here as their reader sees them, each on one line
"""Packs that rest on others: non-standard, regression and end of cycle packs; and those that are shipped."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.config import FileProblems, load_lab
from harness.config.packs import find_packs, load_pack, manifests, selected_tests
from harness.domain.packs import Pack
from harness.domain.words import CapabilityRelease, PackKind
from tests.harness.config.pack_folders import MANIFEST, load, manifest

REPO = Path(__file__).resolve().parents[3]
SHIPPED = REPO / "test_packs"

DERIVED = """\
title: Another pack
version: "2"
derives: small
dmcs: [ioc-alderwick]
add:
  - {test: "test_clock.py::test_the_clock_can_be_set", rationale: it can be set here}
remove:
  - test: readings/test_registers.py::test_import
    rationale: there is none
    agreement: TAG 7/1
"""


def derived(packs: Path, *changes: tuple[str, str]) -> Pack:
    text = DERIVED
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    manifest(packs, "other", text)
    return load_pack(packs / "manifests" / "other.yaml", packs)


def test_a_non_standard_pack_is_another_but_for_what_it_changes(packs: Path) -> None:
    load(packs, ("select:", "expected: 2.5\nselect:"))
    pack = derived(packs)
    assert set(selected_tests(pack)) == {
        "test_registers::test_export",
        "test_clock::test_the_clock_is_right",
        "test_clock::test_the_clock_can_be_set",
    }
    assert (pack.version, pack.kind, pack.expected) == ("2", PackKind.SRV, 2.5)
    assert [(change.kind, change.rationale, change.agreement) for change in pack.changes] == [
        ("added", "it can be set here", ""),
        ("removed", "there is none", "TAG 7/1"),
    ]
    assert "manifests/small.yaml" in pack.files


def test_a_module_of_which_nothing_is_left_is_no_module_of_the_pack(packs: Path) -> None:
    pack = derived(packs, ("readings/test_registers.py::test_import", "readings/test_registers.py"))
    assert pack.modules == (packs / "test_clock.py",)
    assert "readings/test_registers.py" not in pack.files


def test_a_changed_test_is_replaced_by_another(packs: Path) -> None:
    change = (
        "change:\n  - test: test_clock.py::test_the_clock_is_right\n"
        "    by: test_clock.py::test_the_clock_can_be_set\n    rationale: ours\nremove:"
    )
    added = DERIVED[DERIVED.index("add:") : DERIVED.index("remove:")]
    pack = derived(packs, (added, ""), ("remove:", change))
    assert set(selected_tests(pack)) == {
        "test_registers::test_export",
        "test_clock::test_the_clock_can_be_set",
    }


def test_a_non_standard_pack_is_run_on_its_dmcs_alone(packs: Path) -> None:
    lab = load_lab(REPO / "lab_config" / "simulated.yaml")
    small, other = load(packs), derived(packs, ("ioc-alderwick", "foc-cedarholt"))
    assert {entry.dmc.id for entry in lab.epcl if small.is_for(entry)} == {"ioc-alderwick"}
    assert not [entry for entry in lab.epcl if other.is_for(entry)], "it is of another Capability Release"
    assert {entry.dmc.id for entry in lab.epcl if derived(packs).is_for(entry)} == {"ioc-alderwick"}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("derives: small", "derives: smal", r"other\.yaml:3: there is no pack 'smal' \(did you mean 'small'\?\)"),
        ("rationale: there is none", "reason: none", r"other\.yaml:9: remove\.0\.reason: unknown key 'reason'"),
        ("    rationale: there is none\n", "", r"other\.yaml:8: remove\.0: no key 'rationale'"),
        ("rationale: there is none", "rationale: '  '", r"other\.yaml:9: remove\.0\.rationale"),
        ("rationale: there is none", "rationale: ''", r"other\.yaml:9: remove\.0\.rationale"),
        ("::test_import", "::test_imports", r"other\.yaml:8: readings/test_registers\.py has no test 'test_imports'"),
        ("::test_the_clock_can_be_set", "::test_the_clock_is_right", r"other\.yaml:6: small has .* already"),
        ("readings/test_registers.py::test_import", "test_clock.py::test_the_clock_can_be_set",
         r"other\.yaml:8: small has no test_clock\.py::test_the_clock_can_be_set"),
        ("remove:\n", "change:\n  - {test: test_clock.py, by: readings/test_registers.py, rationale: x}\nremove:\n",
         r"other\.yaml:8: test_clock\.py is no single test"),
        ("dmcs: [ioc-alderwick]\n", "", r"other\.yaml:1: .*no key 'dmcs'"),
    ],
)  # fmt: skip
def test_a_wrong_change_is_told_with_its_line(packs: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(FileProblems, match=message):
        derived(packs, (old, new))


DEPTH = """\
title: What is tested again
version: "3"
capability_release: MOC
test_phases: [SIT, DMCT MT]
dmcs: [moc-birchfell]
environment: sit-b
codebase: {DSP: "5.4", S1SP: "3.12"}
planned_tests: [readings/]
"""
REGRESSION = 'title: Again\nversion: "1"\ntest_phase: SIT\ndepth_and_breadth: ../depth.yaml\n'


def test_a_regression_pack_is_what_its_depth_and_breadth_says(packs: Path) -> None:
    (packs.parent / "depth.yaml").write_text(DEPTH)
    pack = load_pack(manifest(packs, "again", REGRESSION), packs)
    assert (pack.kind, pack.release, pack.dmcs) == (PackKind.REGRESSION, "MOC", {"moc-birchfell"})
    assert set(selected_tests(pack)) == {"test_registers::test_import", "test_registers::test_export"}
    assert pack.regression is not None
    assert pack.regression.codebase == {"DSP": "5.4", "S1SP": "3.12"}
    before = pack.digest
    (packs.parent / "depth.yaml").write_text(DEPTH.replace("3.12", "3.13"))
    assert load_pack(packs / "manifests" / "again.yaml", packs).digest != before


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("MOC", "IOC", r"depth\.yaml:3: .*found 'IOC'"),  # Clause 7.5: IOC has no such document
        ("environment: sit-b\n", "", r"depth\.yaml:1: .*no key 'environment'"),
        ('codebase: {DSP: "5.4", S1SP: "3.12"}', "codebase: {}", r"depth\.yaml:7: codebase"),
        (
            "readings/",
            "reading/",
            r"depth\.yaml:8: there is no folder 'reading/' .*did you mean 'readings/'\?",
        ),
        ("[SIT, DMCT MT]", "[DMCT MT]", r"again\.yaml:3: depth\.yaml covers DMCT MT, and not SIT"),
    ],
)
def test_what_is_wrong_with_a_depth_and_breadth_is_told(
    packs: Path, old: str, new: str, message: str
) -> None:
    assert old in DEPTH
    (packs.parent / "depth.yaml").write_text(DEPTH.replace(old, new))
    with pytest.raises(FileProblems, match=message):
        load_pack(manifest(packs, "again", REGRESSION), packs)


END = 'title: The end\nversion: "1"\ncapability_release: MOC\nplanned_functional: SIT\n'


def test_an_end_of_cycle_pack_takes_the_planned_functional_tests_of_its_phase(packs: Path) -> None:
    functional = MANIFEST.replace("service_reference_variant", "functional").replace("IOC", "MOC")
    sit = functional.replace("DMCT SRVT", "SIT")
    manifest(packs, "one", sit.replace("  - test_clock.py::test_the_clock_is_right\n", ""))
    manifest(packs, "two", sit.replace("  - readings/test_registers.py\n", ""))
    manifest(packs, "of-another-phase", functional.replace("::test_the_clock_is_right", ""))
    pack = load_pack(manifest(packs, "end", END), packs)
    assert (pack.kind, pack.release, pack.test_phase) == (PackKind.END_OF_CYCLE, "MOC", "SIT")
    assert set(selected_tests(pack)) == set(selected_tests(load(packs)))
    assert pack.installation_types == {"dormant", "active"}, "as the packs that it repeats"
    assert {"manifests/one.yaml", "manifests/two.yaml"} < set(pack.files)
    assert "manifests/of-another-phase.yaml" not in pack.files


def test_an_end_of_cycle_of_nothing_is_told(packs: Path) -> None:
    with pytest.raises(FileProblems, match=r"end\.yaml:4: there is no functional pack of SIT for MOC"):
        load_pack(manifest(packs, "end", END), packs)


# -- the shipped ones ----------------------------------------------------------------------------------


def test_every_shipped_manifest_loads_and_selects_something() -> None:
    for pack in find_packs(SHIPPED, manifests(SHIPPED)):
        assert selected_tests(pack), pack.name


def test_there_is_a_pack_of_every_kind_that_appendix_ak_asks_for() -> None:
    packs = find_packs(SHIPPED, manifests(SHIPPED))
    have = {(pack.kind, pack.release) for pack in packs}
    every, later = set(CapabilityRelease), {CapabilityRelease.MOC, CapabilityRelease.FOC}
    for kind, releases in (
        (PackKind.SRV, every),  # Clause 20.15(b)
        (PackKind.FUNCTIONAL, every),  # 7.4(a)
        (PackKind.SECURITY, every),  # 6.3
        (PackKind.END_OF_CYCLE, later),  # 7.4(c)
        (PackKind.REGRESSION, later),  # 7.4(d)
    ):
        assert {(kind, release) for release in releases} <= have, kind
    assert [pack for pack in packs if pack.changes], "Clause 20.17: one that is not standard"


def test_the_shipped_regression_packs_are_for_the_environment_of_the_simulated_lab() -> None:
    lab = load_lab(REPO / "lab_config" / "simulated.yaml")
    for pack in find_packs(SHIPPED, manifests(SHIPPED)):
        if pack.regression is not None:
            assert not pack.regression.departures(lab.environment), pack.name
            assert pack.dmcs <= {dmc.id for dmc in lab.dmcs if dmc.release is pack.release}
