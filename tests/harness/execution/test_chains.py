"""Tests whose order a pack declares: which rig takes them, when, and what becomes of them when it is lost."""

from __future__ import annotations

from harness.execution.chains import in_order, with_earlier_stages
from harness.records.plan import PlannedTest
from tests.harness.execution.fake_workers import A, Lab, names, planned


class TestChains:
    def chain(self, *names: str, entry: str = "e1") -> list[PlannedTest]:
        """``install-1`` is a test of stage ``install``."""
        return [planned(name, stage=name.partition("-")[0], entry=entry, expected=1) for name in names]

    def test_each_stage_follows_all_of_the_one_before_whatever_lasts_longest(self) -> None:
        tests = self.chain("read", "migrate", "install-1", "install-2")
        lab = Lab({"a1": A}, tests, {"subject::read": 99, "subject::migrate": 50})
        (node,) = lab.join("a1")
        order = [lab.end(node).rpartition("::")[2] for _ in tests]
        assert order == ["install-1", "install-2", "migrate", "read"]

    def test_a_chain_stays_with_its_rig_and_others_run_beside_it(self) -> None:
        one, two = self.chain("install", "read"), self.chain("install-b", "read-b", entry="e2")
        lab = Lab({"a1": A, "a2": A, "a3": A}, [*one, *two])
        nodes = lab.join("a1", "a2", "a3")
        assert names(nodes) == ["install", "install-b"]  # the third rig has no such installation
        lab.end(nodes[1])
        assert names(nodes) == ["install", "read-b"]
        assert not any(node.shutting_down for node in nodes)  # a chain may yet have to move

    def test_a_rig_ends_its_chain_before_it_begins_another(self) -> None:
        lab = Lab({"a1": A}, [*self.chain("install", "read"), *self.chain("install-b", "read-b", entry="e2")])
        (node,) = lab.join("a1")
        order = [lab.end(node).rpartition("::")[2] for _ in range(4)]
        assert order == ["install", "read", "install-b", "read-b"]

    def test_a_failed_stage_does_not_stop_the_next(self) -> None:
        lab = Lab({"a1": A}, self.chain("install", "read"))
        (node,) = lab.join("a1")
        lab.end(node)  # well or badly: the scheduler is not told
        assert names([node]) == ["read"]

    def test_when_its_rig_is_lost_a_chain_begins_anew_as_far_as_later_tests_rest_on_it(self) -> None:
        lab = Lab({"a1": A, "a2": A}, self.chain("install", "migrate-1", "migrate-2"))
        lost, other = lab.join("a1", "a2")
        lab.end(lost)
        lab.end(lost)
        lab.block(lost, rig_lost="its probe is not there")
        order = [lab.end(other).rpartition("::")[2] for _ in range(2)]
        assert order == ["install", "migrate-2"]  # nothing rests on the other of its stage
        assert lab.scheduler.tests_finished
        assert not lab.aside

    def test_a_rig_that_is_lost_with_a_test_that_passed_loses_its_chain_too(self) -> None:
        lab = Lab({"a1": A, "a2": A}, self.chain("install", "read"))
        lost, other = lab.join("a1", "a2")
        lab.scheduler.lost("a1", "its fuse has blown")
        lab.end(lost)
        assert names([lost, other]) == ["install"]
        assert other.hand

    def test_when_no_rig_is_left_the_rest_of_a_chain_is_set_aside_with_the_reason(self) -> None:
        lab = Lab({"a1": A}, self.chain("install", "migrate", "read"))
        (node,) = lab.join("a1")
        lab.end(node)
        lab.block(node, rig_lost="its probe is not there")
        assert set(lab.aside) == {"subject::read"}  # what was tried is blocked
        assert (
            "could not run: no rig of DMC dmc-a is left (Clause 20.19): its probe"
            in lab.aside["subject::read"]
        )
        assert lab.scheduler.tests_finished

    def test_what_is_blocked_on_every_rig_sets_the_later_stages_aside_but_not_its_own(self) -> None:
        lab = Lab({"a1": A, "a2": A}, self.chain("install-1", "install-2", "read"))
        one, other = lab.join("a1", "a2")
        lab.block(one)
        assert (names([one]), names([other])) == ([], ["install-1"])
        lab.block(other)
        assert set(lab.aside) == {"subject::read"}
        assert (
            "stage install comes before it, and subject::install-1 could not run"
            in lab.aside["subject::read"]
        )
        assert "kept subject::install-1 from a1 and a2" in lab.aside["subject::read"]
        assert names([one, other]) == ["install-2"]

    def test_a_chain_whose_rig_goes_away_begins_anew_where_there_is_one(self) -> None:
        lab = Lab({"a1": A, "a2": A}, self.chain("install", "read"))
        one, other = lab.join("a1", "a2")
        lab.end(one)
        assert lab.give_back(one).endswith("read")
        assert (names([one]), names([other])) == ([], ["install"])

    def test_the_only_rig_begins_the_chain_anew_when_it_is_back(self) -> None:
        lab = Lab({"a1": A}, self.chain("install", "read"))
        (node,) = lab.join("a1")
        lab.end(node)
        lab.give_back(node)
        assert not lab.scheduler.tests_finished
        lab.have_again(node)
        assert names([node]) == ["install"]  # others have had their hands on it

    def test_a_worker_that_dies_leaves_its_chain_to_its_replacement(self) -> None:
        lab = Lab({"a1": A, "a2": A}, self.chain("install", "read"))
        one, other = lab.join("a1", "a2")
        lab.end(one)
        lab.kill(one)
        assert not other.hand
        assert names(lab.join("a1")) == ["read"]

    def test_one_process_runs_them_in_the_same_order(self) -> None:
        free = planned("free")
        tests = [*self.chain("read", "install"), free, *self.chain("read-b", "install-b", entry="e2")]
        order = [test.title for test in in_order(tests)]
        assert order == ["install", "read", "free", "install-b", "read-b"]

    def test_a_run_that_is_resumed_begins_its_broken_chains_anew(self) -> None:
        one = self.chain("install", "migrate", "read", "read-2")
        whole, free = self.chain("install-b", "read-b", entry="e2"), planned("free")
        left = with_earlier_stages([one[1]], [*one, *whole, free])
        assert [test.title for test in left] == ["install", "migrate"]
