"""Billing calendars of every kind, with their two faces: what a message says, what a meter holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

CALENDARS: Final[tuple[tuple[str, dict[str, Any]], ...]] = (  # periodicity, what beside it matters
    ("Daily", {"hour": 4, "minute": 30}),
    ("Weekly", {"hour": 23, "minute": 15, "day": 6}),
    ("Monthly", {"hour": 0, "minute": 0, "day": 28}),
    ("Quarterly", {"hour": 6, "minute": 45, "day": 5, "month": 2}),
    ("SixMonthly", {"hour": 12, "minute": 0, "day": 17, "month": 5}),
    ("Yearly", {"hour": 18, "minute": 59, "day": 9, "month": 11}),
)


def held_calendar(periodicity: str, parts: Mapping[str, Any]) -> dict[str, Any]:
    """A billing calendar as a meter holds it."""
    return {"periodicity": periodicity, "day": 1, "month": 1} | dict(parts)


def told_calendar(calendar: Mapping[str, Any]) -> dict[str, Any]:
    """An electricity billing calendar as requests and responses have it."""
    period, day = calendar["periodicity"], calendar["day"]
    first = {"DayOfMonth": day, "BillingPeriodStartMonth": calendar["month"]}
    content = {"Daily": None, "Weekly": day, "Monthly": day}.get(period, first)
    return {"BillingTime": f"{calendar['hour']:02}:{calendar['minute']:02}:00Z", period: content}
