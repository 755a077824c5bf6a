"""The rig scheduler: each worker is bound to a rig and takes one test at a time that its rig can serve.

pytest-xdist asks for it through ``pytest_xdist_make_scheduler`` and drives it from one thread. Indices into
the (identical) collections are what xdist sends to workers; the planned tests' node ids are what we think in.
Which test a free rig takes is decided in :mod:`harness.execution.choice`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from harness.execution.choice import Waiting
from harness.execution.shelf import ranked
from harness.execution.standing import Standing
from harness.execution.suspicion import Suspicion
from harness.records.plan import PlannedTest


class RigScheduler:
    """Implements xdist's ``Scheduling``.

    ``rigs`` gives the DMC of every rig in use, whether its worker is ready or not; ``rig_of`` tells the rig
    that a worker is bound to. ``set_aside`` is called for each planned test that can no longer run, with the
    reason, which then is its outcome ``not_run``; it is called once at most for a test, and not for one whose
    last attempt is its outcome. A test whose DMC has no rig is planned as ``not_run``.

    ``expected`` has seconds that planned tests lasted before, by id; the others go by their plan.
    """

    def __init__(
        self,
        tests: Sequence[PlannedTest],
        rigs: Mapping[str, str],
        rig_of: Callable[[Any], str],
        set_aside: Callable[[PlannedTest, str], None],
        expected: Mapping[str, float] | None = None,
    ) -> None:
        self._tests = {test.node_id: test for test in tests}
        self._by_id = {test.id: test for test in tests}
        self._rig_of = rig_of
        self._set_aside = set_aside
        self._standing = Standing(rigs)
        self._suspicion = Suspicion()
        ranks = ranked(tests, expected or {})
        by_dmc: dict[str, list[PlannedTest]] = {dmc: [] for dmc in rigs.values()}
        for test in tests:
            if not test.not_run:
                by_dmc.setdefault(test.dmc, []).append(test)
        self._waiting = {dmc: Waiting(dmc, of, ranks, self._standing) for dmc, of in by_dmc.items()}
        self._in_hand: dict[Any, PlannedTest] = {}
        self._nodes: dict[Any, Mapping[str, int] | None] = {}  # with its indices, once it has collected
        self._collection: tuple[Sequence[str], Mapping[str, int]] = ((), {})  # the last one, and its indices
        self._died_on: dict[str, str] = {}  # node id → rig whose worker has just died in it
        self._blocked: set[str] = set()  # ids of tests in hand that a lab fault has just blocked
        self._decided: set[str] = set()  # ids of tests whose last attempt has ended
        self._ending = False

    @property
    def nodes(self) -> list[Any]:
        """The workers in use."""
        return list(self._nodes)

    @property
    def collection_is_completed(self) -> bool:
        """True from the first ready worker on: nobody waits for the slowest to start."""
        return any(indices is not None for indices in self._nodes.values())

    @property
    def has_pending(self) -> bool:
        """Whether anything is left to do or to be finished."""
        return bool(self._in_hand or (not self._ending and any(self._waiting.values())))

    @property
    def tests_finished(self) -> bool:
        """Whether the session may end."""
        return not self.has_pending

    def give_out_no_more(self) -> None:
        """Let the tests in hand be the last ones; the others are not run. Safe to call at any moment."""
        self._ending = True

    # -- workers -----------------------------------------------------------------------------------

    def add_node(self, node: Any) -> None:
        """A worker has started; it gets work once it has collected."""
        self._nodes[node] = None

    def add_node_collection(self, node: Any, collection: Sequence[str]) -> None:
        """A worker has collected; the same as was planned, unless the sources changed in between."""
        known, indices = self._collection
        if known != collection:
            if missing := self._tests.keys() - set(collection):
                raise RuntimeError(
                    f"{node} does not find {min(missing)}, which is planned: did a file change?"
                )
            indices = {node_id: index for index, node_id in enumerate(collection)}
            self._collection = collection, indices
        self._nodes[node] = indices

    def remove_node(self, node: Any) -> str | None:
        """A worker has gone; the node id of the test that it had in hand, if any.

        Raises :class:`KeyError`, as xdist expects it, where the worker had never become ready.
        """
        del self._nodes[node]
        rig = self._rig_of(node)
        self._standing.away.discard(rig)  # its replacement asks for it anew
        test = self._in_hand.pop(node, None)
        if test is None:
            return None
        self._died_on[test.node_id] = rig
        return test.node_id

    def remove_pending_tests_from_node(self, node: Any, indices: Sequence[int]) -> None:
        """A worker speaks of its rig: it cannot have it now and gives its test back, or it has it again.

        xdist means the call for tests that were stolen from a worker's queue; ours never has one there.
        """
        rig = self._rig_of(node)
        if indices:
            test = self._in_hand.pop(node)
            waiting = self._waiting[test.dmc]
            waiting.back(test)
            waiting.forsake(rig)
            self._standing.away.add(rig)
        else:
            self._standing.away.discard(rig)
        self.schedule()

    def lost(self, rig: str, reason: str) -> None:
        """A rig can serve nothing any more, though the test that it has in hand was not kept from it."""
        self._standing.lost[rig] = reason
        self._suspicion.lost(rig)

    # -- tests -------------------------------------------------------------------------------------

    def test_of(self, node_id: str) -> PlannedTest:
        """The planned test of a node id."""
        return self._tests[node_id]

    def mark_test_complete(self, node: Any, item_index: int, duration: float = 0) -> None:
        """The test in hand has ended; the worker is free."""
        del item_index, duration
        self._complete(self._in_hand.pop(node), self._rig_of(node))

    def ended_and_died(self, node_id: str) -> None:
        """The worker died once this test had ended: it is complete, and the worker alone is replaced."""
        self._complete(self._tests[node_id], self._died_on[node_id])

    def _complete(self, test: PlannedTest, rig: str) -> None:
        waiting = self._waiting[test.dmc]
        self._decided.add(test.id)
        if test.id in self._blocked:
            waiting.forget_state(rig)
            self._take_back(test)
        else:
            if rig not in self._standing.lost:
                self._suspicion.ended(rig)
            waiting.ended(test)
        self._settle(test.dmc)
        self.schedule()

    def blocked(self, node_id: str, rig: str, *, rig_lost: str = "") -> None:
        """A lab fault stood in the way: once it has ended, the test goes to another rig of its DMC.

        ``rig_lost`` is the reason why the rig can serve nothing at all any more.
        """
        test = self._tests[node_id]
        self._blocked.add(test.id)
        self._standing.tried.setdefault(test.id, set()).add(rig)
        self._suspicion.blocked(test.id, rig, lost=bool(rig_lost))
        if rig_lost:
            self._standing.lost[rig] = rig_lost

    def interrupted(self, node_id: str) -> None:
        """The worker died with this test in hand: another attempt, unless it is under suspicion by now."""
        test, rig = self._tests[node_id], self._died_on[node_id]
        self._decided.discard(test.id)
        self._suspicion.died(test.id, rig)
        self._waiting[test.dmc].forget_state(rig)
        self.mark_test_pending(node_id)

    def mark_test_pending(self, item: str) -> None:
        """A test that no worker has in hand any more is to be taken again."""
        test = self._tests[item]
        self._take_back(test)
        self._settle(test.dmc)
        self.schedule()

    def _take_back(self, test: PlannedTest) -> None:
        self._blocked.discard(test.id)
        self._waiting[test.dmc].back(test)

    def _settle(self, dmc: str) -> None:
        """What is suspected, or what no rig in use can take any more, is given up: nobody waits for ever."""
        for test_id in self._suspicion.all():
            test = self._by_id[test_id]
            waiting = self._waiting[test.dmc]
            if waiting.holds(test):
                self._decided.discard(test_id)
                self._give_up(waiting.give_up(test, self._suspicion.against(test_id)))
        self._give_up(self._waiting[dmc].settle())

    def _give_up(self, tests: Iterable[tuple[PlannedTest, str]]) -> None:
        for test, reason in tests:
            if test.id not in self._decided:  # else its last attempt is its outcome
                self._set_aside(test, reason)

    # -- giving out --------------------------------------------------------------------------------

    def schedule(self) -> None:
        """Give every free worker the next test that its rig can serve, and end those that can serve none."""
        if on_trial := self._suspicion.on_trial():
            self._standing.held = set(on_trial.values())
            self._give_to(node for node in self._free() if self._rig_of(node) in on_trial)
            busy = set(map(self._rig_of, self._in_hand))
            self._standing.held = {test_id for rig, test_id in on_trial.items() if rig in busy}
        self._give_to(self._free())
        self._standing.held.clear()
        if self.has_pending:  # else xdist ends them all
            self._let_go(self._free())

    def _free(self) -> list[Any]:
        """The workers that could be given a test."""
        return [
            node
            for node, indices in self._nodes.items()
            if node not in self._in_hand and indices is not None and not node.shutting_down
        ]

    def _give_to(self, nodes: Iterable[Any]) -> None:
        """Each worker its next test. One that has died, of which xdist has yet to hear, gets no more."""
        for node in nodes:
            indices, test = self._nodes[node], self._next_for(self._rig_of(node))
            if test is None or indices is None:
                continue
            try:
                node.send_runtest_some([indices[test.node_id]])
            except OSError:
                self._nodes[node] = None
                self._waiting[test.dmc].back(test)
            else:
                self._in_hand[node] = test

    def _next_for(self, rig: str) -> PlannedTest | None:
        if self._ending or rig in self._standing.away or not self._standing.is_left(rig):
            return None
        return self._waiting[self._standing.dmcs[rig]].take(rig)

    def _let_go(self, idle: Iterable[Any]) -> None:
        """End workers whose rigs nothing could come to any more: other runs may want these rigs."""
        for node in idle:
            rig = self._rig_of(node)
            if not self._may_serve(rig):
                self._standing.let_go.add(rig)
                node.shutdown()

    def _may_serve(self, rig: str) -> bool:
        """Whether anything that waits, or that another rig has in hand, could come to the rig."""
        if self._ending or not self._standing.is_left(rig):
            return False
        dmc = self._standing.dmcs[rig]
        in_hand = (test for test in self._in_hand.values() if test.dmc == dmc)
        return self._waiting[dmc].may_come_to(rig) or any(
            not self._standing.has_tried(rig, test.id) for test in in_hand
        )
