"""Compact arrays: the type once, then the bare contents of every item (Blue Book 4.1.5.2).

How a simple value is encoded, and how one of each type is read, comes from :mod:`device_drivers.dlms.axdr`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from device_drivers.dlms.data import Data, Tag
from device_drivers.dlms.lengths import counted, decode_length, encode_length
from harness.domain.errors import ProtocolViolation

DEEPEST: Final = 24
"""Levels of arrays and structures; the deepest standard attribute has six."""

Content = Callable[[Tag, Any], bytes]
Reader = Callable[[bytes, int, int], tuple[Data, int]]
"""From the bytes, a position after the tag and the depth there: a value, and where the next begins."""


# --- encoding --------------------------------------------------------------------------------------


def encode_compact(items: Sequence[Data], content: Content) -> bytes:
    """What follows the tag of a compact array. Raises :class:`ValueError` unless all have one type."""
    if not items:
        return b"\x00\x00"
    shape = _shape(items[0], 1)
    if any(_shape(item, 1) != shape for item in items):
        raise ValueError("the items of a compact array have one type")
    return shape + counted(b"".join(_bare(item, content) for item in items))


def _shape(data: Data, depth: int) -> bytes:
    """The type description of one item."""
    if depth > DEEPEST:
        raise ValueError(f"nested deeper than {DEEPEST} levels")
    tag, value = data.tag, data.value
    if tag is Tag.STRUCTURE and value:
        inner = b"".join(_shape(field, depth + 1) for field in value)
        return bytes((tag,)) + encode_length(len(value)) + inner
    if tag is Tag.ARRAY and value:
        inner = _shape(value[0], depth + 1)
        if len(value) > 0xFFFF or any(_shape(item, depth + 1) != inner for item in value):
            raise ValueError("an array in a compact array has one type and at most 65,535 items")
        return bytes((tag,)) + len(value).to_bytes(2, "big") + inner
    if tag in (Tag.STRUCTURE, Tag.ARRAY, Tag.NULL, Tag.COMPACT_ARRAY):
        raise ValueError("an item of a compact array is empty, null or itself compact")
    return bytes((tag,))


def _bare(data: Data, content: Content) -> bytes:
    if data.tag in (Tag.STRUCTURE, Tag.ARRAY):
        return b"".join(_bare(item, content) for item in data.value)
    return content(data.tag, data.value)


# --- decoding --------------------------------------------------------------------------------------


def compact_reader(readers: Callable[[int], Reader | None]) -> Reader:
    """A reader of compact arrays of what ``readers`` know, by tag."""

    def read(raw: bytes, at: int, depth: int) -> tuple[Data, int]:
        if raw[at] == Tag.NULL:
            length, at = decode_length(raw, at + 1)
            if length:
                raise ProtocolViolation(f"byte {at}: contents in a compact array of nothing")
            return Data(Tag.COMPACT_ARRAY, ()), at
        item_reader, at = _description(raw, at, depth + 1, readers)
        length, at = decode_length(raw, at)
        contents, items, here = raw[at : at + length], [], 0
        while here < length:  # every item takes at least one byte: a description of less is refused
            item, here = item_reader(contents, here, depth + 1)
            items.append(item)
        return Data(Tag.COMPACT_ARRAY, tuple(items)), at + length

    return read


def _description(
    raw: bytes, at: int, depth: int, readers: Callable[[int], Reader | None]
) -> tuple[Reader, int]:
    """A reader for bare contents of the described type."""
    if depth > DEEPEST:
        raise ProtocolViolation(f"byte {at}: nested deeper than {DEEPEST} levels")
    tag, at = raw[at], at + 1
    if tag == Tag.ARRAY:
        count = int.from_bytes(raw[at : at + 2], "big")
        inner, at = _description(raw, at + 2, depth + 1, readers)
        return _of_several(Tag.ARRAY, count, lambda _: inner, at), at
    if tag == Tag.STRUCTURE:
        count, at = decode_length(raw, at)
        fields = []
        for _ in range(count):
            field, at = _description(raw, at, depth + 1, readers)
            fields.append(field)
        return _of_several(Tag.STRUCTURE, count, fields.__getitem__, at), at
    reader = readers(tag)
    if reader is None or tag in (Tag.NULL, Tag.COMPACT_ARRAY):
        raise ProtocolViolation(f"byte {at - 1}: 0x{tag:02x} describes no item of a compact array")
    return reader, at


def _of_several(tag: Tag, count: int, reader_of: Callable[[int], Reader], at: int) -> Reader:
    if not count:
        raise ProtocolViolation(f"byte {at}: {tag.name.lower()} of nothing in a compact array")

    def read(raw: bytes, at: int, depth: int) -> tuple[Data, int]:
        items = []
        for number in range(count):
            item, at = reader_of(number)(raw, at, depth + 1)
            items.append(item)
        return Data(tag, tuple(items)), at

    return read
