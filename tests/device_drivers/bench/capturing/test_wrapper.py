"""What a DLMS line's streams say, told without scapy and without keys."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from device_drivers.bench.capturing.wrapper import read_wrapped
from device_drivers.dlms.blocks import GeneralBlock
from device_drivers.dlms.channel import wrap_frame
from harness.domain.heard import HeardStream
from tests.device_drivers.bench.capturing.conftest import ANSWER, ASK, CIPHERED_ANSWER, CIPHERED_ASK

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HUB, HEAD_END = "10.0.0.2:4059", "10.0.0.1:50000"


def stream(*pieces: bytes, back: bool = False, later: int = 0) -> HeardStream:
    """Bytes of the head end to the hub, or back, a second apart."""
    source, destination = (HUB, HEAD_END) if back else (HEAD_END, HUB)
    return HeardStream(
        source=source,
        destination=destination,
        pieces=tuple(
            (NOON + timedelta(seconds=later + number), piece) for number, piece in enumerate(pieces)
        ),
    )


def block(number: int, raw: bytes, *, last: bool = False) -> bytes:
    return GeneralBlock(last=last, streaming=False, window=1, number=number, acknowledged=0, raw=raw).encode()


@pytest.mark.parametrize(
    ("apdu", "kind", "ciphered"),
    [
        (ASK, "GetRequest 0-0:1.0.0 attribute 2 (class 8)", False),
        (CIPHERED_ASK, "ciphered GetRequest", True),
        (CIPHERED_ANSWER, "ciphered GetResponse", True),
        (b"\xd0" + CIPHERED_ASK[1:], "ciphered GetRequest", True),
        (b"\xdb\x08METER001" + CIPHERED_ASK[1:], "ciphered APDU", True),
        (b"\xdc\x08METER001\x12\x10" + bytes(17), "authenticated, not ciphered: APDU", False),
        (b"\xdd\x01a\x01b\x01c\x01d\x01e\x00" + CIPHERED_ASK[1:], "ciphered APDU", True),
        (b"\xdd\x01a\x01b\x01c\x01d\x01e\x01\x02\x03key\x03abc\x05\x31abcd", "ciphered APDU", True),
        (b"\xdb\x81\x82", "authenticated, not ciphered: APDU", False),
        (b"\x60\x00", "AARQ", False),
        (b"\xd8\x01\x02", "ExceptionResponse service-not-allowed service-not-supported", False),
    ],
)
def test_an_apdu_tells_its_kind_and_protection_from_outside(apdu: bytes, kind: str, ciphered: bool) -> None:
    (told,) = read_wrapped([stream(wrap_frame(16, 1, apdu))]).apdus
    assert (told.kind, told.ciphered) == (kind, ciphered)


def test_the_first_that_only_a_client_sends_tells_who_is_the_client() -> None:
    told = read_wrapped(
        [stream(wrap_frame(1, 16, ANSWER), later=1), stream(wrap_frame(16, 1, ASK), back=True)]
    ).apdus
    assert {(apdu.client_sap, apdu.server_sap) for apdu in told} == {(16, 1)}
    assert [apdu.source for apdu in told] == [HUB, HEAD_END]


def test_where_none_does_the_client_has_the_higher_port() -> None:
    told = read_wrapped(
        [stream(wrap_frame(16, 1, CIPHERED_ASK)), stream(wrap_frame(1, 16, CIPHERED_ANSWER), back=True)]
    )
    assert {(apdu.client_sap, apdu.server_sap) for apdu in told.apdus} == {(16, 1)}


def test_apdus_keep_their_order_in_a_stream_though_its_pieces_came_in_another() -> None:
    first, second = wrap_frame(16, 1, ASK), wrap_frame(16, 1, CIPHERED_ASK)
    late, early = NOON + timedelta(seconds=5), NOON
    told = read_wrapped(
        [HeardStream(source=HEAD_END, destination=HUB, pieces=((late, first), (early, second)))]
    )
    assert [(apdu.raw, apdu.timestamp) for apdu in told.apdus] == [(ASK, late), (CIPHERED_ASK, late)]


def test_the_blocks_of_a_ciphered_apdu_are_ciphered_and_an_empty_one_says_nothing() -> None:
    told = read_wrapped(
        [
            stream(
                wrap_frame(16, 1, block(1, CIPHERED_ASK[:8])),
                wrap_frame(16, 1, block(2, CIPHERED_ASK[8:], last=True)),
                wrap_frame(16, 1, block(3, ASK[:5])),
                wrap_frame(16, 1, block(4, ASK[5:], last=True)),
                wrap_frame(16, 1, block(5, b"", last=True)),
            )
        ]
    ).apdus
    assert [(apdu.kind, apdu.ciphered) for apdu in told] == [
        ("general block 1 of a ciphered APDU", True),
        ("general block 2 of a ciphered APDU", True),
        ("general block 3 of an unciphered APDU", False),
        ("general block 4 of an unciphered APDU", False),
        ("general block 5, empty", False),
    ]


def test_a_stream_that_was_heard_from_its_middle_comes_into_step_and_says_what_it_passed_over() -> None:
    heard = read_wrapped([stream(b"rest of a frame" + wrap_frame(16, 1, ASK) * 2)])
    assert [apdu.raw for apdu in heard.apdus] == [ASK, ASK]
    assert heard.unread == len(b"rest of a frame")


def test_a_stream_of_another_protocol_is_none_of_ours() -> None:
    heard = read_wrapped(
        [stream(b"GET / HTTP/1.1\r\n\r\n"), stream(b"\x00\x01"), stream(bytes(500), back=True)]
    )
    assert (heard.apdus, heard.unread) == ((), 0)


def test_how_a_hub_is_woken_is_not_known_here() -> None:
    assert read_wrapped([stream(wrap_frame(16, 1, ASK))]).wake_ups is None


def test_a_long_conversation_is_read_in_a_moment() -> None:
    frames = [wrap_frame(16, 1, ASK)] * 20_000
    assert len(read_wrapped([stream(*frames)]).apdus) == 20_000
