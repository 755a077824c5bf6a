"""A line of memory between the two stations, and what can happen on a line."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from random import Random

import pytest

from device_drivers.dlms.hdlc.frame import (
    MODULUS,
    Frame,
    FrameDecoder,
    client_address,
    encode,
    server_address,
)
from device_drivers.dlms.hdlc.negotiation import both_ways
from device_drivers.dlms.hdlc.primary import Primary
from device_drivers.dlms.hdlc.server import HdlcServer

Mangle = Callable[[bytes], bytes]

KINDS = ("lose", "double", "spoil", "swap")
UNNUMBERED = 3
"""The low bits of the control fields of SNRM, UA and their like."""

MOST_TURNS = 2_000
"""More than the longest APDU takes there and back in the shortest frames: the stations run in circles."""
MOST_BYTES = 64 * 2047
"""More than any turn has that is not made of turns come twice, and twice again."""


class Reversing:
    """A DLMS server's stand-in: answers each APDU reversed, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []

    def handle(self, apdu: bytes, client_sap: int) -> tuple[bytes, ...]:
        self.asked.append(apdu)
        return (apdu[::-1],)


def unharmed(data: bytes) -> bytes:
    return data


@dataclass
class Line:
    """Primary and meter with a line between them on which time passes only in silence."""

    primary: Primary
    server: HdlcServer
    there: Mangle = unharmed
    back: Mangle = unharmed
    now: float = 0.0
    silences: int = 0
    turns: int = 0  # since the last command
    sent: list[bytes] = field(default_factory=list)
    received: list[bytes] = field(default_factory=list)

    def carry(self, out: bytes) -> None:
        """Everything that follows from sending ``out``, until nobody has more to say."""
        while out:
            self.turns += 1
            assert self.turns <= MOST_TURNS, f"no end after {MOST_TURNS} turns: {out.hex(' ')}"
            assert len(out) < MOST_BYTES, "the stations say more and more"
            self.sent.append(out)
            came = self.back(self.server.feed(self.there(out), self.now))
            self.received.append(came)
            out = self.primary.feed(came)

    def settle(self, until: Callable[[], object]) -> None:
        """Let the client's time-outs pass until it is so."""
        for _ in range(MOST_TURNS):
            if until():
                return
            if self.primary.awaiting:
                self.silences += 1
                self.now += 3.0
                self.carry(self.primary.timed_out())
            else:
                self.carry(self.primary.poll())
        raise AssertionError(f"still not so after {MOST_TURNS} time-outs and polls")

    def connect(self) -> None:
        self.turns = 0
        self.carry(self.primary.connect())
        self.settle(lambda: not self.primary.awaiting)

    def ask(self, apdu: bytes) -> bytes:
        self.turns = 0
        self.settle(lambda: not self.primary.awaiting)
        self.carry(self.primary.send(apdu))
        self.settle(lambda: self.primary.apdus)
        return self.primary.apdus.popleft()


class Damage:
    """Frames lost, doubled, corrupted or out of order, each with the probability ``share``.

    Out of order as far as numbers that count to eight can tell an old one from a new one: between two
    answers N(R) goes on by up to a ``window``, so that a frame which ``k`` later ones have overtaken is one
    of the past for certain where ``(k + 1) * window < 8``. With a window of 7 that leaves frames of one
    and the same answer, and unnumbered frames, which begin and end sessions, are never overtaken.
    """

    def __init__(self, seed: int, share: float, kinds: Iterable[str] = KINDS, window: int = 7):
        self.random = Random(seed)
        self.share = share
        self.kinds = tuple(kinds)
        self.most_late = min((MODULUS - 1) // window - 1, 2)
        self.held: list[tuple[int, bytes]] = []
        """Frames on their way, and how many more may overtake each."""

    def __call__(self, data: bytes) -> bytes:
        out: list[bytes] = []
        frames = FrameDecoder().feed(data)
        for frame in frames:
            self._pass(out, frame)
            if frame.final and not self.most_late:
                self._release(out)
        if not frames:  # silence: nothing else comes before them
            self._release(out)
        return b"".join(out)

    def _pass(self, out: list[bytes], frame: Frame) -> None:
        for kind in self.kinds:
            if self.random.random() < self.share:
                if kind == "swap":
                    return self._hold(out, frame)
                getattr(self, f"_{kind}")(out, encode(frame))
                return self._overtake(out)
        out.append(encode(frame))
        return self._overtake(out)

    def _hold(self, out: list[bytes], frame: Frame) -> None:
        """Later ones overtake it, of the next answer too where numbers allow for it."""
        if frame.control & 3 == UNNUMBERED or (frame.final and not self.most_late):
            out.append(encode(frame))
        else:
            self.held.append((self.random.randint(1, max(self.most_late, 1)), encode(frame)))

    def _overtake(self, out: list[bytes]) -> None:
        self.held = [(left - 1, frame) for left, frame in self.held]
        out += [frame for left, frame in self.held if left == 0]
        self.held = [(left, frame) for left, frame in self.held if left]

    def _release(self, out: list[bytes]) -> None:
        out += [frame for _, frame in self.held]
        self.held.clear()

    def _lose(self, out: list[bytes], frame: bytes) -> None:
        """Nothing of it arrives."""

    def _double(self, out: list[bytes], frame: bytes) -> None:
        out += [frame, frame]

    def _spoil(self, out: list[bytes], frame: bytes) -> None:
        spoilt = bytearray(frame)
        at = self.random.randrange(len(spoilt))
        match self.random.randrange(4):
            case 0:
                spoilt[at] ^= 1 << self.random.randrange(8)
            case 1:
                del spoilt[at:]
            case 2:
                del spoilt[at]
            case 3:
                spoilt[at:at] = self.random.randbytes(self.random.randrange(1, 20))
        out.append(bytes(spoilt))


@pytest.fixture
def line():
    """Makes a line; ``field`` and ``window`` are what both propose."""

    def make(field: int = 128, window: int = 1, *, attempts: int = 3, server=None, **mangles: Mangle) -> Line:
        primary = Primary(server_address(1), client_address(16), both_ways(field, window), attempts=attempts)
        return Line(primary, server or HdlcServer(Reversing), **mangles)

    return make


@pytest.fixture
def damage():
    return Damage
