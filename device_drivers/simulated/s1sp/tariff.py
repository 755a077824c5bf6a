"""Service group 1, tariff and prices (SRV 1.1.1, 1.2.1).

A tariff is checked whole before the first write, and its settings take effect together. Registers and
prices that a request leaves out become 0; a matrix that it leaves out stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from device_drivers.simulated.s1sp.content import (
    ELECTRICITY_DATE,
    GAS_DATE,
    by_index,
    chosen,
    date_record,
    day_time,
    distinct,
    known,
    part,
    within,
)
from device_drivers.simulated.s1sp.refusal import OUT_OF_RANGE, Refused
from device_drivers.simulated.s1sp.steps import Job, Step
from harness.domain.instruments import Body
from harness.domain.payload import Payload

Record = Mapping[str, Any]
Settings = dict[str, Any]

ELECTRICITY_TOU_REGISTERS: Final = 48
ELECTRICITY_BLOCK_ROWS: Final = 8
GAS_TOU_REGISTERS: Final = 4
BLOCKS: Final = 4
_INT32_MAX: Final = 0x7FFF_FFFF
_UINT32_MAX: Final = 0xFFFF_FFFF


def update_tariff(job: Job) -> Body:
    """SRV 1.1.1: switching table, special days, thresholds and prices, all or nothing."""
    elements = job.branch("ElecTariffElements", "GasTariffElements")
    switching = _gas_switching(elements) if job.gas else _electricity_switching(elements)
    prices = _prices(job)
    _check_priced(switching["day_profiles"], prices)
    job.write(switching | prices)
    return None


def update_price(job: Job) -> Body:
    """SRV 1.2.1: prices and standing charge."""
    job.write(_prices(job))
    return None


def _prices(job: Job) -> Settings:
    elements = job.branch(
        "ElectricityPriceElements", "GasPriceElements", below=part(job.body, "PriceElements")
    )
    return _gas_prices(elements) if job.gas else _electricity_prices(elements)


def _electricity_prices(elements: Payload) -> Settings:
    kind = chosen(elements, "BlockTariff", "TOUTariff", "HybridTariff")
    settings: Settings = {
        "standing_charge": elements.integer("StandingCharge"),
        "standing_charge_scale": elements.integer("StandingChargeScale"),
        "price_scale": elements.integer("PriceScale"),
    }
    if kind != "BlockTariff":
        prices = elements.all(f"{kind}/TOUPrice")
        settings["tou_prices"] = by_index(prices, ELECTRICITY_TOU_REGISTERS, "TOUPrice")
    if kind != "TOUTariff":
        settings["block_prices"] = _rows(elements.all(f"{kind}/BlockPrices"), "BlockPrice", BLOCKS)
    return settings


def _gas_prices(elements: Payload) -> Settings:
    _in_pounds(elements)
    standing_charge = within("StandingCharge", elements.integer("StandingCharge"), 0, _INT32_MAX)
    kind = chosen(elements, "BlockTariff", "TOUTariff")
    name, size = ("TOUPrice", GAS_TOU_REGISTERS) if kind == "TOUTariff" else ("BlockPrice", BLOCKS)
    prices = by_index(elements.all(f"{kind}/{name}"), size, name)
    for price in prices:
        within(name, price, 0, _INT32_MAX)
    matrix: Settings = {"tou_prices": prices} if kind == "TOUTariff" else {"block_prices": (prices,)}
    return {"standing_charge": standing_charge, **matrix}


def _in_pounds(elements: Payload) -> None:
    if (unit := elements.text("CurrencyUnits")) != "GBP":
        raise Refused(OUT_OF_RANGE, f"CurrencyUnits is {unit}; this device counts in GBP")


def _rows(items: tuple[Payload, ...], name: str, width: int) -> tuple[tuple[int, ...], ...]:
    """A matrix of the eight block registers: rows by ``@index``, each of ``width`` numbers."""
    rows = [(0,) * width] * ELECTRICITY_BLOCK_ROWS
    for item in items:
        index = within(f"the row of {name}", item.integer("@index"), 1, ELECTRICITY_BLOCK_ROWS)
        rows[index - 1] = by_index(item.all(name), width, name)
    return tuple(rows)


def _electricity_switching(elements: Payload) -> Settings:
    _in_pounds(elements)
    days = tuple(_electricity_day(day) for day in elements.all("SwitchingTable/DayProfiles/DayProfile"))
    seasons = elements.all("SwitchingTable/Seasons/Season")
    settings = _calendar(
        days,
        weeks=elements.all("SwitchingTable/WeekProfiles/WeekProfile"),
        seasons=tuple(
            {
                "name": season.text("SeasonName"),
                "start": date_record(part(season, "SeasonStartDate"), ELECTRICITY_DATE),
                "week": season.integer("ReferencedWeekName"),
            }
            for season in seasons
        ),
        special_days=_special_days(elements, ELECTRICITY_DATE),
    )
    thresholds = _rows(elements.all("ThresholdMatrix/Thresholds"), "BlockThreshold", BLOCKS - 1)
    return settings | {"block_thresholds": _rising(thresholds)}


def _gas_switching(elements: Payload) -> Settings:
    days = tuple(_gas_day(day) for day in elements.all("SwitchingTable/DayProfiles/DayProfile"))
    seasons = elements.all("SwitchingTable/Seasons/Season")
    settings = _calendar(
        days,
        weeks=elements.all("SwitchingTable/WeekProfiles/WeekProfile"),
        seasons=tuple(
            {
                "name": str(number),  # gas seasons have no names of their own
                "start": date_record(part(season, "SeasonStartDate"), GAS_DATE),
                "week": season.integer("ReferencedWeekName"),
            }
            for number, season in enumerate(seasons, start=1)
        ),
        special_days=_special_days(elements, GAS_DATE),
    )
    thresholds = by_index(elements.all("ThresholdMatrix/BlockThreshold"), BLOCKS - 1, "BlockThreshold")
    return settings | {"block_thresholds": _rising((thresholds,))}


def _calendar(
    days: tuple[Record, ...],
    weeks: tuple[Payload, ...],
    seasons: tuple[Record, ...],
    special_days: tuple[Record, ...],
) -> Settings:
    """The switching table, where every name in it leads to something."""
    day_names = [day["day"] for day in days]
    distinct("DayProfiles", day_names)
    week_profiles = tuple(
        {
            "week": week.integer("WeekName"),
            "days": by_index(week.all("ReferencedDayName"), 7, "ReferencedDayName"),
        }
        for week in weeks
    )
    week_names = [int(str(week["week"])) for week in week_profiles]
    distinct("WeekProfiles", week_names)
    for week in weeks:
        for day in week.all("ReferencedDayName"):
            known("day profile", day.integer(""), day_names)
    for season in seasons:
        known("week profile", season["week"], week_names)
    for special in special_days:
        known("day profile", special["day"], day_names)
    return {
        "day_profiles": days,
        "week_profiles": week_profiles,
        "seasons": seasons,
        "special_days": special_days,
    }


def _electricity_day(day: Payload) -> Record:
    actions = [_electricity_action(entry) for entry in day.all("ProfileSchedule")]
    starts = [(action["hour"], action["minute"]) for action in actions]
    if starts != sorted(set(starts)) or starts[:1] != [(0, 0)]:
        raise Refused(
            OUT_OF_RANGE,
            f"day profile {day.integer('DayName')} has to start at 00:00 and go on in order of time",
        )
    return {"day": day.integer("DayName"), "actions": tuple(actions)}


def _electricity_action(entry: Payload) -> Record:
    hour, minute = day_time(entry, "StartTime")
    name = chosen(entry, "TOUTariffAction", "BlockTariffAction")
    kind, most = (
        ("tou", ELECTRICITY_TOU_REGISTERS) if name == "TOUTariffAction" else ("block", ELECTRICITY_BLOCK_ROWS)
    )
    register = within(name, entry.integer(name), 1, most)
    return {"hour": hour, "minute": minute, "kind": kind, "register": register}


def _gas_day(day: Payload) -> Record:
    if chosen(day, "TOUTariffAction", "BlockTariff") == "BlockTariff":
        kind, register = "block", 1
    else:
        kind = "tou"
        register = within("TOUTariffAction", day.integer("TOUTariffAction"), 1, GAS_TOU_REGISTERS)
    action = {"hour": 0, "minute": 0, "kind": kind, "register": register}
    return {"day": day.integer("DayName"), "actions": (action,)}


def _special_days(elements: Payload, fields: Any) -> tuple[Record, ...]:
    return tuple(
        {
            "index": index,
            "date": date_record(part(special, "Date"), fields),
            "day": special.integer("ReferencedDayName"),
        }
        for index, special in enumerate(elements.all("SpecialDays/SpecialDay"), start=1)
    )


def _rising(matrix: tuple[tuple[int, ...], ...]) -> tuple[tuple[int, ...], ...]:
    """Thresholds, where each is above the one before or unused (0)."""
    for row in matrix:
        used = [within("BlockThreshold", threshold, 0, _UINT32_MAX) for threshold in row if threshold]
        if used != sorted(set(used)) or list(row[: len(used)]) != used:
            raise Refused(OUT_OF_RANGE, f"block thresholds {', '.join(map(str, row))} do not rise")
    return matrix


def _check_priced(days: Iterable[Record], prices: Settings) -> None:
    """Refuse a switching table that leads to registers which the same request gives no price."""
    kinds = {action["kind"] for day in days for action in day["actions"]}
    for kind in sorted(kinds):
        if f"{kind}_prices" not in prices:
            raise Refused(OUT_OF_RANGE, f"the switching table uses {kind} registers, which have no prices")


STEPS: Final[Mapping[str, Step]] = {
    "1.1.1": update_tariff,
    "1.2.1": update_price,
}
