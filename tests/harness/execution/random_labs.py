"""Small labs at random, run to their end against a clock of their own; what must always hold is checked."""

from __future__ import annotations

import heapq
import itertools
from collections import defaultdict
from collections.abc import Callable
from random import Random

from harness.execution.suspicion import MAX_KILLS
from harness.records.plan import PlannedTest
from tests.harness.execution.fake_workers import STAGES, Lab, Node, planned

MOST_EVENTS = 20_000
RESULTS = {"pass": 84, "block": 6, "lose": 2, "pass and lose": 1, "die": 3, "block and die": 1, "away": 3}
Chain = tuple[str, str]


def chain_of(test: PlannedTest) -> Chain | None:
    return (test.pack, test.entry) if test.stage else None


class Watch:
    """Knows what has been, apart from the scheduler, and says where it did wrong."""

    def __init__(self, tests: list[PlannedTest], rigs: dict[str, str]) -> None:
        self.rigs = rigs
        self.tests = {test.node_id: test for test in tests}
        self.lost, self.away, self.ended = set[str](), set[str](), set[str]()
        self.tried: defaultdict[str, set[str]] = defaultdict(set)
        self.last: dict[str, str] = {}  # node id → how its last attempt ended
        self.suspects = set[str]()  # they may have to wait until it is known whether they have killed
        self.deaths: defaultdict[str, int] = defaultdict(int)  # in a row
        self.chain_rig: dict[Chain, str] = {}
        self.done: defaultdict[Chain, set[str]] = defaultdict(set)  # since the chain has begun on its rig
        self.broken = set[Chain]()  # its installation is gone, or is not as it was
        self.kept = set[Chain]()  # a lab fault kept a test of it from its rig

    def sent(self, node_id: str, rig: str, in_hand: list[str]) -> None:
        test = self.tests[node_id]
        assert in_hand.count(node_id) == 1, f"{node_id} is in two hands"
        assert self.rigs[rig] == test.dmc
        assert rig not in self.lost
        assert rig not in self.away
        assert rig not in self.tried[node_id], f"{node_id} goes back to {rig}"
        if chain := chain_of(test):
            self._chain_sent(chain, test, rig)
        else:
            assert node_id not in self.ended, f"{node_id} is run again after its end"

    def _chain_sent(self, chain: Chain, test: PlannedTest, rig: str) -> None:
        elsewhere = self.chain_rig.setdefault(chain, rig) != rig
        again = chain in self.kept and test.node_id in self.done[chain]
        if elsewhere or again or chain in self.broken:
            assert chain in self.broken | self.kept, f"{chain} left {self.chain_rig[chain]} for nothing"
            self.broken.discard(chain)
            self.kept.discard(chain)
            self.done[chain].clear()
            self.chain_rig[chain] = rig
        assert test.node_id not in self.done[chain], f"{test.node_id} twice on one installation"
        earlier = {
            each.node_id
            for each in self.tests.values()
            if chain_of(each) == chain and each.stage_order < test.stage_order
        }
        assert earlier <= self.done[chain], f"{test.node_id} before {earlier - self.done[chain]} on {rig}"
        self.broken |= {other for other, at in self.chain_rig.items() if at == rig and other != chain}

    def came_out(self, node_id: str, rig: str, result: str) -> None:
        test = self.tests[node_id]
        if result != "away":  # which is no attempt
            self.last[node_id] = result
        died = result in {"die", "block and die"}
        self.deaths[node_id] = self.deaths[node_id] + 1 if died else 0
        assert self.deaths[node_id] <= MAX_KILLS, f"{node_id} kills on and on"
        if result not in {"pass", "away"}:
            self.suspects.add(node_id)
        if result in {"block", "lose", "block and die"}:
            self.tried[node_id].add(rig)
        if result in {"pass", "pass and lose"}:
            self.ended.add(node_id)
            if chain := chain_of(test):
                self.done[chain].add(node_id)
        if "lose" in result:
            self.lost.add(rig)
        on_it = {chain for chain, at in self.chain_rig.items() if at == rig}
        if "lose" in result or result == "away":
            self.broken |= on_it
        if "block" in result:
            self.kept |= on_it & {chain_of(test)}

    def nothing_waits_for_nothing(self, lab: Lab, ready: list[Node]) -> None:
        """No rig is idle while there is a test without a stage that it could take."""
        hands = {node_id for node in ready for node_id in node.hand}
        for node in ready:
            if node.hand or node.dead or node.rig in self.away | self.lost:
                continue
            for node_id, test in self.tests.items():
                waits = node_id not in hands | self.ended and test.id not in lab.aside and not test.stage
                waits = waits and node_id not in self.suspects
                could = test.dmc == self.rigs[node.rig] and node.rig not in self.tried[node_id]
                assert not (waits and could), f"{node.rig} is idle, and {node_id} waits"

    def accounts(self, lab: Lab) -> None:
        """At the end every test has come out or was set aside, and none of them without need."""
        for node_id, test in self.tests.items():
            why = lab.aside.get(test.id, "")
            decided = self.last.get(node_id, "") in {"pass", "pass and lose", "block", "lose"}
            assert decided or why, f"{node_id} is forgotten"
            assert not (decided and why) or "suspected" in why, f"{node_id} has come out, and is set aside"
            left = {rig for rig, dmc in self.rigs.items() if dmc == test.dmc} - self.lost
            suspected = any(
                "suspected" in lab.aside.get(each.id, "") and chain_of(each) == chain_of(test)
                for each in self.tests.values()
                if test.stage or each is test
            )
            if node_id not in self.ended and not suspected:
                kept = {rig for each in self._with(test) for rig in self.tried[each.node_id]}
                assert left <= kept, f"{node_id} was not run, and {left - kept} would have served"

    def _with(self, test: PlannedTest) -> list[PlannedTest]:
        if not test.stage:
            return [test]
        return [each for each in self.tests.values() if chain_of(each) == chain_of(test)]


