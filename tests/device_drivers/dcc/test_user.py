"""The service user of a rig, on a real link to the gateway stub; only the S1SP answers as it is told."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any

import pytest

from device_drivers.dcc.compose import write_smets1
from device_drivers.dcc.duis import ResponseMessage
from device_drivers.dcc.identities import simulated_pki
from device_drivers.dcc.signature import Signer
from device_drivers.dcc.tree import as_document, fragment, parse
from device_drivers.dcc.user import RigUser, gateway_settler
from device_drivers.simulated.clock import VirtualClock
from device_drivers.simulated.s1sp.answer import Smets1Answer
from device_drivers.simulated.wan.head import DeviceSilent, HubAlert, HubUnreachable
from device_drivers.utrn import parse_utrn
from harness.domain.errors import BeyondLab, DeviceTimeout, LinkLost, UsageError
from harness.domain.faults import DROP, Fault, Place, Point
from harness.domain.instruments import Forgery
from harness.domain.lab import Lab
from harness.domain.words import DeviceType, UserRole
from harness.hooks import hookimpl

MORNING = datetime(2025, 3, 3, 8, tzinfo=UTC)
SR = b'xmlns:sr="http://www.dccinterface.co.uk/ServiceUserGateway" schemaVersion="5.4"'
S1SP_ALERT = (
    b"<sr:S1SPAlert " + SR + b"><sr:DeviceID>%s</sr:DeviceID><sr:S1SPAlertCode>S1SP001</sr:S1SPAlertCode>"
    b"<sr:DateTime>2025-03-03T08:00:00Z</sr:DateTime></sr:S1SPAlert>"
)
DCC_ALERT = (
    b"<sr:Response " + SR + b"><sr:Header><sr:ResponseCode>I0</sr:ResponseCode>"
    b"<sr:ResponseDateTime>2025-03-03T08:00:00Z</sr:ResponseDateTime></sr:Header><sr:Body><sr:DCCAlertMessage>"
    b"<sr:DCCAlertCode>N55</sr:DCCAlertCode><sr:DCCAlert><sr:S1SPAlertDSP>%s</sr:S1SPAlertDSP></sr:DCCAlert>"
    b"</sr:DCCAlertMessage></sr:Body></sr:Response>"
)


@dataclass
class Kept:
    """A trace that keeps the names of messages."""

    names: list[str] = field(default_factory=list)

    def event(self, source: str, what: str, **detail: Any) -> None:
        pass

    def message(self, source: str, name: str, content: bytes, media_type: str) -> None:
        self.names.append(f"{source} {name.split()[0]} {name.split()[-1]} {media_type}")


@dataclass(frozen=True)
class Meter:
    device_id: str
    device_type: DeviceType = DeviceType.ESME


@dataclass
class UserBench:
    """A rig's user with its clock, its devices and the DCC behind."""

    dcc: Any
    user: RigUser
    clock: VirtualClock
    trace: Kept
    esme: Any
    gsme: Any


@pytest.fixture
def open_user(open_dcc: Callable[..., Any], dcc_lab: Lab) -> Iterator[Callable[..., UserBench]]:
    users: list[RigUser] = []

    def open_bench(*faults: Fault, **told: Any) -> UserBench:
        dcc = open_dcc(dcc_lab, *faults, **told)
        rig, clock, trace = dcc_lab.rigs[0], VirtualClock(MORNING), Kept()
        devices = [device.device_id for device in rig.devices.values()]
        clock.on_settle(gateway_settler(dcc.services, devices))
        user = RigUser(dcc_lab, rig, dcc.services, clock, trace)
        users.append(user)
        meters = (Meter(rig.devices[name].device_id, name) for name in (DeviceType.ESME, DeviceType.GSME))
        return UserBench(dcc, user, clock, trace, *meters)

    yield open_bench
    for user in users:
        user.close()


def signers(lab: Lab) -> tuple[Signer, Signer]:
    """Those of the DCC and the S1SP."""
    pki = simulated_pki(lab)
    dcc, s1sp = pki.dcc(lab.dcc.dcc_eui), pki.s1sp()
    return Signer(dcc.key, dcc.certificate), Signer(s1sp.key, s1sp.certificate)


