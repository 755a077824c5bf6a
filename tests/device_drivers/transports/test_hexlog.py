"""Bytes in the evidence: all of them, in order, with their direction."""

from __future__ import annotations

import socket

import pytest

from device_drivers.transports.base import SerialLine
from device_drivers.transports.hexlog import LONGEST_PIECE, logged
from device_drivers.transports.serial import open_serial
from device_drivers.transports.tcp import TcpTransport


class Told:
    def __init__(self) -> None:
        self.steps: list[tuple[str, str, str]] = []

    def event(self, source, what, **detail) -> None:
        assert detail["port"]
        self.steps.append((source, what, detail.get("hex", "")))

    def message(self, *_args) -> None:
        raise AssertionError("bytes are steps, not files")


@pytest.fixture
def told() -> Told:
    return Told()


def test_every_byte_that_passes_is_told(cable, told) -> None:
    line = logged(open_serial({"port": cable.path}), told, "ESME")
    assert isinstance(line, SerialLine)
    line.write(b"\x7e\xa0")
    line.set_baud(300)
    cable.say(b"\x06")
    assert line.read(10, 5) == b"\x06"
    assert line.read(10, 0) == b""
    line.close()
    assert told.steps == [
        ("ESME", "bytes sent", "7e a0"),
        ("ESME", "300 baud", ""),
        ("ESME", "bytes received", "06"),
    ]


def test_a_step_is_bounded(cable, told) -> None:
    line = logged(open_serial({"port": cable.path}), told, "ESME")
    line.write(bytes(2 * LONGEST_PIECE + 1))
    line.close()
    assert [len(bytes.fromhex(told)) for _, _, told in told.steps] == [LONGEST_PIECE, LONGEST_PIECE, 1]


def test_a_socket_is_told_as_well_and_is_no_serial_line(told) -> None:
    ours, other = socket.socketpair()
    transport = logged(TcpTransport(ours, "tcp"), told, "CH")
    transport.write(b"a")
    other.sendall(b"b")
    assert transport.read(1, 5) == b"b"
    transport.close()
    other.close()
    assert not isinstance(transport, SerialLine)
    assert [what for _, what, _ in told.steps] == ["bytes sent", "bytes received"]
