"""What a pack test becomes in a plan: on which EPCL entries, about which devices, for which requirements."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.config import load_lab
from harness.config.ttm import Requirement
from harness.domain.lab import Lab
from harness.domain.packs import Pack, Selection
from harness.domain.words import CapabilityRelease, DeviceType, InstallationType, PackKind, TestPhase
from harness.execution.planning import GUESS, Case, cases, marked, planned_test, switched_off

REPO = Path(__file__).resolve().parents[3]
MODULE = Path("/packs/test_subject.py")
ESME, GSME, CH = DeviceType


@pytest.fixture(scope="module")
def lab() -> Lab:
    return load_lab(REPO / "lab_config" / "simulated.yaml")


def pack(release: CapabilityRelease = CapabilityRelease.IOC, *types: InstallationType) -> Pack:
    return Pack(
        name="pack", title="A pack", version="1", kind=PackKind.SRV, release=release,
        test_phase=TestPhase.DMCT_SRVT, installation_types=frozenset(types or InstallationType),
        tag_agreement="", selections=(Selection(module=MODULE),), digest="",
        manifest=MODULE.parent / "manifests" / "pack.yaml",
    )  # fmt: skip


def node(*marks: pytest.MarkDecorator) -> Any:
    """A collected test function with those marks, nearest first."""
    return SimpleNamespace(
        nodeid="::test_it",  # as pytest names a test outside its root folder
        name="test_it",
        path=MODULE,
        iter_markers=lambda name: (mark.mark for mark in marks if mark.name == name),
    )


def devices(lab: Lab, *marks: pytest.MarkDecorator, fixtures: tuple[str, ...] = (), **options: Any) -> set:
    """(EPCL entry, device type) of every planning."""
    packs = [options.get("pack", pack())]
    found = cases(MODULE, "test_it", node(*marks), fixtures, packs, lab)
    return {(case.entry.id, case.device) for case in found}


def entries(lab: Lab, release: CapabilityRelease) -> set[str]:
    return {entry.id for entry in lab.epcl if entry.dmc.release is release}


def test_a_test_is_planned_once_on_every_entry_of_the_packs_release(lab: Lab) -> None:
    assert devices(lab) == {(entry, ESME) for entry in entries(lab, CapabilityRelease.IOC)}


def test_a_pack_may_be_for_some_installation_types_only(lab: Lab) -> None:
    found = devices(lab, pack=pack(CapabilityRelease.IOC, InstallationType.DORMANT))
    wanted = {
        entry.id
        for entry in lab.epcl
        if entry.dmc.release == "IOC" and entry.installation_type is InstallationType.DORMANT
    }
    assert found == {(entry, ESME) for entry in wanted}
    assert wanted


def test_a_test_that_holds_a_meter_is_planned_for_each_device_that_it_is_marked_for(lab: Lab) -> None:
    found = devices(lab, pytest.mark.devices("ESME", "GSME"), fixtures=("meter",))
    assert {device for _, device in found} == {ESME, GSME}


def test_without_the_meter_a_test_needs_all_its_devices_at_once(lab: Lab) -> None:
    found = devices(lab, pytest.mark.devices("GSME", "ESME"))
    assert {device for _, device in found} == {GSME}  # the first is what it is about


def test_a_dmc_without_the_device_gets_no_planning(lab: Lab) -> None:
    foc = pack(CapabilityRelease.FOC)
    electric = {e.id for e in lab.epcl if e.dmc.release == "FOC" and not e.dmc.has(GSME)}
    assert electric
    assert not electric & {entry for entry, _ in devices(lab, pytest.mark.devices("GSME"), pack=foc)}
    assert electric & {entry for entry, _ in devices(lab, pytest.mark.devices("ESME"), pack=foc)}


def test_an_srv_that_the_catalogue_does_not_mark_for_the_device_is_not_planned(lab: Lab) -> None:
    only_electricity = next(
        row.srv
        for row in lab.catalogue.values()
        if row.device_types == {ESME} and not row.non_device and not row.unknown_for
    )
    marks = pytest.mark.devices("ESME", "GSME"), pytest.mark.srv(only_electricity)
    assert {device for _, device in devices(lab, *marks, fixtures=("meter",))} == {ESME}


def test_an_srv_that_is_unknown_is_planned_where_the_lab_turns_it_on(lab: Lab) -> None:
    unknown = lab.catalogue["3.1"]
    marks = pytest.mark.devices("ESME"), pytest.mark.srv("3.1")
    assert devices(lab, *marks) == set()
    assert switched_off(node(*marks), lab)
    turned_on = replace(unknown, device_types=unknown.unknown_for)
    lab = replace(lab, unknown_services=True, catalogue={**lab.catalogue, "3.1": turned_on})
    assert devices(lab, *marks)
    assert not switched_off(node(*marks), lab)


def test_an_srv_that_the_catalogue_lacks_is_told_with_the_test(lab: Lab) -> None:
    with pytest.raises(pytest.UsageError, match=r"test_subject\.py::test_it: the SRV catalogue has no 99\.9"):
        devices(lab, pytest.mark.srv("99.9"))


def test_a_device_type_that_there_is_not_is_told_with_the_test(lab: Lab) -> None:
    with pytest.raises(pytest.UsageError, match=r"test_it: 'PPMID' .*say ESME, GSME, CH"):
        devices(lab, pytest.mark.devices("PPMID"))


def test_the_arguments_of_all_uses_of_a_mark_count_once_each() -> None:
    assert marked(node(pytest.mark.ttm("A", "B"), pytest.mark.ttm("B", "C")), "ttm") == ("A", "B", "C")


def requirement(id_: str, **fields: Any) -> Requirement:
    blank = Requirement(
        id=id_, requirement="r", source="s", clause="", srv="", scenario="s", functional_group="Readings",
        device_types=frozenset(), releases=frozenset(), evidence="confirmed", line=2,
    )  # fmt: skip
    return replace(blank, **fields)


TTM = {
    "T-ALL": requirement("T-ALL"),
    "T-GAS": requirement("T-GAS", device_types=frozenset({GSME})),
    "T-FOC": requirement("T-FOC", releases=frozenset({CapabilityRelease.FOC})),
}


def item(
    lab: Lab, *marks: pytest.MarkDecorator, device: DeviceType = ESME, doc: str | None = None, **changes: Any
) -> Any:
    """A collected planning of a test; ``changes`` are made to its pack."""

    def test_reads_the_import_register() -> None: ...

    test_reads_the_import_register.__doc__ = doc
    entry = next(entry for entry in lab.epcl if entry.dmc.release == "IOC")
    found = node(*marks)
    found.name, found.path = "test_it[case]", MODULE
    found.function = test_reads_the_import_register
    found.callspec = SimpleNamespace(params={"planned_case": Case(replace(pack(), **changes), entry, device)})
    return found


def test_the_plans_line_says_what_is_tested_where_and_why(lab: Lab) -> None:
    test = planned_test(item(lab, pytest.mark.ttm("T-ALL"), pytest.mark.srv("4.1.1")), TTM, lab)
    assert test.id == "test_subject::test_it[case]"
    assert (test.ttm, test.srvs, test.functional_group) == (("T-ALL",), ("4.1.1",), "Readings")
    assert test.title == "reads the import register"
    assert test.not_run == ""


def test_the_first_line_of_its_docstring_is_a_tests_title(lab: Lab) -> None:
    made = item(lab, pytest.mark.ttm("T-ALL"), doc="Import never falls.\n\nSee SMETS1.")
    assert planned_test(made, TTM, lab).title == "Import never falls"


def test_only_the_requirements_about_its_device_and_release_are_its_own(lab: Lab) -> None:
    marks = pytest.mark.ttm("T-ALL", "T-GAS", "T-FOC")
    assert planned_test(item(lab, marks), TTM, lab).ttm == ("T-ALL",)
    assert planned_test(item(lab, marks, device=GSME), TTM, lab).ttm == ("T-ALL", "T-GAS")


def test_a_mark_names_another_functional_group_than_the_matrix(lab: Lab) -> None:
    marks = pytest.mark.ttm("T-ALL"), pytest.mark.functional_group("Security")
    assert planned_test(item(lab, *marks), TTM, lab).functional_group == "Security"


@pytest.mark.parametrize(
    ("marks", "message"),
    [
        ((pytest.mark.ttm("T-NONE"),), "the TTM has no T-NONE"),
        ((), "no TTM id for ESME"),
        ((pytest.mark.ttm("T-GAS"),), "no TTM id for ESME"),
    ],
)
def test_a_test_that_shows_nothing_of_the_matrix_cannot_be_planned(lab: Lab, marks, message: str) -> None:
    with pytest.raises(pytest.UsageError, match=message):
        planned_test(item(lab, *marks), TTM, lab)


ALL = pytest.mark.ttm("T-ALL")
STAGES = ("install", "migrate", "read")


def test_a_stage_has_its_place_in_the_order_of_the_pack(lab: Lab) -> None:
    test = planned_test(item(lab, ALL, pytest.mark.stage("migrate"), stages=STAGES), TTM, lab)
    assert (test.stage, test.stage_order) == ("migrate", 2)


def test_a_test_without_a_stage_is_free(lab: Lab) -> None:
    test = planned_test(item(lab, ALL, stages=STAGES), TTM, lab)
    assert (test.stage, test.stage_order) == ("", 0)


@pytest.mark.parametrize(
    ("stages", "remedy"),
    [(STAGES, "did you mean 'install'"), ((), "there is none to choose from")],
)
def test_a_stage_that_the_pack_lacks_cannot_be_planned(
    lab: Lab, stages: tuple[str, ...], remedy: str
) -> None:
    with pytest.raises(
        pytest.UsageError, match=rf"test_it\[case\]: pack pack has no stage 'instal' \({remedy}"
    ):
        planned_test(item(lab, ALL, pytest.mark.stage("instal"), stages=stages), TTM, lab)


def test_what_a_test_is_expected_to_last_is_said_by_its_mark_else_its_pack_else_guessed(lab: Lab) -> None:
    marked = item(lab, ALL, pytest.mark.expected(2.5), pytest.mark.expected(7), expected=30.0)
    assert planned_test(marked, TTM, lab).expected == 2.5  # the closest mark
    assert planned_test(item(lab, ALL, expected=30.0), TTM, lab).expected == 30
    assert planned_test(item(lab, ALL), TTM, lab).expected == GUESS
    durations = {MODULE.name: 40.0}
    assert planned_test(item(lab, ALL, expected=30.0, durations=durations), TTM, lab).expected == 40


def test_the_state_that_a_test_needs_is_one_word(lab: Lab) -> None:
    needs = pytest.mark.installation_state("prepayment")
    assert planned_test(item(lab, ALL, needs), TTM, lab).state == "prepayment"
    assert planned_test(item(lab, ALL), TTM, lab).state == ""
    assert planned_test(item(lab, ALL, state="credit"), TTM, lab).state == "credit", "as its pack says"
    assert planned_test(item(lab, ALL, needs, state="credit"), TTM, lab).state == "prepayment"


@pytest.mark.parametrize(
    ("mark", "message"),
    [
        (pytest.mark.expected("long"), "expected.* takes one number, of seconds"),
        (pytest.mark.expected(0), "expected.* takes one number, of seconds"),
        (pytest.mark.stage(), "stage.* takes one word"),
        (pytest.mark.stage("install", "read"), "stage.* takes one word"),
        (pytest.mark.installation_state(7), "installation_state.* takes one word"),
        (pytest.mark.installation_state(" "), "installation_state.* takes one word"),
    ],
)
def test_a_mark_that_says_something_else_cannot_be_planned(
    lab: Lab, mark: pytest.MarkDecorator, message: str
) -> None:
    with pytest.raises(pytest.UsageError, match=message):
        planned_test(item(lab, ALL, mark, stages=STAGES), TTM, lab)


def test_a_dmc_without_a_rig_is_planned_as_not_run(lab: Lab) -> None:
    bare = replace(lab, rigs=())
    assert "no rig of DMC" in planned_test(item(lab, pytest.mark.ttm("T-ALL")), TTM, bare).not_run


def test_what_rests_on_the_schema_is_planned_only_where_the_dcc_checks_it(lab: Lab) -> None:
    mark = pytest.mark.duis_schema
    without = replace(lab, dcc=replace(lab.dcc, schemas=None))
    assert not devices(without, mark)
    assert devices(replace(lab, dcc=replace(lab.dcc, schemas=REPO)), mark)
    assert devices(replace(without, dcc=replace(without.dcc, gateway="https://127.0.0.1:8079")), mark)


def test_what_waits_for_days_is_planned_only_where_lab_time_jumps_on_every_rig(lab: Lab) -> None:
    mark = pytest.mark.days_of_lab_time
    assert {entry for entry, _ in devices(lab, mark)} == entries(lab, CapabilityRelease.IOC)
    first, *others = lab.rigs_of("ioc-alderwick")
    assert others
    real = replace(first, simulation=None)
    mixed = replace(lab, rigs=tuple(real if rig is first else rig for rig in lab.rigs))
    assert not devices(mixed, mark)
    assert devices(mixed)
