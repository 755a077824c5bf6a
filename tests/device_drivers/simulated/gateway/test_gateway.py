"""What the gateway stub does with an admitted request, and with what reaches it wrongly."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from device_drivers.dcc.http import BODY_LIMIT
from device_drivers.dcc.identities import simulated_identities, simulated_pki
from device_drivers.dcc.pki import client_context
from device_drivers.dcc.signature import Ring
from device_drivers.dcc.tree import parse, serialise
from device_drivers.simulated.gateway.countersignature import countersigned
from device_drivers.simulated.wan.head import HubAlert
from harness.domain.errors import LinkLost
from harness.domain.faults import DROP, Fault, Place, Point
from harness.domain.lab import Lab

XML = {"Content-Type": "application/xml"}
MORNING = datetime(2025, 3, 3, 8, tzinfo=UTC)


def fault(point: Point, intercept: Callable[[Any], Any]) -> Fault:
    return Fault("fault", Place.GATEWAY, point, "", intercept)


def response_to(dcc: Any, sent: Any) -> Any:
    dcc.settle()
    return dcc.link.mailbox.response(sent.ticket)


@pytest.mark.parametrize(
    ("content", "headers", "path", "status"),
    [
        (b"<a", XML, "serviceS", 400),
        (b"<a/>", XML, "serviceS", 400),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', XML, "serviceS", 400),
        (b" " * (BODY_LIMIT + 1), XML, "serviceS", 413),
        (b"<a/>", {"Content-Type": "text/xml"}, "serviceS", 415),
        (b"<a/>", XML, "serviceX", 404),
    ],
)
def test_what_is_no_request_is_refused(
    dcc: Any, content: bytes, headers: dict[str, str], path: str, status: int
) -> None:
    pki = simulated_pki(dcc.lab)
    with httpx.Client(verify=client_context(pki.tls_authority, pki.tls("user"))) as user:
        url = f"https://127.0.0.1:{dcc.gateway_server.port}/api/v1/{path}"
        assert user.post(url, content=content, headers=headers).status_code == status


def test_who_has_no_certificate_of_the_lab_does_not_reach_the_gateway(dcc: Any) -> None:
    pki = simulated_pki(dcc.lab)
    url = f"https://127.0.0.1:{dcc.gateway_server.port}/api/v1/serviceS"
    with (
        httpx.Client(verify=client_context(pki.tls_authority, None)) as nobody,
        pytest.raises(httpx.TransportError),
    ):
        nobody.post(url, content=b"<a/>", headers=XML)


def test_the_s1sp_gets_the_request_as_the_user_and_then_the_dcc_have_signed_it(dcc: Any) -> None:
    sent = dcc.send("4.1.1")
    dcc.settle()
    (asked,) = dcc.s1sp.asked
    identities, pki = simulated_identities(dcc.lab), simulated_pki(dcc.lab)
    request = countersigned(asked.xml, identities.dcc)
    assert serialise(request) == sent.request
    user = pki.user("IS", dcc.lab.dcc.users[0].eui).certificate
    assert Ring({"user": user}).verify(request).name == "user"
    assert asked.request_id == sent.request_id
    assert (asked.target, asked.originator) == (dcc.esme, dcc.lab.dcc.users[0].eui)


def test_a_hub_is_served_in_order_and_two_hubs_at_once(dcc: Any) -> None:
    first, second = (rig.devices["ESME"].device_id for rig in dcc.lab.rigs[:2])
    meeting, answer, order = threading.Barrier(2, timeout=10), dcc.s1sp.answer, []

    def meet(request: Any) -> Any:
        if not order:
            meeting.wait()  # passes only if the other hub's request is being served as well
            time.sleep(0.05)  # time enough to be overtaken in
        order.append(request.request_id)
        return answer(request)

    dcc.s1sp.answer = meet
    sent = [dcc.send("4.1.1", target=target) for target in (first, second, first, first)]
    dcc.settle()
    served = [request_id for request_id in order if first in request_id]
    assert served == [each.request_id for each in sent if first in each.request_id]


def test_settling_waits_for_the_delivery_and_gives_up_clearly(dcc: Any) -> None:
    proceed, answer = threading.Event(), dcc.s1sp.answer

    def slow(request: Any) -> Any:
        proceed.wait(10)
        return answer(request)

    dcc.s1sp.answer = slow
    sent = dcc.send("4.1.1")
    with pytest.raises(LinkLost, match=f"still has a message for one of {dcc.esme}"):
        dcc.gateway.in_flight.settle([dcc.esme], timeout=0.05)
    dcc.gateway.in_flight.settle([dcc.gsme], timeout=0.05)
    proceed.set()
    assert response_to(dcc, sent).code == "I0"


def test_an_s1sp_that_breaks_costs_one_response_and_not_the_lab(dcc: Any) -> None:
    answer = dcc.s1sp.answer
    dcc.s1sp.answer = lambda request: 1 / 0
    lost = dcc.send("4.1.1")
    assert response_to(dcc, lost) is None
    dcc.s1sp.answer = answer
    assert response_to(dcc, dcc.send("4.1.1")).code == "I0"


def test_a_user_who_is_away_gets_nothing_twice(dcc: Any) -> None:
    dcc.link._receiver.close()
    dcc.send("4.1.1")
    dcc.settle()
    assert dcc.link.mailbox.mark() == 0


@pytest.mark.parametrize(("point", "asked"), [(Point.REQUEST, 0), (Point.RESPONSE, 1)])
def test_a_fault_can_lose_request_or_response(
    open_dcc: Callable[..., Any], dcc_lab: Lab, point: Point, asked: int
) -> None:
    dcc = open_dcc(dcc_lab, fault(point, lambda seen: DROP))
    sent = dcc.send("4.1.1")
    assert response_to(dcc, sent) is None
    assert len(dcc.s1sp.asked) == asked


def test_a_fault_can_put_an_error_in_place_of_a_response(open_dcc: Callable[..., Any], dcc_lab: Lab) -> None:
    dcc = open_dcc(dcc_lab, fault(Point.RESPONSE, lambda seen: "E21"))
    received = response_to(dcc, dcc.send("4.1.1"))
    assert (received.code, received.problems) == ("E21", ())


def test_a_fault_can_let_lab_time_pass_before_the_delivery(
    open_dcc: Callable[..., Any], dcc_lab: Lab
) -> None:
    def late(seen: Any) -> Any:
        seen.details["hold"](600)
        return seen.value

    dcc = open_dcc(dcc_lab, fault(Point.DELIVERY, late))
    assert response_to(dcc, dcc.send("4.1.1")) is not None
    assert dcc.time.held == [(dcc.lab.rigs[0].devices["CH"].device_id, 600)]


def test_an_alert_goes_to_the_supplier_of_the_device(dcc: Any) -> None:
    for device_id, role in ((dcc.esme, "IS"), (dcc.gsme, "GS")):
        dcc.gateway.alert(HubAlert("hub", device_id, 0x81, "Cover opened", MORNING))
        (alert,) = dcc.link.mailbox.alerts([device_id], 0)
        assert (alert.problems, alert.code) == ((), "I0")
        user = next(user.eui for user in dcc.lab.dcc.users if user.role == role)
        assert f"BusinessTargetID>{user}<".encode() in alert.xml


def test_alerts_have_rising_counters(dcc: Any) -> None:
    for _ in range(3):
        dcc.gateway.alert(HubAlert("hub", dcc.esme, 0x81, "Cover opened", MORNING))
    counters = [int(alert.response_id.split(":")[2]) for alert in dcc.link.mailbox.alerts([dcc.esme], 0)]
    assert counters == sorted(set(counters))
    assert len(counters) == 3


def test_a_fault_can_lose_an_alert(open_dcc: Callable[..., Any], dcc_lab: Lab) -> None:
    lose = fault(Point.ALERT, lambda seen: DROP if seen.item == "0081" else seen.value)
    dcc = open_dcc(dcc_lab, lose)
    for code in (0x81, 0x82):
        dcc.gateway.alert(HubAlert("hub", dcc.esme, code, "Cover", MORNING))
    (alert,) = dcc.link.mailbox.alerts([dcc.esme], 0)
    assert b"0082" in alert.xml


def test_a_schema_violation_is_told_with_the_element(dcc: Any) -> None:
    if dcc.lab.dcc.schemas is None:
        pytest.skip("the lab has no schemas")
    sent = dcc.send("6.13", {"LogToRead": "Diary"})
    assert (sent.status, sent.awaited) == (400, False)
    assert b"LogToRead" in sent.answer


def test_every_answer_carries_the_lab_time_of_the_rig(dcc: Any) -> None:
    sent = dcc.send("4.1.1")
    for xml in (sent.answer, response_to(dcc, sent).xml):
        moment = parse(xml).findtext(".//{*}ResponseDateTime")
        assert moment == "2025-03-03T08:00:00.000Z"
