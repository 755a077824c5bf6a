"""Frames of format type 3 (IEC 62056-46 6.4): made, and found again in whatever a line brings.

>>> snrm = Frame(server_address(1), client_address(16), Kind.SNRM | FINAL)
>>> encode(snrm).hex(" ")
'7e a0 07 03 21 93 0f 01 7e'
>>> FrameDecoder().feed(b"noise" + encode(snrm)) == [snrm]
True
"""

from __future__ import annotations

from binascii import crc_hqx
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from harness.domain.errors import ConfigurationError

FLAG: Final = 0x7E
FINAL: Final = 0x10
"""The poll bit of a command, the final bit of a response."""
LONGEST_FRAME: Final = 0x7FF
MODULUS: Final = 8

_FORMAT, _SEGMENTED = 0xA000, 0x0800
_SHORTEST_FRAME = 2 + 1 + 1 + 1 + 2
_ADDRESS_BYTES = (1, 2, 4)
_GOOD: Final = 0x1D0F  # what remains of an intact frame (ISO/IEC 13239 4.2.5.2), bits reversed
_REVERSED: Final = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


class Kind(IntEnum):
    """Control fields without poll bit and numbers. REJ, which IEC 62056-46 lacks, is understood only."""

    I = 0x00  # noqa: E741 - the standard's name
    RR = 0x01
    RNR = 0x05
    REJ = 0x09
    UI = 0x03
    DM = 0x0F
    DISC = 0x43
    UA = 0x63
    SNRM = 0x83
    FRMR = 0x87


_UNNUMBERED: Final = {
    kind.value: kind for kind in (Kind.UI, Kind.DM, Kind.DISC, Kind.UA, Kind.SNRM, Kind.FRMR)
}
_SUPERVISORY: Final = {kind.value: kind for kind in (Kind.RR, Kind.RNR, Kind.REJ)}


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame; addresses are the bytes that go on the line."""

    destination: bytes
    source: bytes
    control: int
    information: bytes = b""
    segmented: bool = False

    @property
    def kind(self) -> Kind | None:
        """``None`` where the control field is none that the standard knows."""
        if not self.control & 1:
            return Kind.I
        if self.control & 3 == 1:
            return _SUPERVISORY.get(self.control & 0x0F)
        return _UNNUMBERED.get(self.control & ~FINAL)

    @property
    def final(self) -> bool:
        return bool(self.control & FINAL)

    @property
    def sent_number(self) -> int:
        """N(S) of an I frame."""
        return self.control >> 1 & 7

    @property
    def received_number(self) -> int:
        """N(R) of an I frame or a supervisory one."""
        return self.control >> 5


def numbered(kind: Kind, received: int, sent: int = 0, *, final: bool = False) -> int:
    """The control field of an I frame or a supervisory one."""
    return kind | received << 5 | sent << 1 | (FINAL if final else 0)


def fcs(data: bytes) -> bytes:
    """The check sequence of ISO/IEC 13239, as it goes on the line.

    It takes each byte from its lowest bit: the C routine at hand takes them from the highest, so bits are
    reversed before and after.
    """
    return (crc_hqx(data.translate(_REVERSED), 0xFFFF) ^ 0xFFFF).to_bytes(2).translate(_REVERSED)


def is_intact(data: bytes) -> bool:
    """Whether the last two bytes are the check sequence of those before."""
    return crc_hqx(data.translate(_REVERSED), 0xFFFF) == _GOOD


def encode(frame: Frame) -> bytes:
    """The frame with both its flags. Raises :class:`ValueError` for one that its length cannot count."""
    head = frame.destination + frame.source + bytes((frame.control,))
    information = frame.information
    length = 2 + len(head) + 2 + (len(information) + 2 if information else 0)
    if length > LONGEST_FRAME:
        raise ValueError(f"a frame of {length} bytes: the longest has {LONGEST_FRAME}")
    body = (_FORMAT | (_SEGMENTED if frame.segmented else 0) | length).to_bytes(2) + head
    body += fcs(body)
    if information:
        body += information
        body += fcs(body)
    return b"\x7e" + body + b"\x7e"


# --- addresses (6.4.2) ---------------------------------------------------------------------------------


def client_address(sap: int) -> bytes:
    """A client's address: one byte."""
    return _septets((sap,), "client address", 0x7F)


def server_address(upper: int, lower: int | None = None, size: int | None = None) -> bytes:
    """A server's address of 1, 2 or 4 bytes; by default as short as can be.

    :class:`ConfigurationError` where it does not fit, or a lower address is missing or one too many.
    """
    if size is None:
        size = 1 if lower is None else 2 if max(upper, lower) <= 0x7F else 4
    if size not in _ADDRESS_BYTES or (size == 1) != (lower is None):
        told = "no lower address" if lower is None else f"lower address {lower}"
        raise ConfigurationError(
            f"a server address of {size} bytes with {told}",
            remedy="1 byte without a physical address, 2 or 4 bytes with one",
        )
    parts = (upper,) if lower is None else (upper, lower)
    if size < 4:
        return _septets(parts, "server address", 0x7F)
    if not all(0 <= part <= 0x3FFF for part in parts):
        raise ConfigurationError(f"server address {upper}/{lower}: neither part goes above {0x3FFF}")
    return _septets([half for part in parts for half in (part >> 7, part & 0x7F)], "server address", 0x7F)


