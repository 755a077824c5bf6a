"""COSEM data: the typed values that A-XDR encodes (Blue Book 4.1.5).

>>> structure(double_long_unsigned(5), octets(b"a")).value[0].value
5
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any


class Tag(IntEnum):
    """Tags of the COSEM data types."""

    NULL = 0
    ARRAY = 1
    STRUCTURE = 2
    BOOLEAN = 3
    BIT_STRING = 4
    DOUBLE_LONG = 5
    DOUBLE_LONG_UNSIGNED = 6
    OCTET_STRING = 9
    VISIBLE_STRING = 10
    UTF8_STRING = 12
    BCD = 13
    INTEGER = 15
    LONG = 16
    UNSIGNED = 17
    LONG_UNSIGNED = 18
    COMPACT_ARRAY = 19
    LONG64 = 20
    LONG64_UNSIGNED = 21
    ENUM = 22
    FLOAT32 = 23
    FLOAT64 = 24
    DATE_TIME = 25
    DATE = 26
    TIME = 27


@dataclass(frozen=True, slots=True)
class Data:
    """One value with its type. ``value`` is ``None`` for null, a tuple of :class:`Data` for an array,
    structure or compact array, ``bool``, ``int``, ``float``, ``bytes`` (octet, date and time strings),
    ``str`` (visible and UTF-8 strings) or a tuple of ``bool`` (bit string).
    """  # noqa: D205 - one sentence says it

    tag: Tag
    value: Any = None


NULL = Data(Tag.NULL)


def array(*items: Data) -> Data:
    """An array."""
    return Data(Tag.ARRAY, items)


def structure(*fields: Data) -> Data:
    """A structure."""
    return Data(Tag.STRUCTURE, fields)


def boolean(value: bool) -> Data:
    """A boolean."""
    return Data(Tag.BOOLEAN, value)


def double_long_unsigned(value: int) -> Data:
    """An unsigned 32-bit integer."""
    return Data(Tag.DOUBLE_LONG_UNSIGNED, value)


def long64_unsigned(value: int) -> Data:
    """An unsigned 64-bit integer."""
    return Data(Tag.LONG64_UNSIGNED, value)


def unsigned(value: int) -> Data:
    """An unsigned 8-bit integer."""
    return Data(Tag.UNSIGNED, value)


def integer(value: int) -> Data:
    """A signed 8-bit integer."""
    return Data(Tag.INTEGER, value)


def long_unsigned(value: int) -> Data:
    """An unsigned 16-bit integer."""
    return Data(Tag.LONG_UNSIGNED, value)


def long(value: int) -> Data:
    """A signed 16-bit integer."""
    return Data(Tag.LONG, value)


def enum(value: int) -> Data:
    """An enumeration value."""
    return Data(Tag.ENUM, value)


def octets(value: bytes) -> Data:
    """An octet string."""
    return Data(Tag.OCTET_STRING, value)


def visible(value: str) -> Data:
    """A visible (ASCII) string."""
    return Data(Tag.VISIBLE_STRING, value)
