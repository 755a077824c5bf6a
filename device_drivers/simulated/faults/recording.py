"""Ways in which an ESME can be wrong about what it records, and what it alerts of its mains."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from device_drivers.simulated.faults.making import (
    at,
    column,
    event,
    exchanged,
    in_summer,
    lose,
    told,
    turned,
)
from harness.domain.events import Event
from harness.domain.faults import DROP, Fault, Place, Point, Seen

_HALF_HOUR: Final = timedelta(minutes=30)
_HOUR: Final = timedelta(hours=1)
_PROFILES: Final = ("4.8.1", "4.8.2", "4.8.3")

_fault = at(Place.ESME)


def _every_third_row(seen: Seen) -> Any:
    if seen.item != "profile":
        return seen.value
    seen.memory["rows"] = seen.memory.get("rows", 0) + 1
    return seen.value if seen.memory["rows"] % 3 else DROP


def _running_total(seen: Seen) -> Any:
    """The import of a half hour, and of all those before it."""
    if seen.item != "profile":
        return seen.value
    seen.memory["sum"] = seen.memory.get("sum", 0) + seen.value[1]
    return (seen.value[0], seen.memory["sum"], *seen.value[2:])


def _of_the_row_before(log: str) -> Any:
    """A row with the columns that the row before it should have had."""

    def enter(seen: Seen) -> Any:
        if seen.item != log:
            return seen.value
        before = seen.memory.get("before", seen.value)
        seen.memory["before"] = seen.value
        return (seen.value[0], *before[1:])

    return enter


def _local_time(seen: Seen) -> Any:
    if seen.item == "profile" and in_summer(seen.value[0]):
        return (seen.value[0] + _HOUR, *seen.value[1:])
    return seen.value


def _hour_that_is_skipped(seen: Seen) -> Any:
    """On the day on which summer time begins local clocks show no time between 01:00 and 02:00."""
    row = seen.value
    if seen.item == "profile" and in_summer(row[0]) and not in_summer(row[0] - _HOUR):
        return DROP
    return row


def _not_on_a_first(seen: Seen) -> Any:
    return DROP if seen.item == "daily_read_log" and seen.value[0].day == 1 else seen.value


def _not_on_a_leap_day(seen: Seen) -> Any:
    leap = seen.item == "daily_read_log" and (seen.value[0].month, seen.value[0].day) == (2, 29)
    return DROP if leap else seen.value


def _first_twelve(seen: Seen) -> Any:
    """A full log that takes nothing more, where its oldest rows are due to go."""
    if seen.item != "tariff_change_log":
        return seen.value
    rows: list[Any] = seen.memory.setdefault("rows", [])
    rows += [row for row in seen.value if row not in rows]
    return tuple(rows[:12])


def _one_twice(rows: Sequence[Any]) -> Sequence[Any]:
    return (*rows, *rows[-1:])


def _newest_first(rows: Sequence[Any]) -> Sequence[Any]:
    return tuple(reversed(rows))


FAULTS: tuple[Fault, ...] = (
    _fault(
        "profile-gap",
        Point.LOG,
        "every third half hour is missing from the profile",
        _every_third_row,
        *_PROFILES,
    ),
    _fault(
        "profile-by-start",
        Point.LOG,
        "half hours stand under the time of their start, where that of their end is due",
        turned(column(0, lambda end: end - _HALF_HOUR), "profile"),
        *_PROFILES,
    ),
    _fault(
        "profile-in-local-time",
        Point.LOG,
        "half hours stand under local time, an hour ahead in summer",
        _local_time,
        "4.8.1",
    ),
    _fault(
        "profile-of-46-rows",
        Point.LOG,
        "on the day on which summer time begins two half hours are missing",
        _hour_that_is_skipped,
        "4.8.1",
    ),
    _fault(
        "profile-export-exchanged",
        Point.LOG,
        "active and reactive export stand in each other's column of the profile",
        turned(exchanged(2, 4), "profile"),
        "4.8.3",
    ),
    _fault(
        "profile-sign-lost",
        Point.LOG,
        "what flows back is entered as if it had been drawn",
        turned(exchanged(1, 2), "profile"),
        "4.8.1", "4.8.3",
    ),
    _fault(
        "profile-in-kilowatt-hours",
        Point.LOG,
        "the profile holds whole kWh, where Wh is due",
        turned(column(1, lambda watt_hours: watt_hours // 1_000), "profile"),
        "4.8.1",
    ),
    _fault(
        "profile-in-kilowatts",
        Point.LOG,
        "the profile holds the mean power of each half hour, twice its energy",
        turned(column(1, lambda watt_hours: 2 * watt_hours), "profile"),
        "4.8.1",
    ),
    _fault(
        "profile-running-total",
        Point.LOG,
        "each half hour of the profile holds all those before it too",
        _running_total,
        "4.8.1",
    ),
    _fault(
        "profile-reactive-empty",
        Point.LOG,
        "the profile has no reactive import",
        turned(column(3, lambda _: 0), "profile"),
        "4.8.2",
    ),
    _fault(
        "profile-row-twice",
        Point.READ,
        "the newest half hour of the profile is told twice",
        told(_one_twice, "profile"),
        "4.8.1",
    ),
    _fault(
        "profile-newest-first",
        Point.READ,
        "the profile is told with its newest half hour first",
        told(_newest_first, "profile"),
        *_PROFILES,
    ),
    _fault(
        "daily-read-of-yesterday",
        Point.LOG,
        "each midnight holds what the registers showed a day before",
        _of_the_row_before("daily_read_log"),
        "4.6.1",
    ),
    _fault(
        "daily-read-late",
        Point.LOG,
        "midnight's registers stand under half past midnight",
        turned(column(0, lambda end: end + _HALF_HOUR), "daily_read_log"),
        "4.6.1",
    ),
    _fault(
        "daily-read-not-at-a-months-end",
        Point.LOG,
        "the midnight at which a month ends is missing",
        _not_on_a_first,
        "4.6.1",
    ),
    _fault(
        "daily-read-not-on-a-leap-day",
        Point.LOG,
        "the midnight at which the 29th of February begins is missing",
        _not_on_a_leap_day,
        "4.6.1",
        may_be_missed="rigs whose lab time passes no 29th of February: those of IOC and MOC",
    ),
    _fault(
        "billing-a-day-early",
        Point.LOG,
        "billing data stand under the day before",
        turned(column(0, lambda end: end - timedelta(days=1)), "billing_data_log"),
        "4.4.3",
    ),
    _fault(
        "billing-debts-exchanged",
        Point.LOG,
        "billing data hold the two time-based debts in each other's place",
        turned(exchanged(8, 9), "billing_data_log"),
        "4.4.3",
    ),
    _fault(
        "tariff-change-unrecorded",
        Point.LOG,
        "no billing data are taken when the mode or the tariff changes",
        lose("tariff_change_log"),
        "1.6", "4.4.2",
    ),
    _fault(
        "tariff-change-log-full",
        Point.READ,
        "the log of tariff changes takes nothing more when it is full",
        _first_twelve,
        "4.4.2",
    ),
    _fault(
        "voltage-in-tenths",
        Point.READ,
        "the voltage profile is told in tenths of a volt",
        told(lambda rows: tuple((time, 10 * volts) for time, volts in rows), "voltage_profile"),
        "4.10",
    ),
    _fault(
        "voltage-gap",
        Point.LOG,
        "a period in which the mains had more than 233 V is missing from the voltage profile",
        turned(lambda row: row if row[1] <= 233 else DROP, "voltage_profile"),
        "4.10",
    ),
    _fault(
        "high-voltage-counter-untold",
        Point.READ,
        "no period is told as one of high voltage",
        told(lambda _: 0, "average_rms_over_voltage_counter"),
        "4.10",
    ),
    _fault(
        "high-voltage-unalerted",
        Point.ALERT,
        "voltage above its threshold raises no alert",
        lose("0015"),
        "6.5",
    ),
    _fault(
        "low-voltage-told-as-high",
        Point.EVENT,
        "voltage below its threshold is told as voltage above it",
        event(Event.VOLTAGE_LOW, Event.VOLTAGE_HIGH),
        "6.5",
    ),
)  # fmt: skip
