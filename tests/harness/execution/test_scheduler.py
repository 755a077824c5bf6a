"""The rig scheduler, driven as xdist drives it, by nodes that are nothing but names."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.domain.words import CapabilityRelease, DeviceType, InstallationType, TestPhase
from harness.execution.scheduler import MAX_INTERRUPTIONS, RigScheduler
from harness.records.plan import PlannedTest

A, B = "dmc-a", "dmc-b"


def planned(name: str, dmc: str = A, not_run: str = "") -> PlannedTest:
    return PlannedTest(
        id=f"subject::{name}", node_id=f"packs/subject.py::{name}", pack="pack", title=name, full_name=name,
        srvs=(), ttm=("T-1",), functional_group="", device_type=DeviceType.ESME, entry=f"{dmc}-active",
        dmc=dmc, installation_type=InstallationType.ACTIVE, release=CapabilityRelease.IOC,
        test_phase=TestPhase.DMCT_SRVT, not_run=not_run,
    )  # fmt: skip


@dataclass(eq=False)
class Node:
    """A worker: what it was sent and has not ended is in its hand."""

    rig: str
    collection: list[str] = field(default_factory=list)
    hand: list[str] = field(default_factory=list)
    shutting_down: bool = False

    def send_runtest_some(self, indices: list[int]) -> None:
        assert not self.shutting_down
        self.hand += [self.collection[index] for index in indices]


class Lab:
    """A scheduler over these rigs, and what it set aside."""

    def __init__(self, rigs: dict[str, str], tests: list[PlannedTest]) -> None:
        self.tests = tests
        self.rigs = rigs
        self.aside: dict[str, str] = {}
        self.scheduler = RigScheduler(tests, rigs, lambda node: node.rig, self._set_aside)

    def _set_aside(self, test: PlannedTest, reason: str) -> None:
        assert test.id not in self.aside
        self.aside[test.id] = reason

    def join(self, *rigs: str) -> list[Node]:
        nodes = [Node(rig) for rig in rigs]
        for node in nodes:
            self.scheduler.add_node(node)
            node.collection = [test.node_id for test in self.tests]
            self.scheduler.add_node_collection(node, node.collection)
            self.scheduler.schedule()
        return nodes

    def end(self, node: Node) -> str:
        node_id = node.hand.pop()
        self.scheduler.mark_test_complete(node, node.collection.index(node_id))
        return node_id

    def block(self, node: Node, rig_lost: str = "") -> str:
        self.scheduler.blocked(node.hand[0], node.rig, rig_lost=rig_lost)
        return self.end(node)

    def kill(self, node: Node) -> str | None:
        """What xdist does when a worker dies: the item it had, then the hook for crashed items."""
        item = self.scheduler.remove_node(node)
        if item is not None:
            self.scheduler.interrupted(item)
        return item


def names(nodes: list[Node]) -> list[str]:
    return [node_id.rpartition("::")[2] for node in nodes for node_id in node.hand]


def test_each_rig_has_one_test_in_hand_and_takes_the_next_when_it_has_ended() -> None:
    lab = Lab({"a1": A, "a2": A}, [planned("one"), planned("two"), planned("three")])
    nodes = lab.join("a1", "a2")
    assert names(nodes) == ["one", "two"]
    lab.end(nodes[1])
    assert names(nodes) == ["one", "three"]


def test_a_rig_serves_the_tests_of_its_own_dmc_only() -> None:
    lab = Lab({"a1": A, "b1": B}, [planned("a"), planned("a2"), planned("b", B)])
    nodes = lab.join("a1", "b1")
    assert names(nodes) == ["a", "b"]
    lab.end(nodes[1])
    assert names(nodes) == ["a"]  # rather idle than on a strange device


def test_nobody_waits_for_the_slowest_rig_to_start() -> None:
    lab = Lab({"a1": A, "a2": A}, [planned("one"), planned("two")])
    assert not lab.scheduler.collection_is_completed
    early = lab.join("a1")
    assert lab.scheduler.collection_is_completed
    assert names(early) == ["one"]
    assert names(lab.join("a2")) == ["two"]


def test_a_blocked_test_goes_to_another_rig_and_never_back() -> None:
    lab = Lab({"a1": A, "a2": A}, [planned("one")])
    nodes = lab.join("a1", "a2")
    lab.block(nodes[0])
    assert names(nodes) == ["one"]
    assert nodes[1].hand
    lab.block(nodes[1])
    assert lab.scheduler.tests_finished
    assert not lab.aside  # it was tried: blocked is its outcome


def test_a_lost_rig_takes_nothing_more() -> None:
    lab = Lab({"a1": A, "a2": A}, [planned("one"), planned("two"), planned("three")])
    lost, well = lab.join("a1", "a2")
    lab.block(lost, rig_lost="its probe is not there")
    assert names([lost, well]) == ["two"]
    assert [lab.end(well), lab.end(well), lab.end(well)][1].endswith("one")
    assert lab.scheduler.tests_finished


def test_what_no_rig_can_serve_any_more_is_given_up_with_the_reason() -> None:
    lab = Lab({"a1": A, "b1": B}, [planned("one"), planned("two"), planned("other", B)])
    a, b = lab.join("a1", "b1")
    lab.block(a, rig_lost="its probe is not there")
    assert set(lab.aside) == {"subject::two"}
    assert "no rig of DMC dmc-a is left (Clause 20.19): its probe is not there" in lab.aside["subject::two"]
    lab.end(b)
    assert lab.scheduler.tests_finished


def test_a_test_waits_for_a_rig_of_its_dmc_that_has_not_started_yet() -> None:
    lab = Lab({"a1": A, "a2": A}, [planned("one")])
    (first,) = lab.join("a1")
    lab.block(first)
    assert not lab.scheduler.tests_finished
    assert names(lab.join("a2")) == ["one"]


def test_an_interrupted_test_is_next_and_too_many_interruptions_set_it_aside() -> None:
    lab = Lab({"a1": A}, [planned("deadly"), planned("after")])
    for _ in range(MAX_INTERRUPTIONS):
        (node,) = lab.join("a1")
        assert names([node]) == ["deadly"]
        lab.kill(node)
    assert "set aside" in lab.aside["subject::deadly"]
    assert names(lab.join("a1")) == ["after"]


def test_a_worker_that_dies_right_after_a_lab_fault_does_not_double_its_test() -> None:
    lab = Lab({"a1": A, "a2": A}, [planned("one")])
    dying, other = lab.join("a1", "a2")
    lab.scheduler.blocked(dying.hand[0], "a1")
    lab.kill(dying)
    assert names([other]) == ["one"]
    lab.end(other)
    assert lab.scheduler.tests_finished


def test_what_died_after_the_last_rigs_lab_fault_is_not_waited_for() -> None:
    lab = Lab({"a1": A}, [planned("one")])
    (dying,) = lab.join("a1")
    lab.scheduler.blocked(dying.hand[0], "a1")
    lab.kill(dying)
    assert lab.scheduler.tests_finished


def test_a_worker_that_is_shutting_down_gets_nothing() -> None:
    lab = Lab({"a1": A, "a2": A}, [planned("one"), planned("two"), planned("three")])
    nodes = lab.join("a1", "a2")
    nodes[0].shutting_down = True
    lab.end(nodes[0])
    assert names(nodes) == ["two"]


def test_a_worker_that_dies_between_tests_takes_none_with_it() -> None:
    lab = Lab({"a1": A, "b1": B}, [planned("b", B)])
    idle, _ = lab.join("a1", "b1")
    assert lab.kill(idle) is None
    assert lab.scheduler.nodes == [_]


def test_what_is_planned_as_not_run_is_nobodys() -> None:
    lab = Lab({"a1": A}, [planned("never", B, not_run="no rig of DMC dmc-b")])
    (node,) = lab.join("a1")
    assert not node.hand
    assert lab.scheduler.tests_finished


def test_a_worker_that_does_not_find_what_is_planned_is_an_error_that_names_it() -> None:
    lab = Lab({"a1": A}, [planned("one")])
    node = Node("a1")
    lab.scheduler.add_node(node)
    with pytest.raises(RuntimeError, match=r"does not find packs/subject\.py::one"):
        lab.scheduler.add_node_collection(node, ["packs/subject.py::other"])


@given(st.data())
def test_every_planned_test_ends_once_or_is_set_aside_and_no_rig_ever_has_two(data: st.DataObject) -> None:
    rigs = {f"rig-{n}": dmc for n, dmc in enumerate(data.draw(st.lists(st.sampled_from([A, B]), min_size=1)))}
    dmcs = st.lists(st.sampled_from(sorted(set(rigs.values()))), max_size=12)
    lab = Lab(rigs, [planned(f"t{n}", dmc) for n, dmc in enumerate(data.draw(dmcs))])
    absent, present = list(rigs), list[Node]()
    ends, blocked = Counter[str](), set[str]()
    absent.remove(first := data.draw(st.sampled_from(absent)))
    present += lab.join(first)
    while not lab.scheduler.tests_finished:
        busy = [node for node in present if node.hand]
        in_hand = [node.hand[0] for node in busy]
        assert all(len(node.hand) == 1 for node in busy)
        assert len(set(in_hand)) == len(in_hand)  # no test in two hands
        assert not ends.keys() & set(in_hand)  # none again after its end
        assert absent or busy, "tests are left, and no rig is at work or still to come"
        steps = ["join"] * bool(absent) + ["pass", "block", "lose", "die", "block and die"] * bool(busy)
        step = data.draw(st.sampled_from(steps))
        if step == "join":
            absent.remove(rig := data.draw(st.sampled_from(absent)))
            present += lab.join(rig)
            continue
        node = data.draw(st.sampled_from(busy))
        match step:
            case "pass":
                ends[lab.end(node)] += 1
            case "block" | "lose":
                blocked.add(lab.block(node, rig_lost="gone" if step == "lose" else ""))
            case "die" | "block and die":
                if step == "block and die":
                    blocked.add(node.hand[0])
                    lab.scheduler.blocked(node.hand[0], node.rig)
                lab.kill(node)
                present.remove(node)
                absent.append(node.rig)  # its replacement comes when it comes
    for test in lab.tests:
        aside = test.id in lab.aside
        assert ends[test.node_id] + aside <= 1
        assert ends[test.node_id] or aside or test.node_id in blocked


def test_once_the_run_is_ending_the_tests_in_hand_are_the_last_ones() -> None:
    lab = Lab({"a1": A, "a2": A}, [planned("one"), planned("two"), planned("three")])
    nodes = lab.join("a1", "a2")
    lab.scheduler.give_out_no_more()
    lab.end(nodes[0])
    assert names(nodes) == ["two"]
    assert not lab.scheduler.tests_finished
    lab.block(nodes[1])  # nor does another rig take it
    assert names(nodes) == []
    assert lab.scheduler.tests_finished
    assert not lab.aside
