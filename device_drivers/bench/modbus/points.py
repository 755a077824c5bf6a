"""Values of points and the words that they are in registers, with unit, scale and word order.

>>> from fractions import Fraction
>>> from harness.domain.bench import Table, ValueType
>>> current = Point(name="load.current", table=Table.HOLDING_REGISTER, address=2, type=ValueType.U32,
...                 unit="A", factor=Fraction(1, 1000))
>>> encode(current, Decimal("80.001"))
(1, 14465)
>>> decode(current, (1, 14465))
Decimal('80.001')
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Sequence
from decimal import Decimal
from fractions import Fraction

from harness.domain.bench import (
    FUNCTIONS,
    BitOrNumber,
    Point,
    Table,
    ValueType,
    WordOrder,
    in_decimal,
    shown,
)
from harness.domain.errors import BenchFault, BeyondBench

Words = tuple[int, ...]
_MOST_WORDS = 64  # in one request: Modbus allows 125, some benches less


def encode(point: Point, value: BitOrNumber) -> Words:
    """The words of a value, to the nearest step; :class:`BeyondBench` for one that does not fit."""
    if point.type is ValueType.BOOL:
        return (int(bool(value) is not point.inverted),)
    if point.type is ValueType.F32:
        return _ordered(point, _float_words(point, Decimal(value)))
    raw = round(Fraction(value) / point.factor)
    low, high = point.limits
    if not low <= raw <= high:
        least, most = (told(point, bound) for bound in point.bounds)
        raise BeyondBench(
            f"{point.name} takes {least} to {most}, not {told(point, value)}",
            remedy=f"its register is a {point.type} in steps of {point.factor}: ask for less, or widen it",
        )
    data = raw.to_bytes(2 * point.type.words, "big", signed=low < 0)
    return _ordered(point, struct.unpack(f">{point.type.words}H", data))


def decode(point: Point, words: Sequence[int]) -> BitOrNumber:
    """The value that words are; :class:`BenchFault` for a float that is no number."""
    if point.type is ValueType.BOOL:
        return bool(words[0]) is not point.inverted
    if point.type is ValueType.F32:
        return in_decimal(_float(point, words) * point.factor)
    return in_decimal(count(point, words) * point.factor)


def count(point: Point, words: Sequence[int]) -> int:
    """The whole number in the registers of a point that is no float."""
    data = struct.pack(f">{len(words)}H", *_ordered(point, tuple(words)))
    return int.from_bytes(data, "big", signed=point.limits[0] < 0)


def unit_of(point: Point) -> str:
    """The unit that drivers count the point in."""
    function = FUNCTIONS.get(point.name)
    return function.unit if function else point.unit


def told(point: Point, value: BitOrNumber) -> str:
    """A value with its unit, for messages."""
    return f"{shown(value)} {unit_of(point)}".rstrip()


def runs(points: Iterable[Point]) -> list[list[Point]]:
    """The points in groups that lie side by side in their table, each for one request."""
    groups: list[list[Point]] = []
    for point in sorted(points, key=lambda each: (list(Table).index(each.table), each.address)):
        last = groups[-1] if groups else []
        beside = last and last[-1].table is point.table and last[-1].span.stop == point.address
        if beside and point.span.stop - last[0].address <= _MOST_WORDS:
            last.append(point)
        else:
            groups.append([point])
    return groups


def _ordered(point: Point, words: Words) -> Words:
    return words if point.word_order is WordOrder.BIG else words[::-1]


def _float_words(point: Point, value: Decimal) -> Words:
    try:
        data = struct.pack(">f", float(Fraction(value) / point.factor))
    except OverflowError:
        raise BeyondBench(
            f"{point.name} is a float, and {told(point, value)} is more than it holds"
        ) from None
    return struct.unpack(">2H", data)


def _float(point: Point, words: Sequence[int]) -> Fraction:
    number: float = struct.unpack(">f", struct.pack(">2H", *_ordered(point, tuple(words))))[0]
    if not math.isfinite(number):
        raise BenchFault(
            f"{point.name} reads {number}: the bench has no value for it",
            remedy="look at the instrument, and at the point's type and word order in the register map",
        )
    return Fraction(number)
