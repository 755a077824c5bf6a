"""Coverage of a matrix: what each word means, and the same numbers from records and from Allure results."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest

from harness.config.ttm import Requirement, Ttm, load_ttm
from harness.domain.errors import ConfigurationError
from harness.domain.lab import Lab
from harness.domain.words import CapabilityRelease, DeviceType, Outcome
from harness.records.run import read_run
from harness.reports.allure import render
from harness.traceability.allure import of_allure
from harness.traceability.coverage import (
    Counts,
    Status,
    TestOutcome,
    of_outcomes,
    of_run,
    write_csv,
)

PASSED, FAILED, BLOCKED, NOT_RUN, DESCOPED = Outcome


def requirement(
    id_: str, group: str = "7 Supply", *types: DeviceType, releases: str = "IOC MOC FOC"
) -> Requirement:
    return Requirement(
        id=id_, requirement=f"{id_} holds", source="SRV", clause="", srv="7.2", scenario="look",
        functional_group=group,
        device_types=frozenset(types or {DeviceType.ESME}),
        releases=frozenset(map(CapabilityRelease, releases.split())), evidence="inferred", line=2,
    )  # fmt: skip


def outcome(
    outcome: Outcome, *ttm: str, dmc: str = "d1", device_type: DeviceType = DeviceType.ESME
) -> TestOutcome:
    return TestOutcome(
        ttm=ttm, dmc=dmc, release=CapabilityRelease.IOC, device_type=device_type, outcome=outcome
    )


def matrix(*rows: Requirement) -> Ttm:
    return Ttm(Path("m.csv"), rows)


@pytest.mark.parametrize(
    ("outcomes", "status"),
    [
        ([PASSED], "passed"),
        ([PASSED, PASSED], "passed"),
        ([PASSED, FAILED], "failed"),
        ([FAILED, BLOCKED], "failed"),
        ([PASSED, BLOCKED], "incomplete"),
        ([PASSED, NOT_RUN], "incomplete"),
        ([PASSED, DESCOPED], "passed"),
        ([BLOCKED, NOT_RUN], "blocked"),
        ([NOT_RUN, DESCOPED], "not_run"),
        ([DESCOPED], "descoped"),
        ([], "untested"),
    ],
)
def test_the_status_of_a_requirement_follows_from_its_planned_tests(
    outcomes: list[Outcome], status: str
) -> None:
    coverage = of_outcomes(matrix(requirement("A")), [outcome(each, "A") for each in outcomes])
    assert coverage.rows[0].status == status


def test_the_counts_add_up_whatever_happened() -> None:
    ids = [f"R{number}" for number in range(8)]
    tests = [
        outcome(PASSED, "R0", "R1"),
        outcome(PASSED, "R0"),
        outcome(FAILED, "R2"),
        outcome(BLOCKED, "R1", "R3"),
        outcome(NOT_RUN, "R4"),
        outcome(DESCOPED, "R5"),
        outcome(PASSED, "R6", "R6"),
    ]
    total = of_outcomes(matrix(*map(requirement, ids)), tests).total
    assert total == Counts(
        requirements=8, covered=4, passed=2, failed=1, incomplete=1,
        uncovered=4, blocked=1, not_run=1, descoped=1, untested=1,
    )  # fmt: skip
    assert total.requirements == total.covered + total.uncovered
    assert total.covered == total.passed + total.failed + total.incomplete
    assert total.uncovered == total.blocked + total.not_run + total.descoped + total.untested


def test_each_functional_group_is_counted_by_itself_and_in_the_order_of_the_matrix() -> None:
    ttm = matrix(requirement("A", "7 Supply"), requirement("B", "1 Product"), requirement("C", "7 Supply"))
    coverage = of_outcomes(ttm, [outcome(PASSED, "A"), outcome(FAILED, "B")])
    assert list(coverage.groups) == ["7 Supply", "1 Product"]
    supply = coverage.groups["7 Supply"]
    assert (supply.requirements, supply.passed, supply.untested) == (2, 1, 1)
    assert coverage.groups["1 Product"].failed == 1


def test_each_dmc_is_counted_by_the_requirements_that_concern_it() -> None:
    gas = requirement("G", "7 Supply", DeviceType.GSME)
    later = requirement("L", "7 Supply", DeviceType.ESME, releases="FOC")
    tests = [
        outcome(PASSED, "E", dmc="both"),
        outcome(FAILED, "G", dmc="both", device_type=DeviceType.GSME),
        outcome(PASSED, "E", dmc="electric"),
    ]
    coverage = of_outcomes(matrix(requirement("E"), gas, later), tests)
    assert (coverage.dmcs["both"].requirements, coverage.dmcs["both"].failed) == (2, 1)
    assert (coverage.dmcs["electric"].requirements, coverage.dmcs["electric"].passed) == (1, 1)
    assert coverage.rows[1].by_dmc == {"both": Status.FAILED}
    assert coverage.rows[2].by_dmc == {}


def test_an_id_that_the_matrix_lacks_is_shown_and_not_counted() -> None:
    coverage = of_outcomes(matrix(requirement("A")), [outcome(PASSED, "A", "Z")])
    assert coverage.unknown == ("Z",)
    assert coverage.total.requirements == 1


def test_the_csv_has_a_line_for_each_requirement_and_a_column_for_each_dmc(tmp_path: Path) -> None:
    ttm = matrix(requirement("A"), requirement("B"))
    coverage = of_outcomes(ttm, [outcome(PASSED, "A", dmc="x"), outcome(BLOCKED, "A", dmc="y")])
    write_csv(coverage, tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(newline="") as file:
        first, second = csv.DictReader(file)
    assert first["id"] == "A"
    assert (first["status"], first["planned"], first["passed"], first["blocked"]) == (
        "incomplete",
        "2",
        "1",
        "1",
    )
    assert (first["dmc x"], first["dmc y"]) == ("passed", "blocked")
    assert (second["status"], second["planned"], second["dmc x"]) == ("untested", "0", "untested")


def test_a_requirement_whose_text_changed_is_shown_as_suspect_whatever_became_of_it(tmp_path: Path) -> None:
    ttm = matrix(requirement("A"), requirement("B"))
    coverage = of_outcomes(ttm, [outcome(PASSED, "A"), outcome(PASSED, "B")], suspect={"B"})
    assert coverage.suspect == ("B",)
    assert coverage.total.passed == 2, "its tests have passed, and somebody has to look at them"
    write_csv(coverage, tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(newline="") as file:
        assert [row["suspect"] for row in csv.DictReader(file)] == ["", "suspect"]


def test_allure_results_alone_give_the_numbers_of_the_run(
    fabricated_whole: tuple[Path, Lab], tmp_path: Path
) -> None:
    folder, lab = fabricated_whole
    elsewhere = tmp_path / "another machine" / "results"
    run = tmp_path / "run"
    shutil.copytree(folder, run)
    list(render(run, lab))
    shutil.move(run / "allure-results", elsewhere)

    ttm = load_ttm(lab.ttm)
    from_records, from_allure = of_run(ttm, read_run(folder)), of_allure(ttm, elsewhere)
    assert from_allure == from_records
    seen = {row.status for row in from_records.rows}
    seen |= {status for row in from_records.rows for status in row.by_dmc.values()}
    assert seen >= {Status.PASSED, Status.FAILED, Status.INCOMPLETE, Status.NOT_RUN, Status.UNTESTED}
    assert len(from_records.dmcs) == 4


def test_coverage_says_plainly_where_there_are_no_results(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="holds no Allure results"):
        of_allure(matrix(requirement("A")), tmp_path)
