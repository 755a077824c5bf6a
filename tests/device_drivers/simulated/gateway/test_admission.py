"""Each of the gateway's checks refuses with its code, and lets the rest through."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from device_drivers.simulated.gateway.admission import INFERRED
from harness.domain.faults import Fault, Place, Point
from harness.domain.lab import Lab

UNKNOWN = "00-DB-12-34-FF-FF-FF-FF"


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"srv": "4.1.1"}, "I99"),
        ({"srv": "7.4", "role": "ED"}, "I99"),
        ({"srv": "4.1.1", "service_reference_variant": "7.4"}, INFERRED["body"]),
        ({"srv": "4.1.1", "service_reference": "7.4"}, INFERRED["body"]),
        ({"srv": "4.1.1", "command_variant": 4}, "E12"),
        ({"srv": "4.1.1", "command_variant": 8}, "E12"),
        ({"srv": "7.2", "command_variant": 4}, "E12"),
        ({"srv": "4.1.1", "path": "serviceD"}, "E13"),
        ({"srv": "4.1.1", "path": "serviceT"}, "E13"),
        ({"srv": "4.1.1", "signature": "broken"}, INFERRED["signature"]),
        ({"srv": "4.1.1", "signature": "missing"}, INFERRED["signature"]),
        ({"srv": "4.1.1", "signature": "stranger"}, INFERRED["signature"]),
        ({"srv": "7.2", "role": "ED"}, "E2"),
        ({"srv": "4.1.1", "target": UNKNOWN}, "E19"),
        ({"srv": "4.1.1", "role": "GS"}, "E4"),
    ],
)
def test_a_request_is_admitted_or_refused(dcc: Any, request_: dict[str, Any], code: str) -> None:
    assert dcc.code(**request_) == code


def test_a_critical_request_has_the_command_variant_that_the_lab_says(
    open_dcc: Callable[..., Any], dcc_lab: Lab
) -> None:
    other = replace(dcc_lab, dcc=replace(dcc_lab.dcc, critical_command_variant=5))
    assert open_dcc(other).code("7.2", command_variant=1) == "E12"
    assert open_dcc(other).code("7.2") == "I99"


def test_a_lab_that_knows_a_better_code_says_so(open_dcc: Callable[..., Any], dcc_lab: Lab) -> None:
    knowing = replace(dcc_lab, dcc=replace(dcc_lab.dcc, refusal_codes={"signature": "E48"}))
    assert open_dcc(knowing).code("4.1.1", signature="broken") == "E48"


def test_a_key_of_another_role_is_refused(open_dcc: Callable[..., Any], dcc_lab: Lab) -> None:
    dcc = open_dcc(dcc_lab)
    users = dcc.link._identities.users
    users["IS"] = replace(users["IS"], signer=users["ES"].signer)
    assert dcc.code("4.1.1") == INFERRED["signature"]


def test_a_user_that_the_dcc_does_not_know_is_refused(open_dcc: Callable[..., Any], dcc_lab: Lab) -> None:
    dcc = open_dcc(dcc_lab)
    dcc.gateway._admission._roles.pop(dcc_lab.dcc.users[0].eui)
    assert dcc.code("4.1.1") == "E1"


@pytest.mark.parametrize("status", ["Pending", "Decommissioned", "Suspended"])
def test_a_device_in_another_status_is_not_served(dcc: Any, status: str) -> None:
    dcc.gateway.inventory.set_status(dcc.esme, status)
    assert dcc.code("4.1.1") == "E5"


def test_a_pending_device_may_be_commissioned_and_is_served_then(dcc: Any) -> None:
    dcc.gateway.inventory.set_status(dcc.esme, "InstalledNotCommissioned")
    clock = {"CurrentDateTime": "2025-03-03T08:00:00Z", "TolerancePeriod": 10}
    assert dcc.code("8.1.1", clock) == "I99"
    dcc.settle()
    assert dcc.gateway.inventory.find(dcc.esme).status == "Commissioned"
    assert dcc.code("4.1.1") == "I99"


def test_an_srv_of_the_other_fuel_is_refused(dcc: Any) -> None:
    assert dcc.code("4.1.2", role="GS", target=dcc.gsme) == "E11"
    assert dcc.code("6.2.8", role="RSA", target=dcc.esme) == "E11"


def test_a_counter_must_rise_per_originator_and_a_refused_request_uses_none(dcc: Any) -> None:
    assert dcc.code("4.1.1") == "I99"
    assert dcc.code("7.4", role="ED") == "I99"
    assert dcc.code("7.4", role="ED", counter="replayed") == INFERRED["counter"]
    assert dcc.code("4.1.1", signature="broken") == INFERRED["signature"]
    assert dcc.code("4.1.1", counter="replayed") == INFERRED["counter"]
    assert dcc.code("4.1.1") == "I99"
    dcc.settle()
    assert len(dcc.s1sp.asked) == 3


def test_a_fault_can_take_any_check_away(open_dcc: Callable[..., Any], dcc_lab: Lab) -> None:
    seen: list[str] = []

    def careless(passage: Any) -> str:
        seen.append(passage.item)
        assert passage.details["now"].year == 2025
        return ""

    dcc = open_dcc(dcc_lab, Fault("careless", Place.GATEWAY, Point.CHECK, "", careless))
    assert dcc.code("4.1.2", role="GS", target=dcc.gsme) == "I99"
    seen.clear()
    assert dcc.code("4.1.1", role="GS", signature="missing", counter="replayed", command_variant=8) == "I99"
    assert seen == [
        "body",
        "command_variant",
        "path",
        "signature",
        "user",
        "role",
        "device",
        "authorised",
        "status",
        "device_type",
        "execution_time",
        "counter",
    ]


def test_a_fault_can_refuse_what_is_right(open_dcc: Callable[..., Any], dcc_lab: Lab) -> None:
    strict = Fault("strict", Place.GATEWAY, Point.CHECK, "", lambda seen: "E3" if seen.item == "user" else "")
    assert open_dcc(dcc_lab, strict).code("4.1.1") == "E3"
