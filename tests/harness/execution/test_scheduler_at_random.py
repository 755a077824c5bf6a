"""Many small labs at random, each run to its end: whatever happens, the rules hold."""

from __future__ import annotations

import heapq
from random import Random

import pytest

from tests.harness.execution.fake_workers import A, Lab, planned
from tests.harness.execution.random_labs import Session

LABS = 2000


@pytest.mark.parametrize("part", range(3))
def test_whatever_happens_every_test_is_accounted_for_and_the_session_ends(part: int) -> None:
    for seed in range(part, LABS, 3):
        try:
            Session(Random(seed)).run()
        except Exception as error:
            error.add_note(f"in the lab of seed {seed}")
            raise


def makespan_and_set_ups(random: Random, states: list[str]) -> tuple[float, int]:
    """Of 200 tests over 8 rigs: the makespan over its lower bound, and how often a rig changed its state."""
    tests = {
        f"packs/subject.py::t{n}": planned(
            f"t{n}", expected=random.lognormvariate(1, 0.8), state=random.choice(states)
        )
        for n in range(200)
    }
    lab = Lab({f"rig-{n}": A for n in range(8)}, list(tests.values()))
    nodes = lab.join(*lab.rigs)
    in_state, set_ups, now = dict.fromkeys(range(len(nodes)), ""), 0, 0.0
    busy = [(0.0, number) for number in in_state]
    while busy:
        now, number = heapq.heappop(busy)
        if now:
            lab.end(nodes[number])
        if nodes[number].hand:
            test = tests[nodes[number].hand[0]]
            set_ups += test.state not in {"", in_state[number]}
            in_state[number] = test.state or in_state[number]
            heapq.heappush(busy, (now + test.expected, number))
    seconds = [test.expected for test in tests.values()]
    return now / max(sum(seconds) / len(nodes), max(seconds)), set_ups


@pytest.mark.parametrize("states", [["credit", "prepayment", "off"], ["", "", "credit", "prepayment"]])
def test_grouping_by_state_saves_set_ups_and_costs_no_makespan(states: list[str]) -> None:
    for seed in range(20):
        makespan, set_ups = makespan_and_set_ups(Random(seed), states)
        assert makespan <= 1.02, seed
        assert set_ups <= 3 * 8, seed
