"""Calendars with wildcards: tariff seasons and special days, billing, non-disablement. All times are UTC.

A date pattern is a mapping ``year, month, day, weekday``: year 0xFFFF and month, day or weekday 0xFF fit
anything; day 0xFE is the last and 0xFD the last but one of the month (Blue Book 4.1.6.1).

>>> fits({"year": 0xFFFF, "month": 12, "day": 25, "weekday": 0xFF}, date(2026, 12, 25))
True
>>> fits({"year": 0xFFFF, "month": 2, "day": 0xFE, "weekday": 0xFF}, date(2028, 2, 29))
True
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

Pattern = Mapping[str, int]

ANY_YEAR: Final = 0xFFFF
ANY: Final = 0xFF
LAST_DAY: Final = 0xFE
LAST_DAY_BUT_ONE: Final = 0xFD

_FURTHEST = 367  # days to look ahead or back: every yearly date comes within them
_MONTHS = {"Monthly": 1, "Quarterly": 3, "SixMonthly": 6, "Yearly": 12}


def fits(pattern: Pattern, day: date) -> bool:
    """Whether the pattern names this day."""
    if pattern["year"] not in (ANY_YEAR, day.year) or pattern["month"] not in (ANY, day.month):
        return False
    if pattern["weekday"] not in (ANY, day.isoweekday()):
        return False
    wanted = pattern["day"]
    if wanted >= LAST_DAY_BUT_ONE and wanted != ANY:
        wanted = monthrange(day.year, day.month)[1] - (LAST_DAY - wanted)
    return wanted in (ANY, day.day)


def yearly(month: int, day: int) -> dict[str, int]:
    """The pattern of a date that comes each year."""
    return {"year": ANY_YEAR, "month": month, "day": day, "weekday": ANY}


def next_billing(calendar: Mapping[str, Any], after: datetime) -> datetime:
    """The first capture of a billing calendar later than ``after``.

    Weekly calendars name a weekday (1 Monday); the others a day of the month, which in a month too short
    for it is the month's last. Quarterly, six-monthly and yearly ones count from their month.
    """
    for ahead in range(_FURTHEST):
        day = after.date() + timedelta(days=ahead)
        due = datetime.combine(day, time(calendar["hour"], calendar["minute"]), UTC)
        if due > after and _bills_on(calendar, day):
            return due
    raise ValueError(f"a billing calendar that never captures: {dict(calendar)}")


def _bills_on(calendar: Mapping[str, Any], day: date) -> bool:
    periodicity = calendar["periodicity"]
    if periodicity == "Daily":
        return True
    if periodicity == "Weekly":
        return bool(day.isoweekday() == max(1, min(calendar["day"], 7)))
    last = monthrange(day.year, day.month)[1]
    if day.day != max(1, min(calendar["day"], last)):
        return False
    return bool((day.month - calendar["month"]) % _MONTHS[periodicity] == 0)


class NonDisablement:
    """The non-disablement calendar: periods in which no supply is cut for want of credit.

    Each entry switches a period on (``START``) or off (``STOP``) at a time of day, between two dates, on its
    weekdays and special days; of two entries at the same moment the later in the list counts.
    """

    def __init__(
        self, entries: Sequence[Mapping[str, Any]], special_days: Sequence[Mapping[str, Any]]
    ) -> None:
        self._entries = entries
        self._special_days = special_days

    def protects(self, now: datetime) -> bool:
        """Whether a non-disablement period is on; decided by the latest switch of the last eight days."""
        for back in range(8):
            switches = [s for s in self._switches(now.date() - timedelta(days=back)) if s[0] <= now]
            if switches:
                return switches[-1][1]
        return False

    def next_switch(self, after: datetime) -> datetime | None:
        """The next moment at which a period may begin or end, if there is one within eight days."""
        for ahead in range(8) if self._entries else ():
            for moment, _ in self._switches(after.date() + timedelta(days=ahead)):
                if moment > after:
                    return moment
        return None

    def _switches(self, day: date) -> list[tuple[datetime, bool]]:
        found = [
            (datetime.combine(day, time(entry["hour"], entry["minute"]), UTC), entry["action"] == "START")
            for entry in self._entries
            if self._applies(entry, day)
        ]
        return sorted(found, key=lambda switch: switch[0])

    def _applies(self, entry: Mapping[str, Any], day: date) -> bool:
        if not _lower_bound(entry["start"]) <= day <= _upper_bound(entry["end"]):
            return False
        if day.isoweekday() in entry["weekdays"]:
            return True
        return any(
            special["index"] in entry["special_days"] and fits(special["date"], day)
            for special in self._special_days
        )


def _lower_bound(pattern: Pattern) -> date:
    if pattern["year"] == ANY_YEAR:
        return date.min
    return date(pattern["year"], _or(pattern["month"], 1), _or(pattern["day"], 1))


def _upper_bound(pattern: Pattern) -> date:
    if pattern["year"] == ANY_YEAR:
        return date.max
    month = _or(pattern["month"], 12)
    return date(pattern["year"], month, _or(pattern["day"], monthrange(pattern["year"], month)[1]))


def _or(value: int, otherwise: int) -> int:
    return otherwise if value >= LAST_DAY_BUT_ONE else value


def backwards(day: date) -> Iterator[date]:
    """That day and the year before it, latest first."""
    return (day - timedelta(days=back) for back in range(_FURTHEST))
