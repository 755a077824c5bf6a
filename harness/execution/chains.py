"""Tests whose order a pack declares: ``stages: [install, migrate, read]`` in its manifest.

The tests of a pack with stages, on one EPCL entry, are a chain: one installation. They run on the rig that
took the first of them, each stage after all of the stage before. On another rig there is no such
installation: there the chain begins anew, and what had ended is run again if later tests rest on it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from harness.execution.shelf import ANY, Rank, Shelf
from harness.records.plan import PlannedTest


def in_order(tests: Iterable[PlannedTest]) -> list[PlannedTest]:
    """The tests as one process can run them: by stage within each chain, else as they are planned."""
    tests = list(tests)
    places: dict[tuple[str, str], list[int]] = {}
    for place, test in enumerate(tests):
        if test.stage:
            places.setdefault(_chain_of(test), []).append(place)
    ordered = tests.copy()
    for chain in places.values():
        by_stage = sorted((tests[place] for place in chain), key=lambda test: test.stage_order)
        for place, test in zip(chain, by_stage, strict=True):
            ordered[place] = test
    return ordered


def with_earlier_stages(left: Collection[PlannedTest], plan: Iterable[PlannedTest]) -> list[PlannedTest]:
    """What is left of a run and, in the order of the plan, all that it rests on.

    Whoever resumes a run cannot know in what state the installations are: a chain of which anything is left
    begins anew, up to the last stage that is left.
    """
    ids = {test.id for test in left}
    last: dict[tuple[str, str], int] = {}
    for test in left:
        if test.stage:
            last[_chain_of(test)] = max(test.stage_order, last.get(_chain_of(test), 0))
    return [
        test
        for test in plan
        if test.id in ids
        or (test.stage and not test.not_run and test.stage_order < last.get(_chain_of(test), 0))
    ]


def _chain_of(test: PlannedTest) -> tuple[str, str]:
    return test.pack, test.entry


def chains_of(tests: Iterable[PlannedTest], ranks: Mapping[str, Rank]) -> list[Chain]:
    """The chains of these tests; those without a stage are in none."""
    found: dict[tuple[str, str], list[PlannedTest]] = {}
    for test in tests:
        if test.stage:
            found.setdefault(_chain_of(test), []).append(test)
    return [Chain(chain, ranks) for chain in found.values()]


class Chain:
    """One chain: what of it waits, what is in hand, what has ended on the rig that it is bound to.

    ``rig`` is empty while it has none: before its first test, and when it is to begin anew.
    """

    def __init__(self, tests: Collection[PlannedTest], ranks: Mapping[str, Rank]) -> None:
        self.tests = {test.id: test for test in tests}
        self.rig = ""
        self.in_hand: PlannedTest | None = None
        self.place = max(ranks[test.id][1] for test in tests)
        self._ended: dict[str, PlannedTest] = {}
        self._stages = {order: Shelf(ranks) for order in sorted({test.stage_order for test in tests})}
        for test in tests:
            self._stages[test.stage_order].add(test)

    @property
    def waiting(self) -> list[PlannedTest]:
        """What waits, earliest stage first."""
        return [test for shelf in self._stages.values() for test in shelf]

    @property
    def has_waiting(self) -> bool:
        """Whether anything waits."""
        return any(map(len, self._stages.values()))

    @property
    def finished(self) -> bool:
        """Whether nothing waits, and nothing is in hand."""
        return self.in_hand is None and not self.has_waiting

    @property
    def work(self) -> float:
        """Expected seconds of what waits."""
        return sum(seconds for shelf in self._stages.values() for seconds in shelf.work.values())

    def next(self, state: str) -> PlannedTest | None:
        """The next test, of the earliest stage; where it can be, one that leaves the state as it is."""
        shelf = next((shelf for shelf in self._stages.values() if len(shelf)), None)
        if shelf is None:
            return None
        most = max(shelf.states, key=lambda each: shelf.work[each])
        fitting = next(each for each in (state, ANY, most) if each in shelf.work)
        return shelf.longest(fitting, lambda _: True)

    def waits(self, test_id: str) -> bool:
        """Whether that test is one of ours, and waits."""
        test = self.tests.get(test_id)
        return test is not None and self._stages[test.stage_order].get(test_id) is not None

    def needs(self, test_id: str) -> bool:
        """Whether another rig would have to run that test: it has not ended, or later ones rest on it."""
        if self.waits(test_id) or (self.in_hand is not None and self.in_hand.id == test_id):
            return True
        return test_id in self._ended and self._ended[test_id].stage_order < self._last

    @property
    def _last(self) -> int:
        """The latest stage that anything is left of; 0 where nothing is."""
        orders = [order for order, shelf in self._stages.items() if len(shelf)]
        if self.in_hand is not None:
            orders.append(self.in_hand.stage_order)
        return max(orders, default=0)

    def take(self, test: PlannedTest, rig: str) -> None:
        """A test goes to the chain's rig."""
        assert self.in_hand is None
        assert self.rig in {"", rig}
        self.rig, self.in_hand = rig, test
        self._stages[test.stage_order].remove(test)

    def back(self, test: PlannedTest) -> None:
        """The test in hand waits again."""
        self.in_hand = None
        self._stages[test.stage_order].add(test)

    def ended(self, test: PlannedTest) -> None:
        """The test in hand has ended on the chain's rig, well or badly."""
        self.in_hand = None
        self._ended[test.id] = test

    def drop(self, test: PlannedTest) -> list[PlannedTest]:
        """Take a waiting test out, for it cannot run; and all of the later stages, which are returned."""
        self._stages[test.stage_order].remove(test)
        return self._clear(test.stage_order)

    def drop_all(self) -> list[PlannedTest]:
        """Take everything out that waits."""
        return self._clear(0)

    def _clear(self, after: int) -> list[PlannedTest]:
        gone = [test for test in self.waiting if test.stage_order > after]
        for test in gone:
            self._stages[test.stage_order].remove(test)
        return gone

    def last_of(self, test_ids: Iterable[str]) -> PlannedTest | None:
        """Of these tests the waiting one of the latest stage."""
        found = [self.tests[test_id] for test_id in test_ids if self.waits(test_id)]
        return max(found, key=lambda test: test.stage_order, default=None)

    def begin_anew(self) -> None:
        """Leave the rig: what had ended there waits again where later tests rest on it."""
        last, ended = self._last, self._ended
        self.rig, self._ended = "", {}
        for test in ended.values():
            if test.stage_order < last:
                self._stages[test.stage_order].add(test)
