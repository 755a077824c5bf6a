"""Serial ports behind servers: pyserial's own RFC 2217 server on a pseudo terminal, and raw TCP."""

from __future__ import annotations

import os
import random
import select
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import pytest
import serial
from serial.rfc2217 import PortManager

from device_drivers.iec62056.messages import Identification
from device_drivers.iec62056.parity import with_parity
from device_drivers.iec62056.sign_on import signed_on
from device_drivers.transports import rfc2217 as rfc2217_module
from device_drivers.transports.base import SerialLine
from device_drivers.transports.rfc2217 import ComPortControl, Rfc2217Line, open_rfc2217
from device_drivers.transports.serial_tcp import open_serial_tcp
from harness.domain.errors import ConfigurationError, TransportLost
from harness.domain.lab import OpticalPort

pytestmark = pytest.mark.usefixtures("leaving_nothing")


METER = Identification("EXa", 9600, "TWIN")


def meter_says_who_it_is(
    hear: Callable[[int], bytes], say: Callable[[bytes], object], *, rate: bytes = b"5"
) -> None:
    """The meter's end of a sign-on in mode E, at whatever rate the line has."""
    assert hear(5) == with_parity(b"/?!\r\n")
    say(with_parity(METER.encode()))
    choice = with_parity(b"\x062" + rate + b"2\r\n")
    assert hear(6) == choice
    say(choice)


class PseudoPort(serial.Serial):
    """A port without the lines that a pseudo terminal does not have."""

    cts = dsr = ri = cd = property(lambda self: True)

    def _update_dtr_state(self) -> None: ...

    def _update_rts_state(self) -> None: ...


class ComServer:
    """Serves one client at a time with pyserial's PortManager."""

    def __init__(self, path: str) -> None:
        self.port = PseudoPort(path, 1200, timeout=0)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.connection: socket.socket | None = None
        self._stop, self._stopping = os.pipe()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    @property
    def parameters(self) -> dict[str, object]:
        return {"host": "127.0.0.1", "port": self.listener.getsockname()[1]}

    def write(self, data: bytes) -> None:
        assert self.connection is not None
        self.connection.sendall(data)

    def drop(self) -> None:
        if self.connection is not None:
            self.connection.shutdown(socket.SHUT_RDWR)

    def _serve(self) -> None:
        ready, _, _ = select.select([self.listener, self._stop], [], [])
        if self._stop in ready:
            return
        self.connection, _ = self.listener.accept()
        with self.connection, suppress(OSError):
            manager = PortManager(self.port, self)
            while True:
                ready, _, _ = select.select([self.connection, self.port, self._stop], [], [])
                if self._stop in ready:
                    return
                if self.port in ready:
                    self.write(b"".join(manager.escape(self.port.read(self.port.in_waiting))))
                if self.connection in ready:
                    received = self.connection.recv(1000)
                    if not received:
                        return
                    self.port.write(b"".join(manager.filter(received)))

    def close(self) -> None:
        os.write(self._stopping, b"x")
        self._thread.join()
        self.listener.close()
        self.port.close()
        os.close(self._stop)
        os.close(self._stopping)


@pytest.fixture
def com_server(cable):
    server = ComServer(cable.path)
    yield server
    server.close()


@pytest.fixture
def line(com_server):
    opened = open_rfc2217({**com_server.parameters, "baud": 300})
    yield opened
    opened.close()


# --- RFC 2217 ------------------------------------------------------------------------------------------


def test_the_server_s_port_stands_at_8n1_and_the_rate_asked_for(line, com_server, cable) -> None:
    assert isinstance(line, SerialLine)
    port = com_server.port
    assert (port.bytesize, port.parity, port.stopbits) == (8, "N", 1)
    assert (line.baud, cable.baud) == (300, 300)


def test_a_change_of_the_rate_reaches_the_port(line, cable) -> None:
    line.set_baud(9600)
    assert (line.baud, cable.baud) == (9600, 9600)


