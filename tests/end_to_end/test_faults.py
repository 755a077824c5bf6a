"""Each shipped fault, switched on alone, fails the tests that should catch it and none without a reason."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from device_drivers.simulated.faults import FAULTS
from harness.domain.faults import Fault
from harness.domain.words import AttemptResult, Cause
from harness.records.plan import PlannedTest
from harness.records.run import Attempt, read_run

HERE = Path(__file__).parent
REPO = HERE.parents[1]
PACK, ENTRY = "standard-srvt-ioc", "ioc-alderwick-dormant"
AT_ONCE = 2  # runs, each in a process and with a lab state of its own

ANSWERED = (
    "test_the_status_read_is_the_meters",
    "test_a_balance_of_the_other_mode_is_not_adjusted",
    "test_access_is_restricted_from_the_moment_sent",
    "test_debts_and_their_recovery_are_held",
    "test_the_standing_charge_is_taken_once_a_day",
    "test_supply_is_armed_and_waits",
)
REFUSED_AT_ONCE = (
    "test_a_role_that_may_not_ask_the_dcc_is_refused",
    "test_a_counter_used_before_is_refused_by_the_dcc",
    "test_an_unknown_device_is_refused_by_the_dcc",
)
BYSTANDERS = ANSWERED + REFUSED_AT_ONCE
"""In every fault's run, beside the tests that should notice: most faults give these no reason to fail."""

BY_A_RESPONSE = dict.fromkeys(ANSWERED, "waits for a response, and every response is wrong")

REASONS: Mapping[str, Mapping[str, str]] = {
    "alert-lost": {
        "test_an_alert_reaches_the_user_once_as_the_meter_logged_it": "waits for an alert",
        "test_low_credit_is_alerted_once_at_the_threshold_sent": "waits for the alert of low credit",
        "test_supply_without_credit_lasts_until_the_end_of_a_non_disablement_period": "and of the cut",
        "test_credit_buys_its_energy_and_then_the_supply_is_cut": "waits for the alert of the cut",
        "test_emergency_credit_is_used_after_the_balance_and_then_the_supply_is_cut": "and of its use",
    },
    "replay-accepted": {
        "test_a_counter_used_before_is_refused": "replays a request for a device",
        "test_a_counter_used_before_is_refused_by_the_dcc": "and one that the DCC itself serves",
    },
    "signature-unchecked": {
        "test_a_broken_signature_is_refused": "signs a request for a device wrongly",
        "test_a_broken_signature_is_refused_by_the_dcc": "and one that the DCC itself serves",
    },
    "role-unchecked": {
        "test_a_role_that_may_not_ask_is_refused": "asks for a device in a role that may not",
        "test_a_role_that_may_not_ask_the_dcc_is_refused": "and for what the DCC itself serves",
    },
    "response-of-another-device": BY_A_RESPONSE,
    "response-late": BY_A_RESPONSE,
    "response-signature-broken": BY_A_RESPONSE,
    "response-delivered-twice": {"test_each_answer_comes_once": "counts the messages that came"}
    | dict.fromkeys(
        {*ANSWERED} - {"test_the_standing_charge_is_taken_once_a_day"},
        "watches that nothing else happens, a second answer among it",
    ),
}
"""For faults that are about no SRV: the tests that have a reason to fail, with the reason."""


@dataclass(frozen=True)
class Proof:
    """What a run under one fault showed: each planned test with its one attempt."""

    output: str
    attempts: Mapping[PlannedTest, Attempt]

    @property
    def failed(self) -> dict[PlannedTest, Attempt]:
        return {test: each for test, each in self.attempts.items() if each.result is not AttemptResult.PASSED}


def name_of(test: PlannedTest) -> str:
    return re.sub(r".*::|\[.*", "", test.id)


def is_refusal(test: PlannedTest) -> bool:
    return "test_refusals" in test.node_id


def run_under(fault: Fault, folder: Path) -> Proof:
    choice = {"entry": ENTRY, "srvs": fault.srvs, "names": [*BYSTANDERS, *REASONS.get(fault.name, ())]}
    done = subprocess.run(
        [sys.executable, "-m", "harness", "run", PACK, "--one-process", f"--fault={fault.name}",
         f"--runs={folder / 'runs'}"],
        cwd=REPO,
        env={
            **os.environ,
            "HARNESS_STATE": str(folder / "state"),
            "PYTHONPATH": str(HERE),
            "PYTEST_PLUGINS": "chosen_tests",
            "CHOSEN_TESTS": json.dumps(choice),
        },
        capture_output=True,
        text=True,
        timeout=300,
    )  # fmt: skip
    assert (folder / "runs" / "latest").exists(), done.stderr
    record = read_run(folder / "runs" / "latest")
    assert not record.problems
    return Proof(done.stderr, {record.plan.by_id[id_]: tried[-1] for id_, tried in record.attempts.items()})


@pytest.fixture(scope="module")
def proofs(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[Proof]]]:
    """The runs of all the faults that this session asks for, some at once."""
    asked = {item.callspec.params["fault"].name for item in request.session.items
             if getattr(item, "originalname", "") == test_the_packs_catch.__name__}  # fmt: skip
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {
            fault.name: pool.submit(run_under, fault, tmp_path_factory.mktemp(fault.name))
            for fault in FAULTS
            if fault.name in asked
        }


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_the_packs_catch(fault: Fault, proofs: dict[str, Future[Proof]]) -> None:
    proof = proofs[fault.name].result()
    assert proof.failed, f"no test noticed: {fault.description}\n{proof.output}"
    causes = {test.id: str(each.cause) for test, each in proof.failed.items() if each.cause != Cause.DEVICE}
    assert not causes, "a fault of a device is told as one"
    reasons = REASONS.get(fault.name, {})
    without = {
        test.id: each.message
        for test, each in proof.failed.items()
        if name_of(test) not in reasons and (is_refusal(test) or not {*test.srvs} & {*fault.srvs})
    }
    assert not without, "these tests have no reason to fail"
    noticed = {srv for test in proof.failed for srv in test.srvs}
    assert noticed >= {*fault.srvs}, "each SRV that the fault is about has a test that notices"
    assert {name_of(test) for test in proof.failed} >= {*reasons}, "who has a reason to notice does"


def test_a_reason_is_given_only_for_faults_that_are_about_no_srv() -> None:
    about_none = {fault.name for fault in FAULTS if not fault.srvs}
    assert {*REASONS} == about_none
