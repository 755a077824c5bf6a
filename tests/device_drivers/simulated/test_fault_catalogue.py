"""The fault catalogue as a whole: names, and what it is about."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

from device_drivers.simulated.faults import (
    FAULTS,
)
from device_drivers.simulated.faults.making import in_summer
from harness.config import load_lab
from harness.domain.faults import Place, Point

REPO = Path(__file__).parents[3]


def test_names_and_descriptions_are_told_apart() -> None:
    for told in ([fault.name for fault in FAULTS], [(fault.place, fault.description) for fault in FAULTS]):
        assert [each for each, times in Counter(told).items() if times > 1] == []


def test_there_are_as_many_as_were_promised() -> None:
    assert len(FAULTS) >= 120


def test_every_srv_that_the_lab_serves_has_a_fault_that_its_tests_notice() -> None:
    lab = load_lab(REPO / "lab_config" / "simulated.yaml")
    served = {row.srv for row in lab.catalogue.values() if row.device_types or row.non_device}
    about = {srv for fault in FAULTS for srv in fault.srvs}
    assert about <= {*lab.catalogue}
    assert {srv for srv in served if lab.catalogue[srv].device_types} - about == set()


def test_functional_groups_are_those_of_pack_tests() -> None:
    modules = (REPO / "test_packs").rglob("test_*.py")
    marked = re.compile(r'mark\.functional_group\("([^"]+)"\)')
    known = {group for module in modules for group in marked.findall(module.read_text())}
    assert {group for fault in FAULTS for group in fault.groups} <= known


def test_faults_that_may_be_missed_are_told_to_those_who_write_packs() -> None:
    _, _, told = (REPO / "test_packs" / "README.md").read_text().partition("## Faults that the packs miss")
    missed = dict(re.findall(r"^\| `([^`]+)` \| (.+) \|$", told, re.MULTILINE))
    assert missed == {fault.name: fault.may_be_missed for fault in FAULTS if fault.may_be_missed}
    assert len(missed) <= len(FAULTS) // 20, "the packs catch 95 of a hundred"


def test_every_place_and_every_point_has_a_fault() -> None:
    assert {fault.place for fault in FAULTS} == {*Place}
    assert {fault.point for fault in FAULTS} == {*Point}


def test_summer_time_lasts_from_the_last_sunday_in_march_to_that_in_october() -> None:
    second = timedelta(seconds=1)
    for begins, ends in (
        (datetime(2025, 3, 30, 1, tzinfo=UTC), datetime(2025, 10, 26, 1, tzinfo=UTC)),
        (datetime(2028, 3, 26, 1, tzinfo=UTC), datetime(2028, 10, 29, 1, tzinfo=UTC)),
    ):
        assert [in_summer(begins - second), in_summer(begins)] == [False, True]
        assert [in_summer(ends - second), in_summer(ends)] == [True, False]
