"""Frames of format type 3: their bytes, and how they are found again in a stream."""

from __future__ import annotations

from random import Random

import pytest

from device_drivers.dlms.hdlc.frame import (
    FINAL,
    LONGEST_FRAME,
    Frame,
    FrameDecoder,
    Kind,
    address_parts,
    client_address,
    encode,
    fcs,
    numbered,
    server_address,
)
from harness.domain.errors import ConfigurationError

CLIENT, SERVER = client_address(16), server_address(1)


def found(data: bytes) -> list[Frame]:
    return FrameDecoder().feed(data)


def test_the_check_sequence_is_that_of_the_standard() -> None:
    assert fcs(b"123456789") == bytes.fromhex("6e90")  # the catalogue's check value 0x906E, low byte first


def fcs_bit_by_bit(data: bytes) -> bytes:
    register = 0xFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (0x8408 if register & 1 else 0)
    return (register ^ 0xFFFF).to_bytes(2, "little")


def test_the_fast_check_sequence_is_the_plain_one() -> None:
    random = Random(1)
    for _ in range(300):
        data = random.randbytes(random.randrange(100))
        assert fcs(data) == fcs_bit_by_bit(data)


@pytest.mark.parametrize(
    ("published", "frame"),
    [
        ("7EA0070321930F017E", Frame(b"\x03", b"\x21", Kind.SNRM | FINAL)),
        (
            "7EA0210002002303939A74818012050180060180070400000001080400000001533B7E",
            Frame(
                server_address(1, 17, 4),
                client_address(1),
                Kind.SNRM | FINAL,
                bytes.fromhex("818012050180060180070400000001080400000001"),
            ),
        ),
    ],
)
def test_published_frames_are_read_and_written(published: str, frame: Frame) -> None:
    assert encode(frame).hex().upper() == published
    assert found(bytes.fromhex(published)) == [frame]


@pytest.mark.parametrize(
    ("upper", "lower", "size", "encoded"),
    [
        (1, None, 1, "03"),
        (127, None, 1, "ff"),
        (1, 17, 2, "0223"),
        (1, 17, 4, "00020023"),
        (0x3FFF, 0x3FFF, 4, "fefefeff"),
        (1, 200, None, "00020291"),
        (1, 17, None, "0223"),
    ],
)
def test_server_addresses_have_1_2_or_4_bytes(upper, lower, size, encoded) -> None:
    address = server_address(upper, lower, size)
    assert address.hex() == encoded
    assert address_parts(address) == (upper, lower)
    frame = Frame(address, CLIENT, Kind.UI, b"abc")
    assert found(encode(frame)) == [frame]
    back = Frame(CLIENT, address, Kind.DM | FINAL)
    assert found(encode(back)) == [back]


@pytest.mark.parametrize(
    "parts",
    [(1, None, 2), (1, None, 4), (1, 2, 1), (1, 2, 3), (128, None), (1, 128, 2), (0x4000, 1, 4), (-1,)],
)
def test_addresses_that_do_not_fit_are_a_matter_of_configuration(parts) -> None:
    with pytest.raises(ConfigurationError, match="address"):
        server_address(*parts)


def test_control_fields_say_kind_numbers_and_final_bit() -> None:
    frame = Frame(SERVER, CLIENT, numbered(Kind.I, 5, 3, final=True))
    assert (frame.kind, frame.received_number, frame.sent_number, frame.final) == (Kind.I, 5, 3, True)
    for kind in (Kind.RR, Kind.RNR, Kind.REJ):
        frame = Frame(SERVER, CLIENT, numbered(kind, 6))
        assert (frame.kind, frame.received_number, frame.final) == (kind, 6, False)
    for kind in (Kind.SNRM, Kind.DISC, Kind.UA, Kind.DM, Kind.FRMR, Kind.UI):
        assert Frame(SERVER, CLIENT, kind | FINAL).kind is kind
    assert Frame(SERVER, CLIENT, 0xEF).kind is None


