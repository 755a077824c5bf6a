"""The reading of a line that carries DLMS in its wrapper (Green Book 7.3.3): line reading ``dlms``.

How a WAN wakes a hub is not part of DLMS, so this reading cannot tell it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import accumulate
from typing import Final

from device_drivers.bench.capturing.protection import SEALED, describe_sealed, is_ciphered
from device_drivers.dlms.blocks import GENERAL_BLOCK, GeneralBlock
from device_drivers.dlms.channel import HEADER_BYTES, WRAPPER_VERSION, parse_header
from device_drivers.doors.apdu_trace import describe
from harness.domain.errors import ProtocolViolation
from harness.domain.heard import Heard, HeardStream
from harness.domain.instruments import CapturedApdu

_VERSION: Final = WRAPPER_VERSION.to_bytes(2)
_ASKED: Final = frozenset({0x01, 0x60, 0x62, 0xC0, 0xC1, 0xC3, 0xC8, 0xC9, 0xCB, 0xD0, 0xD1, 0xD3})
"""What only a client sends."""
_ANSWERED: Final = frozenset(
    {0x08, 0x0E, 0x0F, 0x61, 0x63, 0xC2, 0xC4, 0xC5, 0xC7, 0xCC, 0xCD, 0xCF, 0xD4, 0xD5, 0xD7, 0xD8}
)
_KNOWN: Final = _ASKED | _ANSWERED | SEALED | {GENERAL_BLOCK}


@dataclass(frozen=True, slots=True)
class _Frame:
    source_sap: int
    destination_sap: int
    apdu: bytes
    end: int  # of the frame, in its stream


@dataclass(slots=True)
class Transfers:
    """General block transfers under way: whether each carries a ciphered APDU, as its first block tells."""

    _sealed: dict[object, bool] = field(default_factory=dict)

    def read(self, way: object, raw: bytes) -> tuple[str, bool]:
        """The kind of an APDU and whether it is ciphered; ``way`` is that of its connection."""
        if raw[:1] == bytes((GENERAL_BLOCK,)):
            return self._block(way, raw)
        return (
            (describe_sealed(raw), is_ciphered(raw))
            if raw[:1] and raw[0] in SEALED
            else (describe(raw), False)
        )

    def _block(self, way: object, raw: bytes) -> tuple[str, bool]:
        try:
            block = GeneralBlock.decode(raw)
        except ProtocolViolation:
            return "general block that cannot be read", False
        if not block.raw:
            return f"general block {block.number}, empty", False
        sealed = self._sealed.setdefault(way, is_ciphered(block.raw))
        if block.last:
            del self._sealed[way]
        return f"general block {block.number} of {'a ciphered' if sealed else 'an unciphered'} APDU", sealed


def read_wrapped(streams: Sequence[HeardStream]) -> Heard:
    """The APDUs of those streams; a stream in which none can be found is of another protocol."""
    read: list[tuple[HeardStream, datetime, _Frame]] = []
    unread = 0
    for stream in streams:
        frames, missed = _frames(stream)
        unread += missed
        read += [(stream, at, frame) for at, frame in frames]
    read.sort(key=lambda each: each[1])
    clients = _clients(read)
    transfers = Transfers()
    return Heard(
        apdus=tuple(_captured(stream, at, frame, clients, transfers) for stream, at, frame in read),
        unread=unread,
    )


def _captured(
    stream: HeardStream, at: datetime, frame: _Frame, clients: Iterable[tuple[str, str]], transfers: Transfers
) -> CapturedApdu:
    way = (stream.source, stream.destination)
    kind, ciphered = transfers.read((*way, frame.source_sap, frame.destination_sap), frame.apdu)
    saps = (frame.source_sap, frame.destination_sap)
    client_sap, server_sap = saps if way in clients else saps[::-1]
    return CapturedApdu(
        timestamp=at,
        source=stream.source,
        destination=stream.destination,
        client_sap=client_sap,
        server_sap=server_sap,
        kind=kind,
        ciphered=ciphered,
        raw=frame.apdu,
    )


def _clients(read: Iterable[tuple[HeardStream, datetime, _Frame]]) -> frozenset[tuple[str, str]]:
    """The ways from a client to its server: the first APDU that only one of them sends tells which it is.

    Where none does, the client is the one with the higher port, as it is with ports that systems choose.
    """
    told: dict[frozenset[str], tuple[str, str]] = {}
    for stream, _, frame in read:
        there, back = (stream.source, stream.destination), (stream.destination, stream.source)
        if frame.apdu[0] in _ASKED | _ANSWERED:
            told.setdefault(frozenset(there), there if frame.apdu[0] in _ASKED else back)
    for stream, _, _ in read:
        there, back = (stream.source, stream.destination), (stream.destination, stream.source)
        told.setdefault(
            frozenset(there), there if _port(stream.source) >= _port(stream.destination) else back
        )
    return frozenset(told.values())


def _port(end: str) -> int:
    number = end.rpartition(":")[2]
    return int(number) if number.isdigit() else 0


def _frames(stream: HeardStream) -> tuple[list[tuple[datetime, _Frame]], int]:
    """The frames in a stream, each with its moment, and how many bytes among them could not be read."""
    data, found = stream.data, list[tuple[datetime, _Frame]]()
    ends = list(accumulate(len(piece) for _, piece in stream.pieces))
    at = stream.pieces[0][0]
    position = missed = 0
    while position < len(data):
        frame = _frame(data, position, anything=position > 0)
        if frame is None:
            begins = _next_frame(data, position + 1)
            if begins is None:
                break
            missed += begins - position
            position = begins
            continue
        # No earlier than the frame before it: segments may come out of order, and what they carry does not
        at = max(at, stream.pieces[bisect_right(ends, position)][0])
        found.append((at, frame))
        position = frame.end
    if not found and not _begins_like_one(data):
        return [], 0
    return found, missed + len(data) - position


def _frame(data: bytes, position: int, *, anything: bool) -> _Frame | None:
    """The whole frame that begins there. After another frame ``anything`` may be in it."""
    begins = position + HEADER_BYTES
    if len(data) <= begins or not data.startswith(_VERSION, position):
        return None
    source, destination, length = parse_header(data[position:begins])
    apdu = data[begins : begins + length]
    if not apdu or len(apdu) < length or not (anything or apdu[0] in _KNOWN):
        return None
    return _Frame(source, destination, apdu, begins + length)


def _next_frame(data: bytes, start: int) -> int | None:
    """Where the stream is in step again: a frame with a known APDU, and nothing or another frame after it."""
    position = data.find(_VERSION, start)
    while position >= 0:
        frame = _frame(data, position, anything=False)
        if frame and data[frame.end : frame.end + 2] in (b"", _VERSION):
            return position
        position = data.find(_VERSION, position + 1)
    return None


def _begins_like_one(data: bytes) -> bool:
    return data.startswith(_VERSION) and len(data) > HEADER_BYTES and data[HEADER_BYTES] in _KNOWN
