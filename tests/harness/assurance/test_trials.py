"""Which tests are run under which fault."""

from __future__ import annotations

from collections.abc import Iterable

from harness.assurance.survey import Surveyed
from harness.assurance.trials import can_touch, controls, one_entry, trial_of
from harness.domain.faults import Fault, Place, Point
from harness.domain.words import CapabilityRelease, DeviceType, InstallationType, TestPhase
from harness.records.plan import PlannedTest

ESME, GSME = DeviceType.ESME, DeviceType.GSME


def planned(
    name: str, *srvs: str, device: DeviceType = ESME, group: str = "Reading", **more: object
) -> Surveyed:
    entry = str(more.pop("entry", "ioc-dormant"))
    fields = {"not_run": "", "stage": "", "stage_order": 0} | more
    test = PlannedTest(
        id=f"test_it::{name}[pack,{entry},{device}]",
        node_id=name,
        pack="pack",
        title=name,
        full_name=f"test_packs.test_it#{name}",
        srvs=srvs,
        ttm=("TTM-1",),
        functional_group=group,
        device_type=device,
        entry=entry,
        dmc="ioc",
        installation_type=InstallationType.DORMANT,
        release=CapabilityRelease.IOC,
        test_phase=TestPhase("DMCT SRVT"),
        **fields,  # type: ignore[arg-type]
    )
    return Surveyed(test, frozenset({device}), frozenset({group}), "test_it")


def fault(place: Place = Place.ESME, srvs: Iterable[str] = (), groups: Iterable[str] = ()) -> Fault:
    return Fault("it", place, Point.READ, "it is wrong", lambda seen: seen.value, tuple(srvs), tuple(groups))


def test_a_test_of_the_faults_srv_can_touch_it() -> None:
    assert can_touch(fault(srvs=["7.4"]), planned("test_a", "7.4", "6.13"))
    assert not can_touch(fault(srvs=["7.4"]), planned("test_a", "6.13"))


def test_a_fault_in_one_meter_is_out_of_reach_of_a_test_about_the_other() -> None:
    assert not can_touch(fault(Place.GSME, srvs=["7.4"]), planned("test_a", "7.4", device=ESME))
    assert can_touch(fault(Place.S1SP, srvs=["7.4"]), planned("test_a", "7.4", device=GSME))
    assert can_touch(fault(Place.CH, srvs=["7.4"]), planned("test_a", "7.4", device=GSME))


def test_a_fault_that_is_about_no_srv_is_for_the_tests_of_its_groups() -> None:
    assert can_touch(fault(groups=["Security"]), planned("test_a", group="Security"))
    assert not can_touch(fault(groups=["Security"]), planned("test_a", "7.4", group="Reading"))


def test_a_fault_that_names_neither_is_any_tests_to_notice() -> None:
    assert can_touch(fault(), planned("test_a", "7.4"))
    assert not can_touch(fault(Place.GSME), planned("test_a", "7.4"))


def test_of_the_tests_that_may_all_notice_one_of_each_group_is_run_first_and_then_the_rest() -> None:
    tests = [
        planned(f"test_{group}_{n}", "7.4", group=group) for group in ("Reading", "Supply") for n in range(3)
    ]
    trial = trial_of(fault(), tests, bystanders=2, seed=1)
    assert {each.test.functional_group for each in trial.tests} == {"Reading", "Supply"}
    assert len(trial.tests) == 2
    assert not trial.bystanders
    assert {each.name for each in (*trial.tests, *trial.widened().tests)} == {each.name for each in tests}


def test_a_test_about_very_many_srvs_tells_nothing_of_one() -> None:
    assert not can_touch(fault(srvs=["1.1"]), planned("test_a", "1.1", "1.2", "1.3", "1.4", "1.5", "1.6"))


def test_bystanders_can_see_where_the_fault_sits_but_are_about_something_else() -> None:
    tests = [planned("test_own", "7.4"), *(planned(f"test_{n}", "6.13") for n in range(5))]
    tests += [planned("test_gas", "6.13", device=GSME)]
    supply = fault(srvs=["7.4"])
    trial = trial_of(supply, tests, bystanders=3, seed=1)
    assert [each.name for each in trial.tests] == ["test_own"]
    assert len(trial.bystanders) == 3
    assert "test_gas" not in {each.name for each in trial.bystanders}
    assert [each.name for each in trial.all][-1] == "test_own", "which may leave the rig damaged"
    assert trial == trial_of(supply, tests, bystanders=3, seed=1), "always the same ones"


def test_a_fault_that_nothing_can_touch_has_no_trial() -> None:
    assert trial_of(fault(srvs=["9.9"]), [planned("test_a", "7.4")], bystanders=3, seed=1).all == ()


def test_what_a_later_stage_rests_on_is_run_with_it() -> None:
    tests = [
        planned("test_install", "8.11", stage="install", stage_order=1),
        planned("test_read", "7.4", stage="read", stage_order=2),
    ]
    trial = trial_of(fault(srvs=["7.4"]), tests, bystanders=0, seed=1)
    assert [each.name for each in trial.all] == ["test_install", "test_read"]


def test_the_control_runs_each_test_once_and_in_as_many_parts_as_can_be_run() -> None:
    tests = [planned(f"test_{n}", "7.4") for n in range(5)]
    trials = [trial_of(fault(srvs=["7.4"]), tests, bystanders=0, seed=1)] * 2
    runs = controls(trials, parts=2)
    assert [len(run.tests) for run in runs] == [3, 2]
    assert {each.test.id for run in runs for each in run.all} == {each.test.id for each in tests}
    assert all(run.fault is None for run in runs)


def test_a_pack_is_proven_on_the_entry_where_it_plans_most() -> None:
    few = [planned("test_a", "7.4", entry="electric")]
    many = [planned(f"test_{n}", "7.4", entry="dormant") for n in range(3)]
    lost = [planned(f"test_{n}", "7.4", entry="no-rig", not_run="no rig") for n in range(9)]
    assert one_entry([*few, *many, *lost]) == tuple(many)
