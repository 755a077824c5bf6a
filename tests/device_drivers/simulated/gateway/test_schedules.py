"""When a schedule is carried out, and what it asks then."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from device_drivers.simulated.gateway.schedules import Recurrence, Schedule
from harness.domain.payload import Payload


def times(recurrence: Recurrence, count: int, after: datetime) -> list[str]:
    """The next so many times after a moment, as far as there are any."""
    found: list[str] = []
    moment: datetime | None = after
    while moment is not None and len(found) < count:
        moment = recurrence.after(moment)
        found += [] if moment is None else [f"{moment:%y-%m-%d %H:%M}"]
    return found


def at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type] - year, month, day and so on


@pytest.mark.parametrize(
    ("frequency", "first", "due"),
    [
        ("Daily", at(2024, 2, 28, 23, 30), ["24-02-28 23:30", "24-02-29 23:30", "24-03-01 23:30"]),
        ("Weekly", at(2024, 12, 25), ["24-12-25 00:00", "25-01-01 00:00", "25-01-08 00:00"]),
        ("Monthly", at(2025, 1, 31, 6), ["25-01-31 06:00", "25-02-28 06:00", "25-03-31 06:00"]),
        ("Quarterly", at(2023, 11, 30), ["23-11-30 00:00", "24-02-29 00:00", "24-05-30 00:00"]),
        ("Half-Yearly", at(2025, 8, 31), ["25-08-31 00:00", "26-02-28 00:00", "26-08-31 00:00"]),
        ("Yearly", at(2024, 2, 29, 12), ["24-02-29 12:00", "25-02-28 12:00", "26-02-28 12:00"]),
    ],
)
def test_a_schedule_is_carried_out_at_its_time_and_a_period_after_each_other(
    frequency: str, first: datetime, due: list[str]
) -> None:
    assert times(Recurrence(frequency, first), 3, at(2020, 1, 1)) == due


@pytest.mark.parametrize("frequency", ["Daily", "Weekly", "Monthly", "Quarterly", "Half-Yearly", "Yearly"])
def test_no_time_comes_twice_and_none_is_left_out(frequency: str) -> None:
    recurrence = Recurrence(frequency, at(2024, 1, 31, 7, 15))
    walked = times(recurrence, 30, at(2020, 1, 1))
    leapt = recurrence.after(datetime.strptime(walked[27], "%y-%m-%d %H:%M").replace(tzinfo=UTC))
    assert walked == sorted(set(walked))
    assert leapt is not None
    assert f"{leapt:%y-%m-%d %H:%M}" == walked[28]


def test_a_schedule_ends_with_its_last_day() -> None:
    recurrence = Recurrence("Daily", at(2025, 3, 3, 22), date(2025, 3, 4))
    assert times(recurrence, 5, at(2025, 3, 3, 21)) == ["25-03-03 22:00", "25-03-04 22:00"]


def test_offsets_count_from_the_day_on_which_it_is_carried_out() -> None:
    asked = {"StartDateOffset": "-2", "StartTime": "22:30:00Z", "EndDateOffset": "0", "EndTime": "00:00:00Z"}
    body: dict[str, Any] = {"ScheduleFrequency": "Daily", "DSPReadNetworkData": asked}
    schedule = Schedule(
        id=1,
        owner="",
        device_id="",
        srv="4.10",
        details=Payload(body),
        recurrence=Recurrence("Daily", at(2025, 1, 1)),
    )
    assert schedule.request_body(at(2025, 3, 1, 5)) == {
        "ReadLogPeriod": {"StartDateTime": at(2025, 2, 27, 22, 30), "EndDateTime": at(2025, 3, 1)}
    }
