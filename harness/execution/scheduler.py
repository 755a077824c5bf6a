"""The rig scheduler: each worker is bound to a rig and takes one test at a time that its rig can serve.

pytest-xdist asks for it through ``pytest_xdist_make_scheduler`` and drives it from one thread. Indices into
the (identical) collections are what xdist sends to workers; the planned tests' node ids are what we think in.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from harness.records.plan import PlannedTest

MAX_INTERRUPTIONS = 2
"""A test that has taken down so many workers is set aside: it, not the rigs, is under suspicion."""


class RigScheduler:
    """Implements xdist's ``Scheduling``.

    ``rigs`` gives the DMC of every rig in use, whether its worker is ready or not; ``rig_of`` tells the rig
    that a worker is bound to. ``set_aside`` is called for each planned test that can no longer run, with the
    reason, which then is its outcome ``not_run``. A test whose DMC has no rig is planned as ``not_run``.
    """

    def __init__(
        self,
        tests: Sequence[PlannedTest],
        rigs: Mapping[str, str],
        rig_of: Callable[[Any], str],
        set_aside: Callable[[PlannedTest, str], None],
    ) -> None:
        self._tests = {test.node_id: test for test in tests}
        self._rigs = rigs
        self._rig_of = rig_of
        self._set_aside = set_aside
        self._waiting: deque[PlannedTest] = deque(test for test in tests if not test.not_run)
        self._in_hand: dict[Any, PlannedTest] = {}
        self._collections: dict[Any, Mapping[str, int]] = {}
        self._nodes: list[Any] = []
        self._lost: dict[str, str] = {}  # rig id → why it takes no more tests
        self._tried: dict[str, set[str]] = {}  # test id → rigs that a lab fault kept it from
        self._blocked: set[str] = set()  # ids of tests in hand that a lab fault has just blocked
        self._interruptions: Counter[str] = Counter()
        self._ending = False

    @property
    def nodes(self) -> list[Any]:
        """The workers in use."""
        return list(self._nodes)

    @property
    def collection_is_completed(self) -> bool:
        """True from the first ready worker on: nobody waits for the slowest to start."""
        return bool(self._collections)

    @property
    def has_pending(self) -> bool:
        """Whether anything is left to do or to be finished."""
        return bool(self._in_hand or (self._waiting and not self._ending))

    @property
    def tests_finished(self) -> bool:
        """Whether the session may end."""
        return not self.has_pending

    def give_out_no_more(self) -> None:
        """Let the tests in hand be the last ones; the others are not run. Safe to call at any moment."""
        self._ending = True

    def add_node(self, node: Any) -> None:
        """A worker has started; it gets work once it has collected."""
        self._nodes.append(node)

    def add_node_collection(self, node: Any, collection: Sequence[str]) -> None:
        """A worker has collected; the same as was planned, unless the sources changed in between."""
        if missing := self._tests.keys() - set(collection):
            raise RuntimeError(f"{node} does not find {min(missing)}, which is planned: did a file change?")
        self._collections[node] = {node_id: index for index, node_id in enumerate(collection)}

    def remove_node(self, node: Any) -> str | None:
        """A worker has gone; the node id of the test that it had in hand, if any."""
        self._nodes.remove(node)
        self._collections.pop(node, None)
        test = self._in_hand.pop(node, None)
        return test.node_id if test else None

    def mark_test_pending(self, item: str) -> None:
        """A test is to be taken again."""
        self._take_again(self._tests[item])
        self.schedule()

    def _take_again(self, test: PlannedTest) -> None:
        self._blocked.discard(test.id)
        self._waiting.appendleft(test)
        self._give_up_unservable()

    def remove_pending_tests_from_node(self, node: Any, indices: Sequence[int]) -> None:
        """Never called: tests are not queued at workers, so there is nothing to steal."""
        raise AssertionError(f"{node} gave back {indices}, which it cannot hold")

    def mark_test_complete(self, node: Any, item_index: int, duration: float = 0) -> None:
        """The test in hand has ended; the worker is free."""
        del item_index, duration
        test = self._in_hand.pop(node)
        if test.id in self._blocked:
            self._take_again(test)
        self.schedule()

    def test_of(self, node_id: str) -> PlannedTest:
        """The planned test of a node id."""
        return self._tests[node_id]

    def interrupted(self, node_id: str) -> None:
        """The worker died with this test in hand: another attempt, unless it has killed too many."""
        test = self._tests[node_id]
        self._interruptions[test.id] += 1
        if self._interruptions[test.id] < MAX_INTERRUPTIONS:
            self.mark_test_pending(node_id)
        else:
            self._set_aside(test, f"set aside: its worker died {MAX_INTERRUPTIONS} times while running it")

    def blocked(self, node_id: str, rig: str, *, rig_lost: str = "") -> None:
        """A lab fault stood in the way: once it has ended, the test goes to another rig of its DMC.

        ``rig_lost`` is the reason why the rig can serve nothing at all any more.
        """
        test = self._tests[node_id]
        self._blocked.add(test.id)
        self._tried.setdefault(test.id, set()).add(rig)
        if rig_lost:
            self._lost[rig] = rig_lost

    def schedule(self) -> None:
        """Give every free worker the next test that its rig can serve."""
        for node in self._nodes:
            if node in self._in_hand or node not in self._collections or node.shutting_down:
                continue
            if test := self._next_for(self._rig_of(node)):
                self._waiting.remove(test)
                self._in_hand[node] = test
                node.send_runtest_some([self._collections[node][test.node_id]])

    def _next_for(self, rig: str) -> PlannedTest | None:
        if self._ending:
            return None
        return next((test for test in self._waiting if self._serves(rig, test)), None)

    def _serves(self, rig: str, test: PlannedTest) -> bool:
        tried = self._tried.get(test.id, ())
        return self._rigs[rig] == test.dmc and rig not in tried and rig not in self._lost

    def _give_up_unservable(self) -> None:
        """Tests that no rig in use can take any more become ``not_run``: nobody waits for ever."""
        left = [test for test in self._waiting if not any(self._serves(rig, test) for rig in self._rigs)]
        for test in left:
            self._waiting.remove(test)
            if test.id not in self._tried:  # else its last attempt is its outcome: blocked
                reasons = (why for rig, why in self._lost.items() if self._rigs[rig] == test.dmc)
                detail = "; ".join(dict.fromkeys(reasons))
                self._set_aside(test, f"no rig of DMC {test.dmc} is left (Clause 20.19): {detail}")
