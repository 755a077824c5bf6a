"""The bodies of prepayment requests (SRV 2.1, 2.3), for electricity and for gas. Money is in millipence."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from harness.domain.instruments import Body, Device
from harness.domain.words import DeviceType
from test_packs.arrange import GBP
from test_packs.tariffs import electricity_date, gas_date

PENNY: Final = 1_000
NO_TIME_DEBT: Final = {"TimeDebtRegister1": 0, "TimeDebtRegister2": 0}


def configuration(
    meter: Device, switches: Mapping[str, str] | None = None, special: date | None = None, **values: int
) -> Body:
    """A configuration for the meter's fuel; ``switches``: START and STOP of non-disablement, times of day.

    They are for every day of the week, and for the ``special`` day.
    """
    switches = switches or {"STOP": "00:00"}
    money = {
        "DebtRecoveryRateCap": 20_000,
        "EmergencyCreditLimit": 6 * GBP,
        "EmergencyCreditThreshold": 2 * GBP,
        "LowCreditThreshold": 3 * GBP,
    } | {name: value for name, value in values.items() if not name.startswith("Max")}
    limits = {"MaxMeterBalance": 200 * GBP, "MaxCreditThreshold": 90 * GBP} | {
        name: value for name, value in values.items() if name.startswith("Max")
    }
    if meter.device_type is DeviceType.ESME:
        calendar: dict[str, Any] = {
            "ElectricityNonDisablementCalendar": _electricity_calendar(switches, special)
        }
        return {"UpdatePrepayConfigElectricity": money | calendar | limits}
    return {
        "UpdatePrepayConfigGas": money
        | {"GasNonDisablementCalendar": _gas_calendar(switches, special)}
        | limits
    }


_DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def _electricity_calendar(switches: Mapping[str, str], special: date | None) -> dict[str, Any]:
    applies: dict[str, Any] = {"SpecialDayApplicability": [{"SpecialDayID": 1}]} if special else {}
    return {
        "ElectricitySpecialDays": {"SpecialDay": [{"@index": 1, "Date": electricity_date(special)}]}
        if special
        else {},
        "ElectricityNonDisablementSchedule": [
            {
                "NonDisablementScript": action,
                "SpecialDaysApplicability": applies,
                "DaysOfWeekApplicability": {
                    "DayOfWeekApplicability": [{"DayOfWeekID": day} for day in _DAYS]
                },
                "ScheduleDatesAndTime": {
                    "SwitchTime": f"{time}:00Z",
                    "StartDate": "2020-01-01",
                    "EndDate": "2050-12-31",
                },
            }
            for action, time in switches.items()
        ],
    }


def _gas_calendar(switches: Mapping[str, str], special: date | None) -> dict[str, Any]:
    first_of_january = {
        "GasYearWithWildcards": {"NonSpecifiedYear": {}},
        "GasMonthWithWildcards": {"SpecifiedMonth": 1},
        "GasDayOfMonthWithWildcards": {"SpecifiedDayOfMonth": 1},
        "GasDayOfWeekWithWildcards": {"NonSpecifiedDayOfWeek": {}},
    }
    return {
        "DayProfiles": {
            "GasNonDisablementDayProfile": [
                {
                    "TimeStartAction": [
                        {"StartTime": f"{time}:00Z", "NonDisablementAction": action}
                        for action, time in switches.items()
                    ],
                    "GasDayName": 1,
                }
            ]
        },
        "WeekProfiles": {
            "WeekProfile": [{"WeekName": 1, "ReferencedDayName": [{"@index": n, "": 1} for n in range(1, 8)]}]
        },
        "SeasonProfiles": {"Season": [{"SeasonStartDate": first_of_january, "ReferencedWeekName": 1}]},
        "SpecialDays": {"SpecialDay": [{"Date": gas_date(special), "ReferencedDayName": 1}]}
        if special
        else {},
    }


def debt(meter: Device, **values: int) -> Body:
    """Debts and their recovery for the meter's fuel, in millipence; rates are hourly, then daily."""
    electricity = meter.device_type is DeviceType.ESME
    fuel, scale = ("Elec", {"DebtRecoveryRatePriceScale": -5}) if electricity else ("Gas", {})
    registers = {
        "TimeDebtRegister1": 40 * GBP,
        "TimeDebtRegister2": 30 * GBP,
        "PaymentDebtRegister": 20 * GBP,
        "DebtRecoveryPerPayment": 2_500,
    } | values
    rates = ((1, 1_234, "HOURLY"), (2, 25_678, "DAILY"))
    return registers | {
        f"{fuel}DebtRecovery{number}": {"DebtRecoveryRate": rate, **scale, "DebtRecoveryRatePeriod": period}
        for number, rate, period in rates
    }
