"""Reading a tariff back (SRV 4.11.1): the meter's settings as the MMC has them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from device_drivers.simulated.s1sp.content import (
    ELECTRICITY_DATE,
    EMPTY,
    GAS_DATE,
    clock_time,
    date_content,
    indexed,
)
from device_drivers.simulated.s1sp.steps import Job, Step
from harness.domain.instruments import Body

Record = Mapping[str, Any]

_ITEMS: Final = (
    "active_price",
    "standing_charge",
    "standing_charge_scale",
    "price_scale",
    "tou_prices",
    "block_prices",
    "day_profiles",
    "week_profiles",
    "seasons",
    "special_days",
    "block_thresholds",
)
_INT16_MAX: Final = 0x7FFF


def read_tariff(job: Job) -> Body:
    """SRV 4.11.1: the whole tariff as the meter holds it, and the price that applies now."""
    held = job.device.read_many(_ITEMS)
    return job.fuel(_gas(held) if job.gas else _electricity(held))


def _electricity(held: Record) -> Record:
    return {
        "PrimaryActiveTariffPrice": max(held["active_price"], 0),
        "CurrencyUnitsLabel": "GBP",
        "CurrencyUnitsName": "Millipence",
        **_standing_charge(held),
        "PriceScale": held["price_scale"],
        "TariffBlockPriceMatrix": {"TariffBlockPrices": _rows(held["block_prices"], "BlockPrice")},
        "TariffTOUPriceMatrix": {"TariffTOUPrice": indexed(held["tou_prices"])},
        "TariffSwitchingTable": {
            "DayProfiles": {"DayProfile": [_electricity_day(day) for day in held["day_profiles"]]},
            "WeekProfiles": {"WeekProfile": _weeks(held, "ReferencedElecDay")},
            "Seasons": {
                "Season": [
                    {
                        "SeasonName": season["name"],
                        "SeasonStartDate": date_content(season["start"], ELECTRICITY_DATE),
                        "ReferencedWeekName": season["week"],
                    }
                    for season in held["seasons"]
                ]
            },
        },
        "TariffSwitchingTableSpecialDays": {"SpecialDay": _special_days(held, ELECTRICITY_DATE)},
        "TariffThresholdMatrix": {"ElecTariffThresholds": _rows(held["block_thresholds"], "BlockThreshold")},
    }


def _gas(held: Record) -> Record:
    return {
        "PrimaryActiveTariffPrice": held["active_price"],
        "PrimaryActiveTariffPriceScale": held["price_scale"],
        "CurrencyUnitsLabel": "GBP",
        "StandingCharge": held["standing_charge"],
        "TariffSwitchingTable": {
            "DayProfiles": {"DayProfile": [_gas_day(day) for day in held["day_profiles"]]},
            "WeekProfiles": {"WeekProfile": _weeks(held, "ReferencedDay")},
            "Seasons": {
                "Season": [
                    {
                        "SeasonStartDate": date_content(season["start"], GAS_DATE),
                        "ReferencedWeekName": season["week"],
                    }
                    for season in held["seasons"]
                ]
            },
        },
        "TariffSwitchingTableSpecialDays": {"SpecialDay": _special_days(held, GAS_DATE)},
        "TariffThresholds": {"BlockThreshold": indexed(_first_row(held["block_thresholds"]))},
        "TOUTariff": {"TariffTOUPrice": indexed(held["tou_prices"])},
        "BlockTariff": {"BlockPrice": indexed(_first_row(held["block_prices"]))},
    }


def _standing_charge(held: Record) -> Record:
    """The standing charge; the schema has 16 bits for it, so a larger one is told in a larger unit."""
    charge, scale = held["standing_charge"], held["standing_charge_scale"]
    while charge > _INT16_MAX and charge % 10 == 0:
        charge, scale = charge // 10, scale + 1
    return {"StandingCharge": charge, "StandingChargeScale": scale}


def _first_row(matrix: tuple[tuple[int, ...], ...]) -> tuple[int, ...]:
    return matrix[0] if matrix else ()


def _rows(matrix: Iterable[Iterable[int]], name: str) -> list[Record]:
    return [{"@index": number, name: indexed(row)} for number, row in enumerate(matrix, start=1)]


def _electricity_day(day: Record) -> Record:
    schedule = [
        {
            "StartTime": clock_time(action["hour"], action["minute"]),
            "TOUTariffAction" if action["kind"] == "tou" else "BlockTariffAction": action["register"],
        }
        for action in day["actions"]
    ]
    return {"Day": day["day"], "ProfileSchedule": schedule}


def _gas_day(day: Record) -> Record:
    action = day["actions"][0]
    applies = {"TOUTariffAction": action["register"]} if action["kind"] == "tou" else {"BlockTariff": EMPTY}
    return {"DayName": day["day"], **applies}


def _weeks(held: Record, name: str) -> list[Record]:
    return [{"WeekName": week["week"], name: indexed(week["days"])} for week in held["week_profiles"]]


def _special_days(held: Record, fields: Any) -> list[Record]:
    return [
        {"Date": date_content(special["date"], fields), "ReferencedDay": special["day"]}
        for special in held["special_days"]
    ]


STEPS: Final[Mapping[str, Step]] = {"4.11.1": read_tariff}
