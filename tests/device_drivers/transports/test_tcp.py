from __future__ import annotations

import socket
import time

import pytest

from device_drivers.transports.tcp import open_tcp
from harness.domain.errors import ConfigurationError, TransportLost


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


@pytest.fixture
def pair(listener):
    """Our end as a transport, the other as a socket."""
    host, port = listener.getsockname()
    transport = open_tcp({"host": host, "port": port})
    other, _ = listener.accept()
    with other:
        yield transport, other
    transport.close()


def test_bytes_pass_both_ways(pair) -> None:
    transport, other = pair
    transport.write(b"request")
    assert other.recv(100) == b"request"
    other.sendall(b"answer")
    assert transport.read(3, 1) == b"ans"
    assert transport.read(100, 1) == b"wer"


def test_silence_is_an_empty_read_after_its_time(pair) -> None:
    transport, _ = pair
    began = time.monotonic()
    assert transport.read(1, 0.1) == b""
    assert time.monotonic() - began >= 0.09
    assert transport.read(1, 0) == b""


def test_small_writes_are_not_held_back(pair) -> None:
    transport, _ = pair
    assert transport._connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_closed_peer_is_a_lost_transport(pair) -> None:
    transport, other = pair
    other.close()
    with pytest.raises(TransportLost, match=r"tcp 127\.0\.0\.1:\d+: closed by the other side"):
        transport.read(1, 1)


def test_a_reset_connection_is_a_lost_transport(pair) -> None:
    transport, other = pair
    other.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    other.close()
    with pytest.raises(TransportLost):
        transport.read(1, 1)
    with pytest.raises(TransportLost, match="could not send"):
        transport.write(b"anything")


def test_a_port_that_nobody_listens_on_is_a_lost_transport(listener) -> None:
    host, port = listener.getsockname()
    listener.close()
    with pytest.raises(TransportLost, match=r"could not connect.*check address"):
        open_tcp({"host": host, "port": port})


def test_an_own_close_can_be_repeated_and_ends_reading(pair) -> None:
    transport, _ = pair
    transport.close()
    transport.close()
    with pytest.raises(TransportLost):
        transport.read(1, 1)


@pytest.mark.parametrize(("parameters", "missing"), [({}, "host and port"), ({"host": "localhost"}, "port")])
def test_missing_parameters_are_named(parameters, missing) -> None:
    with pytest.raises(ConfigurationError, match=f"needs {missing}"):
        open_tcp(parameters)
