"""Which test a free rig takes: the longest one, with few changes of its installation's state."""

from __future__ import annotations

from itertools import pairwise

from harness.execution.choice import Job, Load, choose
from tests.harness.execution.fake_workers import STAGES, A, B, Lab, Node, names, planned


class TestTheLongestFirst:
    def test_a_free_rig_takes_the_longest_expected_test_that_it_can_serve(self) -> None:
        lab = Lab(
            {"a1": A},
            [planned("short", expected=1), planned("long", expected=9), planned("longer", B, expected=99)],
        )
        (node,) = lab.join("a1")
        assert names([node]) == ["long"]
        lab.end(node)
        assert names([node]) == ["short"]

    def test_what_it_lasted_before_outweighs_the_guess(self) -> None:
        tests = [planned("guessed long", expected=9), planned("was longer", expected=1)]
        lab = Lab({"a1": A}, tests, {"subject::was longer": 30})
        assert names(lab.join("a1")) == ["was longer"]

    def test_of_equals_the_first_of_the_plan_is_taken(self) -> None:
        lab = Lab({"a1": A}, [planned(name, expected=2) for name in ("one", "two", "three")])
        (node,) = lab.join("a1")
        assert [lab.end(node)[-3:] for _ in range(3)] == ["one", "two", "ree"]

    def test_a_whole_chain_is_as_long_as_all_of_its_tests(self) -> None:
        chain = [planned(stage, stage=stage, expected=4) for stage in STAGES[1:]]
        lab = Lab({"a1": A, "a2": A}, [planned("long", expected=9), *chain])
        assert names(lab.join("a1", "a2")) == ["install", "long"]


class TestStates:
    def take_all(self, lab: Lab, node: Node) -> list[str]:
        return [lab.end(node).rpartition("::")[2] for _ in lab.tests]

    def changes(self, order: list[str]) -> int:
        states = [name.partition("-")[0] for name in order if not name.startswith("free")]
        return sum(one != other for one, other in pairwise(states))

    def test_a_rig_stays_in_a_state_while_there_are_tests_for_it(self) -> None:
        tests = [
            planned(f"{state}-{n}", state=state, expected=1 + n)
            for n in range(5)
            for state in ("credit", "prepayment", "off")
        ]
        lab = Lab({"a1": A}, tests)
        assert self.changes(self.take_all(lab, *lab.join("a1"))) == 2

    def test_a_change_goes_to_the_state_with_most_work_left(self) -> None:
        jobs = [Job((5, 0), planned("a"), "credit"), Job((4, -1), planned("b"), "prepayment")]
        load = Load({"credit": 50, "prepayment": 90}, {}, share=40)
        assert choose(jobs, "off", load).state == "prepayment"

    def test_a_state_whose_rigs_can_do_its_work_gets_no_more_of_them(self) -> None:
        jobs = [Job((5, 0), planned("a"), "credit"), Job((4, -1), planned("b"), "")]
        enough = Load({"credit": 30, "": 90}, {"credit": 1}, share=40)
        assert choose(jobs, "", enough).state == ""
        too_few = Load({"credit": 50, "": 90}, {"credit": 1}, share=40)
        assert choose(jobs, "", too_few).state == "credit"

    def test_a_critical_test_is_taken_whatever_its_state(self) -> None:
        jobs = [Job((5, 0), planned("a"), "credit"), Job((40, -1), planned("b"), "prepayment")]
        load = Load({"credit": 50, "prepayment": 40}, {"credit": 1}, share=40)
        assert choose(jobs, "credit", load).state == "prepayment"
        assert choose(jobs, "credit", Load(load.work, load.rigs_in, share=41)).state == "credit"

    def test_no_rig_is_idle_for_the_sake_of_a_state(self) -> None:
        jobs = [Job((5, 0), planned("a"), "credit")]
        assert choose(jobs, "prepayment", Load({"credit": 5}, {"credit": 3}, share=40)).state == "credit"

    def test_after_a_lab_fault_nobody_knows_in_what_state_the_installation_is(self) -> None:
        credit = {"credit-1": 12, "credit-2": 4, "credit-3": 1}
        tests = [planned(name, state="credit", expected=seconds) for name, seconds in credit.items()]
        tests += [planned(f"prepayment-{n}", state="prepayment", expected=5) for n in range(3)]
        lab = Lab({"a1": A, "a2": A}, tests)
        (node,) = lab.join("a1")
        assert lab.end(node).endswith("credit-1")
        assert lab.block(node).endswith("credit-2")
        assert names([node]) == ["prepayment-0"]
