"""Tests of the packs do look: told lies by their devices' own ports, they fail. ``make prove`` asks all."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from harness.domain.instruments import Flow
from harness.domain.words import SupplyState
from tests.lying_ports.plugin import twisted
from tests.lying_ports.runs import REPO, believers, excused
from tests.pack_readings import Sources

TESTS = (
    "test_the_status_read_is_the_meters",
    "test_supply_is_armed_and_waits",
    "test_import_outlives_a_power_cut",
    "test_a_role_that_may_not_ask_the_dcc_is_refused",
    "test_debts_and_their_recovery_are_held",
    "test_an_installation_is_found_by_its_supply_number",
)
"""Reads, commands, writes, what is seen before a request, refusals; and one that looks at no device."""


def test_only_who_says_why_believes_the_dcc_alone(tmp_path: Path) -> None:
    tests = [f"--test={test}" for test in TESTS]
    found = believers(
        tmp_path,
        ["standard-srvt-ioc"],
        "--one-process",
        "--entry=ioc-alderwick-dormant",
        "--device=ESME",
        *tests,
    )
    assert [test.full_name.rpartition("#")[2] for test in found] == [TESTS[-1]]
    assert all(excused(test, Sources.of(REPO / "test_packs")) for test in found)


@pytest.mark.parametrize(
    "value",
    [
        True, 0, -5, Decimal("2.5"), "", "Enabled", b"", (), (1, 2), {"a": 0}, SupplyState.ARMED,
        datetime(2025, 3, 3, tzinfo=UTC), datetime(1, 1, 1, tzinfo=UTC),
    ],
)  # fmt: skip
def test_a_lie_is_never_the_truth_and_always_of_its_kind(value: Any) -> None:
    assert twisted(value) != value
    assert type(twisted(value)) is type(value)


def test_every_field_of_a_record_is_lied_about() -> None:
    flow = Flow(*range(len(Flow.__dataclass_fields__)))
    assert not set(vars_of(flow)) & set(vars_of(twisted(flow)))


def vars_of(record: Any) -> list[tuple[str, Any]]:
    return [(name, getattr(record, name)) for name in type(record).__dataclass_fields__]
