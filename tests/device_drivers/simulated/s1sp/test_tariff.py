"""SRV 1.1.1, 1.2.1 and 4.11.1: a tariff is taken whole or not at all, and read as the meter holds it."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from harness.domain.words import DeviceType

ESME, GSME = DeviceType.ESME, DeviceType.GSME


def day(name: int, *schedule: tuple[str, str, int]) -> dict[str, Any]:
    return {
        "DayName": name,
        "ProfileSchedule": [{"StartTime": start, action: register} for start, action, register in schedule],
    }


def date(month: int, day_of_month: int) -> dict[str, Any]:
    return {
        "Year": {"NonSpecifiedYear": None},
        "Month": {"SpecifiedMonth": month},
        "DayOfMonth": {"SpecifiedDayOfMonth": day_of_month},
        "DayOfWeek": {"NonSpecifiedDayOfWeek": None},
    }


def indexed(*values: int) -> list[dict[str, int]]:
    return [{"@index": index, "": value} for index, value in enumerate(values, start=1)]


ELECTRICITY: dict[str, Any] = {
    "ElecTariffElements": {
        "CurrencyUnits": "GBP",
        "SwitchingTable": {
            "DayProfiles": {
                "DayProfile": [
                    day(
                        1,
                        ("00:00:00Z", "TOUTariffAction", 2),
                        ("07:30:00Z", "TOUTariffAction", 1),
                        ("23:00:00Z", "BlockTariffAction", 3),
                    ),
                    day(2, ("00:00:00Z", "TOUTariffAction", 48)),
                ]
            },
            "WeekProfiles": {
                "WeekProfile": [{"WeekName": 1, "ReferencedDayName": indexed(1, 1, 1, 1, 1, 2, 2)}]
            },
            "Seasons": {
                "Season": [
                    {"SeasonName": "Winter", "SeasonStartDate": date(10, 26), "ReferencedWeekName": 1},
                    {"SeasonName": "Summer", "SeasonStartDate": date(3, 29), "ReferencedWeekName": 1},
                ]
            },
        },
        "SpecialDays": {"SpecialDay": [{"Date": date(12, 25), "ReferencedDayName": 2}]},
        "ThresholdMatrix": {
            "Thresholds": [
                {"@index": row, "BlockThreshold": indexed(1000 * row, 2000 * row)} for row in range(1, 9)
            ]
        },
    },
    "PriceElements": {
        "ElectricityPriceElements": {
            "StandingCharge": 531,
            "StandingChargeScale": -3,
            "PriceScale": -5,
            "HybridTariff": {
                "BlockPrices": [{"@index": 3, "BlockPrice": indexed(20000, 21000, 22000)}],
                "TOUPrice": [{"@index": 1, "": 28000}, {"@index": 2, "": 12000}, {"@index": 48, "": 5000}],
            },
        }
    },
}

GAS_DATE = {
    "GasYearWithWildcards": {"NonSpecifiedYear": None},
    "GasMonthWithWildcards": {"SpecifiedMonth": 1},
    "GasDayOfMonthWithWildcards": {"SpecifiedDayOfMonth": 1},
    "GasDayOfWeekWithWildcards": {"NonSpecifiedDayOfWeek": None},
}
GAS: dict[str, Any] = {
    "GasTariffElements": {
        "SwitchingTable": {
            "DayProfiles": {
                "DayProfile": [{"DayName": 1, "TOUTariffAction": 2}, {"DayName": 2, "TOUTariffAction": 4}]
            },
            "WeekProfiles": {
                "WeekProfile": [{"WeekName": 1, "ReferencedDayName": indexed(1, 1, 1, 1, 1, 2, 2)}]
            },
            "Seasons": {"Season": [{"SeasonStartDate": GAS_DATE, "ReferencedWeekName": 1}]},
        },
        "SpecialDays": {"SpecialDay": [{"Date": GAS_DATE, "ReferencedDayName": 2}]},
        "ThresholdMatrix": {"BlockThreshold": indexed(100, 200, 300)},
    },
    "PriceElements": {
        "GasPriceElements": {
            "CurrencyUnits": "GBP",
            "StandingCharge": 29_000,
            "TOUTariff": {"TOUPrice": indexed(1, 6_200, 3, 6_100)},
        }
    },
}


def changed(body: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy of the body with one thing in it different."""
    body = copy.deepcopy(body)
    *parents, last = path.split("/")
    node: Any = body
    for name in parents:
        node = node[int(name)] if name.isdigit() else node[name]
    node[int(last) if last.isdigit() else last] = value
    return body