def gateway_fault(point: Point, intercept: Callable[[Any], Any]) -> Fault:
    return Fault("fault", Place.GATEWAY, point, "", intercept)


def test_a_response_is_told_whole(open_user: Callable[..., UserBench]) -> None:
    bench = open_user()
    response = bench.user.request("4.1.1", bench.esme)
    assert (response.acknowledgement, response.code, response.success) == ("I99", "I0", True)
    assert (response.problems, response.debug) == ((), ())
    assert response.device_id == bench.esme.device_id
    assert response.payload.integer("Electricity/ActiveImportRegister/Value") == 1000
    assert response.timestamp == MORNING
    assert response.elapsed == timedelta(0)
    assert b"SMETS1SignedResponse" in response.xml
    assert bench.trace.names == [
        f"DCC 4.1.1 {what} application/xml" for what in ("request", "answer", "response")
    ]


def test_the_first_role_that_fits_the_device_sends(open_user: Callable[..., UserBench]) -> None:
    bench = open_user()
    for device in (bench.esme, bench.gsme):
        bench.user.request("4.1.1", device)
    bench.user.request("4.1.1", bench.esme, role=UserRole.ED)
    by_eui = {user.eui: user.role for user in bench.dcc.lab.dcc.users}
    assert [by_eui[asked.originator] for asked in bench.dcc.s1sp.asked] == ["IS", "GS", "ED"]


def test_a_body_reaches_the_s1sp_as_it_was_given(open_user: Callable[..., UserBench]) -> None:
    bench = open_user()
    period = {"StartDateTime": MORNING, "EndDateTime": MORNING + timedelta(days=1)}
    bench.user.request("6.13", bench.esme, {"ReadLogPeriod": period, "LogToRead": "Event"})
    (asked,) = bench.dcc.s1sp.asked
    assert (asked.srv, asked.body_element) == ("6.13", "ReadEventOrSecurityLog")
    assert asked.body.text("LogToRead") == "Event"


def test_a_refusal_returns_at_once_with_its_code(open_user: Callable[..., UserBench]) -> None:
    bench = open_user()
    response = bench.user.request("4.1.1", bench.esme, role=UserRole.GS)
    assert (response.acknowledgement, response.code, response.success) == ("E4", "E4", False)
    assert (response.device_id, response.problems) == ("", ())
    assert bench.dcc.s1sp.asked == []
    assert bench.clock.now() == MORNING


def test_a_message_that_the_schema_forbids_is_refused_as_such(open_user: Callable[..., UserBench]) -> None:
    bench = open_user()
    if bench.dcc.lab.dcc.schemas is None:
        pytest.skip("the lab has no schemas")
    response = bench.user.request("6.13", bench.esme, {"LogToRead": "Diary"})
    assert (response.code, response.success) == ("HTTP 400", False)
    assert b"LogToRead" in response.xml
    assert bench.dcc.s1sp.asked == []


def test_the_answer_of_the_dcc_itself_is_the_response(open_user: Callable[..., UserBench]) -> None:
    bench = open_user()
    response = bench.user.request("8.2", bench.esme, {"DeviceID": bench.esme.device_id})
    assert (response.code, response.success, response.problems) == ("I0", True, ())
    assert response.request_id.split(":")[1] == bench.dcc.lab.dcc.dcc_eui
    first, *_ = response.payload.all("DSPInventory/Device")
    assert first.text("DeviceID") == bench.esme.device_id


@pytest.mark.parametrize(("error", "code"), [(HubUnreachable, "E20"), (DeviceSilent, "E21")])
def test_a_device_that_cannot_be_had_is_an_error_response(
    open_user: Callable[..., UserBench], error: type[Exception], code: str
) -> None:
    def fail(request: Any) -> Any:
        raise error("no way")

    bench = open_user(answer=fail)
    response = bench.user.request("4.1.1", bench.esme)
    assert (response.acknowledgement, response.code, response.success) == ("I99", code, False)
    assert response.problems == ()


