"""A seeded sample of the shipped faults is caught by the tests that should, and by no other.

``make prove`` proves all of them. ``PROOF_SEED`` draws another sample.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest

from device_drivers.simulated.faults import FAULTS
from harness.domain.faults import Fault, Place
from tests.end_to_end.conftest import harness

PACK = "standard-srvt-ioc"
SEED = int(os.environ.get("PROOF_SEED", "20250303"))
SAMPLE = {Place.ESME: 2, Place.GSME: 1, Place.CH: 1, Place.S1SP: 1, Place.GATEWAY: 1}
"""How many are drawn of those that sit there, and that one or two SRVs tell of."""

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
}
"""For faults that any test may notice: who does at least, and why."""


@dataclass(frozen=True)
class Proven:
    """What the command made of the sample."""

    code: int
    said: str
    told: Mapping[str, Any]
    folder: Path


def drawn() -> list[Fault]:
    """The sample, the same for one seed and catalogue."""
    random = Random(SEED)
    return [
        fault
        for place, number in SAMPLE.items()
        for fault in random.sample([each for each in FAULTS if is_told_of(each, place)], number)
    ]


def is_told_of(fault: Fault, place: Place) -> bool:
    return fault.place is place and 1 <= len(fault.srvs) <= 2 and not fault.groups


@pytest.fixture(scope="module")
def proven(tmp_path_factory: pytest.TempPathFactory) -> Proven:
    folder = tmp_path_factory.mktemp("proofs")
    names = ",".join(fault.name for fault in drawn())
    done = harness(
        "packs", f"--prove={PACK}", f"--faults={names}", f"--runs={folder}", "--json", state=folder / "state"
    )
    assert done.stdout, done.stderr
    told = json.loads(done.stdout)
    return Proven(done.returncode, done.stderr, told, folder / told["proof"])


def test_each_of_them_is_caught_and_by_no_test_without_a_reason(proven: Proven) -> None:
    verdicts = {fault["name"]: (fault["verdict"], wrong_of(fault)) for fault in proven.told["faults"]}
    assert verdicts == {fault.name: ("caught", []) for fault in drawn()}
    assert proven.code == 0, proven.said


def wrong_of(fault: Mapping[str, Any]) -> list[str]:
    return [f"{each['test']}: {each['message']}" for pack in fault["packs"] for each in pack["wrong"]]


def test_each_srv_that_a_fault_is_about_has_a_test_that_notices(proven: Proven) -> None:
    unnoticed = {fault["name"]: fault["unnoticed_srvs"] for fault in proven.told["faults"]}
    assert not {name: srvs for name, srvs in unnoticed.items() if srvs}


def test_a_fault_is_told_as_the_devices_and_never_as_the_labs(proven: Proven) -> None:
    packs = [pack for fault in proven.told["faults"] for pack in fault["packs"]]
    assert {each["cause"] for pack in packs for each in pack["caught_by"]} == {"device failure"}
    assert not [each["test"] for pack in packs for each in pack["blocked"]]


def test_without_a_fault_every_test_of_the_sample_passed(proven: Proven) -> None:
    assert proven.told["controlled"] >= len(drawn())


def test_every_fault_says_where_it_sits_what_it_does_and_has_a_name_of_its_own() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) >= 120
    assert all(fault.description and not fault.description.endswith(".") for fault in FAULTS)


def test_a_reason_is_given_only_for_faults_that_any_test_may_notice() -> None:
    about_none = {fault.name for fault in FAULTS if not fault.srvs and not fault.groups}
    assert {*REASONS} <= about_none
