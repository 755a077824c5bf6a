"""Small forms shared by the steps: times of day, indexed values and calendar dates.

Reading goes from the DUIS body (:class:`Payload`), writing to the content of an MMC response (``Body``).

>>> indexed((5, 7))
[{'@index': 1, '': 5}, {'@index': 2, '': 7}]
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, time
from decimal import Decimal
from typing import Any, Final

from device_drivers.simulated.s1sp.refusal import OUT_OF_RANGE, Refused
from harness.domain.payload import Payload

EMPTY: Final[Mapping[str, Any]] = {}
"""An element without content (the schemas' ``NoType``)."""

WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

_Fields = tuple[tuple[str, str, str, Mapping[str, int]], ...]
ELECTRICITY_DATE: Final[_Fields] = (
    ("year", "Year", "SpecifiedYear", {"NonSpecifiedYear": 0xFFFF}),
    ("month", "Month", "SpecifiedMonth", {"NonSpecifiedMonth": 0xFF}),
    (
        "day",
        "DayOfMonth",
        "SpecifiedDayOfMonth",
        {"LastDayOfMonth": 0xFE, "SecondLastDayOfMonth": 0xFD, "NonSpecifiedDayOfMonth": 0xFF},
    ),
    ("weekday", "DayOfWeek", "SpecifiedDayOfWeek", {"NonSpecifiedDayOfWeek": 0xFF}),
)
GAS_DATE: Final[_Fields] = (
    ("year", "GasYearWithWildcards", "SpecifiedYear", {"NonSpecifiedYear": 0xFFFF}),
    ("month", "GasMonthWithWildcards", "SpecifiedMonth", {"NonSpecifiedMonth": 0xFF}),
    ("day", "GasDayOfMonthWithWildcards", "SpecifiedDayOfMonth", {"GasNonSpecifiedDayOfMonth": 0xFF}),
    ("weekday", "GasDayOfWeekWithWildcards", "SpecifiedDayOfWeek", {"NonSpecifiedDayOfWeek": 0xFF}),
)
ANY_DATE: Final = {"year": 0xFFFF, "month": 0xFF, "day": 0xFF, "weekday": 0xFF}


def clock_time(hour: int, minute: int) -> str:
    """An ``xs:time`` in UTC."""
    return f"{hour:02}:{minute:02}:00Z"


def day_time(body: Payload, path: str) -> tuple[int, int]:
    """Hour and minute of an ``xs:time``; a meter switches on whole minutes of UTC only."""
    text = body.text(path)
    try:
        found = time.fromisoformat(text)
    except ValueError:
        raise Refused(OUT_OF_RANGE, f"{path} is {text!r}, not a time of day") from None
    if found.second or found.microsecond or (found.tzinfo and found.utcoffset()):
        raise Refused(OUT_OF_RANGE, f"{path} is {text}, not a whole minute of UTC")
    return found.hour, found.minute


def plain_date(body: Payload, path: str) -> dict[str, int]:
    """The date record of an ``xs:date``, on any weekday."""
    text = body.text(path)
    try:
        found = date.fromisoformat(text[:10])
    except ValueError:
        raise Refused(OUT_OF_RANGE, f"{path} is {text!r}, not a date") from None
    return {"year": found.year, "month": found.month, "day": found.day, "weekday": 0xFF}


def hexadecimal(body: Payload, path: str) -> bytes:
    """The bytes of an ``xs:hexBinary``."""
    try:
        return bytes.fromhex(body.text(path))
    except ValueError:
        raise Refused(OUT_OF_RANGE, f"{path} is {body.text(path)!r}, not hexadecimal") from None


def part(body: Payload, path: str) -> Payload:
    """What stands below the element at the path; nothing where it is empty or absent."""
    found = body.find(path)
    return Payload(found if isinstance(found, Mapping) else {})


def chosen(body: Payload, *names: str) -> str:
    """Which one of a choice's elements the body has."""
    for name in names:
        if name in body.names():
            return name
    raise Refused(OUT_OF_RANGE, f"the request has none of {', '.join(names)}")


def within(what: str, value: int, low: int, high: int) -> int:
    """The value, where the device can hold it."""
    if not low <= value <= high:
        raise Refused(OUT_OF_RANGE, f"{what} is {value}; this device takes {low} to {high}")
    return value


def by_index(items: Iterable[Payload], size: int, what: str) -> tuple[int, ...]:
    """Values with ``@index`` 1 … ``size`` as a row; 0 where the request has none."""
    row = [0] * size
    for item in items:
        row[within(f"the index of {what}", item.integer("@index"), 1, size) - 1] = item.integer("")
    return tuple(row)


def indexed(values: Iterable[int | Decimal]) -> list[dict[str, Any]]:
    """Elements of text with ``@index`` from 1."""
    return [{"@index": index, "": value} for index, value in enumerate(values, start=1)]


def date_record(body: Payload, fields: _Fields) -> dict[str, int]:
    """A DUIS date with wildcards as the meter's date record."""
    record = {}
    for field, element, specified, wildcards in fields:
        name = chosen(part(body, element), specified, *wildcards)
        record[field] = wildcards.get(name) or body.integer(f"{element}/{specified}")
    return record


def date_content(record: Mapping[str, int], fields: _Fields) -> dict[str, Any]:
    """A meter's date record as the schemas' date with wildcards."""
    content: dict[str, Any] = {}
    for field, element, specified, wildcards in fields:
        names = {value: name for name, value in wildcards.items()}
        name = names.get(record[field])
        content[element] = {name: EMPTY} if name else {specified: record[field]}
    return content


def distinct(what: str, values: Sequence[int]) -> None:
    """Refuse names that stand for two things."""
    if len(set(values)) != len(values):
        raise Refused(OUT_OF_RANGE, f"{what} names one thing twice: {', '.join(map(str, values))}")


def known(what: str, value: int, names: Iterable[int]) -> int:
    """The name, where the request defines it."""
    if value not in names:
        raise Refused(OUT_OF_RANGE, f"{what} {value} is not defined in the request")
    return value