def test_a_failure_of_the_device_is_told_with_its_reason(open_user: Callable[..., UserBench]) -> None:
    def refuse(request: Any) -> Smets1Answer:
        return Smets1Answer(
            device_id=request.target,
            srv=request.srv,
            response_element="ReadInstantaneousImportRegistersRsp",
            success=False,
            data=None,
            debug=((4, "write denied"),),
        )

    bench = open_user(answer=refuse)
    response = bench.user.request("4.1.1", bench.esme)
    assert (response.code, response.success, response.debug) == ("I0", False, ("write denied",))
    assert response.problems == ()


def test_a_lost_response_is_a_timeout_in_lab_time_only(open_user: Callable[..., UserBench]) -> None:
    bench = open_user(gateway_fault(Point.RESPONSE, lambda seen: DROP))
    with pytest.raises(DeviceTimeout, match=r"response to 4\.1\.1 Read Instantaneous"):
        bench.user.request("4.1.1", bench.esme, within=timedelta(minutes=10))
    assert bench.clock.now() == MORNING + timedelta(minutes=10)


def test_a_late_response_is_a_timeout_and_kept(open_user: Callable[..., UserBench]) -> None:
    later: list[tuple[bytes, ...]] = []
    bench = open_user(gateway_fault(Point.DELIVERY, lambda seen: later.append(seen.value) or ()))
    with pytest.raises(DeviceTimeout):
        bench.user.request("4.1.1", bench.esme)
    bench.dcc.link.receive(later[0][0])
    (stray,) = bench.user.strays()
    assert "came after its test had stopped waiting" in stray


def test_a_second_delivery_is_kept(open_user: Callable[..., UserBench]) -> None:
    bench = open_user(gateway_fault(Point.DELIVERY, lambda seen: seen.value * 2))
    assert bench.user.request("4.1.1", bench.esme).success
    (stray,) = bench.user.strays()
    assert "answers a request that has been answered" in stray


def test_a_test_can_ask_for_strays_since_its_own_start(open_user: Callable[..., UserBench]) -> None:
    bench = open_user(gateway_fault(Point.DELIVERY, lambda seen: seen.value * 2))
    bench.user.request("4.1.1", bench.esme)
    assert len(bench.user.strays(since=MORNING)) == 1
    assert bench.user.strays(since=MORNING + timedelta(microseconds=1)) == ()
    assert len(bench.user.strays()) == 1


def test_a_response_of_another_device_is_reported(open_user: Callable[..., UserBench]) -> None:
    other = "00-DB-12-34-56-78-90-FF"
    bench = open_user(gateway_fault(Point.RESPONSE, lambda seen: replace(seen.value, device_id=other)))
    response = bench.user.request("4.1.1", bench.esme)
    assert (response.success, response.device_id) == (False, other)
    assert response.problems == (f"correlation: answering device is {other}, due is {bench.esme.device_id}",)


def test_the_answer_to_another_request_is_reported(open_user: Callable[..., UserBench]) -> None:
    def other(seen: Any) -> Any:
        return replace(seen.value, srv="7.4", response_element="ReadSupplyStatusRsp", data=None)

    bench = open_user(gateway_fault(Point.RESPONSE, other))
    problems = " ".join(bench.user.request("4.1.1", bench.esme).problems)
    assert "SRV answered is 7.4, due is 4.1.1" in problems
    assert "response element is ReadSupplyStatusRsp, due is ReadInstantaneousImportRegistersRsp" in problems


