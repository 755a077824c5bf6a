"""A good device is never blamed for the lab: probes pulled, a silent gateway, a bench that refuses.

``make lab-faults`` does so in every tenth test of whole packs, over all rigs.
"""

from __future__ import annotations

import pytest

from harness.domain.words import Cause
from tests.lab_faults.injector import CASES
from tests.lab_faults.runs import Broken, run_broken

TESTS = (
    "test_the_status_read_is_the_meters",
    "test_each_answer_comes_once",
    "test_access_is_restricted_from_the_moment_sent",
    "test_supply_is_armed_and_waits",
    "test_debts_and_their_recovery_are_held",
    "test_a_balance_of_the_other_mode_is_not_adjusted",
    "test_payment_mode_and_debt_suspension_are_told",
    "test_the_version_told_is_the_one_that_runs",
)
"""Quick ones, each about both meters: a test for each kind of fault in each phase."""


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Broken:
    tests = [f"--test={test}" for test in TESTS]
    return run_broken(
        tmp_path_factory.mktemp("broken"),
        ["standard-srvt-ioc"],
        "--one-process",
        "--entry=ioc-alderwick-dormant",
        *tests,
        seed=5,
        every=1,
    )


def test_not_one_test_fails(broken: Broken) -> None:
    assert not broken.failures(), broken.output


def test_what_the_lab_broke_is_blocked_with_the_lab_as_its_cause(broken: Broken) -> None:
    for each in broken.fired:
        attempt = broken.record.latest(each["test"])
        assert attempt is not None
        assert attempt.cause in {Cause.LAB, None}, (each, attempt.message)
    assert not broken.unexplained()


def test_it_was_broken_in_every_way_and_in_every_phase(broken: Broken) -> None:
    assert [(each["kind"], each["phase"]) for each in broken.injections] == list(CASES)
    fired = {(each["kind"], each["phase"]) for each in broken.fired}
    assert {kind for kind, _ in fired} == {kind for kind, _ in CASES}
    assert {phase for _, phase in fired} == {"setup", "call", "teardown"}
    blocked = sum(number for (*_, outcome), number in broken.counted().items() if outcome == "blocked")
    assert blocked >= len(CASES) - 4, broken.counted()


def test_the_runs_lab_was_good_but_for_that(broken: Broken) -> None:
    assert len(broken.record.plan.tests) == len(CASES)
    assert not broken.record.problems
