"""What a captured line carries, between the reader of capture files and who knows what was said there."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from itertools import accumulate
from typing import Self

from harness.domain.instruments import CapturedApdu


@dataclass(frozen=True, slots=True, kw_only=True)
class HeardStream:
    """Bytes that went one way over a TCP connection without a gap, or one UDP datagram.

    Where the capture missed something a stream ends, and the next one begins.

    >>> noon, one = datetime(2026, 3, 2, 12), datetime(2026, 3, 2, 13)
    >>> stream = HeardStream(source="a:1", destination="b:2", pieces=((noon, b"abc"), (one, b"de")))
    >>> stream.data, stream.when(2) == noon, stream.when(3) == one
    (b'abcde', True, True)
    """

    source: str
    destination: str
    pieces: tuple[tuple[datetime, bytes], ...] = field(repr=False)

    @property
    def data(self) -> bytes:
        """All of it."""
        return b"".join(piece for _, piece in self.pieces)

    def when(self, offset: int) -> datetime:
        """When the byte at that place was heard."""
        ends = accumulate(len(piece) for _, piece in self.pieces)
        return next(
            (at for (at, _), end in zip(self.pieces, ends, strict=True) if offset < end), self.pieces[-1][0]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What a line's streams come to.

    ``unread`` counts bytes among the APDUs' own that could not be read: cut off or out of step. ``wake_ups``
    is ``None`` where whoever reads the line does not know how a wake-up shows on it.
    """

    apdus: tuple[CapturedApdu, ...] = ()
    wake_ups: tuple[datetime, ...] | None = None
    unread: int = 0

    def in_order(self) -> Self:
        """The same, oldest first."""
        apdus = tuple(sorted(self.apdus, key=lambda apdu: apdu.timestamp))
        wake_ups = None if self.wake_ups is None else tuple(sorted(self.wake_ups))
        return type(self)(apdus=apdus, wake_ups=wake_ups, unread=self.unread)
