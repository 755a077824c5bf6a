"""What waits for the rigs of one DMC, and which of it a free rig takes.

A rig that has begun a chain goes on with it to its end. Any other takes the longest expected job: a test, or
a whole chain. Jobs that need the installation in a certain state are grouped, to save set-ups
(:func:`choose`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from harness.execution.chains import Chain, chains_of
from harness.execution.shelf import ANY, Rank, Shelf
from harness.execution.standing import Standing
from harness.records.plan import PlannedTest


class Job(NamedTuple):
    """What a rig could take: the longest test of a state, or a chain by its next test."""

    rank: Rank  # seconds of the test, or of all that waits in the chain
    test: PlannedTest
    state: str


@dataclass(frozen=True, slots=True)
class Load:
    """What waits, in expected seconds by state; how many rigs are in each state; the seconds for each rig."""

    work: Mapping[str, float]
    rigs_in: Mapping[str, int]
    share: float


def choose(jobs: Collection[Job], state: str, load: Load) -> Job:
    """The job for a rig whose installation is in a state.

    A job that has become critical, because it lasts at least as long as what is left for each rig, is taken
    whatever its state. Else the rig stays in its state while there are tests for it. When these have ended it
    goes where most work is left, among the states whose rigs cannot do theirs within what is left for each
    rig. Where there is no such state it takes what needs none, and only then what makes it change its state.
    It is never idle while there is a job.
    """
    longest = max(jobs)
    if longest.rank[0] >= load.share:
        return longest
    here = [job for job in jobs if job.state == state]
    neutral = [job for job in jobs if job.state == ANY]
    if here and state != ANY:
        return max(here + neutral)
    others = {job.state: job for job in jobs if job.state not in {state, ANY}}
    short = [each for each in others if load.work[each] > load.rigs_in.get(each, 0) * load.share]
    for states in (short, [] if neutral else list(others)):
        if states:
            return others[max(states, key=lambda each: (load.work[each], others[each].rank))]
    return max(neutral)


class Waiting:
    """The waiting tests of one DMC, with the chains and the rigs that they are bound to.

    ``ranks`` has the rank of every test, by id.
    """

    def __init__(
        self, dmc: str, tests: Collection[PlannedTest], ranks: Mapping[str, Rank], standing: Standing
    ) -> None:
        self.dmc = dmc
        self._standing = standing
        self._free = Shelf(ranks)
        self._chains = chains_of(tests, ranks)
        self._chain_of = {test_id: chain for chain in self._chains for test_id in chain.tests}
        self._bound: dict[str, Chain] = {}  # by rig
        self._states: dict[str, str] = {}  # the state that a rig's installation is in, where it is known
        for test in tests:
            if not test.stage:
                self._free.add(test)

    def __bool__(self) -> bool:
        """Whether anything waits."""
        return bool(len(self._free)) or any(chain.has_waiting for chain in self._chains)

    def holds(self, test: PlannedTest) -> bool:
        """Whether the test waits."""
        if chain := self._chain_of.get(test.id):
            return chain.waits(test.id)
        return self._free.get(test.id) is not None

    # -- what becomes of tests ---------------------------------------------------------------------

    def take(self, rig: str) -> PlannedTest | None:
        """The next test of a free rig, which then has it in hand."""
        state = self._states.get(rig, ANY)
        chain = self._bound.get(rig)
        test = chain.next(state) if chain else self._choose(rig, state)
        if test is None:
            return None
        if chain := self._chain_of.get(test.id):
            chain.take(test, rig)
            self._bound[rig] = chain
        else:
            self._free.remove(test)
        if test.state != ANY:
            self._states[rig] = test.state
        return test

    def back(self, test: PlannedTest) -> None:
        """A test in hand waits again."""
        if chain := self._chain_of.get(test.id):
            chain.back(test)
        else:
            self._free.add(test)

    def ended(self, test: PlannedTest) -> None:
        """A test in hand has ended."""
        if chain := self._chain_of.get(test.id):
            chain.ended(test)
            self._unbind_finished(chain)

    def give_up(self, test: PlannedTest, why: str) -> list[tuple[PlannedTest, str]]:
        """A waiting test that is to run no more; with what rests on it, and why."""
        chain = self._chain_of.get(test.id)
        if chain is None:
            self._free.remove(test)
            return [(test, why)]
        later = chain.drop(test)
        self._unbind_finished(chain)
        reason = f"stage {test.stage} comes before it, and {test.id} could not run: {why}"
        return [(test, why), *((each, reason) for each in later)]

    # -- what becomes of rigs ----------------------------------------------------------------------

    def forget_state(self, rig: str) -> None:
        """Nobody knows in what state the rig's installation is."""
        self._states.pop(rig, None)

    def forsake(self, rig: str) -> None:
        """The rig is in other hands: its installation is not ours any more."""
        self.forget_state(rig)
        if chain := self._bound.pop(rig, None):
            chain.begin_anew()

    def may_come_to(self, rig: str) -> bool:
        """Whether anything that waits, or a chain that is at work, could still come to a rig."""
        fits = any(not self._standing.has_tried(rig, test.id) for test in self._free)
        return fits or not all(chain.finished for chain in self._chains)

    def settle(self) -> list[tuple[PlannedTest, str]]:
        """What no rig that is left can run any more, and why; a chain whose rig cannot go on leaves it."""
        left = self._standing.left(self.dmc)
        tried = (self._free.get(test_id) for test_id in self._standing.tried)
        doubtful = [test for test in tried if test] if left else list(self._free)
        given_up = []
        for test in doubtful:
            if all(self._standing.has_tried(rig, test.id) for rig in left):
                given_up += self.give_up(test, self._standing.why_none(self.dmc, [test.id]))
        for chain in self._chains:
            if chain.in_hand is None:
                given_up += self._settle_chain(chain, left)
        return given_up

    def _settle_chain(self, chain: Chain, left: list[str]) -> list[tuple[PlannedTest, str]]:
        given_up: list[tuple[PlannedTest, str]] = []
        while chain.has_waiting:
            if chain.rig and self._goes_on(chain):
                break
            if any(self._can_begin(chain, rig) for rig in left):
                self._leave(chain)
                break
            why = self._standing.why_none(self.dmc, filter(chain.needs, chain.tests))
            if blocked := chain.last_of(self._standing.tried):
                given_up += self.give_up(blocked, why)
            else:
                given_up += [(test, why) for test in chain.drop_all()]
        self._unbind_finished(chain)
        return given_up

    def _goes_on(self, chain: Chain) -> bool:
        """Whether the rig of a chain can run what is left of it."""
        return self._standing.is_left(chain.rig) and not any(
            chain.waits(test_id) for test_id in self._standing.kept_from(chain.rig)
        )

    def _can_begin(self, chain: Chain, rig: str) -> bool:
        """Whether a rig could run all that is needed of a chain, from its beginning."""
        return self._standing.is_left(rig) and not any(
            chain.needs(test_id) for test_id in self._standing.kept_from(rig)
        )

    def _leave(self, chain: Chain) -> None:
        if chain.rig:
            self.forsake(chain.rig)

    def _unbind_finished(self, chain: Chain) -> None:
        if chain.finished and chain.rig:
            del self._bound[chain.rig]
            chain.rig = ""

    # -- the choice --------------------------------------------------------------------------------

    def _choose(self, rig: str, state: str) -> PlannedTest | None:
        jobs = [*self._free_jobs(rig), *self._chain_jobs(rig, state)]
        if not jobs:
            return None
        work = self._free.work
        total = sum(work.values()) + sum(chain.work for chain in self._chains)
        share = total / self._standing.at_work(self.dmc)
        return choose(jobs, state, Load(work, Counter(self._states.values()), share)).test

    def _free_jobs(self, rig: str) -> list[Job]:
        found = (
            self._free.longest(state, lambda test_id: self._standing.may_have(rig, test_id))
            for state in self._free.states
        )
        return [Job(self._free.rank(test), test, test.state) for test in found if test]

    def _chain_jobs(self, rig: str, state: str) -> list[Job]:
        """A chain sets up its installation itself: it counts as a job that needs no state."""
        chains = (chain for chain in self._chains if not chain.rig and self._can_begin(chain, rig))
        found = ((chain, chain.next(state)) for chain in chains)
        return [
            Job((chain.work, chain.place), test, ANY)
            for chain, test in found
            if test and test.id not in self._standing.held
        ]