class Session:
    """A run as xdist's session would have it: events one by one, workers that come, die and are replaced."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.now = 0.0
        self.rigs = {f"rig-{n}": f"dmc-{random.randrange(3)}" for n in range(random.randint(1, 6))}
        self.tests = random_tests(random, sorted(set(self.rigs.values())))
        self.durations = {test.node_id: random.lognormvariate(1, 0.7) for test in self.tests}
        known = {test.id: self.durations[test.node_id] for test in self.tests if random.random() < 0.7}
        self.lab = Lab(self.rigs, self.tests, known)
        self.watch = Watch(self.tests, self.rigs)
        self.deadly = {test.node_id for test in self.tests if random.random() < 0.02}
        self.peaceful = random.random() < 0.3  # nothing ever goes wrong
        self.stops = random.random() < 0.1  # somebody presses Ctrl-C
        self.events: list[tuple[float, int, Callable[[], None]]] = []
        self.numbers = itertools.count()
        self.active = set[str]()  # rigs that have a worker, ready or not
        self.ready: list[Node] = []
        self.shutting_down = False

    def run(self) -> None:
        for rig in self.rigs:
            self.start(rig)
        if self.stops:
            self.later(self.random.uniform(0, 20), self.lab.scheduler.give_out_no_more)
        for _ in range(MOST_EVENTS):
            if self.shutting_down and not self.active:
                break
            assert self.active, "no worker is left, and the session has not ended"
            assert self.events, "tests are left, and nothing will ever happen"
            self.now, _, event = heapq.heappop(self.events)
            event()
            self.look()
        else:
            raise AssertionError("the session does not end")
        if not self.stops:
            self.watch.accounts(self.lab)

    def look(self) -> None:
        if self.lab.scheduler.tests_finished:
            self.shutting_down = True
            for node in self.ready:
                self.end_worker(node)
        elif not self.stops:
            self.watch.nothing_waits_for_nothing(self.lab, self.ready)
        for node in self.ready:
            if node.shutting_down:
                self.end_worker(node)

    def later(self, delay: float, event: Callable[[], None]) -> None:
        heapq.heappush(self.events, (self.now + delay, next(self.numbers), event))

    def start(self, rig: str) -> None:
        self.active.add(rig)
        self.later(self.random.expovariate(1), lambda: self.is_ready(rig))

    def is_ready(self, rig: str) -> None:
        if not self.peaceful and self.random.random() < 0.05:  # it dies before it has ever been ready
            try:
                self.lab.scheduler.remove_node(Node(rig))
            except KeyError:
                self.start(rig)
                return
            raise AssertionError("a worker was removed that was never there")
        if self.shutting_down:
            self.active.discard(rig)
            return
        node = Node(rig, self.lab.collection)
        node_sends = node.send_runtest_some

        def send(indices: list[int]) -> None:
            assert not node.dead, f"{rig} is dead, and is sent another test"
            if not self.peaceful and self.random.random() < 0.02:  # it has died, and nobody has noticed
                node.dead = True
                self.later(self.random.random(), lambda: self.die(node))
            node_sends(indices)
            self.sent(node)

        node.send_runtest_some = send  # type: ignore[method-assign]
        self.ready.append(node)
        self.lab.scheduler.add_node(node)
        self.lab.scheduler.add_node_collection(node, node.collection)
        self.lab.scheduler.schedule()

    def sent(self, node: Node) -> None:
        assert len(node.hand) == 1, f"{node.rig} has two tests"
        self.watch.sent(node.hand[0], node.rig, [each for other in self.ready for each in other.hand])
        result = self.result(node.hand[0])
        self.later(0 if result == "away" else self.durations[node.hand[0]], lambda: self.out(node, result))

    def result(self, node_id: str) -> str:
        if self.peaceful:
            return "pass"
        if node_id in self.deadly:
            return self.random.choice(["die", "block and die", "lose"])
        (result,) = self.random.choices(list(RESULTS), list(RESULTS.values()))
        return result

    def out(self, node: Node, result: str) -> None:
        self.watch.came_out(node.hand[0], node.rig, result)
        match result:
            case "pass":
                self.lab.end(node)
            case "pass and lose":
                self.lab.scheduler.lost(node.rig, "its fuse has blown")
                self.lab.end(node)
            case "block" | "lose":
                self.lab.block(node, rig_lost="its fuse has blown" if result == "lose" else "")
            case "away":
                self.watch.away.add(node.rig)
                self.lab.give_back(node)
                then = self.die if self.random.random() < 0.2 else self.back
                self.later(self.random.expovariate(0.2), lambda: then(node))
            case _:
                if result == "block and die":
                    self.lab.scheduler.blocked(node.hand[0], node.rig)
                self.die(node)

    def die(self, node: Node) -> None:
        if node in self.ready:
            self.ready.remove(node)
            self.watch.away.discard(node.rig)
            self.lab.kill(node)
            self.start(node.rig)

    def back(self, node: Node) -> None:
        if node in self.ready:
            self.watch.away.discard(node.rig)
            if not node.shutting_down:
                self.lab.have_again(node)

    def end_worker(self, node: Node) -> None:
        """It puts its rig down, and is gone; now and then it dies of it, and is replaced."""
        node.shutting_down = True
        self.ready = [each for each in self.ready if each is not node]
        self.later(self.random.expovariate(5), lambda: self.ended(node))

    def ended(self, node: Node) -> None:
        assert self.lab.scheduler.remove_node(node) is None
        self.watch.away.discard(node.rig)
        self.active.discard(node.rig)
        if not self.peaceful and self.random.random() < 0.05:
            self.shutting_down = False
            self.start(node.rig)


def random_tests(random: Random, dmcs: list[str]) -> list[PlannedTest]:
    tests = []
    for n in range(random.randint(0, 30)):
        dmc = random.choice(dmcs)
        stage = random.choice(STAGES[1:]) if random.random() < 0.4 else ""
        state = random.choice(["", "", "credit", "prepayment"])
        entry, expected = f"{dmc}-{random.randrange(2)}", random.choice([0.0, 1.0, 5.0])
        tests.append(planned(f"t{n}", dmc, stage=stage, state=state, entry=entry, expected=expected))
    return tests
