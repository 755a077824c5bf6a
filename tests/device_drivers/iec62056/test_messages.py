"""The messages of a sign-on, and how they are found among other bytes."""

from __future__ import annotations

import pytest

from device_drivers.iec62056.messages import (
    BAUD_RATES,
    LONGEST_MESSAGE,
    Identification,
    MessageFinder,
    option,
    request,
)
from device_drivers.iec62056.parity import with_parity, without_parity, wrong_parity
from harness.domain.errors import ConfigurationError, ProtocolViolation

IDENTIFICATION = b"/LGz5\\2E650\r\n"


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (b"/LGZ5E650\r\n", Identification("LGZ", 9600, "E650", hdlc=False)),
        (b"/LGz6\\2\r\n", Identification("LGz", 19200, "")),
        (b"/ABC0\\1\\2x y\r\n", Identification("ABC", 300, "x y")),
        (b"/ABC0\\1x\r\n", Identification("ABC", 300, "x", hdlc=False)),
    ],
)
def test_a_meter_says_who_it_is_and_what_it_offers(message, told) -> None:
    assert Identification.parse(message) == told


@pytest.mark.parametrize("digit", range(len(BAUD_RATES)))
def test_every_rate_has_its_digit(digit) -> None:
    identification = Identification("EXa", BAUD_RATES[digit], "TWIN")
    assert identification.encode() == f"/EXa{digit}\\2TWIN\r\n".encode()
    assert Identification.parse(identification.encode()) == identification


@pytest.mark.parametrize(
    "message",
    [
        b"/EXAATWIN\r\n",
        b"/EXA TWIN\r\n",
        b"/EX15TWIN\r\n",
        b"/EXA7TWIN\r\n",
        b"EXA5TWIN\r\n",
        b"/EXA5T\x01\r\n",
    ],
    ids=["mode B", "mode A", "no letters", "no rate", "no slash", "unprintable"],
)
def test_what_no_meter_of_mode_c_or_e_says_is_no_identification(message) -> None:
    with pytest.raises(ProtocolViolation, match="is no identification"):
        Identification.parse(message)


def test_a_choice_names_protocol_rate_and_mode() -> None:
    assert option(9600, hdlc=True) == b"\x06252\r\n"
    assert option(300, hdlc=False) == b"\x06000\r\n"
    with pytest.raises(ConfigurationError, match="115200 baud"):
        option(115200, hdlc=True)


def test_an_address_is_up_to_32_letters_digits_and_spaces() -> None:
    assert request("A 7" * 10) == b"/?" + b"A 7" * 10 + b"!\r\n"
    for wrong in ("x" * 33, "a!", "é", "a\r\n"):
        with pytest.raises(ConfigurationError, match="an optical port's address"):
            request(wrong)


def test_parity_is_even_and_comes_off_again() -> None:
    every = bytes(range(128))
    assert all(byte.bit_count() % 2 == 0 for byte in with_parity(every))
    assert without_parity(with_parity(every)) == every
    assert wrong_parity(with_parity(every)) == b""
    assert wrong_parity(bytes(byte ^ 0x80 for byte in with_parity(every))) != b""


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_a_message_is_found_however_it_is_cut(size) -> None:
    finder = MessageFinder(b"/")
    stream = b"\x00\xffnoise" + with_parity(IDENTIFICATION) + b"\x55" + with_parity(IDENTIFICATION)
    pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
    assert [message for piece in pieces for message in finder.feed(piece)] == [IDENTIFICATION] * 2


@pytest.mark.parametrize(
    ("received", "trouble"),
    [
        (b"", ""),
        (with_parity(IDENTIFICATION)[:5], "no whole message in af cc 47 fa 35"),
        (with_parity(b"EXa\r\n"), "no beginning of a message in c5 d8 e1 8d 0a"),
        (IDENTIFICATION, "characters of wrong parity in 2f 4c"),
        (with_parity(IDENTIFICATION).replace(b"\x47", b"\xc7"), "characters of wrong parity in af cc c7"),
        (with_parity(b"/" + b"x" * LONGEST_MESSAGE + b"\r\n"), f"a message of {LONGEST_MESSAGE + 3} bytes"),
    ],
    ids=["nothing", "half", "headless", "no parity", "one bit", "too long"],
)
def test_what_is_no_message_says_why(received, trouble) -> None:
    finder = MessageFinder(b"/")
    assert finder.feed(received) == []
    assert finder.trouble.startswith(trouble)
    assert bool(finder.trouble) == bool(trouble)
