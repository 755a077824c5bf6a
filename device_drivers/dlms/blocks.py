"""General block transfer (Green Book 9.3.5, 9.4.6.13): an APDU of any length in numbered blocks.

A block says how many blocks its sender can take before it hears an acknowledgement (its window) and up to
which number it has received all of the other end's. Sans-IO; the same for client and server. What the
standard leaves open, and peers do differently, is settled so:

- An empty block is an acknowledgement and nothing else. It takes a number of its sender's, and is not
  itself acknowledged; what number it takes is not checked.
- Blocks that come after a lost one are passed over. At the end of the window the acknowledgement names the
  last block before the gap, and a sender so told goes back to the block after it and streams on from
  there, so that the block which makes an APDU whole is the last that comes.
- The end of a window lost is silence, and ends as any silence does: our carriers lose nothing unnoticed.

>>> client, server = GeneralBlocks(longest=16, most=100), GeneralBlocks(longest=16, most=100, answers=True)
>>> (first,) = client.ask(b"a request too long")
>>> GeneralBlock.decode(first).raw
b'a request'
>>> (received,) = server.take(first).send
>>> (second,) = client.take(received).send
>>> server.take(second).whole
b'a request too long'
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import pack
from typing import Final, Self

from device_drivers.dlms.lengths import counted, encode_length
from device_drivers.dlms.reader import Reader
from harness.domain.errors import ProtocolViolation

GENERAL_BLOCK: Final = 0xE0
WIDEST_WINDOW: Final = 63
_HIGHEST_NUMBER: Final = 0xFFFF
_WINDOW_LOST: Final = WIDEST_WINDOW + 1
_PATIENCE: Final = 5 * _WINDOW_LOST  # blocks that bring nothing new, a window lost counting as many
_LAST, _STREAMING = 0x80, 0x40


@dataclass(frozen=True, slots=True)
class GeneralBlock:
    """One general-block-transfer APDU. ``streaming``: more follow without waiting for an answer.

    ``acknowledged`` is the highest number up to which all blocks of the other end have come.
    """

    last: bool
    streaming: bool
    window: int
    number: int
    acknowledged: int
    raw: bytes

    def encode(self) -> bytes:
        """Tag, block control, number, acknowledged number, counted octets."""
        control = self.last * _LAST | self.streaming * _STREAMING | self.window
        return pack(">BBHH", GENERAL_BLOCK, control, self.number, self.acknowledged) + counted(self.raw)

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """The inverse of :meth:`encode`."""
        reader = Reader(raw, "general block")
        reader.one_of(GENERAL_BLOCK)
        control, number, acknowledged = reader.number(1), reader.number(2), reader.number(2)
        content = reader.counted()
        reader.end()
        last, streaming = bool(control & _LAST), bool(control & _STREAMING)
        return cls(last, streaming, control & WIDEST_WINDOW, number, acknowledged, content)


@dataclass(frozen=True, slots=True)
class Step:
    """What a block that came leads to: APDUs to send, and the other end's APDU once it is ``whole``."""

    send: tuple[bytes, ...] = ()
    whole: bytes | None = None


