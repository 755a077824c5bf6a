"""A port asks the fence before bytes leave, also in the middle of many; what it raises comes out as it is."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from device_drivers.iec62056.sign_on import signed_on
from device_drivers.transports.base import ByteTransport
from device_drivers.transports.rfc2217 import open_rfc2217
from device_drivers.transports.serial import open_serial
from device_drivers.transports.serial_tcp import open_serial_tcp
from device_drivers.transports.tcp import TcpTransport, open_tcp
from harness.domain.errors import TransportLost
from harness.domain.lab import OpticalPort
from harness.rigs.lease_words import StaleLease
from tests.device_drivers.fencing import PATIENCE, Gate, Tap
from tests.device_drivers.transports.test_serial_servers import ComServer

pytestmark = pytest.mark.usefixtures("leaving_nothing")
Opener = Callable[[dict[str, Any], Gate], ByteTransport]


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def com_server(leaving_nothing: None, cable: Any) -> Iterator[ComServer]:
    server = ComServer(cable.path)
    yield server
    server.close()


@pytest.fixture
def line(com_server: ComServer) -> Iterator[Tap]:
    """The way to a serial server, which speaks RFC 2217."""
    host, port = com_server.parameters.values()
    with Tap((str(host), int(str(port)))) as tap:
        yield tap


def at(line: Tap) -> dict[str, Any]:
    host, port = line.address
    return {"host": host, "port": port, "baud": 300}


@pytest.mark.parametrize(
    "opening", [open_tcp, open_serial_tcp, open_rfc2217], ids=["TCP", "raw serial server", "RFC 2217"]
)
def test_a_late_connection_sends_nothing_more(opening: Opener, line: Tap, gate: Gate) -> None:
    with closing(opening(at(line), gate)) as port:
        port.write(b"ours")
        gate.shut()
        for late in (b"late", b"later"):
            with pytest.raises(StaleLease):
                port.write(late)
    heard = line.all()
    assert heard.endswith(b"ours")


def test_a_late_change_of_the_rate_is_not_asked_of_the_server(line: Tap, gate: Gate) -> None:
    with closing(open_rfc2217(at(line), gate)) as port:
        sent = bytes(line.heard)
        gate.shut()
        with pytest.raises(StaleLease):
            port.set_baud(9600)
    assert line.all() == sent


@pytest.mark.parametrize("after", [0, 1, 2, 3])
def test_the_set_up_of_a_port_goes_no_further_than_the_lease(after: int, line: Tap, gate: Gate) -> None:
    gate.shut(after=after)
    with pytest.raises(StaleLease):
        open_rfc2217(at(line), gate)
    assert bool(line.all()) == bool(after)


def test_a_late_sign_on_is_not_begun_at_a_serial_server(line: Tap, gate: Gate) -> None:
    with closing(open_serial_tcp(at(line), gate)) as port:
        gate.shut()
        with pytest.raises(StaleLease):
            signed_on(port, OpticalPort(mode="mode-e", baud=300))
    assert line.all() == b""


def test_a_late_serial_port_sends_nothing_more(cable: Any, gate: Gate) -> None:
    with closing(open_serial({"port": cable.path, "baud": 115_200}, gate)) as port:
        port.write(b"ours")
        assert cable.hear(4) == b"ours"
        gate.shut()
        with pytest.raises(StaleLease):
            port.write(b"late")
    assert select.select([cable.far], [], [], 0)[0] == []


def test_a_lease_that_ends_in_a_long_write_to_a_serial_port_ends_that(
    cable: Any, gate: Gate, far_end: Callable[[Callable[[], Any]], None]
) -> None:
    with closing(open_serial({"port": cable.path, "baud": 115_200}, gate)) as port:
        far_end(lambda: cable.hear(512))
        gate.shut(after=2)
        with pytest.raises(StaleLease):
            port.write(bytes(1_000))
    assert gate.asked == 2


def test_a_lease_that_ends_while_a_peer_takes_its_time_ends_the_write(gate: Gate) -> None:
    """What a full window holds back is not sent when the peer reads on."""
    near, far = socket.socketpair()
    near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)
    shutting = threading.Timer(0.2, gate.shut)
    with closing(far), closing(TcpTransport(near, "line", gate)) as port:
        shutting.start()
        with pytest.raises(StaleLease):
            port.write(bytes(10_000_000))
        shutting.join()
        port.close()
        far.settimeout(PATIENCE)
        taken = 0
        while piece := far.recv(65_536):
            taken += len(piece)
        assert 0 < taken < 10_000_000


@pytest.mark.parametrize("pause", [0.05, PATIENCE])
def test_a_peer_that_reads_too_slowly_or_never_is_still_a_transport_lost(
    pause: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("device_drivers.transports.tcp._WRITE_TIMEOUT", 0.2)
    near, far = socket.socketpair()
    ended = threading.Event()

    def read_slowly() -> None:
        while not ended.wait(pause):
            far.recv(4_096)

    reading = threading.Thread(target=read_slowly)
    with closing(far), closing(TcpTransport(near, "line")) as port:
        reading.start()
        with pytest.raises(TransportLost, match="could not send: timed out"):
            port.write(bytes(10_000_000))
        ended.set()
        reading.join()
