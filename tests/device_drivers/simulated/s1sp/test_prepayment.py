"""Prepayment (SRV 2.1, 2.2, 2.3, 2.5, 4.13)."""

from __future__ import annotations

from typing import Any

import pytest

from device_drivers.utrn import make_utrn
from harness.domain.words import DeviceType

ESME, GSME = DeviceType.ESME, DeviceType.GSME
PREPAYMENT = {
    "Prepayment": {"SuspendDebtDisabled": False, "SuspendDebtEmergency": False, "DisablementThreshold": 0}
}

ELECTRICITY: dict[str, Any] = {
    "UpdatePrepayConfigElectricity": {
        "DebtRecoveryRateCap": 500,
        "EmergencyCreditLimit": 600_000,
        "EmergencyCreditThreshold": 90_000,
        "LowCreditThreshold": 150_000,
        "ElectricityNonDisablementCalendar": {
            "ElectricitySpecialDays": {
                "SpecialDay": [
                    {
                        "@index": 1,
                        "Date": {
                            "Year": {"NonSpecifiedYear": None},
                            "Month": {"SpecifiedMonth": 12},
                            "DayOfMonth": {"SpecifiedDayOfMonth": 25},
                            "DayOfWeek": {"NonSpecifiedDayOfWeek": None},
                        },
                    }
                ]
            },
            "ElectricityNonDisablementSchedule": [
                {
                    "NonDisablementScript": script,
                    "SpecialDaysApplicability": {"SpecialDayApplicability": [{"SpecialDayID": 1}]},
                    "DaysOfWeekApplicability": {
                        "DayOfWeekApplicability": [{"DayOfWeekID": "Saturday"}, {"DayOfWeekID": "Sunday"}]
                    },
                    "ScheduleDatesAndTime": {
                        "SwitchTime": time,
                        "StartDate": "2025-01-01",
                        "EndDate": "2035-12-31",
                    },
                }
                for script, time in (("START", "00:00:00Z"), ("STOP", "10:15:00Z"))
            ],
        },
        "MaxMeterBalance": 40_000_000,
        "MaxCreditThreshold": 20_000_000,
    }
}


def gas_date(**specified: int) -> dict[str, Any]:
    fields = {
        "Year": "GasYearWithWildcards",
        "Month": "GasMonthWithWildcards",
        "DayOfMonth": "GasDayOfMonthWithWildcards",
        "DayOfWeek": "GasDayOfWeekWithWildcards",
    }
    return {
        element: {f"Specified{name}": specified[name]}
        if name in specified
        else {f"{'Gas' if name == 'DayOfMonth' else ''}NonSpecified{name}": None}
        for name, element in fields.items()
    }


def indexed(*values: int) -> list[dict[str, int]]:
    return [{"@index": index, "": value} for index, value in enumerate(values, start=1)]


def gas(*seasons: dict[str, Any]) -> dict[str, Any]:
    return {
        "UpdatePrepayConfigGas": {
            "DebtRecoveryRateCap": 400,
            "EmergencyCreditLimit": 700_000,
            "EmergencyCreditThreshold": 80_000,
            "LowCreditThreshold": 140_000,
            "GasNonDisablementCalendar": {
                "DayProfiles": {
                    "GasNonDisablementDayProfile": [
                        {
                            "TimeStartAction": [
                                {"StartTime": "09:00:00Z", "NonDisablementAction": "STOP"},
                                {"StartTime": "17:30:00Z", "NonDisablementAction": "START"},
                            ],
                            "GasDayName": 1,
                        },
                        {
                            "TimeStartAction": [{"StartTime": "00:00:00Z", "NonDisablementAction": "START"}],
                            "GasDayName": 2,
                        },
                    ]
                },
                "WeekProfiles": {
                    "WeekProfile": [
                        {"WeekName": 1, "ReferencedDayName": indexed(1, 1, 1, 1, 1, 2, 2)},
                        {"WeekName": 2, "ReferencedDayName": indexed(1, 1, 1, 1, 1, 1, 2)},
                    ]
                },
                "SeasonProfiles": {"Season": list(seasons)},
                "SpecialDays": {
                    "SpecialDay": [{"Date": gas_date(Month=12, DayOfMonth=25), "ReferencedDayName": 2}]
                },
            },
            "MaxMeterBalance": 30_000_000,
            "MaxCreditThreshold": 10_000_000,
        }
    }


