"""Turning points of the calendar, in lab time alone: the end of a month, the change of the clocks, leap days.

A meter keeps UTC: on the day on which clocks are put forward it has 48 half hours, as on any other.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import pytest

from harness.domain.instruments import Bench, EvidenceLog, LabClock, Meter, RigInHand
from test_packs.arrange import Served, crediting, from_now, midnight_after
from test_packs.metering import expect_counted, half_hours, let_flow, log_period, quantities_of

pytestmark = pytest.mark.functional_group("4 Meter reading")

DAY: Final = timedelta(days=1)
_LONGEST: Final = 32  # days that the test may take; a month has fewer


@pytest.mark.srv("4.6.1", "4.8.1")
@pytest.mark.ttm("TTM-4.6.1-E-05", "TTM-4.6.1-G-05", "TTM-4.8.1-E-06", "TTM-4.8.1-G-06")
@pytest.mark.devices("ESME", "GSME")
@pytest.mark.days_of_lab_time
def test_each_midnight_and_half_hour_of_a_month_is_recorded_once(
    served: Served, rig: RigInHand, meter: Meter, bench: Bench, clock: LabClock, evidence: EvidenceLog
) -> None:
    """SRV 4.6.1, 4.8.1: until a month has ended each midnight and half hour has one row, in UTC."""
    crediting(meter)
    begun = from_now(clock)  # not at the end of a half hour
    last = _last_turning_point(begun)
    clock.sleep(last - timedelta(minutes=50) - clock.now())
    used = let_flow(bench, clock, meter, timedelta(minutes=95), 1_234)
    clock.sleep(timedelta(minutes=30))
    end = clock.now()
    midnights = [row.timestamp for row in meter.log("daily_read_log", begun, end)]
    ends = half_hours(begun, end)
    due = [each for each in ends if (each.hour, each.minute) == (0, 0)]
    evidence.expect("midnights recorded", found=midnights, expected=due[-len(midnights) :])
    evidence.expect_between("their number", found=len(midnights), low=min(len(due), 31), high=len(due))
    rows = meter.log("profile", begun, end)
    evidence.expect("half hours recorded", found=[row.timestamp for row in rows], expected=ends)
    evening = [row for row in rows if row.timestamp > last - timedelta(minutes=90)]
    summed = {name: sum(row.values[name] for row in evening) for name in quantities_of(meter)}  # type: ignore[misc]  # numbers
    expect_counted(evidence, rig, "recorded around the last midnight", summed, used)
    payload = served("4.8.1", meter, log_period(begun, end, certified=True))
    told = [entry.time("Timestamp") for entry in payload.all("LogEntry")]
    evidence.expect("half hours told", found=told, expected=ends)


def _last_turning_point(moment: datetime) -> datetime:
    """The midnight at which the month ends, or after the next change of the clocks where that is as near."""
    midnights = [midnight_after(moment) + number * DAY for number in range(_LONGEST)]
    first = next(each for each in midnights if each.day == 1)
    return max([first, *(each for each in midnights if _clocks_change(each - DAY))])


def _clocks_change(day: datetime) -> bool:
    """British clocks change on the last Sunday of March and of October, at 01:00 UTC."""
    return day.month in (3, 10) and day.isoweekday() == 7 and day.day > 24