def test_every_byte_passes_both_ways(line, cable) -> None:
    line.set_baud(115200)
    every = bytes(range(256)) + b"\xff\xff\r\n\xff"
    line.write(every)
    assert cable.hear(len(every)) == every
    cable.say(every)
    received = line.read(3, 5)
    assert received == every[:3]
    while len(received) < len(every):
        received += line.read(4096, 5)
    assert received == every


def test_writing_takes_as_long_as_the_line_does(line) -> None:
    began = time.monotonic()
    line.write(bytes(6))
    assert time.monotonic() - began >= 6 * 10 / 300


def test_silence_of_the_line_is_an_empty_read_after_its_time(line) -> None:
    began = time.monotonic()
    assert line.read(1, 0.1) == b""
    assert time.monotonic() - began >= 0.09


@pytest.mark.parametrize(
    "act",
    [
        lambda line: line.read(1, 5),
        lambda line: [line.write(b"x") for _ in range(1000)],
        lambda line: line.set_baud(9600),
    ],
    ids=["read", "write", "baud change"],
)
def test_a_server_that_drops_the_connection_is_a_lost_transport(line, com_server, act) -> None:
    com_server.drop()
    with pytest.raises(TransportLost, match=r"tcp 127\.0\.0\.1:\d+"):
        act(line)


def test_a_server_that_dies_while_its_line_is_listened_to_is_noticed_at_once(line, com_server) -> None:
    timer = threading.Timer(0.2, com_server.drop)
    timer.start()
    began = time.monotonic()
    with pytest.raises(TransportLost, match="closed by the other side"):
        line.read(1, 60)
    timer.join()
    assert time.monotonic() - began < 10


def test_a_server_whose_probe_is_pulled_out_hangs_up(line, com_server, cable) -> None:
    cable.unplug()
    with pytest.raises(TransportLost):
        line.read(1, 60)


def test_a_meter_behind_a_server_is_signed_on_to_with_its_change_of_rate(com_server, cable, far_end) -> None:
    far_end(lambda: meter_says_who_it_is(cable.hear, cable.say))
    line = open_rfc2217({**com_server.parameters, "baud": 9600})
    assert signed_on(line, OpticalPort(settle=0.01)) == METER
    assert (line.baud, cable.baud) == (9600, 9600)
    line.close()


def test_a_server_whose_port_refuses_the_rate_is_a_lost_transport(line, com_server, monkeypatch) -> None:
    monkeypatch.setattr(PseudoPort, "baudrate", property(lambda self: 1200, lambda self, value: None))
    with pytest.raises(TransportLost, match=r"does not take 9600 baud: the server answers 000004b0"):
        line.set_baud(9600)


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


def parameters(listener: socket.socket) -> dict[str, object]:
    host, port = listener.getsockname()
    return {"host": host, "port": port}


def test_a_server_without_rfc_2217_is_noticed_within_its_deadline(listener, monkeypatch) -> None:
    monkeypatch.setattr(rfc2217_module, "_NEGOTIATION", 0.2)
    with pytest.raises(TransportLost, match=r"does not speak RFC 2217 within 0\.2 s.*serial-tcp"):
        open_rfc2217(parameters(listener))


def test_a_server_that_speaks_without_end_does_not_stretch_the_deadline(
    listener, far_end, monkeypatch
) -> None:
    monkeypatch.setattr(rfc2217_module, "_NEGOTIATION", 0.2)

    def speak() -> None:
        connection, _ = listener.accept()
        with connection:
            try:
                while True:
                    connection.sendall(b"noise" * 100)
            except OSError:
                return

    far_end(speak)
    with pytest.raises(TransportLost, match="does not speak RFC 2217"):
        open_rfc2217(parameters(listener))


class Chatter:
    """A connection on which "no operation" comes whenever one reads: a real one has gaps, now and then."""

    name = "chatter"

    def __init__(self) -> None:
        self._began = time.monotonic()

    def read(self, at_most: int, timeout: float) -> bytes:
        assert time.monotonic() - self._began < 5, "the read has no end"
        return b"\xff\xf1"

    def write(self, data: bytes) -> None: ...

    def close(self) -> None: ...


