"""A probe that hears itself, played by hand at the far end of a real pseudo terminal."""

from __future__ import annotations

import time

import pytest

from device_drivers.transports import echo
from device_drivers.transports.base import SerialLine
from device_drivers.transports.echo import EchoDropping
from device_drivers.transports.serial import open_serial
from harness.domain.errors import TransportLost

pytestmark = pytest.mark.usefixtures("leaving_nothing")


@pytest.fixture
def line(cable):
    opened = EchoDropping(open_serial({"port": cable.path}))
    yield opened
    opened.close()


def test_one_copy_is_dropped_and_the_answer_is_not(line, cable, far_end) -> None:
    def echo_and_answer() -> None:
        heard = cable.hear(7)
        for at in range(7):
            cable.say(heard[at : at + 1])
        cable.say(b"answer")

    far_end(echo_and_answer)
    line.write(b"request")
    assert line.read(100, 5) == b"answer"


def test_what_came_unasked_before_is_no_echo(line, cable, far_end) -> None:
    cable.say(b"late")
    far_end(lambda: cable.say(cable.hear(7)))
    line.write(b"request")
    assert line.read(100, 0) == b""


def test_another_echo_is_a_lost_transport_that_shows_both(line, cable, far_end) -> None:
    far_end(lambda: cable.say(cable.hear(7).replace(b"q", b"Q")))
    with pytest.raises(TransportLost, match=r"from byte 2 sent 71 75 65 73 74, heard 51 75 65.*window"):
        line.write(b"request")


@pytest.mark.parametrize("count", [0, 3])
def test_an_echo_that_does_not_come_whole_is_a_lost_transport(
    line, cable, far_end, count, monkeypatch
) -> None:
    monkeypatch.setattr(echo, "_LATE", 0.1)
    far_end(lambda: cable.say(cable.hear(7)[:count]))
    began = time.monotonic()
    with pytest.raises(TransportLost, match=f"{count} of 7 bytes came back.*echo: false"):
        line.write(b"request")
    assert time.monotonic() - began < 5


def test_it_is_a_serial_line_like_the_one_below(line, cable) -> None:
    assert isinstance(line, SerialLine)
    line.set_baud(300)
    assert (line.baud, cable.baud, line.name) == (300, 300, f"serial {cable.path}")
