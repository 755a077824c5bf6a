"""TCP put together again: segments in any order, repeated or lost, become streams without gaps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from harness.domain.heard import HeardStream

_NUMBERS: Final = 1 << 32  # sequence numbers are counted modulo
_HALF: Final = 1 << 31


@dataclass(frozen=True, slots=True)
class Segment:
    """One TCP segment as it was heard. ``sequence`` is that of its first byte; ``opens``: it has a SYN."""

    timestamp: datetime
    source: str
    destination: str
    sequence: int
    opens: bool
    data: bytes = field(repr=False)


def put_together(segments: Iterable[Segment]) -> tuple[HeardStream, ...]:
    """The streams of those segments, each direction of a connection by itself.

    A byte counts once, as it was heard first, however often it was sent. A connection whose opening was not
    heard begins with the first byte that was.
    """
    ways: dict[tuple[str, str], list[_Way]] = {}
    for segment in segments:
        known = ways.setdefault((segment.source, segment.destination), [])
        if not known or known[-1].is_over(segment):
            known.append(_Way(segment))
        known[-1].add(segment)
    return tuple(stream for known in ways.values() for way in known for stream in way.streams())


class _Way:
    """One direction of one connection."""

    def __init__(self, first: Segment) -> None:
        self._first = first
        self._origin = (first.sequence + first.opens) % _NUMBERS
        self._segments: list[tuple[int, Segment]] = []  # place of the first byte, from the origin

    def is_over(self, segment: Segment) -> bool:
        """Whether a segment opens another connection between the same two ends."""
        return segment.opens and not (self._first.opens and segment.sequence == self._first.sequence)

    def add(self, segment: Segment) -> None:
        if segment.data:
            distance = (segment.sequence + segment.opens - self._origin) % _NUMBERS
            self._segments.append((distance - _NUMBERS if distance >= _HALF else distance, segment))

    def streams(self) -> Iterator[HeardStream]:
        pieces: list[tuple[datetime, bytes]] = []
        place = 0
        for start, segment in sorted(self._segments, key=lambda each: (each[0], each[1].timestamp)):
            if start > place or not pieces:
                if pieces:
                    yield self._stream(pieces)
                pieces, place = [], start
            fresh = segment.data[place - start :]
            if fresh:
                pieces.append((segment.timestamp, fresh))
                place += len(fresh)
        if pieces:
            yield self._stream(pieces)

    def _stream(self, pieces: list[tuple[datetime, bytes]]) -> HeardStream:
        first = self._first
        return HeardStream(source=first.source, destination=first.destination, pieces=tuple(pieces))