def test_an_electricity_tariff_is_what_the_meter_holds_afterwards(bed: Any) -> None:
    bed.done("1.1.1", ESME, ELECTRICITY)
    meter = bed.twin(ESME)
    assert [action["register"] for action in meter.get("day_profiles")[0]["actions"]] == [2, 1, 3]
    assert meter.get("day_profiles")[0]["actions"][1] | {"kind": "tou"} == {
        "hour": 7, "minute": 30, "kind": "tou", "register": 1,
    }  # fmt: skip
    assert meter.get("week_profiles") == ({"week": 1, "days": (1, 1, 1, 1, 1, 2, 2)},)
    assert [season["name"] for season in meter.get("seasons")] == ["Winter", "Summer"]
    assert meter.get("special_days")[0]["date"] == {"year": 0xFFFF, "month": 12, "day": 25, "weekday": 0xFF}
    assert meter.get("block_thresholds")[7] == (8000, 16000, 0)
    assert meter.get("block_prices")[2] == (20000, 21000, 22000, 0)
    assert meter.get("tou_prices")[:3] == (28000, 12000, 0)
    assert len(meter.get("tou_prices")) == 48
    assert meter.get("tou_prices")[47] == 5000
    assert (meter.get("standing_charge"), meter.get("standing_charge_scale")) == (531, -3)
    assert meter.rows("event_log")[-1][1] == 0x000F  # one change of tariff, not one for each setting


def test_a_gas_tariff_is_what_the_meter_holds_afterwards(bed: Any) -> None:
    bed.done("1.1.1", GSME, GAS)
    meter = bed.twin(GSME)
    assert [profile["actions"][0]["register"] for profile in meter.get("day_profiles")] == [2, 4]
    assert meter.get("tou_prices") == (1, 6_200, 3, 6_100)
    assert meter.get("block_thresholds") == ((100, 200, 300),)
    assert meter.get("standing_charge") == 29_000
    assert meter.get("active_price") == 6_200


def test_a_gas_block_tariff_prices_blocks(bed: Any) -> None:
    body = changed(GAS, "GasTariffElements/SwitchingTable/DayProfiles/DayProfile/0", {
        "DayName": 1, "BlockTariff": None,
    })  # fmt: skip
    body = changed(body, "GasTariffElements/SwitchingTable/DayProfiles/DayProfile/1", {
        "DayName": 2, "BlockTariff": None,
    })  # fmt: skip
    prices = {
        "CurrencyUnits": "GBP",
        "StandingCharge": 1,
        "BlockTariff": {"BlockPrice": indexed(9, 8, 7, 6), "NumberOfThresholds": 3},
    }
    bed.done("1.1.1", GSME, changed(body, "PriceElements/GasPriceElements", prices))
    assert bed.twin(GSME).get("block_prices") == ((9, 8, 7, 6),)
    assert bed.twin(GSME).get("active_price") == 9


def test_prices_alone_leave_the_switching_table_as_it_is(bed: Any) -> None:
    before = bed.twin(ESME).get("day_profiles")
    prices = {
        "ElectricityPriceElements": {
            "StandingCharge": 7,
            "StandingChargeScale": -2,
            "PriceScale": -4,
            "TOUTariff": {"TOUPrice": indexed(3, 2)},
        }
    }
    bed.done("1.2.1", ESME, {"PriceElements": prices})
    assert bed.twin(ESME).get("tou_prices")[:2] == (3, 2)
    assert bed.twin(ESME).get("price_scale") == -4
    assert bed.twin(ESME).get("day_profiles") == before


def test_an_electricity_tariff_is_read_as_it_was_sent(bed: Any) -> None:
    bed.done("1.1.1", ESME, ELECTRICITY)
    read = bed.done("4.11.1", ESME)
    table = "Electricity/TariffSwitchingTable"
    schedule = read.all(f"{table}/DayProfiles/DayProfile")[0].all("ProfileSchedule")
    assert [action.text("StartTime") for action in schedule] == ["00:00:00Z", "07:30:00Z", "23:00:00Z"]
    assert schedule[2].integer("BlockTariffAction") == 3
    (week,) = read.all(f"{table}/WeekProfiles/WeekProfile")
    assert [day.integer() for day in week.all("ReferencedElecDay")] == [1, 1, 1, 1, 1, 2, 2]
    assert read.text(f"{table}/Seasons/Season/SeasonName") == "Winter"
    assert read.integer(f"{table}/Seasons/Season/SeasonStartDate/Month/SpecifiedMonth") == 10
    prices = read.all("Electricity/TariffTOUPriceMatrix/TariffTOUPrice")
    assert {price.integer("@index"): price.integer() for price in prices}[48] == 5000
    assert read.integer("Electricity/PrimaryActiveTariffPrice") == bed.twin(ESME).get("active_price")
    assert read.integer("Electricity/StandingCharge") == 531


