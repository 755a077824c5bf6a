"""A-XDR: COSEM data as bytes, and back (IEC 61334-6; Green Book 9.5, type ``Data``).

Whatever bytes come, decoding ends in a value or a :class:`ProtocolViolation`: no length or count is
believed beyond the bytes that are there, and nesting ends at :data:`DEEPEST`.

>>> from device_drivers.dlms.data import structure, unsigned, visible
>>> encode(structure(unsigned(7), visible("Wh"))).hex()
'020211070a025768'
>>> decode(bytes.fromhex("020211070a025768")).value[1].value
'Wh'
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from struct import error as StructError  # noqa: N812 - it is an exception class, named so nowhere
from typing import Any, Final

from device_drivers.dlms.compact import DEEPEST, Reader, compact_reader, encode_compact
from device_drivers.dlms.data import NULL, Data, Tag
from device_drivers.dlms.lengths import counted, cut_short, decode_count, decode_length, encode_length
from harness.domain.errors import ProtocolViolation

_FIXED: Final = {
    Tag.DOUBLE_LONG: Struct(">i"),
    Tag.DOUBLE_LONG_UNSIGNED: Struct(">I"),
    Tag.BCD: Struct(">b"),
    Tag.INTEGER: Struct(">b"),
    Tag.LONG: Struct(">h"),
    Tag.UNSIGNED: Struct(">B"),
    Tag.LONG_UNSIGNED: Struct(">H"),
    Tag.LONG64: Struct(">q"),
    Tag.LONG64_UNSIGNED: Struct(">Q"),
    Tag.ENUM: Struct(">B"),
    Tag.FLOAT32: Struct(">f"),
    Tag.FLOAT64: Struct(">d"),
}
_STAMPS: Final = {Tag.DATE_TIME: 12, Tag.DATE: 5, Tag.TIME: 4}


# --- encoding --------------------------------------------------------------------------------------


def encode(data: Data) -> bytes:
    """The bytes of one value. Raises :class:`ValueError` where the value does not fit its type."""
    parts: list[bytes] = []
    _put(data, parts, 1)
    return b"".join(parts)


def _put(data: Data, parts: list[bytes], depth: int) -> None:
    tag, value = data.tag, data.value
    parts.append(_TAG_BYTES[tag])
    if tag in (Tag.ARRAY, Tag.STRUCTURE):
        if depth > DEEPEST:
            raise ValueError(f"nested deeper than {DEEPEST} levels")
        parts.append(encode_length(len(value)))
        for item in value:
            _put(item, parts, depth + 1)
    elif tag is Tag.COMPACT_ARRAY:
        parts.append(encode_compact(value, _content))
    elif tag is not Tag.NULL:
        parts.append(_content(tag, value))


def _content(tag: Tag, value: Any) -> bytes:
    """What follows the tag of a simple type."""
    try:
        if packer := _FIXED.get(tag):
            return packer.pack(value)
        if size := _STAMPS.get(tag):
            if len(value) != size:
                raise ValueError(f"{len(value)} bytes where {size} are due")
            return bytes(value)
        return _VARIABLE[tag](value)
    except (StructError, ValueError, TypeError, OverflowError) as error:
        raise ValueError(f"{value!r} is no {tag.name.lower()}: {error}") from None


def _bits(value: tuple[bool, ...]) -> bytes:
    padded = "".join("1" if bit else "0" for bit in value).ljust((len(value) + 7) // 8 * 8, "0")
    return encode_length(len(value)) + int(padded or "0", 2).to_bytes(len(padded) // 8, "big")


_VARIABLE: Final[dict[Tag, Callable[[Any], bytes]]] = {
    Tag.BOOLEAN: lambda value: b"\x01" if value else b"\x00",
    Tag.OCTET_STRING: lambda value: counted(bytes(value)),
    Tag.VISIBLE_STRING: lambda value: counted(value.encode("ascii")),
    Tag.UTF8_STRING: lambda value: counted(value.encode()),
    Tag.BIT_STRING: _bits,
}
_TAG_BYTES: Final = {tag: bytes((tag,)) for tag in Tag}


# --- decoding --------------------------------------------------------------------------------------


def decode(raw: bytes) -> Data:
    """The value that ``raw`` is, to its last byte."""
    data, end = decode_from(raw, 0)
    if end != len(raw):
        raise ProtocolViolation(f"byte {end}: {len(raw) - end} bytes too many after the data")
    return data


def decode_from(buffer: bytes | memoryview, offset: int) -> tuple[Data, int]:
    """The value at ``offset`` and where the next begins."""
    raw = buffer if isinstance(buffer, bytes) else bytes(buffer)
    try:
        return _take(raw, offset, 1)
    except (IndexError, StructError):
        raise ProtocolViolation(f"the data at byte {offset} ends where more was due") from None


def _take(raw: bytes, at: int, depth: int) -> tuple[Data, int]:
    reader = _READERS[raw[at]]
    if reader is None:
        raise ProtocolViolation(f"byte {at}: 0x{raw[at]:02x} is not the tag of a COSEM data type")
    return reader(raw, at + 1, depth)


def _fixed(tag: Tag, layout: Struct) -> Reader:
    unpack, size = layout.unpack_from, layout.size

    def read(raw: bytes, at: int, depth: int) -> tuple[Data, int]:  # noqa: ARG001 - one reader's shape
        return Data(tag, unpack(raw, at)[0]), at + size

    return read


def _stamp(tag: Tag, size: int) -> Reader:
    def read(raw: bytes, at: int, depth: int) -> tuple[Data, int]:  # noqa: ARG001
        end = at + size
        if end > len(raw):
            raise cut_short(at)
        return Data(tag, raw[at:end]), end

    return read


def _several(tag: Tag) -> Reader:
    def read(raw: bytes, at: int, depth: int) -> tuple[Data, int]:
        if depth > DEEPEST:
            raise ProtocolViolation(f"byte {at}: nested deeper than {DEEPEST} levels")
        count, at = decode_length(raw, at)
        items = []
        for _ in range(count):
            item, at = _take(raw, at, depth + 1)
            items.append(item)
        return Data(tag, tuple(items)), at

    return read


def _null(raw: bytes, at: int, depth: int) -> tuple[Data, int]:  # noqa: ARG001
    return NULL, at


def _boolean(raw: bytes, at: int, depth: int) -> tuple[Data, int]:  # noqa: ARG001
    return Data(Tag.BOOLEAN, raw[at] != 0), at + 1


def _octets(raw: bytes, at: int, depth: int) -> tuple[Data, int]:  # noqa: ARG001
    length = raw[at]
    at += 1
    if length >= 0x80 or at + length > len(raw):
        length, at = decode_length(raw, at - 1)
    end = at + length
    return Data(Tag.OCTET_STRING, raw[at:end]), end


def _text(tag: Tag, encoding: str) -> Reader:
    def read(raw: bytes, at: int, depth: int) -> tuple[Data, int]:  # noqa: ARG001
        length, at = decode_length(raw, at)
        end = at + length
        try:
            return Data(tag, raw[at:end].decode(encoding)), end
        except UnicodeDecodeError as error:
            raise ProtocolViolation(f"byte {at}: not {encoding}: {error.reason}") from None

    return read


def _bit_string(raw: bytes, at: int, depth: int) -> tuple[Data, int]:  # noqa: ARG001
    count, at = decode_count(raw, at)  # of bits: there may be eight in each byte that is left
    end = at + (count + 7) // 8
    if end > len(raw):
        raise cut_short(at)
    digits = f"{int.from_bytes(raw[at:end], 'big'):0{8 * (end - at)}b}"[:count]
    return Data(Tag.BIT_STRING, tuple(digit == "1" for digit in digits)), end


def _readers() -> tuple[Reader | None, ...]:
    known: dict[int, Reader] = {
        Tag.NULL: _null,
        Tag.BOOLEAN: _boolean,
        Tag.BIT_STRING: _bit_string,
        Tag.OCTET_STRING: _octets,
        Tag.VISIBLE_STRING: _text(Tag.VISIBLE_STRING, "ascii"),
        Tag.UTF8_STRING: _text(Tag.UTF8_STRING, "utf-8"),
        Tag.ARRAY: _several(Tag.ARRAY),
        Tag.STRUCTURE: _several(Tag.STRUCTURE),
        Tag.COMPACT_ARRAY: compact_reader(lambda tag: _READERS[tag]),
        **{tag: _fixed(tag, layout) for tag, layout in _FIXED.items()},
        **{tag: _stamp(tag, size) for tag, size in _STAMPS.items()},
    }
    return tuple(known.get(tag) for tag in range(256))


_READERS: Final = _readers()