def test_a_response_to_another_user_or_request_is_reported(open_user: Callable[..., UserBench]) -> None:
    """The DCC's message is right, and what the S1SP has signed inside belongs elsewhere."""
    other = "00-DB-12-34-90-00-00-FF"

    def misdirected(seen: Any) -> tuple[bytes, ...]:
        dcc, s1sp = signers(bench.dcc.lab)
        message = ResponseMessage.read(parse(seen.value[0]))
        inner = fragment(as_document(message.signed[0])).replace(
            f"TargetID>{message.request_id.originator}<".encode(), f"TargetID>{other}<".encode()
        )
        inner = inner.replace(f"Counter>{message.request_id.counter}<".encode(), b"Counter>7<")
        signed = s1sp.sign(b"<sr:SMETS1SignedResponse " + SR + b">" + inner + b"</sr:SMETS1SignedResponse>")
        ids = {"request_id": message.request_id, "response_id": message.response_id}
        return (dcc.sign(write_smets1(signed, MORNING, "5.4", reference=("4.1", "4.1.1"), **ids)),)

    bench = open_user(gateway_fault(Point.DELIVERY, misdirected))
    response = bench.user.request("4.1.1", bench.esme)
    user, _, counter = response.request_id.split(":")
    assert not response.success
    assert response.problems == (
        f"correlation: user answered is {other}, due is {user}",
        f"correlation: originator counter is 7, due is {counter}",
    )


def test_a_changed_response_is_reported(open_user: Callable[..., UserBench]) -> None:
    def change(seen: Any) -> tuple[bytes, ...]:
        return tuple(xml.replace(b"<ra:Value>1000<", b"<ra:Value>1001<") for xml in seen.value)

    bench = open_user(gateway_fault(Point.DELIVERY, change))
    response = bench.user.request("4.1.1", bench.esme)
    assert not response.success
    assert [problem.partition(":")[0] for problem in response.problems] == [
        "signature of the DCC",
        "signature of the S1SP",
    ]


@pytest.mark.parametrize("signature", ["broken", "missing", "stranger"])
def test_a_bad_signature_is_refused(open_user: Callable[..., UserBench], signature: str) -> None:
    bench = open_user()
    response = bench.user.request("7.2", bench.esme, forgery=Forgery(signature=signature))
    assert response.code == "E100"
    assert bench.dcc.s1sp.asked == []


def test_a_replay_is_refused_even_after_refused_requests(open_user: Callable[..., UserBench]) -> None:
    bench = open_user()
    bench.user.request("4.1.1", bench.esme)
    bench.user.request("4.1.1", bench.esme, forgery=Forgery(signature="broken"))
    assert bench.user.request("4.1.1", bench.esme, forgery=Forgery(counter="replayed")).code == "E100"
    assert bench.user.request("4.1.1", bench.esme).success


def test_a_replay_that_is_accepted_shows(open_user: Callable[..., UserBench]) -> None:
    accept = gateway_fault(Point.CHECK, lambda seen: "" if seen.item == "counter" else seen.value)
    bench = open_user(accept)
    first = bench.user.request("4.1.1", bench.esme)
    again = bench.user.request("4.1.1", bench.esme, forgery=Forgery(counter="replayed"))
    assert (again.request_id, again.acknowledgement) == (first.request_id, "I99")


def test_a_role_that_the_device_has_not_must_be_named(open_user: Callable[..., UserBench]) -> None:
    bench = open_user()
    with pytest.raises(UsageError, match=r"no User Role of SRV 6\.5 fits a ESME"):
        bench.user._default_role(
            replace(bench.user.catalogue["4.1.1"], srv="6.5", roles=(UserRole.GS,)), "ESME"
        )
    with pytest.raises(UsageError, match=r"SRV '4\.1\.9' is not in the lab's catalogue"):
        bench.user.request("4.1.9", bench.esme)


def test_top_up_codes_are_for_their_meter_and_never_the_same(open_user: Callable[..., UserBench]) -> None:
    bench = open_user()
    codes = [bench.user.vend(bench.esme, 1500) for _ in range(3)]
    told = [parse_utrn(bench.esme.device_id, code) for code in codes]
    assert [pence for pence, _ in told] == [1500] * 3
    assert len({serial for _, serial in told}) == 3


def test_an_alert_is_found_by_its_code_and_moment(open_user: Callable[..., UserBench]) -> None:
    bench = open_user()
    bench.dcc.gateway.alert(HubAlert("hub", bench.esme.device_id, 0x81, "Cover opened", MORNING))
    alert = bench.user.alert("0081", bench.esme, since=MORNING)
    assert (alert.code, alert.device_id, alert.description) == ("0081", bench.esme.device_id, "Cover opened")
    assert (alert.timestamp, alert.problems) == (MORNING, ())
    assert bench.user.alerts(bench.gsme) == ()
    with pytest.raises(DeviceTimeout, match="alert 0081"):
        bench.user.alert("0081", bench.esme, since=MORNING + timedelta(seconds=1))


