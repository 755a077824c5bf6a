"""What both stations do with I frames: cut, number, repeat, acknowledge, join (IEC 62056-46 6.4.4.3).

Numbers count to eight, so an old frame is known as old only where it is not too old: between two answers
N(R) goes on by as many as the window, and a frame that ``k`` later answers have overtaken is told from a new
one where ``(k + 1) * window < 8``. A serial line overtakes nothing; a time-out too early makes ``k`` 1 or 2.
With a window of 7 no number is left over, and a line that overtakes needs a smaller one.
"""

from __future__ import annotations

from collections import deque

from device_drivers.dlms.channel import LONGEST_APDU
from device_drivers.dlms.hdlc.frame import MODULUS, Frame, Kind, encode, numbered
from harness.domain.errors import ProtocolViolation

LLC_COMMAND, LLC_RESPONSE = b"\xe6\xe6\x00", b"\xe6\xe7\x00"
"""What stands before an APDU to the meter, and from it (6.3.2)."""
LONGEST_UNIT = len(LLC_COMMAND) + LONGEST_APDU
_TURNS_BACK = 2  # by so many answers may a frame be late and still be no offence


class TooLong(ProtocolViolation):
    """More came in segments than an APDU can have."""


class NeverSent(ProtocolViolation):
    """A frame acknowledges what was never sent."""


class Outgoing:
    """Segments until they are acknowledged: what goes out next, and again after a loss."""

    def __init__(self, field: int, window: int) -> None:
        self._field = field
        self._window = window
        self._segments: deque[tuple[bytes, bool]] = deque()
        self._first = 0  # V(A), the number of the first segment
        self._sent = 0  # segments sent since the last look back
        self._reach = 0  # segments ever sent

    def __len__(self) -> int:
        """Segments that are not acknowledged."""
        return len(self._segments)

    @property
    def unsent(self) -> int:
        """Segments that never went out."""
        return len(self._segments) - self._reach

    @property
    def next_number(self) -> int:
        """V(S), as far as anything was ever sent."""
        return (self._first + self._reach) % MODULUS

    def put(self, unit: bytes) -> None:
        """One APDU behind its LLC header, in as many segments as it needs."""
        size = self._field
        self._segments += (
            (unit[start : start + size], start + size < len(unit)) for start in range(0, len(unit), size)
        )

    def acknowledge(self, received: int) -> bool:
        """What the peer has, by its N(R); ``False`` where the number is one of the past: a late frame.

        Raises :class:`NeverSent`.
        """
        count = (received - self._first) % MODULUS
        if count > self._reach:
            if (self._first - received) % MODULUS <= _TURNS_BACK * self._window:
                return False
            raise NeverSent(
                f"HDLC: frames before {received} are acknowledged; of those from {self._first} on "
                f"{self._reach} were sent"
            )
        for _ in range(count):
            self._segments.popleft()
        self._first = received
        self._reach -= count
        self._sent = max(self._sent - count, 0)
        return True

    def look_back(self) -> None:
        """The peer has told what it has: what is not acknowledged goes again."""
        self._sent = 0

    def batch(self, destination: bytes, source: bytes, received: int) -> bytes:
        """The frames that the window has room for, the last of them with the poll or final bit."""
        last = min(len(self._segments), self._window)
        frames = bytearray()
        for index in range(self._sent, last):
            information, segmented = self._segments[index]
            number = (self._first + index) % MODULUS
            control = numbered(Kind.I, received, number, final=index == last - 1)
            frame = encode(Frame(destination, source, control, information, segmented))
            frames += frame[1:] if frames else frame  # neighbours share a flag (6.4.2.2)
        self._sent = last
        self._reach = max(self._reach, last)
        return bytes(frames)


class Incoming:
    """I frames in their order, put together to APDUs."""

    def __init__(self, llc: bytes) -> None:
        self.expected = 0
        """V(R): the number of the frame that is due."""
        self._llc = llc
        self._unit = bytearray()

    @property
    def within_apdu(self) -> bool:
        return bool(self._unit)

    def is_due(self, frame: Frame) -> bool:
        return frame.sent_number == self.expected

    def take(self, frame: Frame) -> bytes | None:
        """The APDU that the due frame completes, if it does.

        Raises :class:`TooLong`, and :class:`ProtocolViolation` where no LLC header stands before it.
        """
        self.expected = (self.expected + 1) % MODULUS
        self._unit += frame.information
        if len(self._unit) > LONGEST_UNIT:
            self._unit.clear()
            raise TooLong(f"HDLC: more than {LONGEST_UNIT} bytes in segments")
        if frame.segmented:
            return None
        unit = bytes(self._unit)
        self._unit.clear()
        if unit[:3] != self._llc:
            raise ProtocolViolation(f"HDLC: LLC header {unit[:3].hex()}, expected {self._llc.hex()}")
        return unit[3:]