class GeneralBlocks:
    """The transfers of one association, one exchange after the other.

    ``longest`` is the longest APDU that the other end can take, ``most`` how many bytes we take for one
    APDU, ``window`` how many blocks on end. The other end's window is 1 until it has named one.

    Life cycle of an exchange: the side that asks calls ``ask``, or ``begin`` where its request goes
    without blocks; the side that ``answers`` begins with the block of number 1. Blocks that cannot belong
    to the exchange are a :class:`ProtocolViolation`, and the exchange is over.
    """

    def __init__(
        self, *, longest: int, most: int, window: int = WIDEST_WINDOW, answers: bool = False
    ) -> None:
        if not 1 <= window <= WIDEST_WINDOW:
            raise ValueError(f"a window has 1 to {WIDEST_WINDOW} blocks, not {window}")
        self._longest = longest
        self._size = longest - 6 - len(encode_length(longest - 7))
        self._most = most
        self._window = window
        self._answers = answers
        self._peer_window = 1
        self.begin()

    def begin(self) -> None:
        """Forget what was under way."""
        self._number = 0  # the last number that we used
        self._pieces: tuple[bytes, ...] = ()
        self._before = 0  # the number before that of our first piece
        self._sent = 0  # the highest number of our pieces sent
        self._arrived = 0  # the highest number of our pieces acknowledged
        self._received = bytearray()
        self._up_to = 0  # all blocks of the other end up to this number have come
        self._idle = 0

    def fits(self, apdu: bytes) -> bool:
        """Whether an APDU can go as it is."""
        return len(apdu) <= self._longest

    # --- sending ---------------------------------------------------------------------------------------

    def ask(self, apdu: bytes) -> tuple[bytes, ...]:
        """Begin an exchange with a request in blocks: its first window."""
        self.begin()
        return self.send(apdu)

    def send(self, apdu: bytes) -> tuple[bytes, ...]:
        """The first window of an APDU in blocks, within the exchange under way.

        Raises :class:`ValueError` for more than block numbers can count: what goes to an end that takes
        64 bytes at a time may have 3 MiB.
        """
        if self._number + len(apdu) // self._size >= _HIGHEST_NUMBER:
            raise ValueError(f"{len(apdu)} bytes in blocks of {self._size}: their numbers end at 65,535")
        self._pieces = tuple(apdu[at : at + self._size] for at in range(0, len(apdu), self._size))
        self._before = self._sent = self._arrived = self._number
        return self._stream(self._number + 1)

    def _stream(self, first: int) -> tuple[bytes, ...]:
        """Our blocks from ``first`` on, as many as the other end takes on end."""
        final = self._before + len(self._pieces)
        end = min(first + self._peer_window - 1, final)
        self._sent = end
        self._number = max(self._number, end)
        return tuple(
            self._block(number == final, number != end, number, self._pieces[number - self._before - 1])
            for number in range(first, end + 1)
        )

    def _block(self, last: bool, streaming: bool, number: int, raw: bytes) -> bytes:
        return GeneralBlock(last, streaming, self._window, number, self._up_to, raw).encode()

    def _acknowledgement(self) -> tuple[bytes, ...]:
        if self._number == _HIGHEST_NUMBER:
            raise self._over("the numbers of blocks are used up")
        self._number += 1
        return (self._block(True, False, self._number, b""),)

    # --- receiving -------------------------------------------------------------------------------------

    def take(self, raw: bytes) -> Step:
        """What follows from a block of the other end."""
        block = GeneralBlock.decode(raw)
        self._peer_window = block.window or 1
        return self._take_data(block) if block.raw else self._take_acknowledgement(block)

    def _take_acknowledgement(self, block: GeneralBlock) -> Step:
        self._check_acknowledged(block)
        if self._received:  # asked how far we have come
            return self._window_end(self._up_to)
        self._up_to = block.number  # the other end's own blocks follow on from there
        final = self._before + len(self._pieces)
        acknowledged = max(block.acknowledged, self._before)
        if acknowledged > self._arrived:
            self._arrived, self._idle = acknowledged, 0
        else:
            self._nothing_new(f"block {acknowledged} is acknowledged", _WINDOW_LOST)
        return Step(self._stream(acknowledged + 1)) if acknowledged < final else Step()

    def _take_data(self, block: GeneralBlock) -> Step:
        if self._answers and block.number == 1:
            self.begin()
        if self._sent < self._before + len(self._pieces):
            raise self._over(f"block {block.number} comes before all of ours have gone")
        self._check_acknowledged(block)
        if not 0 < block.number <= self._up_to + self._window:
            raise self._over(f"block {block.number} came where {self._up_to + 1} was due")
        before = self._up_to
        if block.number == before + 1:
            self._append(block)
            if block.last:
                return Step(whole=self._assembled())
        else:
            self._nothing_new(f"block {block.number} comes where {before + 1} is due", 1)
        return Step() if block.streaming else self._window_end(before)

    def _check_acknowledged(self, block: GeneralBlock) -> None:
        if block.acknowledged > max(self._number, 1):  # some count a request without blocks as number 1
            raise self._over(f"block {block.acknowledged} acknowledged, {self._number} is the last sent")

    def _append(self, block: GeneralBlock) -> None:
        if len(self._received) + len(block.raw) > self._most:
            raise self._over(f"more than {self._most} bytes in blocks for one APDU")
        self._received += block.raw
        self._up_to = block.number
        self._idle = 0

    def _window_end(self, before: int) -> Step:
        if self._up_to == before:
            self._nothing_new(f"block {before + 1} does not arrive", _WINDOW_LOST)
        return Step(self._acknowledgement())

    def _assembled(self) -> bytes:
        whole = bytes(self._received)
        self._received.clear()
        return whole

    def _nothing_new(self, why: str, weight: int) -> None:
        self._idle += weight
        if self._idle > _PATIENCE:
            raise self._over(f"{why}, again and again")

    def _over(self, why: str) -> ProtocolViolation:
        self.begin()
        return ProtocolViolation(f"general block transfer: {why}")
