"""How long tests take is learnt from how long they took; the same on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import event

from harness.rigs.durations import Durations
from harness.rigs.store import Store, StoreBusy
from tests.harness.rigs.conftest import LONG


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with Store(url, patience=LONG) as opened:
        yield opened


@pytest.fixture
def durations(store: Store) -> Durations:
    return Durations(store)


def test_a_test_that_was_never_measured_is_left_out(durations: Durations) -> None:
    durations.keep({"pack/test_reads": 3.5})
    assert durations.expected(["pack/test_reads", "pack/test_new"]) == {"pack/test_reads": 3.5}
    assert durations.expected([]) == {}
    durations.keep({})


def test_the_first_measurements_weigh_the_same_and_later_ones_a_fifth(durations: Durations) -> None:
    means = []
    for seconds in (10.0, 20.0, 30.0, 0.0, 40.0, 120.0, 20.0):
        durations.keep({"pack/test_reads": seconds})
        means.append(durations.expected(["pack/test_reads"])["pack/test_reads"])
    assert means == pytest.approx([10, 15, 20, 15, 20, 40, 36])


def test_thousands_of_tests_are_asked_for_in_few_queries(durations: Durations, store: Store) -> None:
    measured = {f"pack/test_{number}": float(number) for number in range(1200)}
    durations.keep(measured)
    asked: list[str] = []
    event.listen(store._engine, "before_cursor_execute", lambda *call: asked.append(call[2]))
    assert durations.expected([*measured, "pack/test_new"]) == measured
    assert sum("duration" in words for words in asked) == 3


def test_measurements_are_kept_all_or_none(durations: Durations, url: str, locked) -> None:
    durations.keep({"a": 1.0})
    with Store(url, patience=0.2) as impatient, locked(), pytest.raises(StoreBusy):
        Durations(impatient).keep({"a": 9.0, "b": 9.0})
    assert durations.expected(["a", "b"]) == {"a": 1.0}
