"""The rig scheduler, driven as xdist drives it, by nodes that are nothing but names."""

from __future__ import annotations

import pytest

from harness.execution.suspicion import MAX_KILLS
from tests.harness.execution.fake_workers import A, B, Lab, Node, names, planned


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
    for _ in range(MAX_KILLS):
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


def test_a_worker_that_dies_once_its_test_has_ended_takes_no_result_with_it() -> None:
    lab = Lab({"a1": A}, [planned("one"), planned("two")])
    (dying,) = lab.join("a1")
    lab.kill(dying, ended=True)
    (replacement,) = lab.join("a1")
    assert names([replacement]) == ["two"]
    lab.end(replacement)
    assert lab.scheduler.tests_finished


def test_a_worker_that_dies_once_its_test_was_blocked_leaves_it_to_another_rig() -> None:
    lab = Lab({"a1": A, "a2": A}, [planned("one")])
    dying, other = lab.join("a1", "a2")
    lab.scheduler.blocked(dying.hand[0], "a1")
    lab.kill(dying, ended=True)
    assert names([other]) == ["one"]


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


class TestRigsThatComeAndGo:
    def test_a_rig_that_is_away_gets_nothing_and_its_test_goes_elsewhere(self) -> None:
        lab = Lab({"a1": A, "a2": A}, [planned("one", expected=9), planned("two"), planned("three")])
        one, other = lab.join("a1", "a2")
        lab.give_back(one)
        lab.end(other)
        assert names([one, other]) == ["one"]
        lab.have_again(one)
        assert names([one, other]) == ["three", "one"]

    def test_nothing_is_given_up_because_a_rig_is_away(self) -> None:
        lab = Lab({"a1": A, "a2": A}, [planned("one")])
        one, other = lab.join("a1", "a2")
        lab.give_back(one)
        lab.block(other)  # a1 may have it yet
        assert not lab.aside
        assert not lab.scheduler.tests_finished
        lab.have_again(one)
        assert names([one]) == ["one"]

    def test_a_worker_that_dies_while_its_rig_is_away_is_replaced_by_one_that_asks_again(self) -> None:
        lab = Lab({"a1": A}, [planned("one")])
        (node,) = lab.join("a1")
        lab.give_back(node)
        lab.kill(node)
        assert names(lab.join("a1")) == ["one"]

    def test_a_test_that_cannot_be_sent_for_the_worker_is_dead_goes_to_another(self) -> None:
        lab = Lab({"a1": A, "a2": A}, [planned("one"), planned("two", expected=9), planned("three")])
        one, other = lab.join("a1", "a2")
        one.dead = True
        lab.end(one)  # its last word, before it was killed
        assert names([one, other]) == ["one"]
        assert lab.kill(one) is None
        lab.end(other)
        assert names([other]) == ["three"]

    def test_a_worker_that_dies_before_it_was_ready_is_none_of_ours(self) -> None:
        lab = Lab({"a1": A}, [planned("one")])
        with pytest.raises(KeyError):  # as xdist expects it
            lab.scheduler.remove_node(Node("a1"))

    def test_a_rig_that_nothing_can_come_to_any_more_is_let_go(self) -> None:
        lab = Lab({"a1": A, "a2": A, "b1": B}, [planned("one"), planned("other", B), planned("last", B)])
        one, two, b = lab.join("a1", "a2", "b1")
        assert not two.shutting_down  # the test of a1 may yet come back
        lab.end(one)
        assert one.shutting_down
        assert two.shutting_down
        assert not b.shutting_down
        assert not lab.scheduler.tests_finished

    def test_a_lost_rig_is_let_go_at_once(self) -> None:
        lab = Lab({"a1": A, "a2": A}, [planned("one"), planned("two")])
        lost, _ = lab.join("a1", "a2")
        lab.block(lost, rig_lost="its probe is not there")
        assert lost.shutting_down

    def test_the_last_of_all_are_left_to_xdist(self) -> None:
        lab = Lab({"a1": A}, [planned("one")])
        (node,) = lab.join("a1")
        lab.end(node)
        assert lab.scheduler.tests_finished
        assert not node.shutting_down

    def test_once_the_run_is_ending_idle_workers_end(self) -> None:
        lab = Lab({"a1": A, "a2": A}, [planned("one"), planned("two")])
        one, other = lab.join("a1", "a2")
        lab.scheduler.give_out_no_more()
        lab.end(one)
        assert one.shutting_down
        assert not other.shutting_down
