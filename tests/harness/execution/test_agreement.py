"""How the packs of a run stand to what was agreed, and what a witnessed run does not start with."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from harness.config import load_lab
from harness.config.agreed import Agreement, write_agreed
from harness.config.packs import find_packs
from harness.domain.errors import UsageError
from harness.domain.lab import Lab
from harness.domain.packs import Pack
from harness.execution.agreement import planned_packs, refuse_unagreed
from harness.records.plan import notices

REPO = Path(__file__).resolve().parents[3]


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """The simulated lab, in which nothing was agreed yet."""
    return replace(load_lab(REPO / "lab_config" / "simulated.yaml"), agreed_packs=tmp_path / "agreed.yaml")


def pack(lab: Lab, name: str) -> Pack:
    return find_packs(lab.packs, [name])[0]


def agree(lab: Lab, pack: Pack) -> None:
    write_agreed(lab.agreed_packs, {pack.name: Agreement.to(pack, "TAG 7", date(2026, 3, 2), "Ann")})


def told(lab: Lab, pack: Pack, cycle: str = "") -> tuple[str, ...]:
    return notices(planned_packs([pack], lab, cycle))


def test_a_pack_that_was_never_agreed_is_told_and_not_witnessed(lab: Lab) -> None:
    regression = pack(lab, "regression-moc")
    assert told(lab, regression) == ("not agreed with the TAG: regression-moc",)
    with pytest.raises(UsageError, match="not agreed with the TAG: regression-moc"):
        refuse_unagreed(planned_packs([regression], lab, ""))


def test_of_a_pack_as_it_was_agreed_nothing_is_told(lab: Lab) -> None:
    regression = pack(lab, "regression-moc")
    agree(lab, regression)
    assert told(lab, regression) == ()
    refuse_unagreed(planned_packs([regression], lab, ""))


def test_many_changes_are_named_up_to_a_dozen(lab: Lab) -> None:
    standard = pack(lab, "standard-srvt-ioc")
    agree(lab, replace(standard, selections=standard.selections[:1], digest="0" * 64))
    (line,) = told(lab, standard)
    assert line.startswith("standard-srvt-ioc 0.1: not the pack of TAG 7: service_reference_variants/")
    assert line.count(" is new") == 12
    assert line.endswith(" more: harness packs diff standard-srvt-ioc")


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"id": "sit-b"}, "the environment is sit-b, and simulated in moc.yaml (Clause 7.6)"),
        (
            {"dcc_systems": {"gateway stub": "0.2", "S1SP twin": "0.1"}},
            "gateway stub is 0.2, and 0.1 in moc.yaml",
        ),
        ({"dcc_systems": {"gateway stub": "0.1"}}, "S1SP twin is none, and 0.1 in moc.yaml (Clause 7.6)"),
    ],
)
def test_regression_tests_in_another_environment_or_codebase_are_told_and_not_witnessed(
    lab: Lab, changed: dict[str, object], line: str
) -> None:
    regression = pack(lab, "regression-moc")
    agree(lab, regression)
    elsewhere = replace(lab, environment=replace(lab.environment, **changed))
    assert any(line in each for each in told(elsewhere, regression))
    with pytest.raises(UsageError, match=r"Clause 7\.6"):
        refuse_unagreed(planned_packs([regression], elsewhere, ""))


def test_a_dmc_that_the_lab_has_not_is_told(lab: Lab) -> None:
    regression = pack(lab, "regression-moc")
    agree(lab, regression)
    elsewhere = replace(lab, dmcs=tuple(dmc for dmc in lab.dmcs if dmc.id != "moc-birchfell"))
    assert told(elsewhere, regression) == ("regression-moc 0.1: lab simulated has no DMC moc-birchfell",)


def test_an_end_of_cycle_run_says_which_cycle_it_ends(lab: Lab) -> None:
    end = pack(lab, "end-of-cycle-moc")
    agree(lab, end)
    assert told(lab, end) == (
        "end-of-cycle-moc 0.1: the run does not say its cycle, --cycle (Clause 7.4(c))",
    )
    assert told(lab, end, cycle="1") == ()
