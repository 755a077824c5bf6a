"""Tests that kill rigs: when they are set aside, and that no more rigs are risked than need be."""

from __future__ import annotations

import pytest

from tests.harness.execution.fake_workers import A, Lab, names, planned


class TestSuspicion:
    def test_a_test_after_which_two_rigs_in_a_row_are_lost_is_set_aside_and_they_are_named(self) -> None:
        tests = [planned("deadly", expected=9), *(planned(f"t{n}") for n in range(6))]
        lab = Lab({"a1": A, "a2": A, "a3": A}, tests)
        one, two = lab.join("a1", "a2")
        lab.block(one)
        lab.block(one, rig_lost="its fuse has blown")  # the next test finds the rig lost
        lab.end(two)
        assert names([two]) == ["deadly"]
        lab.block(two)
        lab.block(two, rig_lost="its fuse has blown")
        why = "set aside as suspected: a1 was lost after it, then a2 was lost after it"
        assert lab.aside == {"subject::deadly": why}
        (three,) = lab.join("a3")
        assert names([three]) != ["deadly"]

    @pytest.mark.parametrize("well", [True, False])
    def test_no_third_rig_gets_it_before_it_is_known_what_became_of_the_second(self, well: bool) -> None:
        tests = [planned("deadly", expected=9), *(planned(f"t{n}") for n in range(9))]
        lab = Lab({"a1": A, "a2": A, "a3": A}, tests)
        three, two = lab.join("a3", "a2")
        lab.kill(three)
        (three,) = lab.join("a3")
        assert names([three]) == ["deadly"]
        lab.block(three)  # the second time: a3 may be lost by now
        lab.end(two)
        (one,) = lab.join("a1")
        assert "deadly" not in names([one, two, three])
        if well:
            lab.end(three)
            lab.end(two)
            assert names([two]) == ["deadly"]
        else:
            lab.block(three, rig_lost="its fuse has blown")
            assert set(lab.aside) == {"subject::deadly"}

    def test_two_rigs_of_which_nothing_is_known_yet_are_enough_to_wait(self) -> None:
        tests = [planned("deadly", expected=9), *(planned(f"t{n}") for n in range(9))]
        lab = Lab({"a1": A, "a2": A, "a3": A}, tests)
        one, two, three = lab.join("a1", "a2", "a3")
        lab.block(one)
        lab.end(two)
        lab.block(two)
        lab.end(three)
        assert "deadly" not in names([one, two, three])
        lab.end(one)  # which is well
        lab.end(three)
        assert names([three]) == ["deadly"]

    def test_the_rig_that_is_asked_what_became_of_it_comes_first(self) -> None:
        lab = Lab({"a1": A, "a2": A}, [planned("deadly", expected=9), planned("one")])
        two, one = lab.join("a2", "a1")
        lab.kill(two)
        (two,) = lab.join("a2")
        lab.block(one)  # there is nothing else for a1, which stands before a2 by now
        assert (names([one]), names([two])) == ([], ["deadly"])
        lab.block(two)
        assert (names([one]), names([two])) == ([], ["one"])
        lab.end(two)
        assert names([one]) == ["deadly"]

    def test_it_waits_for_no_verdict_that_cannot_come(self) -> None:
        lab = Lab({"a1": A, "a2": A}, [planned("deadly")])
        (one,) = lab.join("a1")
        lab.kill(one)
        one, two = lab.join("a1", "a2")
        lab.block(one)  # and there is no other test for a1
        assert names([two]) == ["deadly"]

    def test_a_dead_worker_and_a_lost_rig_make_two(self) -> None:
        lab = Lab(
            {"a1": A, "a2": A, "a3": A}, [planned("deadly", expected=9), planned("one"), planned("two")]
        )
        lab.kill(*lab.join("a1"))
        (two,) = lab.join("a2")
        lab.block(two)
        lab.block(two, rig_lost="its fuse has blown")
        why = lab.aside["subject::deadly"]
        assert why == "set aside as suspected: its worker died on a1, then a2 was lost after it"

    @pytest.mark.parametrize("then", ["the next test is blocked as well", "the rig is well"])
    def test_a_rig_that_goes_on_after_the_test_ends_its_row(self, then: str) -> None:
        lab = Lab(
            {"a1": A, "a2": A, "a3": A}, [planned("unlucky", expected=9), planned("one"), planned("two")]
        )
        lab.kill(*lab.join("a1"))
        (two,) = lab.join("a2")
        lab.block(two)
        if then == "the rig is well":
            lab.end(two)
        else:
            lab.block(two)
        (three,) = lab.join("a3")
        assert names([three]) == ["unlucky"]
        lab.kill(three)
        assert not lab.aside

    def test_a_rig_that_could_not_even_be_opened_is_not_held_against_its_first_test(self) -> None:
        lab = Lab({"a1": A, "a2": A, "a3": A}, [planned("unlucky", expected=9), planned("one")])
        one, two = lab.join("a1", "a2")
        lab.end(two)
        lab.block(one, rig_lost="its probe is not there")
        assert names([two]) == ["unlucky"]

    def test_a_rig_that_was_well_and_is_lost_in_the_test_is(self) -> None:
        tests = [
            planned("first", expected=99),
            planned("first-2", expected=99),
            planned("deadly", expected=9),
        ]
        lab = Lab({"a1": A, "a2": A, "a3": A}, tests)
        one, two = lab.join("a1", "a2")
        lab.end(one)
        assert names([one]) == ["deadly"]
        lab.block(one, rig_lost="its fuse has blown")
        lab.end(two)
        assert names([two]) == ["deadly"]
        lab.block(two, rig_lost="its fuse has blown")
        assert "a1 was lost after it, then a2 was lost after it" in lab.aside["subject::deadly"]
        assert lab.scheduler.tests_finished
