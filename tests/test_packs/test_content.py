"""Responses are held against all that is due: nothing missing, nothing else, values as they are meant."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from harness.domain.payload import Payload
from test_packs.content import expect_content, indexed, row_of
from test_packs.metering import half_hours


class Strict:
    """Evidence that only compares."""

    def expect(self, what: str, *, found: Any, expected: Any) -> None:
        assert found == expected, what


def hold(tree: dict[str, Any], due: dict[str, Any]) -> None:
    expect_content(Strict(), "content", Payload({"@MessageSuccess": "true", **tree}), due)  # type: ignore[arg-type]


def test_texts_are_read_as_what_is_due() -> None:
    moment = datetime(2025, 3, 3, 8, 0, tzinfo=UTC)
    hold(
        {"Value": "39.30", "Flag": "1", "At": "2025-03-03T08:00:00.000Z", "Name": "007"},
        {"Value": Decimal("39.3"), "Flag": True, "At": moment, "Name": "007"},
    )


def test_one_element_is_a_list_of_one_and_no_element_an_empty_list() -> None:
    hold({"Entry": {"Code": "4"}}, {"Entry": [{"Code": 4}], "Other": []})
    hold({"Log": ""}, {"Log": {"Entry": []}})
    hold({}, {"Entry": []})


def test_indexed_elements_are_compared_with_their_indices() -> None:
    hold({"Price": [{"@index": "1", "": "5"}, {"@index": "2", "": "7"}]}, {"Price": indexed((5, 7))})


@pytest.mark.parametrize(
    "tree",
    [
        {"A": "1"},
        {"A": "1", "B": "2", "C": "3"},
        {"A": "1", "B": "3"},
        {"A": "1", "B": "two"},
        {"A": "1", "B": ["2", "2"]},
        {"A": "1", "B": {"C": "2"}},
    ],
)
def test_what_is_missing_more_or_other_fails(tree: dict[str, Any]) -> None:
    with pytest.raises(AssertionError):
        hold(tree, {"A": 1, "B": 2})


def test_rows_in_another_order_or_number_fail() -> None:
    due = {"Entry": [{"Code": 1}, {"Code": 2}]}
    hold({"Entry": [{"Code": "1"}, {"Code": "2"}]}, due)
    for codes in (("2", "1"), ("1",), ("1", "2", "2")):
        with pytest.raises(AssertionError):
            hold({"Entry": [{"Code": code} for code in codes]}, due)


def test_a_row_of_indexed_values_has_no_gap() -> None:
    def entries(*numbers: int) -> list[Payload]:
        return [Payload({"@index": str(number), "": "9"}) for number in numbers]

    assert row_of(entries(1, 2)) == (9, 9)
    with pytest.raises(AssertionError):
        row_of(entries(1, 3))


def test_half_hours_end_after_the_one_and_not_after_the_other() -> None:
    nine = datetime(2025, 3, 3, 9, 0, tzinfo=UTC)
    half = timedelta(minutes=30)
    assert half_hours(nine, nine + 2 * half) == [nine + half, nine + 2 * half]
    assert half_hours(nine + timedelta(minutes=1), nine + half) == [nine + half]
    assert half_hours(nine, nine + timedelta(minutes=29)) == []
