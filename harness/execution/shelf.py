"""Waiting tests by the installation state that they need, the longest expected one first."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from harness.records.plan import PlannedTest

ANY: Final = ""
"""The state of tests that need none: they run in whatever state the installation is."""

Rank = tuple[float, int]
"""What the order goes by: expected seconds, then minus the place in the plan."""


def ranked(tests: Iterable[PlannedTest], expected: Mapping[str, float]) -> dict[str, Rank]:
    """The rank of each test by id; ``expected`` has seconds from earlier runs, and outweighs the plan."""
    return {test.id: (expected.get(test.id, test.expected), -place) for place, test in enumerate(tests)}


class Shelf:
    """Tests that are put on it and taken off it, as often as one likes, at little cost."""

    def __init__(self, ranks: Mapping[str, Rank]) -> None:
        self._ranks = ranks
        self._tests: dict[str, PlannedTest] = {}
        self._order: dict[str, list[tuple[Rank, str]]] = {}  # by state, ascending
        self.work: dict[str, float] = {}  # expected seconds, by state

    def __len__(self) -> int:
        return len(self._tests)

    def __iter__(self) -> Iterator[PlannedTest]:
        return iter(self._tests.values())

    def get(self, test_id: str) -> PlannedTest | None:
        """The test, if it stands here."""
        return self._tests.get(test_id)

    @property
    def states(self) -> list[str]:
        """The states that tests here need."""
        return list(self._order)

    def rank(self, test: PlannedTest) -> Rank:
        """What its place goes by."""
        return self._ranks[test.id]

    def add(self, test: PlannedTest) -> None:
        """Put a test here."""
        rank = self._ranks[test.id]
        self._tests[test.id] = test
        insort(self._order.setdefault(test.state, []), (rank, test.id))
        self.work[test.state] = self.work.get(test.state, 0.0) + rank[0]

    def remove(self, test: PlannedTest) -> None:
        """Take a test away."""
        rank, order = self._ranks[test.id], self._order[test.state]
        del self._tests[test.id]
        del order[bisect_left(order, (rank, test.id))]
        if order:
            self.work[test.state] -= rank[0]
        else:
            del self._order[test.state], self.work[test.state]

    def longest(self, state: str, fits: Callable[[str], bool]) -> PlannedTest | None:
        """The longest test of a state whose id ``fits``."""
        order = self._order.get(state, ())
        return next((self._tests[id_] for _, id_ in reversed(order) if fits(id_)), None)
