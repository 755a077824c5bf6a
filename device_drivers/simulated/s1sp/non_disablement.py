"""The non-disablement calendar (SRV 2.1, 4.13): between requests, responses and the meter's rows.

The meter keeps one row for each START or STOP. A gas calendar's seasons, weeks and days are laid out flat:
a row for each action of a day profile, from its season's first day, on the weekdays that use the profile;
and rows without weekdays for the special days, which add to the weekday's rows and do not replace them.
Read back, profiles are numbered in the order met.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from datetime import date, timedelta
from typing import Any

from device_drivers.simulated.s1sp.content import (
    ANY_DATE,
    ELECTRICITY_DATE,
    GAS_DATE,
    WEEKDAYS,
    by_index,
    clock_time,
    date_content,
    date_record,
    day_time,
    distinct,
    indexed,
    known,
    part,
    plain_date,
)
from device_drivers.simulated.s1sp.refusal import OUT_OF_RANGE, Refused
from harness.domain.payload import Payload

Record = Mapping[str, Any]
Action = tuple[str, int, int]  # START or STOP, hour, minute


def from_electricity(body: Payload) -> dict[str, Any]:
    """The settings that an ElectricityNonDisablementCalendar asks for."""
    calendar = part(body, "ElectricityNonDisablementCalendar")
    special_days = tuple(
        _special_day(special.integer("@index"), date_record(part(special, "Date"), ELECTRICITY_DATE))
        for special in calendar.all("ElectricitySpecialDays/SpecialDay")
    )
    indices = [special["index"] for special in special_days]
    distinct("ElectricitySpecialDays", indices)
    rows = tuple(_electricity_row(row, indices) for row in calendar.all("ElectricityNonDisablementSchedule"))
    return {"non_disablement_special_days": special_days, "non_disablement_calendar": rows}


def _special_day(index: int, day: Record, profile: int = 0) -> Record:
    """A special day; an electricity calendar has no day profiles."""
    return {"index": index, "date": day, "day": profile}


def _electricity_row(row: Payload, special_days: Iterable[int]) -> Record:
    applicable = row.all("SpecialDaysApplicability/SpecialDayApplicability")
    weekdays = row.all("DaysOfWeekApplicability/DayOfWeekApplicability")
    hour, minute = day_time(row, "ScheduleDatesAndTime/SwitchTime")
    start = plain_date(row, "ScheduleDatesAndTime/StartDate")
    end = plain_date(row, "ScheduleDatesAndTime/EndDate")
    if tuple(end.values()) < tuple(start.values()):
        raise Refused(OUT_OF_RANGE, "a non-disablement schedule ends before it starts")
    return {
        "action": row.text("NonDisablementScript"),
        "weekdays": tuple(_weekday(day) for day in weekdays),
        "special_days": tuple(
            known("special day", day.integer("SpecialDayID"), special_days) for day in applicable
        ),
        "hour": hour,
        "minute": minute,
        "start": start,
        "end": end,
    }


def _weekday(day: Payload) -> int:
    name = day.text("DayOfWeekID")
    if name not in WEEKDAYS:
        raise Refused(OUT_OF_RANGE, f"DayOfWeekID is {name!r}, not a weekday")
    return 1 + WEEKDAYS.index(name)


def electricity_content(held: Record) -> Record:
    """The calendar of an electricity meter as the MMC has it."""
    return {
        "ElectricitySpecialDays": {
            "SpecialDay": [
                {"@index": special["index"], **date_content(special["date"], ELECTRICITY_DATE)}
                for special in held["non_disablement_special_days"]
            ]
        },
        "ElectricityNonDisablementSchedule": [
            {
                "NonDisablementScript": row["action"],
                "SpecialDaysApplicability": {
                    "SpecialDayApplicability": [{"SpecialDayID": day} for day in row["special_days"]]
                },
                "DaysOfWeekApplicability": {
                    "DayOfWeekApplicability": [{"DayOfWeekID": WEEKDAYS[day - 1]} for day in row["weekdays"]]
                },
                "ScheduleDatesAndTime": {
                    "SwitchTime": clock_time(row["hour"], row["minute"]),
                    **_date_content("StartDate", row["start"]),
                    **_date_content("EndDate", row["end"]),
                },
            }
            for row in held["non_disablement_calendar"]
        ],
    }


def _date_content(element: str, record: Record) -> Record:
    """An ``xs:date``; left out where the meter holds a wildcard, which it has no form for."""
    if any(record[field] == ANY_DATE[field] for field in ("year", "month", "day")):
        return {}
    return {element: date(record["year"], record["month"], record["day"])}


def from_gas(body: Payload) -> dict[str, Any]:
    """The settings that a GasNonDisablementCalendar asks for."""
    calendar = part(body, "GasNonDisablementCalendar")
    days = _gas_days(calendar)
    weeks = _gas_weeks(calendar, days)
    rows: list[Record] = []
    for start, end, name in _gas_seasons(calendar):
        week = weeks[known("week profile", name, weeks)]
        for day in dict.fromkeys(week):
            weekdays = tuple(number for number, used in enumerate(week, start=1) if used == day)
            rows += _gas_rows(days[day], weekdays=weekdays, start=start, end=end)
    special_days = calendar.all("SpecialDays/SpecialDay")
    for index, special in enumerate(special_days, start=1):
        day = known("day profile", special.integer("ReferencedDayName"), days)
        rows += _gas_rows(days[day], special_days=(index,))
    return {
        "non_disablement_special_days": tuple(
            _special_day(
                index, date_record(part(special, "Date"), GAS_DATE), special.integer("ReferencedDayName")
            )
            for index, special in enumerate(special_days, start=1)
        ),
        "non_disablement_calendar": tuple(rows),
    }


def _gas_seasons(calendar: Payload) -> list[tuple[Record, Record, int]]:
    """First day, last day and week of each season; of several the meter has to know the years."""
    seasons = [
        (date_record(part(season, "SeasonStartDate"), GAS_DATE), season.integer("ReferencedWeekName"))
        for season in calendar.all("SeasonProfiles/Season")
    ]
    if len(seasons) < 2:
        return [(start, ANY_DATE, week) for start, week in seasons]
    firsts = [_first_day(start) for start, _ in seasons]
    if firsts != sorted(set(firsts)):
        raise Refused(OUT_OF_RANGE, "the non-disablement seasons are not in order of time")
    ends = [_day_before(first) for first in firsts[1:]]
    return [(start, end, week) for (start, week), end in zip(seasons, (*ends, ANY_DATE), strict=True)]


def _first_day(start: Record) -> date:
    try:
        return date(start["year"], start["month"], start["day"])
    except ValueError:
        raise Refused(
            OUT_OF_RANGE, "of several non-disablement seasons this meter needs full starting dates"
        ) from None


def _day_before(first: date) -> Record:
    last = first - timedelta(days=1)
    return {"year": last.year, "month": last.month, "day": last.day, "weekday": ANY_DATE["weekday"]}


def _gas_days(calendar: Payload) -> dict[int, tuple[Action, ...]]:
    profiles = calendar.all("DayProfiles/GasNonDisablementDayProfile")
    distinct("DayProfiles", [profile.integer("GasDayName") for profile in profiles])
    return {
        profile.integer("GasDayName"): tuple(
            (action.text("NonDisablementAction"), *day_time(action, "StartTime"))
            for action in profile.all("TimeStartAction")
        )
        for profile in profiles
    }


def _gas_weeks(calendar: Payload, days: Iterable[int]) -> dict[int, tuple[int, ...]]:
    profiles = calendar.all("WeekProfiles/WeekProfile")
    distinct("WeekProfiles", [profile.integer("WeekName") for profile in profiles])
    weeks = {
        profile.integer("WeekName"): by_index(profile.all("ReferencedDayName"), 7, "ReferencedDayName")
        for profile in profiles
    }
    for week in weeks.values():
        for day in week:
            known("day profile", day, days)
    return weeks


def _gas_rows(
    actions: Iterable[Action],
    weekdays: tuple[int, ...] = (),
    special_days: tuple[int, ...] = (),
    start: Record = ANY_DATE,
    end: Record = ANY_DATE,
) -> list[Record]:
    return [
        {
            "action": action,
            "weekdays": weekdays,
            "special_days": special_days,
            "hour": hour,
            "minute": minute,
            "start": start,
            "end": end,
        }
        for action, hour, minute in actions
    ]


def gas_content(held: Record) -> Record:
    """The calendar of a gas meter as the MMC has it."""
    days: dict[tuple[Action, ...], int] = {}
    weeks: dict[tuple[int, ...], int] = {}
    seasons = [
        {
            "SeasonStartDate": date_content(dict(start), GAS_DATE),
            "ReferencedWeekName": _named(_week(rows, days), weeks),
        }
        for start, rows in _by_season(held["non_disablement_calendar"]).items()
    ]
    special_days = [
        {
            "Date": date_content(special["date"], GAS_DATE),
            "ReferencedDayName": _named(_actions(held, "special_days", special["index"]), days),
        }
        for special in held["non_disablement_special_days"]
    ]
    return {
        "DayProfiles": {"GasNonDisablementDayProfile": [_day_content(*item) for item in days.items()]},
        "WeekProfiles": {
            "WeekProfile": [
                {"WeekName": name, "ReferencedDayName": indexed(week)} for week, name in weeks.items()
            ]
        },
        "SeasonProfiles": {"Season": seasons},
        "SpecialDays": {"SpecialDay": special_days},
    }


def _by_season(rows: Iterable[Record]) -> dict[tuple[tuple[str, int], ...], list[Record]]:
    seasons: dict[tuple[tuple[str, int], ...], list[Record]] = {}
    for row in rows:
        if row["weekdays"]:
            seasons.setdefault(tuple(row["start"].items()), []).append(row)
    return seasons


def _week(rows: list[Record], days: dict[tuple[Action, ...], int]) -> tuple[int, ...]:
    season = {"non_disablement_calendar": rows}
    return tuple(_named(_actions(season, "weekdays", weekday), days) for weekday in range(1, 8))


def _actions(held: Record, applies: str, day: int) -> tuple[Action, ...]:
    return tuple(
        (row["action"], row["hour"], row["minute"])
        for row in held["non_disablement_calendar"]
        if day in row[applies]
    )


def _named(content: Hashable, names: dict[Any, int]) -> int:
    """The number under which the content is already known, or the next one."""
    return names.setdefault(content, len(names) + 1)


def _day_content(actions: tuple[Action, ...], name: int) -> Record:
    return {
        "TimeStartAction": [
            {"@index": index, "StartTime": clock_time(hour, minute), "NonDisablementAction": action}
            for index, (action, hour, minute) in enumerate(actions, start=1)
        ],
        "GasDayName": name,
    }
