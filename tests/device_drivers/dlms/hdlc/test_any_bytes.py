"""Ten thousand byte streams into decoder, client's station and meter: no error but those declared."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from random import Random

import pytest

from device_drivers.dlms.hdlc.frame import (
    FINAL,
    LONGEST_FRAME,
    Frame,
    FrameDecoder,
    Kind,
    client_address,
    encode,
    numbered,
    server_address,
)
from device_drivers.dlms.hdlc.negotiation import both_ways
from device_drivers.dlms.hdlc.numbering import LLC_COMMAND, LLC_RESPONSE, LONGEST_UNIT
from device_drivers.dlms.hdlc.primary import Primary, State
from device_drivers.dlms.hdlc.server import MOST_SESSIONS, HdlcServer
from harness.domain.errors import AccessRefused, ProtocolViolation, TransportLost

SEEDS = range(10)
STREAMS = 1_000
"""So many of each seed."""
CLIENT, SERVER = client_address(16), server_address(1)
MOST_TURN = 7 * (LONGEST_FRAME + 2)
"""What a station says at most to one frame, in bytes."""
ADDRESSES = [CLIENT, SERVER, client_address(1), server_address(1, 17), server_address(1, 17, 4)]
CONTROLS = [kind | final for kind in Kind for final in (0, FINAL)]

Damaged = Callable[[Random, bytes], bytes]


@pytest.fixture
def turns(line) -> list[bytes]:
    """What both stations said in a conversation of many frames."""
    on = line(128, 7)
    on.connect()
    on.ask(bytes(range(256)) * 4)
    on.ask(b"short")
    on.carry(on.primary.poll())
    on.carry(on.primary.disconnect())
    return on.sent + on.received


def any_frame(random: Random, destination: bytes, source: bytes) -> bytes:
    """A frame with the right checks, and the rest as it falls out."""
    llc = LLC_COMMAND if destination == SERVER else LLC_RESPONSE
    match random.randrange(8):
        case 0:  # what is due at the beginning of a session
            return encode(Frame(destination, source, numbered(Kind.I, 0, 0, final=True), llc + b"abc"))
        case 1:
            return encode(Frame(destination, source, random.choice(CONTROLS)))
        case 2:
            return encode(Frame(destination, source, random.randrange(256), random.randbytes(20)))
        case 3:
            destination, source = random.choice(ADDRESSES), random.choice(ADDRESSES)
    kind = random.choice((Kind.I, Kind.I, Kind.I, Kind.RR, Kind.RNR, Kind.REJ))
    received, sent = (random.choice((0, 0, 1, random.randrange(8))) for _ in range(2))
    control = numbered(kind, received, sent if kind is Kind.I else 0, final=random.random() < 0.6)
    information = b"" if kind is not Kind.I else random.choice((b"", llc, llc + b"abc", LLC_COMMAND))
    if random.random() < 0.3:
        information += random.randbytes(random.choice((1, 20, 120, 130, 2_000)))
    return encode(Frame(destination, source, control, information, random.random() < 0.3))


def stream(random: Random, turns: list[bytes], damaged: Damaged, to: tuple[bytes, bytes]) -> bytes:
    match random.randrange(6):
        case 0:
            return random.randbytes(random.randrange(300))
        case 1:
            return b"\x7e" + bytes((0xA0 | random.randrange(8),)) + random.randbytes(random.randrange(100))
        case 2:
            return damaged(random, random.choice(turns))
        case 3:
            return random.choice(turns) + damaged(random, random.choice(turns)) + random.choice(turns)
        case 4:
            return damaged(random, any_frame(random, *to))
    return b"".join(any_frame(random, *to) for _ in range(random.randint(1, 5)))


def pieces(random: Random, raw: bytes) -> Iterator[bytes]:
    size = random.choice((1, 7, 50, 50, 5_000, 5_000))
    for start in range(0, len(raw), size):
        yield raw[start : start + size]


@pytest.mark.parametrize("seed", SEEDS)
def test_the_decoder_gives_frames_that_were_there_and_keeps_no_more_than_one(
    seed, turns, damaged, telling
) -> None:
    random, decoder, found = Random(seed), FrameDecoder(), 0
    before = b""
    for number in range(STREAMS):
        raw = stream(random, turns, damaged, (SERVER, CLIENT))
        with telling(seed, number, raw):
            for piece in pieces(random, raw):
                for frame in decoder.feed(piece):
                    found += 1
                    assert encode(frame)[1:-1] in before + raw
                assert len(decoder._buffer) <= LONGEST_FRAME + 2
        before = (before + raw)[-2 * LONGEST_FRAME :]
        if random.random() < 0.3:
            decoder.abandon()
            assert not decoder._buffer
    assert found > STREAMS / 2


def primary_in(state: State, random: Random) -> Primary:
    size = both_ways(random.choice((128, 2_030)), random.choice((1, 3, 7)))
    primary = Primary(SERVER, CLIENT, size, attempts=3)
    if state is State.DISCONNECTED:
        return primary
    primary.connect()
    if state is State.CONNECTING:
        return primary
    primary.feed(encode(Frame(CLIENT, SERVER, Kind.UA | FINAL)))
    if random.random() < 0.7:
        primary.send(random.randbytes(random.choice((0, 100, 2_000))))
    if state is State.DISCONNECTING:
        primary.disconnect()
    return primary


@pytest.mark.parametrize("seed", SEEDS)
def test_any_bytes_to_the_client_are_an_answer_or_a_declared_error(seed, turns, damaged, telling) -> None:
    random, ends = Random(seed), Counter()
    for number in range(STREAMS):
        state = random.choice((*State, State.CONNECTED, State.CONNECTED, State.CONNECTED))
        primary = primary_in(state, random)
        raw = stream(random, turns, damaged, (CLIENT, SERVER))
        with telling(seed, number, raw):
            ends[state, told(primary, random, raw)] += 1
        kept = sum(map(len, primary.apdus)) + len(primary._incoming._unit) + len(primary._decoder._buffer)
        assert kept <= len(raw) + LONGEST_FRAME
    assert {end for state, end in ends if state is State.CONNECTED} == {"", "lost", "violation"}
    assert {end for state, end in ends if state is State.DISCONNECTED} == {""}


def told(primary: Primary, random: Random, raw: bytes) -> str:
    """How it ends; what the station says stays within its window."""
    try:
        for piece in pieces(random, raw):
            heard = primary.heard
            said = primary.feed(piece)
            assert len(said) <= MOST_TURN * (primary.heard - heard)
        for _ in range(random.choice((0, 0, 1, 4))):
            if primary.awaiting:
                assert len(primary.timed_out()) <= MOST_TURN
    except AccessRefused:
        assert primary.state is State.CONNECTING
        return "refused"
    except TransportLost:
        return "lost"
    except ProtocolViolation:
        return "violation"
    return ""


def echo(apdu: bytes, client_sap: int) -> tuple[bytes, ...]:
    return (apdu,)


@pytest.fixture
def server() -> HdlcServer:
    return HdlcServer(lambda: type("Echo", (), {"handle": staticmethod(echo)}), 1, 17)


@pytest.mark.parametrize(("seed", "in_session"), [(seed, seed % 2 == 0) for seed in SEEDS])
def test_a_meter_answers_any_bytes_and_the_next_client(
    seed, in_session, server, turns, damaged, telling
) -> None:
    random, now, answers = Random(seed), 0.0, Counter()
    hello = Primary(SERVER, CLIENT, both_ways(2_030, 7)).connect()
    for number in range(STREAMS):
        now += random.choice((0.0, 0.1, 1.0))
        if in_session:
            server.feed(hello, now)
        raw = stream(random, turns, damaged, (SERVER, CLIENT))
        with telling(seed, number, raw):
            for piece in pieces(random, raw):
                answer = server.feed(piece, now)
                answers.update(frame.kind for frame in FrameDecoder().feed(answer))
                assert len(answer) <= MOST_TURN * (1 + len(piece) // 9)
            assert len(server._sessions) <= MOST_SESSIONS
            assert len(server._decoder._buffer) <= LONGEST_FRAME + 2
            for session in server._sessions.values():
                assert len(session.station._incoming._unit) <= LONGEST_UNIT
                assert len(session.station._outgoing) <= LONGEST_UNIT // 128
    assert {Kind.UA, Kind.DM, Kind.RR, Kind.FRMR} <= set(answers)
    assert Kind.I in answers or not in_session
    assert_served(server, now + 1_000)


def test_a_meter_that_is_asked_and_never_heard_keeps_no_more_than_its_bounds(server) -> None:
    """By clients who are never ready for its answers: 600 kB to each of them."""
    tracemalloc.start()
    try:
        for address in map(client_address, range(1, MOST_SESSIONS + 1)):
            client = Primary(SERVER, address, both_ways(2_030, 7))
            client.feed(server.feed(client.connect(), 0))
            for number in range(300):
                ask = Frame(SERVER, address, numbered(Kind.I, 0, number % 8), LLC_COMMAND + bytes(2_000))
                not_ready = Frame(SERVER, address, numbered(Kind.RNR, 0, final=True))
                server.feed(encode(ask) + encode(not_ready), 0)
        assert tracemalloc.get_traced_memory()[1] < MOST_SESSIONS * 6 * LONGEST_UNIT
    finally:
        tracemalloc.stop()


def assert_served(server: HdlcServer, now: float) -> None:
    """A client that comes after all that is served as if nothing had been."""
    client = Primary(SERVER, CLIENT, both_ways(128, 3))
    out = client.connect()
    while out:
        out = client.feed(server.feed(out, now))
    out = client.send(bytes(1_000))
    while out:
        out = client.feed(server.feed(out, now))
    assert list(client.apdus) == [bytes(1_000)]
