"""Which tests had a rig at the same time."""

from __future__ import annotations

from .judging import Span, overlaps


def test_two_results_of_one_rig_at_the_same_time_are_of_two_owners() -> None:
    results = [Span("a", 3, 5, "late"), Span("a", 1, 4, "early"), Span("b", 2, 9, "other rig")]
    assert overlaps(results) == ["two owners: late began before early was over (rig a)"]


def test_one_result_after_the_other_is_well() -> None:
    assert overlaps([Span("a", 1, 4, "first"), Span("a", 4, 5, "second"), Span("b", 0, 9, "other rig")]) == []
