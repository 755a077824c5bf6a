"""Whatever bytes come, the parsers of sign-on and readout end: with the declared error, in little memory."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from device_drivers.iec62056.messages import (
    BAUD_RATES,
    LONGEST_MESSAGE,
    Identification,
    MessageFinder,
    option,
    request,
)
from device_drivers.iec62056.meter import SignOnMeter
from device_drivers.iec62056.parity import with_parity
from device_drivers.iec62056.readout import LONGEST_BLOCK, BlockReader, block, data_sets
from harness.domain.errors import ProtocolViolation

STREAMS = 10_000
SEED = 62056
TEXT = b"1-0:1.8.0*255(000123.45*kWh)\r\n0-0:96.1.0(E1)\r\n32.7.0(230.4*V)14.7.0(49.99*Hz)\r\n!\r\n"
SEEDS = (
    with_parity(b"/LGz5\\2E650\r\n"),
    with_parity(request("0042") + option(9600, hdlc=True)),
    with_parity(request() + option(9600, hdlc=False)),
    block(TEXT),
)


def streams(count: int, seeds: tuple[bytes, ...] = SEEDS) -> Iterator[bytes]:
    """Random bytes, and what is said on such a line with a few bytes changed, lost, doubled or moved."""
    chance = random.Random(SEED)
    for number in range(count):
        if number % 4 == 0:
            yield chance.randbytes(chance.randrange(600))
        else:
            yield mutated(chance, b"".join(chance.choices(seeds, k=chance.randrange(1, 4))))


def mutated(chance: random.Random, said: bytes) -> bytes:
    stream = bytearray(said)
    for _ in range(chance.choice((0, 1, 1, 2, 4, 8))):
        at, other = chance.randrange(len(stream)), chance.randrange(len(stream))
        match chance.randrange(5):
            case 0:
                stream[at] ^= 1 << chance.randrange(8)
            case 1:
                del stream[at : at + chance.randrange(4)]
            case 2:
                stream[at:at] = stream[other : other + chance.randrange(20)]
            case 3:
                stream[at] = with_parity(bytes((chance.randrange(128),)))[0]
            case 4:
                del stream[max(at, 1) :]
        if not stream:
            break
    return bytes(stream)


def pieces(chance: random.Random, stream: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(stream):
        size = chance.choice((1, 3, 40, 1000))
        yield stream[at : at + size]
        at += size


def sign_on(stream: bytes, chance: random.Random) -> None:
    finder = MessageFinder(b"/\x06")
    for piece in pieces(chance, stream):
        for message in finder.feed(piece):
            assert len(message) <= LONGEST_MESSAGE
            with suppress(ProtocolViolation):
                found = Identification.parse(message)
                assert found.baud
                assert found.reaction
        assert len(finder.trouble) < 4 * LONGEST_MESSAGE
        assert len(finder._buffer) <= LONGEST_MESSAGE


def readout(stream: bytes, chance: random.Random) -> None:
    reader = BlockReader()
    for piece in pieces(chance, stream):
        assert reader.state
        try:
            text = reader.feed(piece)
        except ValueError:
            return
        assert len(reader._buffer) <= LONGEST_BLOCK + len(piece)
        if text is not None:
            texts(text, chance)
            return


def texts(text: bytes, _chance: random.Random) -> None:
    with suppress(ProtocolViolation):
        for one in data_sets(text):
            assert len(str(one)) < 200


def meter(stream: bytes, chance: random.Random) -> None:
    twin = SignOnMeter(Identification("EXa", 9600, "TWIN"), lambda: TEXT)
    for now, piece in enumerate(pieces(chance, stream)):
        for spoken in twin.feed(piece, float(now)):
            assert spoken.data[:1] in with_parity(b"/\x06\x02")
            assert spoken.baud in BAUD_RATES


@pytest.mark.parametrize(
    ("parser", "seeds"), [(sign_on, SEEDS), (readout, SEEDS), (meter, SEEDS), (texts, (TEXT,))]
)
def test_ten_thousand_streams_end_with_the_declared_error_and_bounded_memory(
    parser: Callable[[bytes, random.Random], None], seeds: tuple[bytes, ...]
) -> None:
    chance = random.Random(SEED)
    for stream in streams(STREAMS, seeds):
        parser(stream, chance)


def test_the_streams_are_of_every_kind() -> None:
    """So that the test above is one of more than noise: whole messages, blocks and texts come through too."""
    count = dict.fromkeys(("message", "block", "torn block", "text"), 0)
    for stream in streams(1_000):
        count["message"] += bool(MessageFinder(b"/\x06").feed(stream))
        try:
            count["block"] += BlockReader().feed(stream) is not None
        except ValueError:
            count["torn block"] += 1
    for text in streams(1_000, (TEXT,)):
        with suppress(ProtocolViolation):
            count["text"] += bool(data_sets(text))
    assert min(count.values()) > 50, count


def test_a_million_characters_without_an_end_are_not_kept() -> None:
    finder = MessageFinder(b"/")
    assert finder.feed(with_parity(b"/" + b"x" * 1_000_000)) == []
    assert len(finder._buffer) <= LONGEST_MESSAGE
    assert len(finder.trouble) < 4 * LONGEST_MESSAGE
