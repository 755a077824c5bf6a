"""Expected and found, put into one readable line; the evidence has both whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Any

from harness.records.canonical import moment

LIMIT = 160  # characters of a value in a message
SHOWN = 5  # differences of a structure in a message


def describe(expected: Any, found: Any) -> str:
    """What differs: both values where they are short, else the places where they part.

    >>> describe({"a": 1, "b": 2}, {"a": 1, "b": 3})
    'expected {a: 1, b: 2}, found {a: 1, b: 3}'
    >>> describe("0" * 500, "0" * 499 + "1")
    'expected …000000000000000000000000000000, found …000000000000000000000000000001 (from character 500 on)'
    """
    whole, seen = show(expected), show(found)
    if len(whole) <= LIMIT and len(seen) <= LIMIT:
        if whole == seen:  # 1 and True, "1" and 1: say what they are
            whole, seen = f"{whole} ({type(expected).__name__})", f"{seen} ({type(found).__name__})"
        return f"expected {whole}, found {seen}"
    places = list(_places(expected, found, ""))
    if len(places) == 1 and places[0][0] == "":
        return _parting(whole, seen)
    listed = "; ".join(f"{path}: expected {shorten(a)}, found {shorten(b)}" for path, a, b in places[:SHOWN])
    more = f"; and {len(places) - SHOWN} more" if len(places) > SHOWN else ""
    return f"{len(places)} {'difference' if len(places) == 1 else 'differences'}: {listed}{more}"


def show(value: Any) -> str:
    """A value as an engineer would write it down: bytes as hex, moments in UTC, records by their fields."""
    match value:
        case Enum():
            return str(value.value)
        case bytes():
            return value.hex(" ") or "(no bytes)"
        case str():
            return value if value and value == value.strip() and value.isprintable() else repr(value)
        case datetime():
            return moment(value).replace(".000000", "") if value.tzinfo else f"{value.isoformat()} (no zone)"
        case Decimal():
            return _digits(value)
        case Mapping():
            return "{" + ", ".join(f"{show(name)}: {show(item)}" for name, item in value.items()) + "}"
        case list() | tuple():
            return "[" + ", ".join(show(item) for item in value) + "]"
        case _:
            return repr(value)


def _digits(value: Decimal) -> str:
    """A number as it was told; a quotient, which nobody told, to the digits that somebody reads.

    >>> _digits(Decimal("0.025041")), _digits(Decimal(5857) / 3), _digits(Decimal(1) / 3000)
    ('0.025041', '1952.333', '0.000333')
    """
    exponent = value.as_tuple().exponent
    if not isinstance(exponent, int) or exponent >= -9:  # no device tells so many decimals
        return str(value)
    return f"{value:.3f}" if abs(value) >= 1 else f"{value:.3g}"


def shorten(value: Any, limit: int = LIMIT) -> str:
    """The value as :func:`show` has it, its middle left out where it is long."""
    text = show(value)
    if len(text) <= limit:
        return text
    half = (limit - 20) // 2
    return f"{text[:half]}…({len(text)} characters)…{text[-half:]}"


_NOTHING: Any = type("Nothing", (), {"__repr__": lambda _: "nothing"})()


def _places(expected: Any, found: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    match expected, found:
        case Mapping(), Mapping():
            names = [*expected, *(name for name in found if name not in expected)]
            for name in names:
                child = f"{path}.{name}" if path else str(name)
                yield from _places(expected.get(name, _NOTHING), found.get(name, _NOTHING), child)
        case (list() | tuple(), list() | tuple()):
            yield from _rows(expected, found, path)
        case _ if expected != found:
            yield path, expected, found


def _rows(expected: Sequence[Any], found: Sequence[Any], path: str) -> Iterator[tuple[str, Any, Any]]:
    if len(expected) != len(found):
        yield f"{path or 'length'}", f"{len(expected)} rows", f"{len(found)} rows"
    for index in range(max(len(expected), len(found))):
        one = expected[index] if index < len(expected) else _NOTHING
        other = found[index] if index < len(found) else _NOTHING
        yield from _places(one, other, f"{path}[{index}]")


def _parting(whole: str, seen: str) -> str:
    at = next(
        (i for i, (a, b) in enumerate(zip(whole, seen, strict=False)) if a != b), min(len(whole), len(seen))
    )
    start = max(0, at - 29)

    def around(text: str) -> str:
        part = text[start : at + 60]
        return f"{'…' if start else ''}{part}{'…' if len(text) > at + 60 else ''}"

    return f"expected {around(whole)}, found {around(seen)} (from character {at + 1} on)"
