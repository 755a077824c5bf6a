"""How a value looks in Python and in COSEM data: the two directions of one form.

>>> Fixed(UINT16, -1).decode(Fixed(UINT16, -1).encode(Decimal("230.4")))
Decimal('230.4')
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Protocol

from device_drivers.dlms.data import Data, Tag
from device_drivers.dlms.times import decode_date_time, encode_date_time
from harness.domain.errors import ProtocolViolation


class Form(Protocol):
    """A value's two faces. ``decode`` raises :class:`ProtocolViolation` on data of another form."""

    def encode(self, value: Any) -> Data:
        """Python to COSEM."""

    def decode(self, data: Data) -> Any:
        """COSEM to Python."""


def _expect(data: Data, *tags: Tag) -> Any:
    if data.tag not in tags:
        wanted = " or ".join(tag.name.lower() for tag in tags)
        raise ProtocolViolation(f"expected {wanted}, found {data.tag.name.lower()}")
    return data.value


_RANGES: Mapping[Tag, tuple[int, int]] = {
    Tag.INTEGER: (-(1 << 7), (1 << 7) - 1),
    Tag.LONG: (-(1 << 15), (1 << 15) - 1),
    Tag.DOUBLE_LONG: (-(1 << 31), (1 << 31) - 1),
    Tag.LONG64: (-(1 << 63), (1 << 63) - 1),
    Tag.UNSIGNED: (0, (1 << 8) - 1),
    Tag.LONG_UNSIGNED: (0, (1 << 16) - 1),
    Tag.DOUBLE_LONG_UNSIGNED: (0, (1 << 32) - 1),
    Tag.LONG64_UNSIGNED: (0, (1 << 64) - 1),
}


@dataclass(frozen=True, slots=True)
class Number:
    """A whole number of one integer type; encoding one that does not fit is a :class:`ValueError`."""

    tag: Tag

    def encode(self, value: Any) -> Data:
        number = int(value)
        low, high = _RANGES[self.tag]
        if not low <= number <= high:
            raise ValueError(f"{number} is not between {low} and {high}")
        return Data(self.tag, number)

    def decode(self, data: Data) -> int:
        return int(_expect(data, self.tag))


def bounds(number: Number) -> tuple[int, int]:
    """The least and the greatest value."""
    return _RANGES[number.tag]


INT8, INT32, INT64 = Number(Tag.INTEGER), Number(Tag.DOUBLE_LONG), Number(Tag.LONG64)
UINT8, UINT16 = Number(Tag.UNSIGNED), Number(Tag.LONG_UNSIGNED)
UINT32, UINT64 = Number(Tag.DOUBLE_LONG_UNSIGNED), Number(Tag.LONG64_UNSIGNED)


@dataclass(frozen=True, slots=True)
class Fixed:
    """A decimal with a fixed power of ten: the wire holds ``value / 10**scaler``."""

    number: Number
    scaler: int

    def encode(self, value: Any) -> Data:
        return self.number.encode(Decimal(value).scaleb(-self.scaler).to_integral_value())

    def decode(self, data: Data) -> Decimal:
        return Decimal(self.number.decode(data)).scaleb(self.scaler)


@dataclass(frozen=True, slots=True)
class _Text:
    def encode(self, value: Any) -> Data:
        return Data(Tag.OCTET_STRING, str(value).encode())

    def decode(self, data: Data) -> str:
        raw = _expect(data, Tag.OCTET_STRING, Tag.VISIBLE_STRING, Tag.UTF8_STRING)
        return raw if isinstance(raw, str) else bytes(raw).decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class _Bytes:
    def encode(self, value: Any) -> Data:
        return Data(Tag.OCTET_STRING, bytes(value))

    def decode(self, data: Data) -> bytes:
        return bytes(_expect(data, Tag.OCTET_STRING))


@dataclass(frozen=True, slots=True)
class _Flag:
    def encode(self, value: Any) -> Data:
        return Data(Tag.BOOLEAN, bool(value))

    def decode(self, data: Data) -> bool:
        return bool(_expect(data, Tag.BOOLEAN))


@dataclass(frozen=True, slots=True)
class _Moment:
    """A date-time as a 12-byte octet string, in UTC on our devices; ``datetime.min`` where unset."""

    def encode(self, value: Any) -> Data:
        return Data(Tag.OCTET_STRING, encode_date_time(value))

    def decode(self, data: Data) -> datetime:
        return decode_date_time(bytes(_expect(data, Tag.OCTET_STRING, Tag.DATE_TIME)))


TEXT, BYTES, FLAG, MOMENT = _Text(), _Bytes(), _Flag(), _Moment()
UNSET = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several words, by position, as a COSEM enum."""

    words: tuple[str, ...]

    def encode(self, value: Any) -> Data:
        return Data(Tag.ENUM, self.words.index(str(value)))

    def decode(self, data: Data) -> str:
        number = int(_expect(data, Tag.ENUM))
        if number >= len(self.words):
            raise ProtocolViolation(f"expected one of {', '.join(self.words)}, found enumeration {number}")
        return str(self.words[number])


@dataclass(frozen=True, slots=True)
class Listing:
    """An array of one form; a tuple in Python."""

    of: Form

    def encode(self, value: Any) -> Data:
        return Data(Tag.ARRAY, tuple(self.of.encode(item) for item in value))

    def decode(self, data: Data) -> tuple[Any, ...]:
        return tuple(self.of.decode(item) for item in _expect(data, Tag.ARRAY))


@dataclass(frozen=True, slots=True)
class Record:
    """A structure of named fields; a mapping in Python."""

    fields: tuple[tuple[str, Form], ...]

    def encode(self, value: Mapping[str, Any]) -> Data:
        return Data(Tag.STRUCTURE, tuple(form.encode(value[name]) for name, form in self.fields))

    def decode(self, data: Data) -> dict[str, Any]:
        items = _expect(data, Tag.STRUCTURE)
        if len(items) != len(self.fields):
            raise ProtocolViolation(f"expected {len(self.fields)} fields, found {len(items)}")
        return {name: form.decode(item) for (name, form), item in zip(self.fields, items, strict=True)}
