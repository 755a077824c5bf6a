"""Signing on over a real pseudo terminal, with a meter at its other end."""

from __future__ import annotations

import socket
from dataclasses import replace

import pytest

from device_drivers.iec62056.messages import Identification, option, request
from device_drivers.iec62056.parity import with_parity
from device_drivers.iec62056.sign_on import pieces, signed_on
from device_drivers.transports.echo import EchoDropping
from device_drivers.transports.tcp import TcpTransport
from harness.domain.errors import ConfigurationError, LabFault, TransportLost
from harness.domain.lab import OpticalPort

pytestmark = pytest.mark.usefixtures("leaving_nothing")

SLOW = Identification("EXA", 9600, "TWIN")  # a capital third letter: 200 ms before each answer
QUICK = Identification("EXa", 9600, "TWIN")
MODE_E = OpticalPort(mode="mode-e", settle=0.01)
DIRECT = OpticalPort(mode="direct", settle=0.01)


def test_mode_e_ends_at_the_agreed_rate_with_what_follows_left_to_hdlc(
    line, cable, meter_end, real_pace
) -> None:
    meter = meter_end(QUICK)
    assert signed_on(line, MODE_E) == QUICK
    assert (line.baud, cable.baud) == (9600, 9600)
    line.write(b"\x7e\xa0\xff\x7e")
    assert meter.hears(b"\x7e\xa0\xff\x7e")  # eight bits, as they are


def test_until_then_both_speak_at_300_baud_in_seven_bits_with_even_parity(line, meter_end, real_pace) -> None:
    meter = meter_end(QUICK)
    signed_on(line, MODE_E)
    assert {each.baud for each in meter.passed} == {300}
    assert meter.heard == bytes.fromhex("af3f218d0a") + bytes.fromhex("06b235b28d0a")
    assert all(not byte.bit_count() & 1 for each in meter.passed for byte in each.data)


@pytest.mark.parametrize(
    ("wanted", "offered", "agreed"), [(300, 9600, 300), (19200, 9600, 9600), (9600, 19200, 9600)]
)
def test_the_lower_of_both_rates_is_agreed_to(
    line, cable, meter_end, wanted, offered, agreed, real_pace
) -> None:
    meter_end(replace(QUICK, baud=offered))
    signed_on(line, replace(MODE_E, baud=wanted))
    assert (line.baud, cable.baud) == (agreed, agreed)


@pytest.mark.parametrize(("meter_is", "reaction"), [(SLOW, 0.2), (QUICK, 0.02)])
def test_the_client_waits_the_reaction_time_that_the_meter_has(line, meter_end, meter_is, reaction) -> None:
    meter = meter_end(meter_is)
    signed_on(line, MODE_E)
    identified, choice = meter.passed[1], meter.passed[2]
    assert choice.data.startswith(b"\x06")
    assert choice.at - identified.at >= reaction


class Silent:
    """A line on which nothing comes; it keeps how long it was listened to."""

    name, baud = "silent", 300

    def __init__(self) -> None:
        self.patience: list[float] = []

    def read(self, at_most: int, timeout: float) -> bytes:
        self.patience.append(timeout)
        return b""


def test_an_answer_is_waited_for_from_when_the_question_has_left_the_line() -> None:
    """A probe's own buffer takes a message at once, and sends it at 30 characters a second."""
    line = Silent()
    assert list(pieces(line, 1.5, 64, sent=6)) == []
    assert line.patience == [pytest.approx(1.7)]


def test_a_meter_is_called_by_its_address(line, meter_end) -> None:
    meter = meter_end(QUICK, address="0042")
    signed_on(line, replace(MODE_E, address="0042"))
    assert meter.passed[0].data.startswith(with_parity(request("0042"))[:3])


def test_a_meter_that_is_not_meant_stays_silent(line, meter_end) -> None:
    meter_end(QUICK, address="0042")
    with pytest.raises(TransportLost, match="no identification: nothing came"):
        signed_on(line, replace(MODE_E, address="0043", answer=0.3))


def test_a_meter_that_was_left_in_the_middle_can_be_called_anew(line, meter_end) -> None:
    meter_end(QUICK)
    line.set_baud(300)
    line.write(with_parity(request()))
    assert line.read(1, 5)
    assert signed_on(line, MODE_E) == QUICK


def test_direct_hdlc_says_nothing_at_all(line, cable, meter_end) -> None:
    meter = meter_end(QUICK)
    assert signed_on(line, replace(DIRECT, baud=300)) is None
    assert (line.baud, cable.baud, meter.passed) == (300, 300, [])


def test_the_echo_of_the_probe_is_dropped(line, cable, meter_end, real_pace) -> None:
    meter_end(QUICK, echo=True)
    assert signed_on(EchoDropping(line), MODE_E) == QUICK
    assert cable.baud == 9600


def test_an_echo_that_the_lab_file_does_not_know_of_is_named(line, meter_end) -> None:
    meter_end(QUICK, echo=True)
    with pytest.raises(TransportLost, match=r"the probe echoes.*echo: true"):
        signed_on(line, MODE_E)


def test_an_echo_that_the_lab_file_only_believes_in_is_named(line, meter_end) -> None:
    meter_end(QUICK)
    with pytest.raises(TransportLost, match="the probe's echo is not what was sent"):
        signed_on(EchoDropping(line), MODE_E)


def test_a_meter_without_mode_e_is_not_what_the_lab_file_says(line, meter_end) -> None:
    meter_end(replace(QUICK, hdlc=False))
    with pytest.raises(LabFault, match=r"EXa 'TWIN' offers no HDLC.*mode-c or direct"):
        signed_on(line, MODE_E)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"mode": "mode-x"}, "no sign-on is called 'mode-x'"),
        ({"address": "no/slash"}, "an optical port's address 'no/slash'"),
        ({"baud": 57600}, "an optical port of 57600 baud"),
    ],
)
def test_what_no_optical_port_has_is_a_wrong_lab_file_and_nothing_is_sent(
    line, meter_end, changes, problem
) -> None:
    meter = meter_end(QUICK)
    with pytest.raises(ConfigurationError, match=problem):
        signed_on(line, replace(MODE_E, **changes))
    assert meter.passed == []


def test_a_socket_reaches_no_optical_port() -> None:
    ours, other = socket.socketpair()
    with ours, other, pytest.raises(ConfigurationError, match="reaches no optical port"):
        signed_on(TcpTransport(ours, "tcp"), MODE_E)


def test_a_choice_that_the_meter_did_not_confirm_is_told(line, meter_end) -> None:
    other = with_parity(option(300, hdlc=True))
    meter_end(QUICK, lambda said, number: other if number == 1 else said)
    with pytest.raises(TransportLost, match=r"no confirmation of mode E: b'\\x06202.*in place of b'\\x06252"):
        signed_on(line, replace(MODE_E, answer=0.5))