def test_a_server_that_says_nothing_without_end_does_not_stretch_a_read() -> None:
    assert Rfc2217Line(Chatter(), 9600).read(1, 0.1) == b""


def test_a_subnegotiation_without_end_is_a_lost_transport(listener, far_end) -> None:
    def speak() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b"\xff\xfa\x2c" + bytes(1000))
            connection.recv(1000)

    far_end(speak)
    with pytest.raises(TransportLost, match="subnegotiation of more than 64 bytes"):
        open_rfc2217(parameters(listener))


def test_what_the_server_offers_beyond_is_refused_once() -> None:
    control = ComPortControl()
    control.outgoing.clear()
    will_echo, do_status = b"\xff\xfb\x01", b"\xff\xfd\x05"
    assert control.feed(b"a" + will_echo * 3 + do_status * 3 + b"b") == b"ab"
    assert bytes(control.outgoing) == b"\xff\xfe\x01" + b"\xff\xfc\x05"


def test_whatever_a_server_sends_is_data_an_answer_or_the_declared_error() -> None:
    chance = random.Random(2217)
    for _ in range(5_000):
        control = ComPortControl()
        stream = bytes(
            chance.choices((255, 255, 250, 240, 251, 253, 44, 101, 0, 65), k=chance.randrange(200))
        )
        with suppress(ValueError):
            assert len(control.feed(stream)) <= len(stream)
        assert len(control.outgoing) <= 3 * 2 * 256


# --- a raw TCP serial server ---------------------------------------------------------------------------


@pytest.fixture
def raw(listener):
    """Our line at a raw server, and the server's end of it."""
    opened = open_serial_tcp({**parameters(listener), "baud": 9600})
    connection, _ = listener.accept()
    with connection:
        yield opened, connection
    opened.close()


def test_a_raw_server_carries_bytes(raw) -> None:
    line, connection = raw
    assert isinstance(line, SerialLine)
    line.write(b"\xffrequest")
    assert connection.recv(100) == b"\xffrequest"
    connection.sendall(b"answer")
    assert line.read(100, 5) == b"answer"


def test_a_raw_server_stays_at_its_rate(raw) -> None:
    line, _ = raw
    line.set_baud(9600)
    with pytest.raises(ConfigurationError, match=r"stays at 9600 baud, 300 were asked for.*rfc2217"):
        line.set_baud(300)


def test_a_raw_server_that_drops_is_a_lost_transport(raw) -> None:
    line, connection = raw
    connection.close()
    with pytest.raises(TransportLost, match="closed by the other side"):
        line.read(1, 5)


def test_a_raw_server_that_dies_while_its_line_is_listened_to_is_noticed_at_once(raw) -> None:
    line, connection = raw
    timer = threading.Timer(0.2, connection.shutdown, (socket.SHUT_RDWR,))
    timer.start()
    began = time.monotonic()
    with pytest.raises(TransportLost, match="closed by the other side"):
        line.read(1, 60)
    timer.join()
    assert time.monotonic() - began < 10


def test_a_raw_server_that_was_set_to_300_baud_carries_a_sign_on_at_that_rate(listener, far_end) -> None:
    line = open_serial_tcp({**parameters(listener), "baud": 300})
    connection, _ = listener.accept()
    with connection:
        far_end(lambda: meter_says_who_it_is(connection.recv, connection.sendall, rate=b"0"))
        assert signed_on(line, OpticalPort(baud=300)) == METER
    line.close()


def test_a_raw_server_at_another_rate_carries_no_sign_on(raw) -> None:
    line, _ = raw
    with pytest.raises(ConfigurationError, match=r"stays at 9600 baud, 300 were asked for.*mode direct"):
        signed_on(line, OpticalPort())
    assert signed_on(line, OpticalPort(mode="direct", baud=9600)) is None


@pytest.mark.parametrize("opening", [open_rfc2217, open_serial_tcp])
def test_a_server_that_is_not_there_is_a_lost_transport(listener, opening) -> None:
    nowhere = parameters(listener)
    listener.close()
    with pytest.raises(TransportLost, match="could not connect"):
        opening(nowhere)