def test_a_gas_tariff_is_read_as_it_was_sent(bed: Any) -> None:
    bed.done("1.1.1", GSME, GAS)
    read = bed.done("4.11.1", GSME)
    days = read.all("Gas/TariffSwitchingTable/DayProfiles/DayProfile")
    assert [day.integer("TOUTariffAction") for day in days] == [2, 4]
    assert [price.integer() for price in read.all("Gas/TOUTariff/TariffTOUPrice")] == [1, 6_200, 3, 6_100]
    assert [limit.integer() for limit in read.all("Gas/TariffThresholds/BlockThreshold")] == [100, 200, 300]


@pytest.mark.parametrize(("device", "fuel"), [(ESME, "Electricity"), (GSME, "Gas")])
def test_the_tariff_from_the_factory_can_be_read(bed: Any, device: DeviceType, fuel: str) -> None:
    read = bed.done("4.11.1", device)
    assert read.integer(f"{fuel}/PrimaryActiveTariffPrice") == bed.twin(device).get("active_price")


def test_a_standing_charge_too_large_for_the_schema_is_told_in_a_larger_unit(bed: Any) -> None:
    bed.twin(ESME).set("standing_charge", 53_000)
    bed.twin(ESME).set("standing_charge_scale", -5)
    read = bed.done("4.11.1", ESME)
    assert read.integer("Electricity/StandingCharge") == 5_300
    assert read.integer("Electricity/StandingChargeScale") == -4


TABLE = "ElecTariffElements/SwitchingTable"
TOU_PRICES = {
    "StandingCharge": 1,
    "StandingChargeScale": -5,
    "PriceScale": -5,
    "TOUTariff": {"TOUPrice": indexed(1)},
}


@pytest.mark.parametrize(
    ("path", "value", "why"),
    [
        (f"{TABLE}/WeekProfiles/WeekProfile/0/ReferencedDayName", indexed(1, 1, 1, 1, 1, 1, 9), "profile 9"),
        (f"{TABLE}/Seasons/Season/0/ReferencedWeekName", 4, "week profile 4"),
        ("ElecTariffElements/SpecialDays/SpecialDay/0/ReferencedDayName", 16, "day profile 16"),
        (f"{TABLE}/DayProfiles/DayProfile/1/DayName", 1, "names one thing twice"),
        (f"{TABLE}/DayProfiles/DayProfile/1", day(2, ("01:00:00Z", "TOUTariffAction", 1)), "start at 00:00"),
        (f"{TABLE}/DayProfiles/DayProfile/1", day(2, ("00:00:30Z", "TOUTariffAction", 1)), "whole minute"),
        ("ElecTariffElements/ThresholdMatrix/Thresholds/0/BlockThreshold", indexed(5, 4), "do not rise"),
        ("ElecTariffElements/CurrencyUnits", "ECB", "GBP"),
        ("PriceElements/ElectricityPriceElements/PriceScale", -20, "scale"),
        ("PriceElements/ElectricityPriceElements", TOU_PRICES, "block registers"),
    ],
)  # fmt: skip
def test_a_tariff_with_one_thing_wrong_leaves_the_meter_untouched(
    bed: Any, path: str, value: Any, why: str
) -> None:
    assert why in bed.refused("1.1.1", ESME, changed(ELECTRICITY, path, value))


def test_a_tariff_for_the_other_fuel_leaves_the_meter_untouched(bed: Any) -> None:
    assert "GasTariffElements" in bed.refused("1.1.1", ESME, GAS)
    assert "ElecTariffElements" in bed.refused("1.1.1", GSME, ELECTRICITY)


def test_what_was_staged_before_a_refusal_is_not_applied_later(bed: Any) -> None:
    bed.refused("1.1.1", ESME, changed(ELECTRICITY, "PriceElements/ElectricityPriceElements/PriceScale", -20))
    before = bed.twin(ESME).get("week_profiles")
    bed.twin(ESME).set("supplier_name", "Another")
    assert bed.twin(ESME).get("supplier_name") == "Another"
    assert bed.twin(ESME).get("week_profiles") == before
