"""A twin's optical port as a line: its rate, its time, its end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from device_drivers.dlms.hdlc.frame import (
    FINAL,
    Frame,
    FrameDecoder,
    Kind,
    client_address,
    encode,
    server_address,
)
from device_drivers.dlms.hdlc.server import HdlcServer
from device_drivers.iec62056.messages import Identification, option, request
from device_drivers.iec62056.meter import SignOnMeter
from device_drivers.iec62056.parity import with_parity, without_parity
from device_drivers.simulated.optical_port import MeterPort, OpticalPort
from device_drivers.transports.base import SerialLine, line_time
from device_drivers.transports.serial import open_serial
from harness.domain.errors import TransportLost

IDENTIFICATION = Identification("TWi", 19_200, "TWIN")
SNRM = encode(Frame(server_address(1), client_address(16), Kind.SNRM | FINAL))
DISC = encode(Frame(server_address(1), client_address(16), Kind.DISC | FINAL))


class Deaf:
    """A DLMS server's stand-in that answers nothing."""

    def handle(self, apdu: bytes, client_sap: int) -> tuple[bytes, ...]:
        return ()


def meter(*, sign_on: bool = False, power: Callable[[], tuple[int, bool]] = lambda: (0, True)) -> MeterPort:
    return MeterPort(HdlcServer(Deaf), SignOnMeter(IDENTIFICATION) if sign_on else None, power=power)


Plug = Callable[..., tuple[OpticalPort, SerialLine]]


@pytest.fixture
def plug(leaving_nothing: None) -> Iterator[Plug]:
    """A port with that meter behind it, and a probe on it at that rate."""
    with ExitStack() as held:

        def plug(behind: MeterPort, baud: int = 9_600, **how: float) -> tuple[OpticalPort, SerialLine]:
            port = OpticalPort(behind, **how)
            held.callback(port.close)
            line = open_serial({"port": port.path, "baud": baud})
            held.callback(line.close)
            return port, line

        yield plug


def heard(line: SerialLine, patience: float = 2.0) -> bytes:
    """What comes until it pauses; waits for the first of it."""
    said = b""
    while piece := line.read(4_096, 0.1 if said else patience):
        said += piece
    return said


def kinds(data: bytes) -> list[Kind | None]:
    return [frame.kind for frame in FrameDecoder().feed(data)]


def test_hdlc_is_heard_at_the_meters_rate_and_at_no_other(plug: Plug) -> None:
    _, line = plug(meter(), 19_200)
    line.write(SNRM)
    assert heard(line, 0.3) == b""
    line.set_baud(9_600)
    line.write(DISC)
    assert kinds(heard(line)) == [Kind.DM]  # it has not heard of a session
    line.write(SNRM)
    assert kinds(heard(line)) == [Kind.UA]


def test_a_sign_on_leads_to_hdlc_and_its_end_back_to_the_sign_on(plug: Plug) -> None:
    _, line = plug(meter(sign_on=True), 300)
    for _ in range(2):
        line.write(with_parity(request()))
        assert without_parity(heard(line)) == IDENTIFICATION.encode()
        choice = option(19_200, hdlc=True)
        line.write(with_parity(choice))
        assert without_parity(heard(line)) == choice
        line.set_baud(19_200)
        line.write(SNRM)
        assert kinds(heard(line)) == [Kind.UA]
        line.write(DISC)
        assert kinds(heard(line)) == [Kind.UA]
        line.set_baud(300)


def test_a_power_cut_sends_the_meter_back_to_the_sign_on(plug: Plug) -> None:
    supply = {"cuts": 0, "on": True}
    _, line = plug(meter(sign_on=True, power=lambda: (supply["cuts"], bool(supply["on"]))), 300)
    line.write(with_parity(request()))
    heard(line)
    line.write(with_parity(option(19_200, hdlc=True)))
    heard(line)
    supply.update(cuts=1, on=False)
    line.write(with_parity(request()))
    assert heard(line, 0.3) == b""
    supply.update(on=True)
    line.write(with_parity(request()))
    assert without_parity(heard(line)) == IDENTIFICATION.encode()


def test_a_probe_that_echoes_sends_back_what_it_is_told(plug: Plug) -> None:
    _, line = plug(meter(), echo=True)
    line.write(SNRM)
    said = heard(line)
    assert said.startswith(SNRM)
    assert kinds(said[len(SNRM) :]) == [Kind.UA]


def test_on_a_paced_line_every_byte_takes_its_time_and_the_answer_its_turnaround(plug: Plug) -> None:
    _, line = plug(meter(), turnaround=0.05)
    begun = last = time.monotonic()
    line.write(SNRM)
    answer = b""
    while piece := line.read(4_096, 0.5):
        answer, last = answer + piece, time.monotonic()
    assert last - begun >= line_time(len(SNRM) + len(answer), 9_600) + 0.05


def test_a_port_that_is_pulled_out_is_lost_to_who_reads_it(plug: Plug) -> None:
    port, line = plug(meter())
    port.close()
    port.close()
    with pytest.raises(TransportLost, match="could not receive"):
        line.read(1, 2.0)


def test_closing_does_not_wait_for_a_client_that_no_longer_reads(plug: Plug) -> None:
    port, line = plug(meter(), echo=True)
    for _ in range(5):
        line.write(bytes(1_000))  # all of it comes back: more than a pseudo terminal holds
    port.close()
