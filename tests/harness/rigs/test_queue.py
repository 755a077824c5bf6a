"""Whose turn it is: by priority and age, sets whole or not at all, and nobody starved."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.rigs.queue import (
    Obstacle,
    Reserved,
    Slot,
    Standing,
    Wish,
    assign,
    named,
    next_served,
    of_dmc,
    to_be_given_back,
)

NOON = 1_000_000.0
A, B, C = (Standing(name, "dmc-1") for name in "abc")


def held(name: str) -> Standing:
    return Standing(name, "dmc-1", Obstacle.HELD)


def wish(*rigs: str, owner: str = "", expected: float = 0.0) -> Wish:
    return Wish(" and ".join(rigs), tuple(map(named, rigs)), owner, expected)


def test_who_comes_first_is_served_first() -> None:
    assert next_served([wish("a"), wish("a", "b"), wish("c")], [A, B, C]) == {"a": ("a",), "c": ("c",)}


def test_a_set_is_served_whole_or_not_at_all() -> None:
    assert next_served([wish("a", "b")], [A, held("b")]) == {}
    assert next_served([wish("a", "b")], [A, B]) == {"a and b": ("a", "b")}


def test_a_set_that_waits_keeps_the_free_rigs_that_it_needs_and_no_others() -> None:
    assert next_served([wish("a", "b"), wish("a"), wish("c")], [A, held("b"), C]) == {"c": ("c",)}


def test_a_set_keeps_a_rig_for_any_of_its_slots() -> None:
    any_two = Wish("two", (of_dmc("dmc-1"), of_dmc("dmc-1")))
    assert next_served([any_two, wish("c")], [held("a"), held("b"), C]) == {}
    assert sorted(next_served([any_two, wish("c")], [A, held("b"), C])["two"]) == ["a", "c"]


def test_what_is_out_of_service_for_nobody_knows_how_long_keeps_no_other_rig_idle() -> None:
    repaired = Standing("b", "dmc-1", maintained_by="bob")
    reserved = Standing("b", "dmc-1", None, (Reserved("ann", NOON - 60, NOON + 60),))
    for b in (repaired, reserved):
        assert next_served([wish("a", "b"), wish("a")], [A, b], NOON) == {"a": ("a",)}
    dirty = Standing("b", "dmc-1", Obstacle.DIRTY)  # it will be cleaned
    assert next_served([wish("a", "b"), wish("a")], [A, dirty], NOON) == {}


def test_a_reserved_rig_is_its_persons_in_the_window_and_not_given_into_it() -> None:
    a = Standing("a", "dmc-1", None, (Reserved("ann", NOON, NOON + 3600),))
    served = {
        (owner, at, expected): bool(next_served([wish("a", owner=owner, expected=expected)], [a], NOON + at))
        for owner, at, expected in [
            ("ann", 60, 0),
            ("bob", 60, 0),
            ("bob", -60, 30),
            ("bob", -60, 90),
            ("ann", -60, 90),
            ("bob", 3600, 0),
        ]
    }
    assert [key for key, got in served.items() if got] == [
        ("ann", 60, 0),
        ("bob", -60, 30),
        ("ann", -60, 90),
        ("bob", 3600, 0),
    ]


def test_a_rig_in_maintenance_is_given_to_who_maintains_it_by_hand_and_to_nobody_else() -> None:
    a = Standing("a", "dmc-1", maintained_by="bob")
    by_hand = replace(wish("a", owner="bob"), hands_on=True)
    assert not next_served([replace(by_hand, owner="ann")], [a])
    assert next_served([by_hand], [a])
    assert not next_served([wish("a", owner="bob")], [a])  # a run of his
    assert not next_served([by_hand], [replace(a, obstacle=Obstacle.DIRTY)])


LOW = replace(A, obstacle=Obstacle.HELD, priority=0)


@pytest.mark.parametrize(
    ("rigs", "priority", "back"),
    [
        ([LOW], 1, ["a"]),
        ([LOW], 0, []),  # who came later waits
        ([replace(LOW, priority=2)], 1, []),
        ([LOW, replace(LOW, name="b")], 1, ["a"]),  # one will do
        ([LOW, B], 1, []),  # one is free
        ([LOW, replace(B, obstacle=Obstacle.DIRTY)], 1, []),  # one is being cleaned, or will be
        ([replace(LOW, maintained_by="bob"), replace(LOW, name="b")], 1, ["b"]),
        ([replace(LOW, reserved=(Reserved("bob", NOON, NOON + 9),)), replace(LOW, name="b")], 1, ["b"]),
        ([replace(LOW, priority=None)], 1, []),
    ],
)
def test_who_waits_with_a_higher_priority_wants_a_rig_back_if_no_other_would_do(
    rigs: list[Standing], priority: int, back: list[str]
) -> None:
    ann = Wish("ann", (of_dmc("dmc-1"),), "ann", priority=priority)
    assert list(to_be_given_back([ann], rigs, NOON)) == back


def test_a_set_wants_all_its_rigs_back_and_two_who_wait_two_rigs() -> None:
    rigs = [LOW, replace(LOW, name="b"), replace(LOW, name="c")]
    both = Wish("both", (named("a"), named("b")), "ann", priority=1)
    other = Wish("other", (of_dmc("dmc-1"),), "bob", priority=1)
    assert {rig: each.owner for rig, each in to_be_given_back([both, other], rigs).items()} == {
        "a": "ann",
        "b": "ann",
        "c": "bob",
    }


def test_a_slot_gives_way_where_it_has_another_choice() -> None:
    assert assign((named("a", "b"), named("a")), [A, B]) == ("b", "a")
    assert assign((named("a", "b"), named("a"), named("b")), [A, B, C]) is None


@given(
    st.lists(st.lists(st.sampled_from("abcde"), min_size=1, max_size=3, unique=True), min_size=1, max_size=6),
    st.permutations("abcde"),
)
def test_everybody_is_served_in_the_end_whatever_is_held_and_given_back(
    sets: list[list[str]], order: list[str]
) -> None:
    """Rigs come back one after the other, while others keep asking for single ones."""
    waiting = [Wish(str(number), tuple(map(named, rigs))) for number, rigs in enumerate(sets)]
    busy = set("abcde")
    for turn in range(50):
        passers_by = [Wish(f"passer-by {name}", (named(name),)) for name in "abcde"]
        rigs = [held(name) if name in busy else Standing(name, "dmc-1") for name in "abcde"]
        got = next_served([*waiting, *passers_by], rigs)
        given_out = [rig for each in got.values() for rig in each]
        assert len(given_out) == len(set(given_out))
        assert not busy & set(given_out)
        waiting = [each for each in waiting if each.id not in got]
        busy |= set(given_out)
        busy.discard(order[turn % 5])
    assert not waiting


@given(
    st.lists(st.lists(st.sampled_from("abcd"), min_size=1, max_size=4, unique=True), max_size=4),
    st.sets(st.sampled_from("abcd")),
)
def test_rigs_are_found_for_a_set_if_and_only_if_there_are_enough(
    choices: list[list[str]], there: set[str]
) -> None:
    slots = tuple(Slot(tuple(choice)) for choice in choices)
    got = assign(slots, [Standing(name, "") for name in sorted(there)])
    assert (got is not None) == possible(choices, there)
    if got is not None:
        assert len(set(got)) == len(got)
        assert all(rig in choice for rig, choice in zip(got, choices, strict=True))


def possible(choices: list[list[str]], there: set[str]) -> bool:
    if not choices:
        return True
    return any(possible(choices[1:], there - {rig}) for rig in choices[0] if rig in there)
