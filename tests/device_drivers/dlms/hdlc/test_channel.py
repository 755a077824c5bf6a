"""The client's channel on a real stream, a meter of ours or nobody at its other end."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest

from device_drivers.dlms.client import DlmsClient
from device_drivers.dlms.counters import MemoryCounters
from device_drivers.dlms.data import octets
from device_drivers.dlms.hdlc.channel import HdlcChannel
from device_drivers.dlms.hdlc.frame import (
    FINAL,
    Frame,
    FrameDecoder,
    Kind,
    client_address,
    encode,
    numbered,
    server_address,
)
from device_drivers.dlms.hdlc.negotiation import both_ways
from device_drivers.dlms.hdlc.server import HdlcServer
from device_drivers.transports.tcp import TcpTransport
from harness.domain.errors import AccessRefused, DeviceTimeout, ProtocolViolation, TransportLost
from harness.domain.lab import Hdlc

CLIENT, SERVER = client_address(16), server_address(1)
CONNECTED = encode(Frame(CLIENT, SERVER, Kind.UA | FINAL))
SIZES = [(128, 1), (128, 7), (2030, 1), (2030, 7)]

Meter = Callable[[bytes], bytes]


@dataclass
class FarEnd:
    """Whoever answers at the other end, and what it has heard."""

    connection: socket.socket
    meter: Meter
    heard: list[Frame] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        decoder = FrameDecoder()
        try:
            while data := self.connection.recv(4096):
                self.heard += decoder.feed(data)
                self.connection.sendall(self.meter(data))
        except OSError:
            pass  # the client has gone
        finally:
            self.ended.set()


@pytest.fixture
def channel() -> Iterator[Callable[..., HdlcChannel]]:
    """Makes a channel to that meter; what the meter heard is ``channel.far.heard``."""
    with ExitStack() as held:

        def make(meter: Meter, client_sap: int = 16, **hdlc) -> HdlcChannel:
            near, connection = socket.socketpair()
            far = FarEnd(connection, meter)
            thread = threading.Thread(target=far.run)
            made = HdlcChannel(TcpTransport(near, "line"), Hdlc(**{"answer": 0.2} | hdlc), client_sap)
            made.far = far
            held.callback(connection.close)
            held.callback(thread.join)
            held.callback(made.close)
            thread.start()
            return made

        yield make


def of_ours(server: HdlcServer) -> Meter:
    return lambda data: server.feed(data, time.monotonic())


class Deaf:
    """Says nothing from its ``after``-th frame on."""

    def __init__(self, after: int = 0) -> None:
        self.left = after

    def __call__(self, data: bytes) -> bytes:
        self.left -= 1
        return CONNECTED if self.left >= 0 else b""


# --- associations --------------------------------------------------------------------------------------


@pytest.fixture
def connect(bench, channel):
    def connected(who: str, hdlc: Hdlc | dict, meter=of_ours, **options) -> DlmsClient:
        credentials = bench.credentials[who]
        made = channel(meter(HdlcServer(bench.server)), credentials.client_sap, **hdlc)
        made.connect()
        client = DlmsClient(made, credentials, MemoryCounters(), **options)
        client.open()
        client.channel = made
        return client

    return connected


@pytest.mark.parametrize("general_blocks", [False, True], ids=["service blocks", "general blocks"])
@pytest.mark.parametrize("longest", [1_024, 65_535])
@pytest.mark.parametrize(("field_", "window"), SIZES)
def test_long_apdus_go_both_ways(bench, connect, field_, window, longest, general_blocks) -> None:
    bench.max_pdu, bench.meter.rows = longest, 1_000
    hdlc = {"information_field": field_, "window": window, "answer": 30.0}
    client = connect("management", hdlc, max_pdu=longest, general_blocks=general_blocks)
    assert client.channel.parameters == both_ways(field_, window)
    assert client.get(bench.profile).value == tuple(bench.row(number) for number in range(1_000))
    text = octets(bytes(number % 251 for number in range(60_000)))
    client.set(bench.note, text)
    assert bench.meter.values[bench.note] == text
    assert client.action(bench.echo, text) == text
    client.close()
    assert client.channel.far.heard[-1].kind is Kind.DISC
    largest = max(len(frame.information) for frame in client.channel.far.heard)
    assert largest <= field_
    assert largest == field_ or longest < field_


def test_a_line_that_loses_every_seventh_frame_loses_no_apdu(bench, connect) -> None:
    def lossy(server: HdlcServer) -> Meter:
        count = 0

        def answer(data: bytes) -> bytes:
            nonlocal count
            kept = []
            for frame in FrameDecoder().feed(server.feed(data, time.monotonic())):
                count += 1
                if count % 7:
                    kept.append(encode(frame))
            return b"".join(kept)

        return answer

    client = connect("management", {"information_field": 512, "window": 3, "answer": 0.05}, lossy)
    assert len(client.get(bench.profile).value) == 100
    client.set(bench.note, octets(bytes(3_000)))
    assert bench.meter.values[bench.note] == octets(bytes(3_000))


@pytest.mark.parametrize(("physical", "size"), [(None, 1), (17, 2), (17, 4), (300, 4)])
def test_addresses_of_1_2_and_4_bytes_reach_the_meter(channel, physical, size) -> None:
    server = HdlcServer(lambda: None, physical_address=physical)
    made = channel(of_ours(server), physical_address=physical, address_bytes=size)
    made.connect()
    assert [len(frame.destination) for frame in made.far.heard] == [size]


# --- faults --------------------------------------------------------------------------------------------


def test_nobody_at_the_other_end_is_a_line_lost_after_the_attempts(channel) -> None:
    made = channel(Deaf(), answer=0.05, attempts=4)
    with pytest.raises(TransportLost, match="4 of our frames brought no answer of use"):
        made.connect()
    assert made.far.ended.wait(10)
    assert [frame.kind for frame in made.far.heard] == [Kind.SNRM] * 4


def test_a_meter_that_falls_silent_is_a_line_lost_at_the_deadline(channel) -> None:
    made = channel(Deaf(after=1), attempts=99, answer=0.1)
    made.connect()
    made.send(b"abc", 0.3)
    with pytest.raises(TransportLost, match=r"silent for 0\.3 s"):
        made.receive(0.3)
    with pytest.raises(TransportLost, match="closed after an earlier failure"):
        made.send(b"abc", 0.3)


@pytest.mark.parametrize(
    "said",
    [
        b"\xff" * 50,
        b"~" * 50,
        b"/?!\r\n" * 9,
        encode(Frame(CLIENT, SERVER, numbered(Kind.I, 1, 0, final=True), bytes(120)))[:60],
        encode(Frame(CLIENT, SERVER, numbered(Kind.I, 1, 0, final=True), bytes(100)))[:-4] + b"~" * 4,
    ],
    ids=["noise", "flags", "text", "half a frame", "a wrong check"],
)
def test_what_is_no_frame_is_a_line_lost(channel, said) -> None:
    deaf = Deaf(after=1)
    made = channel(lambda data: deaf(data) or said, answer=0.25, attempts=2)
    made.connect()
    made.send(b"abc", 5)
    with pytest.raises(TransportLost, match="2 of our frames brought no answer of use"):
        made.receive(5)


def test_a_babbler_does_not_stretch_the_deadline(channel) -> None:
    """Frames that begin well and never end so, the next begun whenever it is looked."""
    babble = encode(Frame(CLIENT, SERVER, numbered(Kind.I, 1, 0, final=True), bytes(100)))[:-4] + b"~" * 4
    made = channel(Deaf(after=1), answer=0.2)
    made.connect()
    made.send(b"abc", 5)
    stop = threading.Event()

    def babbling() -> None:
        with contextlib.suppress(OSError):  # in the end the client hangs up
            while not stop.wait(0.01):
                made.far.connection.sendall(babble[60:] + babble[:60])

    thread = threading.Thread(target=babbling)
    thread.start()
    try:
        with pytest.raises(TransportLost):
            made.receive(0.5)
    finally:
        stop.set()
        thread.join()


def test_a_long_frame_may_take_longer_than_an_answer(channel) -> None:
    """On a slow line; what counts is that more of it comes."""
    answer = encode(Frame(CLIENT, SERVER, numbered(Kind.I, 1, 0, final=True), b"\xe6\xe7\x00" + bytes(60)))
    deaf = Deaf(after=1)
    made = channel(deaf, answer=0.5, attempts=1)
    made.connect()
    made.send(b"abc", 5)

    def dribble() -> None:
        for at in range(0, len(answer), 8):
            time.sleep(0.08)
            made.far.connection.sendall(answer[at : at + 8])

    thread = threading.Thread(target=dribble)
    thread.start()
    assert made.receive(5) == bytes(60)
    thread.join()


def test_a_meter_that_answers_and_gives_nothing_fails_and_not_the_line(channel) -> None:
    ready = encode(Frame(CLIENT, SERVER, numbered(Kind.RR, 1, final=True)))
    deaf = Deaf(after=1)
    made = channel(lambda data: deaf(data) or ready)
    made.connect()
    made.send(b"abc", 5)
    with pytest.raises(DeviceTimeout, match=r"gives no APDU within 0\.4 s"):
        made.receive(0.4)


def test_a_meter_that_refuses_refuses_access(channel) -> None:
    made = channel(lambda data: encode(Frame(CLIENT, SERVER, Kind.DM | FINAL)))
    with pytest.raises(AccessRefused, match="refuses an HDLC session"):
        made.connect()


def test_what_a_meter_must_not_send_ends_the_session(channel) -> None:
    deaf = Deaf(after=1)
    rejection = encode(Frame(CLIENT, SERVER, Kind.FRMR | FINAL, b"\x10\x00\x01"))
    made = channel(lambda data: deaf(data) or rejection)
    made.connect()
    made.send(b"abc", 5)
    with pytest.raises(ProtocolViolation, match="control field not known"):
        made.receive(5)
    with pytest.raises(TransportLost, match="closed after an earlier failure: line: the meter rejects"):
        made.receive(5)


def test_a_session_that_the_meter_ended_for_its_rest_is_a_line_lost(channel) -> None:
    server, now = HdlcServer(lambda: None, inactivity=120), 0.0
    made = channel(lambda data: server.feed(data, now))
    made.connect()
    now = 121.0
    made.send(b"abc", 5)
    with pytest.raises(TransportLost, match="has left the session"):
        made.receive(5)


def test_a_closed_channel_says_so_and_closes_twice(channel) -> None:
    made = channel(of_ours(HdlcServer(lambda: None)))
    made.connect()
    made.close()
    made.close()
    with pytest.raises(TransportLost, match="closed"):
        made.receive(1)