ONE_SEASON = ({"SeasonStartDate": gas_date(Month=1, DayOfMonth=1), "ReferencedWeekName": 1},)
TWO_SEASONS = (
    {"SeasonStartDate": gas_date(Year=2025, Month=1, DayOfMonth=1), "ReferencedWeekName": 1},
    {"SeasonStartDate": gas_date(Year=2025, Month=6, DayOfMonth=1), "ReferencedWeekName": 2},
)


HELD = {
    "debt_recovery_rate_cap": 500,
    "emergency_credit_limit": 600_000,
    "emergency_credit_threshold": 90_000,
    "low_credit_threshold": 150_000,
    "max_meter_balance": 40_000_000,
    "max_credit_threshold": 20_000_000,
}


def test_an_electricity_configuration_is_what_the_meter_holds(bed: Any) -> None:
    bed.done("2.1", ESME, ELECTRICITY)
    meter = bed.twin(ESME)
    assert {name: meter.get(name) for name in HELD} == HELD
    start, stop = meter.get("non_disablement_calendar")
    assert (start["action"], start["weekdays"], start["special_days"]) == ("START", (6, 7), (1,))
    assert (stop["action"], stop["hour"], stop["minute"]) == ("STOP", 10, 15)
    assert meter.get("non_disablement_special_days")[0]["date"]["month"] == 12


def test_an_electricity_configuration_is_read_as_it_was_sent(bed: Any) -> None:
    bed.done("2.1", ESME, ELECTRICITY)
    read = bed.done("4.13", ESME)
    assert read.integer("MaxCreditMaxMeterBalance") == 40_000_000
    assert read.integer("DebtRecoveryRateCap") == 500
    assert read.text("Electricity/PaymentMode") == "Credit"
    rows = read.all("Electricity/NonDisablementCalendar/ElectricityNonDisablementSchedule")
    assert [row.text("ScheduleDatesAndTime/SwitchTime") for row in rows] == ["00:00:00Z", "10:15:00Z"]
    assert [row.text("ScheduleDatesAndTime/EndDate") for row in rows] == ["2035-12-31"] * 2
    days = rows[0].all("DaysOfWeekApplicability/DayOfWeekApplicability")
    assert [day.text("DayOfWeekID") for day in days] == ["Saturday", "Sunday"]


CONFIGURATION = {
    "DebtRecoveryPerPayment": ("debt_recovery_per_payment", 1_100),
    "DebtRecoveryRateCap": ("debt_recovery_rate_cap", 1_200),
    "DisablementThreshold": ("disablement_threshold", -1_300),
    "EmergencyCreditLimit": ("emergency_credit_limit", 1_400),
    "EmergencyCreditThreshold": ("emergency_credit_threshold", 1_500),
    "LowCreditThreshold": ("low_credit_threshold", 1_600),
    "CreditMaxCreditThreshold": ("max_credit_threshold", 1_700),
    "MaxCreditMaxMeterBalance": ("max_meter_balance", 1_800),
}


@pytest.mark.parametrize("device", [ESME, GSME])
def test_the_configuration_read_is_what_the_meter_holds(bed: Any, device: DeviceType) -> None:
    for item, value in CONFIGURATION.values():
        bed.twin(device).set(item, value)
    bed.twin(device).set("suspend_debt_disabled", True)
    read = bed.done("4.13", device)
    assert {element: read.integer(element) for element in CONFIGURATION} == {
        element: value for element, (_, value) in CONFIGURATION.items()
    }
    assert read.flag("SuspendDebtDisabled")
    assert not read.flag("SuspendDebtEmergency")


@pytest.mark.parametrize("seasons", [ONE_SEASON, TWO_SEASONS])
def test_a_gas_configuration_is_read_as_it_was_sent(bed: Any, seasons: Any) -> None:
    bed.done("2.1", GSME, gas(*seasons))
    assert bed.twin(GSME).get("emergency_credit_threshold") == 80_000
    calendar = bed.done("4.13", GSME).all("Gas/NonDisablementCalendar")[0]
    profiles = calendar.all("DayProfiles/GasNonDisablementDayProfile")
    assert [
        [action.text("StartTime") for action in profile.all("TimeStartAction")] for profile in profiles
    ] == [["09:00:00Z", "17:30:00Z"], ["00:00:00Z"]]
    weeks = calendar.all("WeekProfiles/WeekProfile")
    assert [[day.integer() for day in week.all("ReferencedDayName")] for week in weeks] == [
        [1, 1, 1, 1, 1, 2, 2], [1, 1, 1, 1, 1, 1, 2],
    ][: len(seasons)]  # fmt: skip
    assert len(calendar.all("SeasonProfiles/Season")) == len(seasons)
    assert calendar.integer("SpecialDays/SpecialDay/ReferencedDayName") == 2