def _septets(parts: tuple[int, ...] | list[int], what: str, most: int) -> bytes:
    if not all(0 <= part <= most for part in parts):
        raise ConfigurationError(f"{what} {'/'.join(map(str, parts))}: at this length at most {most}")
    encoded = bytearray(part << 1 for part in parts)
    encoded[-1] |= 1
    return bytes(encoded)


def address_parts(address: bytes) -> tuple[int, int | None]:
    """Upper and lower part of an address; of one byte the lower is ``None``."""
    parts = [byte >> 1 for byte in address]
    match parts:
        case [upper]:
            return upper, None
        case [upper, lower]:
            return upper, lower
    return parts[0] << 7 | parts[1], parts[2] << 7 | parts[3]


# --- finding frames in a stream ------------------------------------------------------------------------


class FrameDecoder:
    """Takes any bytes and gives the intact frames among them.

    A frame's length is believed once its header check is right, so that flags within it do not matter; the
    flag that closes a frame may open the next. Keeps no more than one frame. ``damaged`` counts the frames
    whose header was right and whose end or check was not.
    """

    def __init__(self) -> None:
        self.damaged = 0
        self._buffer = bytearray()
        self._needed = 1  # so many bytes before anything more can be said
        self._within = False

    @property
    def within_frame(self) -> bool:
        """A header has been checked, and the rest of its frame is due."""
        return self._within

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that ``data`` completes."""
        self._buffer += data
        return self._frames()

    def abandon(self) -> list[Frame]:
        """No more comes of the frame under way: what frames stand in its bytes."""
        frames: list[Frame] = []
        while self._buffer:
            self._skip()
            frames += self._frames()
        return frames

    def _frames(self) -> list[Frame]:
        frames = []
        while len(self._buffer) >= self._needed:
            if not self._within:
                self._header()
            elif frame := self._body():
                frames.append(frame)
        return frames

    def _header(self) -> None:
        """Find a header that is right, or what is needed to tell."""
        buffer = self._buffer
        start = buffer.find(FLAG)
        if start < 0:
            buffer.clear()
            return
        while buffer[start + 1 : start + 2] == b"\x7e":
            start += 1
        del buffer[:start]
        if len(buffer) < 1 + _SHORTEST_FRAME:
            self._needed = 1 + _SHORTEST_FRAME
            if len(buffer) > 1 and buffer[1] >> 4 != _FORMAT >> 12:
                self._skip()
            return
        end = self._header_end()
        if end is None:
            self._skip()
        elif len(buffer) < end:
            self._needed = end
        elif is_intact(bytes(buffer[1:end])):
            self._within = True
            self._needed = (buffer[1] << 8 & 0x700 | buffer[2]) + 2
        else:
            self._skip()

    def _header_end(self) -> int | None:
        """Where the header check ends; ``None`` where no header is. Asks for a byte more at a time."""
        buffer = self._buffer
        length = buffer[1] << 8 & 0x700 | buffer[2]
        if buffer[1] >> 4 != _FORMAT >> 12 or length < _SHORTEST_FRAME:
            return None
        at = 3
        for _ in ("destination", "source"):
            begin = at
            while at < len(buffer) and not buffer[at] & 1 and at - begin < 3:
                at += 1
            if at >= len(buffer):
                return at + 1
            if not buffer[at] & 1 or at + 1 - begin not in _ADDRESS_BYTES:
                return None
            at += 1
        end = at + 3
        return end if length + 1 == end or length + 1 > end + 2 else None

    def _body(self) -> Frame | None:
        buffer, length = self._buffer, self._needed - 2
        whole = bytes(buffer[1 : length + 1])
        if buffer[length + 1] != FLAG or not is_intact(whole):
            self._skip()  # where bytes were lost, the next frame has begun within this one
            return None
        del buffer[: length + 1]
        self._within, self._needed = False, 1
        return _parsed(whole)

    def _skip(self) -> None:
        """Give up what begins here: go on behind its flag."""
        if self._within:
            self.damaged += 1
        del self._buffer[:1]
        self._within, self._needed = False, 1


def _parsed(whole: bytes) -> Frame:
    source = 3
    while not whole[source - 1] & 1:
        source += 1
    control = source + 1
    while not whole[control - 1] & 1:
        control += 1
    return Frame(
        whole[2:source],
        whole[source:control],
        whole[control],
        whole[control + 3 : -2],
        bool(whole[0] & _SEGMENTED >> 8),
    )
