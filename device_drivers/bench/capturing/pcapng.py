"""Capture files as evidence keeps them: pcapng, whole to the last byte.

A tool that was stopped in the middle of a frame leaves half a record at the end; that half is left out.

>>> from struct import pack
>>> pcap = pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1) + pack("<IIII", 10, 5, 3, 3) + b"abc"
>>> as_pcapng(pcap + b"torn") == as_pcapng(pcap)
True
>>> as_pcapng(as_pcapng(pcap)) == as_pcapng(pcap)
True
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import Final

from harness.domain.errors import CaptureUnavailable

MEDIA_TYPE: Final = "application/x-pcapng"

_SECTION, _INTERFACE, _PACKET = 0x0A0D0D0A, 1, 6
_MAGIC_IN_SECTION: Final = 0x1A2B3C4D
_RESOLUTION_OPTION: Final = b"\x09\x00\x01\x00\x09\x00\x00\x00\x00\x00\x00\x00"  # 10 to the power of -9; end
_PCAP_HEADER: Final = 24
_RECORD_HEADER: Final = 16
_LONGEST_FRAME: Final = 1 << 20
_PCAP_MAGICS: Final = {
    b"\xd4\xc3\xb2\xa1": ("<", 1000),  # byte order, and how many nanoseconds its unit has
    b"\xa1\xb2\xc3\xd4": (">", 1000),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
    b"\xa1\xb2\x3c\x4d": (">", 1),
}


def as_pcapng(content: bytes) -> bytes:
    """A pcap or pcapng file as pcapng, without the torn end; :class:`CaptureUnavailable` for neither."""
    if content[:4] == _SECTION.to_bytes(4):
        return content[: _end_of_blocks(content)]
    if content[:4] in _PCAP_MAGICS and len(content) >= _PCAP_HEADER:
        return b"".join(_converted(content))
    raise CaptureUnavailable(
        f"a capture file that begins with {content[:4].hex() or 'nothing'} is neither pcap nor pcapng",
        remedy="have it written by tcpdump, dumpcap or Wireshark",
    )


def _end_of_blocks(content: bytes) -> int:
    order, position = "<", 0
    while position + 12 <= len(content):
        if content[position : position + 4] == _SECTION.to_bytes(4):
            order = "<" if Struct("<I").unpack_from(content, position + 8)[0] == _MAGIC_IN_SECTION else ">"
        (length,) = Struct(f"{order}I").unpack_from(content, position + 4)
        if length < 12 or length % 4 or position + length > len(content):
            break
        position += length
    return position


def _converted(content: bytes) -> Iterator[bytes]:
    order, unit = _PCAP_MAGICS[content[:4]]
    snapped, link_type = Struct(f"{order}II").unpack_from(content, 16)
    yield _block(_SECTION, Struct("<IHHq").pack(_MAGIC_IN_SECTION, 1, 0, -1))
    yield _block(_INTERFACE, Struct("<HHI").pack(link_type & 0xFFFF, 0, snapped) + _RESOLUTION_OPTION)
    record, position = Struct(f"{order}IIII"), _PCAP_HEADER
    while position + _RECORD_HEADER <= len(content):
        seconds, fraction, kept, length = record.unpack_from(content, position)
        position += _RECORD_HEADER
        if kept > _LONGEST_FRAME or position + kept > len(content):
            return
        at = (seconds * 1_000_000_000 + fraction * unit) & 0xFFFF_FFFF_FFFF_FFFF
        head = Struct("<IIIII").pack(0, at >> 32, at & 0xFFFF_FFFF, kept, length)
        yield _block(_PACKET, head + content[position : position + kept])
        position += kept


def _block(kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    length = Struct("<I").pack(12 + len(body))
    return Struct("<I").pack(kind) + length + body + length