def test_a_frame_longer_than_its_length_can_count_is_not_made() -> None:
    longest = Frame(SERVER, CLIENT, 0, bytes(LONGEST_FRAME - 9))
    assert found(encode(longest)) == [longest]
    with pytest.raises(ValueError, match="longest has 2047"):
        encode(Frame(SERVER, CLIENT, 0, bytes(LONGEST_FRAME - 8)))


# --- streams -------------------------------------------------------------------------------------------

STREAM = [
    Frame(CLIENT, SERVER, Kind.UA | FINAL),
    Frame(CLIENT, SERVER, 0x30, b"\x7e\xa0\x07\x7e\x7e", segmented=True),
    Frame(CLIENT, server_address(1, 300), 0x32, b"\x7e" * 100),
    Frame(CLIENT, SERVER, 0x11),
    Frame(CLIENT, SERVER, 0x34, b"x"),
]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100, 1000])
def test_frames_are_found_however_the_stream_is_cut(size: int) -> None:
    stream = b"".join(map(encode, STREAM))
    decoder, frames = FrameDecoder(), []
    for start in range(0, len(stream), size):
        frames += decoder.feed(stream[start : start + size])
    assert frames == STREAM
    assert decoder.damaged == 0


def test_the_flag_that_closes_a_frame_may_open_the_next() -> None:
    stream = b"\x7e" + b"".join(encode(frame)[1:] for frame in STREAM)
    assert found(stream) == STREAM


def test_flags_may_fill_the_time_between_frames() -> None:
    assert found(b"\x7e" * 9 + (b"\x7e" * 5).join(map(encode, STREAM)) + b"\x7e" * 20) == STREAM


def test_what_stands_before_a_frame_is_passed_over() -> None:
    for noise in (
        b"\x00\xff",
        b"\x7e\xa0",
        b"\x7e\xa0\x07\x03",
        b"~~~\xa7\xff\x03\x21\x93\x00\x00",
        b"/?!\r\n",
    ):
        assert found(noise + encode(STREAM[1]) + encode(STREAM[0])) == [STREAM[1], STREAM[0]]


def test_a_frame_with_one_wrong_bit_is_not_given_and_the_next_is() -> None:
    raw, after = encode(STREAM[1]), encode(STREAM[0])
    for at in range(1, len(raw) - 1):
        for bit in range(8):
            spoilt = bytearray(raw)
            spoilt[at] ^= 1 << bit
            assert found(bytes(spoilt) + after) == [STREAM[0]], (at, bit)


def test_a_length_is_not_believed_before_its_check() -> None:
    spoilt = bytearray(encode(STREAM[0]))
    spoilt[1:3] = b"\xa7\xff"  # would wait for two thousand bytes more
    assert found(bytes(spoilt) + encode(STREAM[3])) == [STREAM[3]]


def test_a_frame_that_stops_gives_way_when_it_is_abandoned() -> None:
    decoder = FrameDecoder()
    long = encode(Frame(CLIENT, SERVER, 0x30, bytes(1000)))
    assert decoder.feed(long[:200] + encode(STREAM[0])) == []
    assert decoder.within_frame
    assert decoder.abandon() == [STREAM[0]]
    assert not decoder.within_frame
    assert decoder.feed(encode(STREAM[3])) == [STREAM[3]]


def test_a_frame_cut_short_costs_no_more_than_itself() -> None:
    """What follows it is found as soon as as many bytes have come as it had announced."""
    first, second, third = encode(STREAM[2]), encode(STREAM[1]), encode(STREAM[4])
    for cut in range(1, len(first) - 1):
        assert found(first[:cut] + second + third * 10)[0] == STREAM[1], cut
    assert found(first[:-1] + second) == [STREAM[2], STREAM[1]]  # the next flag closes it


def test_any_bytes_at_all_leave_the_decoder_small_and_sound() -> None:
    random = Random(7)
    decoder = FrameDecoder()
    for _ in range(2_000):
        decoder.feed(
            random.choice((b"\x7e", b"\x7e\xa7", b"\xa0", b"")) + random.randbytes(random.randrange(200))
        )
        assert len(decoder._buffer) < LONGEST_FRAME + 10
    decoder.abandon()
    assert decoder.feed(encode(STREAM[0])) == [STREAM[0]]
