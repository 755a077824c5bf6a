"""Ten thousand byte streams into the DLMS decoders: a value or a ProtocolViolation, in bounded memory."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from collections.abc import Iterator
from random import Random

import pytest

from device_drivers.dlms import apdu, axdr, selection
from device_drivers.dlms.acse import (
    AssociationRequest,
    AssociationResponse,
    InitiateError,
    InitiateRequest,
    InitiateResponse,
    Release,
)
from device_drivers.dlms.blocks import GENERAL_BLOCK, GeneralBlock, GeneralBlocks
from device_drivers.dlms.ciphering import SEALED_TAGS, Keys, unwrap, wrap
from device_drivers.dlms.times import decode_date_time
from harness.domain.errors import ProtocolViolation

SEEDS = range(10)
STREAMS = 1_000
"""So many of each seed."""
HEADS = [bytes((tag, kind)) for tag in (0xC0, 0xC1, 0xC3, 0xC4, 0xC5, 0xC7) for kind in range(1, 8)]
BOMBS = [
    b"\x01\x84\xff\xff\xff\xff",  # an array of four thousand million
    b"\x09\x84\x7f\xff\xff\xff",
    b"\x04\x84\xff\xff\xff\xff",
    b"\x13" + b"\x01\xff\xff" * 30 + b"\x03",  # a compact array of arrays of arrays
    b"\x13" + b"\x02\x02" * 30 + b"\x11\x11",
    b"\x13\x02\x00\x05\x11\x11\x11\x11\x11",  # items that take no byte each, for five bytes
    b"\x13\x01\x00\x00\x11\x05\x11\x11\x11\x11\x11",
    b"\x01\x01" * 200,
    b"\x02\x7f" + b"\x00" * 127,
    b"\x01\x82\x03\xe8" + b"\x00" * 1_000,
]


@pytest.fixture
def valid(bench, conversation) -> list[bytes]:
    """APDUs, plain and ciphered, and what stands within them."""
    keys, (title, _) = Keys(*bench.keys), bench.titles
    sealed = [
        wrap(raw, keys.seal(title, 7, raw), title, general=general)
        for raw in conversation
        if raw[0] in (0xC0, 0xC1, 0xC3)
        for general in (True, False)
    ]
    blocks = [GeneralBlock(True, False, 5, 1, 1, raw).encode() for raw in conversation[:5]]
    initiates = [InitiateRequest(0x10, 400).encode(), InitiateResponse(0x10, 400).encode()]
    values = [axdr.encode(value) for value in (bench.row(3), *bench.meter.values.values())]
    return [*conversation, *sealed, *blocks, *initiates, *values * 9, *BOMBS]


@pytest.fixture
def decoders(bench):
    keys, (title, _) = Keys(*bench.keys), bench.titles

    def select(raw: bytes) -> object:
        return selection.from_wire(apdu.Selection(1 + len(raw) % 2, axdr.decode(raw)))

    return {
        "APDU": apdu.decode,
        "data": axdr.decode,
        "AARQ": AssociationRequest.decode,
        "AARE": AssociationResponse.decode,
        "release": Release.decode,
        "InitiateRequest": InitiateRequest.decode,
        "InitiateResponse": InitiateResponse.decode,
        "InitiateError": InitiateError.decode,
        "general block": GeneralBlock.decode,
        "ciphered": lambda raw: unwrap(raw, keys, title),
        "date-time": decode_date_time,
        "selection": select,
    }


def stream(random: Random, valid: list[bytes], damaged) -> bytes:
    match random.randrange(8):
        case 0:
            return random.randbytes(random.randrange(300))
        case 1:
            return random.choice(HEADS) + random.randbytes(random.randrange(60))
        case 2:
            return random.choice(HEADS) + b"\xc1\x00" + random.choice(BOMBS)
        case 3:
            return damaged(random, random.choice(BOMBS))
        case 4:
            return bytes((random.choice((*SEALED_TAGS, GENERAL_BLOCK)),)) + random.randbytes(40)
        case 5:
            return damaged(random, random.choice(valid) + random.choice(valid))
        case 6:
            return damaged(random, random.choice(valid))
    hardly = bytearray(random.choice(valid))  # one bit: it is likely to be a value still
    hardly[random.randrange(len(hardly))] ^= 1 << random.randrange(8)
    return bytes(hardly)


@pytest.fixture
def traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize("seed", SEEDS)
def test_any_bytes_are_a_value_or_a_violation(seed, valid, decoders, damaged, telling) -> None:
    """And take memory in proportion to themselves, whatever lengths and counts they announce."""
    random, taken = Random(seed), Counter()
    for number in range(STREAMS):
        raw = stream(random, valid, damaged)
        with telling(seed, number, raw):
            tracemalloc.reset_peak()
            before, _ = tracemalloc.get_traced_memory()
            for name in ("APDU", "data", random.choice(tuple(decoders))):
                taken[name] += is_taken(decoders[name], raw)
            _, most = tracemalloc.get_traced_memory()
            assert most - before < 32_768 + 300 * len(raw)
    assert min(taken["APDU"], taken["data"]) > 10  # the streams reach further than the first byte
    assert len(taken) == len(decoders)


def is_taken(decode, raw: bytes) -> bool:
    try:
        decode(raw)
    except ProtocolViolation:
        return False
    return True


@pytest.mark.parametrize("seed", SEEDS)
def test_any_blocks_at_all_lead_to_bounded_steps_or_a_violation(seed, telling) -> None:
    """The state machine of general block transfer, in the middle of an exchange and out of it."""
    random, whole, violations = Random(seed), 0, 0
    ends = [
        GeneralBlocks(longest=64, most=4_000, window=random.randint(1, 63), answers=a) for a in (False, True)
    ]
    for number in range(STREAMS):
        end = random.choice(ends)
        if random.random() < 0.1:
            (end.ask if end is ends[0] else end.send)(random.randbytes(random.randrange(1, 2_000)))
        near = end._up_to + random.choice((1, 1, 1, 0, 2, random.randrange(65_536)))
        raw = GeneralBlock(
            random.random() < 0.2,
            random.random() < 0.7,
            random.randrange(64),
            near % 65_536,
            random.choice((end._number, end._arrived, random.randrange(65_536))),
            random.randbytes(random.choice((0, 5, 50))),
        ).encode()
        with telling(seed, number, raw):
            try:
                step = end.take(raw)
            except ProtocolViolation:
                violations += 1
                continue
            assert len(step.send) <= 63
            assert len(step.whole or b"") <= 4_000
            assert len(end._received) <= 4_000
            whole += step.whole is not None
    assert whole
    assert violations
