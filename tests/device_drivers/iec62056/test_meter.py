"""The meter's end of a sign-on, sans-IO: what it says to what it hears, and where it then stands."""

from __future__ import annotations

import pytest

from device_drivers.iec62056.messages import Identification, option, request
from device_drivers.iec62056.meter import Phase, SignOnMeter, Spoken
from device_drivers.iec62056.parity import with_parity
from device_drivers.iec62056.readout import block

EXAMPLE = Identification("EXA", 9600, "TWIN")
TEXT = b"1-0:1.8.0(000123.45*kWh)\r\n!\r\n"


def heard(meter: SignOnMeter, *messages: bytes, now: float = 0.0) -> list[Spoken]:
    return [spoken for message in messages for spoken in meter.feed(with_parity(message), now)]


@pytest.fixture
def meter() -> SignOnMeter:
    return SignOnMeter(EXAMPLE, lambda: TEXT, address="0042")


@pytest.mark.parametrize("called", ["", "0042"])
def test_a_meter_answers_when_it_or_whoever_is_there_is_called(meter, called) -> None:
    assert heard(meter, request(called)) == [Spoken(with_parity(EXAMPLE.encode()), 300)]
    assert meter.phase is Phase.IDENTIFIED
    assert meter.reaction == 0.2


@pytest.mark.parametrize("message", [request("0043"), b"/??!\r\n", option(9600, hdlc=True), b"\r\n"])
def test_an_idle_meter_answers_nothing_else(meter, message) -> None:
    assert heard(meter, message) == []
    assert meter.phase is Phase.IDLE


def test_mode_e_is_confirmed_at_300_baud_and_then_the_meter_is_hdlcs(meter) -> None:
    assert heard(meter, request(), option(4800, hdlc=True))[1:] == [Spoken(with_parity(b"\x06242\r\n"), 300)]
    assert (meter.phase, meter.baud) == (Phase.HDLC, 4800)
    meter.release()
    assert (meter.phase, meter.baud) == (Phase.IDLE, 300)


def test_mode_c_is_answered_with_the_data_at_the_rate_that_was_chosen(meter) -> None:
    assert heard(meter, request(), option(9600, hdlc=False))[1:] == [Spoken(block(TEXT), 9600)]
    assert (meter.phase, meter.baud) == (Phase.IDLE, 300)


@pytest.mark.parametrize(
    "choice", [option(19200, hdlc=True), b"\x06001\r\n", b"\x06\r\n"], ids=["too fast", "mode D", "nothing"]
)
def test_what_the_meter_does_not_offer_is_not_answered(meter, choice) -> None:
    assert heard(meter, request(), choice)[1:] == []
    assert meter.phase is Phase.IDLE


def test_a_meter_without_readout_or_hdlc_offers_neither() -> None:
    plain = SignOnMeter(Identification("EXA", 9600, "TWIN", hdlc=False))
    assert heard(plain, request(), option(9600, hdlc=True))[1:] == []
    assert heard(plain, request(), option(9600, hdlc=False))[1:] == []


def test_a_choice_that_comes_late_is_not_waited_for_any_more(meter) -> None:
    heard(meter, request(), now=100.0)
    assert heard(meter, option(9600, hdlc=True), now=103.1) == []
    assert meter.phase is Phase.IDLE
    heard(meter, request(), now=200.0)
    assert heard(meter, option(9600, hdlc=True), now=202.9) != []


def test_a_request_begins_anew_wherever_the_meter_stands(meter) -> None:
    assert len(heard(meter, request(), request(), option(9600, hdlc=True))) == 3
