"""The hub's WAN connection, over real sockets, with a hub that does what it is told."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from device_drivers.simulated.clock import VirtualClock
from device_drivers.simulated.wan.frames import Line
from device_drivers.simulated.wan.head import DeviceSilent, HubAlert, HubUnreachable, WanHead
from device_drivers.simulated.wan.hub import HubWan
from harness.domain.errors import LinkLost

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HUB, METER = "00-DB-12-34-56-78-90-C0", "00-DB-12-34-56-78-90-A0"


class EchoHub:
    """Answers every APDU with itself reversed, unless the device is unknown or the hub cut off."""

    def __init__(self, device_id: str = HUB, devices: tuple[str, ...] = (METER,)) -> None:
        self.device_id = device_id
        self.devices = devices
        self.clock = VirtualClock(NOON)
        self.cut_off = False

    def han(self) -> tuple[str, ...]:
        return (self.device_id, *self.devices)

    def relay(self, device_id: str, apdu: bytes, client_sap: int) -> tuple[bytes, ...]:
        if self.cut_off:
            raise HubUnreachable("the WAN is down")
        if device_id not in self.devices:
            raise DeviceSilent(f"{device_id} is not on the HAN")
        with self.clock.lock:
            return (apdu[::-1] + bytes([client_sap]),)

    def now(self) -> datetime:
        return self.clock.now()

    def hold(self, seconds: float) -> None:
        with self.clock.lock:
            self.clock.advance_to(self.clock.now() + timedelta(seconds=seconds))


@pytest.fixture
def head() -> Iterator[WanHead]:
    before = set(threading.enumerate())
    head = WanHead()
    yield head
    head.close()
    assert not [thread for thread in threading.enumerate() if thread not in before]


@pytest.fixture
def connect(head: WanHead) -> Iterator[Callable[[EchoHub], HubWan]]:
    opened: list[HubWan] = []

    def connect(hub: EchoHub) -> HubWan:
        wan = HubWan(head.address, hub)
        wan.connect()
        opened.append(wan)
        return wan

    yield connect
    for wan in opened:
        wan.close()


Connect = Callable[[EchoHub], HubWan]


def test_a_hub_that_says_hello_is_known_with_its_devices(head: WanHead, connect: Connect) -> None:
    hellos: list[tuple[str, tuple[str, ...]]] = []
    head.on_hello = lambda ch_id, devices: hellos.append((ch_id, devices))
    connect(EchoHub())
    assert head.hubs() == (HUB,)
    assert head.devices(HUB) == (HUB, METER)
    assert hellos == [(HUB, (HUB, METER))]


def test_an_apdu_reaches_the_device_and_its_answer_comes_back(head: WanHead, connect: Connect) -> None:
    connect(EchoHub())
    assert head.exchange(HUB, METER, b"\x01\x02\x03", 2) == (b"\x03\x02\x01\x02",)


def test_exchanges_of_many_threads_with_two_hubs_never_mix(head: WanHead, connect: Connect) -> None:
    other, far_meter = "00-DB-12-34-56-78-90-C1", "00-DB-12-34-56-78-90-A1"
    connect(EchoHub())
    connect(EchoHub(other, (far_meter,)))
    wrong: list[bytes] = []

    def ask(ch_id: str, device_id: str, mark: int) -> None:
        for number in range(50):
            sent = bytes([mark, number, 0xFF])
            if head.exchange(ch_id, device_id, sent, mark) != (sent[::-1] + bytes([mark]),):
                wrong.append(sent)

    threads = [
        threading.Thread(target=ask, args=(HUB, METER, mark)) if mark % 2
        else threading.Thread(target=ask, args=(other, far_meter, mark))
        for mark in range(6)
    ]  # fmt: skip
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_lab_time_is_asked_of_the_hub_and_can_be_let_pass(head: WanHead, connect: Connect) -> None:
    connect(EchoHub())
    head.hold(HUB, 90)
    assert head.now(HUB) == NOON + timedelta(seconds=90)


def test_a_hub_that_never_connected_is_unreachable(head: WanHead) -> None:
    with pytest.raises(HubUnreachable, match="not connected"):
        head.exchange(HUB, METER, b"", 2)


def test_a_wan_that_is_down_and_a_device_that_is_gone_are_told_apart(head: WanHead, connect: Connect) -> None:
    hub = EchoHub()
    connect(hub)
    with pytest.raises(DeviceSilent, match="not on the HAN"):
        head.exchange(HUB, "00-DB-12-34-56-78-90-FF", b"", 2)
    hub.cut_off = True
    with pytest.raises(HubUnreachable, match="WAN is down"):
        head.exchange(HUB, METER, b"", 2)


def test_alerts_arrive_in_order_and_are_drained_only_when_delivered(head: WanHead, connect: Connect) -> None:
    arrived: list[HubAlert] = []
    gate = threading.Event()

    def slow(alert: HubAlert) -> None:
        assert gate.wait(5)
        head.now(HUB)  # a callback may ask the hub
        arrived.append(alert)

    head.on_alert = slow
    wan = connect(EchoHub())
    for code in range(20):
        wan.post(METER, code, "", NOON)
    assert wan.waiting() == 20
    gate.set()
    wan.drained()
    assert [alert.code for alert in arrived] == list(range(20))
    assert arrived[0] == HubAlert(HUB, METER, 0, "", NOON)


def test_alerts_wait_while_the_wan_is_down_and_go_when_it_is_back(head: WanHead, connect: Connect) -> None:
    arrived: list[int] = []
    head.on_alert = lambda alert: arrived.append(alert.code)
    wan = connect(EchoHub())
    wan.carry(False)
    wan.post(METER, 7, "", NOON)
    wan.drained()  # nothing is under way, so nothing is waited for
    assert (arrived, wan.waiting()) == ([], 1)
    wan.carry(True)
    wan.drained()
    assert (arrived, wan.waiting()) == ([7], 0)


def test_an_alert_that_the_head_cannot_deliver_is_a_lab_fault_not_a_silence(
    head: WanHead, connect: Connect
) -> None:
    def refuse(alert: HubAlert) -> None:
        raise LinkLost("the receive endpoint is gone")

    head.on_alert = refuse
    wan = connect(EchoHub())
    wan.post(METER, 1, "", NOON)
    with pytest.raises(LinkLost, match="receive endpoint is gone"):
        wan.drained()


def test_an_announcement_renews_the_devices(head: WanHead, connect: Connect) -> None:
    hub = EchoHub()
    wan = connect(hub)
    hub.devices = ()
    wan.announce()
    wan.drained()
    assert head.devices(HUB) == (HUB,)


def drain_for_seconds(wan: HubWan) -> None:
    """It hears of what the head has done a moment later."""
    for _ in range(500):
        wan.drained()
        time.sleep(0.01)


def test_a_hub_that_connects_again_replaces_its_old_connection(head: WanHead, connect: Connect) -> None:
    first = connect(EchoHub())
    second = EchoHub(devices=(METER, "00-DB-12-34-56-78-90-B0"))
    connect(second)
    assert len(head.devices(HUB)) == 3
    assert head.exchange(HUB, METER, b"ab", 1) == (b"ba\x01",)
    with pytest.raises(LinkLost, match="hung up"):
        drain_for_seconds(first)


def test_a_hub_that_goes_away_in_mid_exchange_is_unreachable(head: WanHead, connect: Connect) -> None:
    hub = EchoHub()
    wan = connect(hub)
    asked = threading.Event()

    def relay(device_id: str, apdu: bytes, client_sap: int) -> tuple[bytes, ...]:
        asked.set()
        gone.wait(5)
        return ()

    gone = threading.Event()
    hub.relay = relay  # type: ignore[method-assign]
    failures: list[Exception] = []

    def ask() -> None:
        try:
            head.exchange(HUB, METER, b"", 2)
        except HubUnreachable as error:
            failures.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    assert asked.wait(5)
    closing = threading.Thread(target=wan.close)
    closing.start()
    asking.join(5)
    gone.set()
    closing.join(5)
    assert len(failures) == 1


@pytest.mark.parametrize(
    "opening",
    [b"\xff\xff\xff\xff", b"\x00\x00\x00\x02[]", b"\x00\x00\x00\x05nonse", b"GET / HTTP/1.1\r\n\r\n"],
)
def test_who_speaks_another_language_is_hung_up_on(head: WanHead, opening: bytes) -> None:
    host, port = head.address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=5) as stranger:
        stranger.sendall(opening)
        with suppress(OSError):  # hung up on already
            stranger.shutdown(socket.SHUT_WR)
        with suppress(ConnectionError):  # the same, with our words unread
            assert stranger.recv(10) == b""
    assert head.hubs() == ()


def test_a_head_that_is_not_there_is_a_lab_fault() -> None:
    head = WanHead()
    address = head.address
    head.close()
    with pytest.raises(LinkLost, match="cannot be reached"):
        HubWan(address, EchoHub()).connect()


def test_a_head_that_dies_is_a_lab_fault_at_the_next_settling(connect: Connect, head: WanHead) -> None:
    wan = connect(EchoHub())
    head.close()
    wan.post(METER, 1, "", NOON)
    with pytest.raises(LinkLost):
        wan.drained()


def test_a_line_that_was_closed_has_no_further_frame() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        line = Line(socket.create_connection(listener.getsockname()))
        line.close()
        assert line.receive() is None


# --- hubs that prove who they are ----------------------------------------------------------------------


def proof(hub: str, nonce: str) -> str:
    return f"{hub} knows {nonce}"


@pytest.fixture
def doubting() -> Iterator[WanHead]:
    head = WanHead(proof=proof)
    yield head
    head.close()


def test_a_hub_that_has_its_key_is_taken_for_it(doubting: WanHead) -> None:
    wan = HubWan(doubting.address, EchoHub(), lambda nonce: proof(HUB, nonce))
    wan.connect()
    assert doubting.hubs() == (HUB,)
    assert doubting.exchange(HUB, METER, b"\x01\x02", 2) == (b"\x02\x01\x02",)
    wan.close()


@pytest.mark.parametrize("answer", [None, lambda nonce: "made up", lambda nonce: proof(METER, nonce)])
def test_who_has_not_the_hubs_key_is_hung_up_on(
    doubting: WanHead, answer: Callable[[str], str] | None
) -> None:
    honest = HubWan(doubting.address, EchoHub(), lambda nonce: proof(HUB, nonce))
    honest.connect()
    with pytest.raises(LinkLost, match="hung up"):
        HubWan(doubting.address, EchoHub(devices=()), answer).connect()
    assert doubting.devices(HUB) == (HUB, METER)  # still the honest one
    assert doubting.exchange(HUB, METER, b"\x01", 2) == (b"\x01\x02",)
    honest.close()


def test_a_hub_that_has_proven_itself_does_not_become_another(doubting: WanHead) -> None:
    hub = EchoHub()
    wan = HubWan(doubting.address, hub, lambda nonce: proof(HUB, nonce))
    wan.connect()
    hub.device_id = "00-DB-12-34-56-78-90-C9"
    wan.announce()
    with pytest.raises(LinkLost, match="in the name of"):
        wan.drained()
    assert doubting.hubs() == (HUB,)
    wan.close()