def test_an_alert_of_the_s1sp_is_told_by_the_dcc_s_code(open_user: Callable[..., UserBench]) -> None:
    bench = open_user()
    dcc, s1sp = signers(bench.dcc.lab)
    inner = s1sp.sign(S1SP_ALERT % bench.esme.device_id.encode()).partition(b"?>\n")[2]
    xml = dcc.sign(DCC_ALERT % inner)
    assert bench.dcc.link.receive(xml) == ()
    alert = bench.user.alert("N55", bench.esme, since=MORNING)
    said = "S1SPAlertDSP S1SP001"
    assert (alert.device_id, alert.description, alert.problems) == (bench.esme.device_id, said, ())
    changed = dcc.sign(DCC_ALERT % inner.replace(b"S1SP001", b"S1SP002"))
    (problem,) = bench.dcc.link.receive(changed)
    assert problem.startswith("signature of the S1SP")


def test_alerts_of_an_earlier_session_are_not_seen(open_user: Callable[..., UserBench]) -> None:
    bench = open_user()
    bench.dcc.gateway.alert(HubAlert("hub", bench.esme.device_id, 0x81, "Cover opened", MORNING))
    fresh = RigUser(bench.dcc.lab, bench.dcc.lab.rigs[0], bench.dcc.services, bench.clock, Kept())
    assert fresh.alerts(bench.esme) == ()
    fresh.close()


def test_fresh_twins_are_a_fresh_installation(open_user: Callable[..., UserBench]) -> None:
    bench = open_user()
    bench.user.request("8.3", bench.esme, {"DeviceID": bench.esme.device_id})
    assert bench.user.request("4.1.1", bench.esme).code == "E5"
    RigUser(bench.dcc.lab, bench.dcc.lab.rigs[0], bench.dcc.services, bench.clock, Kept()).close()
    assert bench.user.request("4.1.1", bench.esme).success


def test_a_gateway_that_dies_is_a_lost_link_and_not_a_silent_device(
    open_user: Callable[..., UserBench],
) -> None:
    bench = open_user()
    bench.dcc.link.disconnect()
    bench.dcc.gateway_server.close()
    bench.dcc.link.connect(f"https://127.0.0.1:{bench.dcc.gateway_server.port}")
    with pytest.raises(LinkLost):
        bench.user.request("4.1.1", bench.esme)


@pytest.fixture
def user_of_a_real_dcc(open_user: Callable[..., UserBench]) -> Iterator[Callable[..., RigUser]]:
    """Makes users of a lab whose gateway is named, with plugins; only what asks no gateway works."""
    bench, users = open_user(), []

    def make(*plugins: str) -> RigUser:
        lab = bench.dcc.lab
        lab = replace(lab, plugins=plugins, dcc=replace(lab.dcc, gateway="http://127.0.0.1:1"))
        users.append(RigUser(lab, lab.rigs[0], bench.dcc.services, bench.clock, Kept()))
        return users[-1]

    yield make
    for user in users:
        user.close()


def test_a_top_up_code_of_a_real_dcc_is_never_made_up(user_of_a_real_dcc: Callable[..., RigUser]) -> None:
    with pytest.raises(BeyondLab, match=r"nobody in this lab vends .*harness_vend"):
        user_of_a_real_dcc().vend(Meter("00-DB-12-34-56-78-90-A0"), 500)


def test_a_lab_brings_its_vending_service(
    user_of_a_real_dcc: Callable[..., RigUser], monkeypatch: pytest.MonkeyPatch
) -> None:
    service = ModuleType("vending_service")
    service.harness_vend = hookimpl(lambda device_id, pence: f"{device_id[-2:]} for {pence}")
    monkeypatch.setitem(sys.modules, service.__name__, service)
    user = user_of_a_real_dcc(service.__name__)
    assert user.vend(Meter("00-DB-12-34-56-78-90-A0"), 500) == "A0 for 500"