def test_a_gas_season_ends_where_the_next_begins(bed: Any) -> None:
    bed.done("2.1", GSME, gas(*TWO_SEASONS))
    rows = bed.twin(GSME).get("non_disablement_calendar")
    assert rows[0]["end"] == {"year": 2025, "month": 5, "day": 31, "weekday": 0xFF}


@pytest.mark.parametrize(
    ("limit", "why"), [("EmergencyCreditLimit", "takes 0 to"), ("LowCreditThreshold", "takes -2147483648 to")]
)
def test_an_amount_that_a_gas_meter_cannot_hold_is_refused(bed: Any, limit: str, why: str) -> None:
    body = gas(*ONE_SEASON)
    body["UpdatePrepayConfigGas"][limit] = 4_000_000_000
    assert why in bed.refused("2.1", GSME, body)


def test_several_gas_seasons_without_years_are_refused(bed: Any) -> None:
    assert "full starting dates" in bed.refused("2.1", GSME, gas(*ONE_SEASON, *ONE_SEASON))


@pytest.mark.parametrize("device", [ESME, GSME])
def test_a_top_up_raises_the_balance_by_its_worth_and_only_once(bed: Any, device: DeviceType) -> None:
    bed.done("1.6", device, PREPAYMENT)
    bed.done("1.5", device, {"PrepaymentMode": {"ResetMeterBalance": None}})
    utrn = make_utrn(bed.twin(device).device_id, 1000, 1)
    bed.done("2.2", device, {"UTRN": utrn})
    assert bed.twin(device).get("meter_balance") == 1_000_000
    assert "refused top_up" in bed.refused("2.2", device, {"UTRN": utrn})


def test_a_top_up_for_another_meter_is_refused(bed: Any) -> None:
    bed.done("1.6", ESME, PREPAYMENT)
    assert "refused" in bed.refused("2.2", ESME, {"UTRN": make_utrn(bed.twin(GSME).device_id, 1000, 1)})


def debt(fuel: str, **changes: Any) -> dict[str, Any]:
    scale = {"DebtRecoveryRatePriceScale": -4} if fuel == "Elec" else {}
    return {
        "TimeDebtRegister1": 11,
        "TimeDebtRegister2": 22,
        "PaymentDebtRegister": 33,
        "DebtRecoveryPerPayment": 2_500,
        f"{fuel}DebtRecovery1": {"DebtRecoveryRate": 5, **scale, "DebtRecoveryRatePeriod": "HOURLY"},
        f"{fuel}DebtRecovery2": {"DebtRecoveryRate": 6, **scale, "DebtRecoveryRatePeriod": "DAILY"},
    } | changes


@pytest.mark.parametrize(("device", "fuel", "scale"), [(ESME, "Elec", -4), (GSME, "Gas", -5)])
def test_debts_are_what_the_meter_holds(bed: Any, device: DeviceType, fuel: str, scale: int) -> None:
    bed.done("2.3", device, debt(fuel))
    meter = bed.twin(device)
    assert [meter.get(name) for name in ("time_debt_1", "time_debt_2", "payment_debt")] == [11, 22, 33]
    assert meter.get("debt_recovery_per_payment") == 2_500
    assert meter.get("debt_recovery_1") == {"rate": 5, "scale": scale, "period": "HOURLY"}
    read = bed.done("4.13", device)
    branch = "Gas" if fuel == "Gas" else "Electricity"
    assert read.text(f"{branch}/DebtRecovery2/DebtRecoveryRatePeriod") == "DAILY"


def test_a_debt_below_zero_or_of_the_other_fuel_is_refused(bed: Any) -> None:
    assert "takes 0 to" in bed.refused("2.3", ESME, debt("Elec", PaymentDebtRegister=-1))
    assert "GasDebtRecovery1" in bed.refused("2.3", ESME, debt("Gas"))


@pytest.mark.parametrize("device", [ESME, GSME])
def test_emergency_credit_is_activated_where_the_balance_is_low(bed: Any, device: DeviceType) -> None:
    assert "refused activate_emergency_credit" in bed.refused("2.5", device)
    bed.done("1.6", device, PREPAYMENT)
    bed.done("1.5", device, {"PrepaymentMode": {"ResetMeterBalance": None}})
    bed.done("2.5", device)
    assert bed.twin(device).get("emergency_credit_active")
