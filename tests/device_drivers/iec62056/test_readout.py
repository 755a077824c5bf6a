"""The data readout of mode C: over a pseudo terminal with a meter behind it, and its block by itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from device_drivers.iec62056.messages import Identification
from device_drivers.iec62056.parity import with_parity
from device_drivers.iec62056.readout import (
    LONGEST_BLOCK,
    LONGEST_NOISE,
    BlockReader,
    DataSet,
    block,
    data_sets,
    read_out,
)
from device_drivers.transports.echo import EchoDropping
from harness.domain.errors import ProtocolViolation, TransportLost
from harness.domain.lab import OpticalPort

pytestmark = pytest.mark.usefixtures("leaving_nothing")

QUICK = Identification("EXa", 9600, "TWIN", hdlc=False)
MODE_C = OpticalPort(mode="mode-c", settle=0.01)
TEXT = b"1-0:1.8.0*255(000123.45*kWh)\r\n0-0:96.1.0(E1)(E2)\r\n32.7.0(230.4*V)14.7.0(49.99*Hz)\r\n!\r\n"
TOLD = (
    DataSet("1-0:1.8.0*255", "000123.45", "kWh"),
    DataSet("0-0:96.1.0", "E1"),
    DataSet("0-0:96.1.0", "E2"),
    DataSet("32.7.0", "230.4", "V"),
    DataSet("14.7.0", "49.99", "Hz"),
)


# --- over a line ---------------------------------------------------------------------------------------


def test_the_data_come_at_the_agreed_rate_after_the_sign_on(line, cable, meter_end, real_pace) -> None:
    meter = meter_end(QUICK, readout=lambda: TEXT)
    readout = read_out(line, MODE_C)
    assert (readout.identification, readout.data_sets) == (QUICK, TOLD)
    assert cable.baud == 9600
    assert [each.baud for each in meter.passed if each.what == "heard"] == [300, 300]


def test_a_readout_can_follow_another(line, meter_end, real_pace) -> None:
    told = iter([TEXT, TEXT.replace(b"123.45", b"124.00")])
    meter_end(QUICK, readout=lambda: next(told))
    values = [read_out(line, MODE_C).value("1-0:1.8.0*255") for _ in range(2)]
    assert [one.value for one in values] == ["000123.45", "000124.00"]


def test_a_meter_that_offers_hdlc_too_is_read_in_mode_c_whatever_its_door_has(line, meter_end) -> None:
    meter = meter_end(replace(QUICK, hdlc=True), readout=lambda: TEXT)
    read_out(line, replace(MODE_C, mode="mode-e", baud=300))
    assert meter.heard.endswith(with_parity(b"\x06000\r\n"))


def test_a_probe_s_echo_is_no_data(line, meter_end) -> None:
    meter_end(QUICK, readout=lambda: TEXT, echo=True)
    assert read_out(EchoDropping(line), MODE_C).data_sets == TOLD


def test_noise_before_the_block_is_passed_over(line, meter_end) -> None:
    meter_end(QUICK, lambda said, number: b"\x00\xff" + said, readout=lambda: TEXT)
    assert read_out(line, MODE_C).data_sets == TOLD


@pytest.mark.parametrize(
    ("spoiled", "trouble"),
    [
        (lambda said: b"", "it never began"),
        (lambda said: said[:40], "it ended after 39 characters"),
        (lambda said: said[:-1], "it ended after"),
        (lambda said: b"\x55" * 20, "it never began, after 20 characters of noise"),
        (lambda said: said.replace(b"3", b"\xb3"), "3 characters of wrong parity, the first b3"),
        (
            lambda said: said.replace(with_parity(b"23.45"), with_parity(b"24.45")),
            "its check character is wrong",
        ),
    ],
    ids=["silence", "half", "all but the check", "noise", "parity", "two bits"],
)
def test_a_block_that_does_not_come_whole_is_a_lost_transport(line, meter_end, spoiled, trouble) -> None:
    meter_end(QUICK, lambda said, number: spoiled(said) if number == 1 else said, readout=lambda: TEXT)
    with pytest.raises(TransportLost, match=rf"serial .*: data readout: ({trouble}).*window"):
        read_out(line, replace(MODE_C, answer=0.5))


def test_a_block_that_came_whole_and_is_no_data_is_the_meters_fault(line, meter_end) -> None:
    meter_end(QUICK, readout=lambda: b"1.8.0\r\n!\r\n")
    with pytest.raises(ProtocolViolation, match=r"a data readout with the line '1\.8\.0'"):
        read_out(line, MODE_C)


# --- the block by itself -------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_a_block_is_put_together_however_it_is_cut(size) -> None:
    reader, stream = BlockReader(), b"\x7f" + block(TEXT)
    pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
    *before, whole = [reader.feed(piece) for piece in pieces]
    assert set(before) <= {None}
    assert whole == TEXT


def test_noise_is_not_listened_to_for_as_long_as_a_block_may_take() -> None:
    reader = BlockReader()
    assert reader.feed(b"\x55" * LONGEST_NOISE) is None
    with pytest.raises(ValueError, match=f"never began, after {LONGEST_NOISE + 1} characters of noise"):
        reader.feed(b"\x55")


def test_a_block_without_end_is_cut_off() -> None:
    reader = BlockReader()
    assert reader.feed(with_parity(b"\x02" + b"1" * LONGEST_BLOCK)) is None
    with pytest.raises(ValueError, match=f"more than {LONGEST_BLOCK} characters"):
        reader.feed(with_parity(b"1"))


def test_the_check_character_is_that_of_the_standard() -> None:
    """Exclusive or of all after STX, ETX included."""
    assert block(b"!\r\n") == with_parity(bytes((2, 0x21, 13, 10, 3, 0x21 ^ 13 ^ 10 ^ 3)))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"1.8.0(1)\r\n",
        b"1.8.0(1)\r\n!\r\n!",
        b"(1)\r\n!\r\n",
        b"1.8.0(1\r\n!\r\n",
        b"1.8.0(1)x\r\n!\r\n",
        b"1.8.0(1*k*Wh)\r\n!\r\n",
        b"1.8.0(\x07)\r\n!\r\n",
        b"\r\n!\r\n",
        b"1.8.0(" + b"1" * 129 + b")\r\n!\r\n",
        b"1.80" + b"(1)" * 100 + b"\r\n!\r\n",
    ],
)
def test_what_no_readout_says_is_the_meters_fault(text) -> None:
    with pytest.raises(ProtocolViolation, match="a data readout"):
        data_sets(text)


def test_an_empty_readout_has_no_data() -> None:
    assert data_sets(b"!\r\n") == ()
