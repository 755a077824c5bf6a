"""Service group 4: balances, debts and the prepayment configuration (SRV 4.3, 4.13, 4.18)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

import pytest

from harness.domain.instruments import Bench, EvidenceLog, LabClock, Meter
from harness.domain.words import DeviceType, PaymentMode
from test_packs.arrange import GBP, Served, Unchanged, crediting, power_cut, prepaying, put
from test_packs.consumption import demand
from test_packs.content import expect_content, indexed
from test_packs.metering import flow, let_flow

pytestmark = pytest.mark.functional_group("4 Meter reading")

QUARTER: Final = timedelta(minutes=15)
_VALUES: Final = {
    "EmergencyCreditBalance": "emergency_credit_balance",
    "AccumulatedDebtRegister": "accumulated_debt",
    "PaymentDebtRegister": "payment_debt",
    "TimeDebtRegister1": "time_debt_1",
    "TimeDebtRegister2": "time_debt_2",
    "MeterBalance": "meter_balance",
}
_SETTINGS: Final = {  # different values in every place, so that none can stand in for another
    "DebtRecoveryPerPayment": ("debt_recovery_per_payment", 1_250),
    "DebtRecoveryRateCap": ("debt_recovery_rate_cap", 23_450),
    "DisablementThreshold": ("disablement_threshold", -1_234),
    "EmergencyCreditLimit": ("emergency_credit_limit", 7 * GBP),
    "EmergencyCreditThreshold": ("emergency_credit_threshold", 123_456),
    "LowCreditThreshold": ("low_credit_threshold", 234_567),
    "CreditMaxCreditThreshold": ("max_credit_threshold", 80 * GBP),
    "MaxCreditMaxMeterBalance": ("max_meter_balance", 160 * GBP),
}
_WILD: Final = {"year": 0xFFFF, "month": 0xFF, "day": 0xFF, "weekday": 0xFF}
_WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def _due(meter: Meter) -> dict[str, Any]:
    """SRV 4.3, of what the meter holds."""
    held = meter.read_many(tuple(_VALUES.values()))
    return {element: held[item] for element, item in _VALUES.items()}


@pytest.mark.srv("4.3")
@pytest.mark.ttm("TTM-4.3-E-01", "TTM-4.3-E-02", "TTM-4.3-G-01", "TTM-4.3-G-02")
@pytest.mark.devices("ESME", "GSME")
def test_balances_and_debts_are_told_each_in_its_place(
    served: Served,
    unchanged: Unchanged,
    meter: Meter,
    bench: Bench,
    clock: LabClock,
    evidence: EvidenceLog,
) -> None:
    """SRV 4.3: balance, emergency credit and every debt are told to the millipence, over a power cut too."""
    account = {
        "emergency_credit_balance": 321_987,
        "accumulated_debt": 45_678,
        "payment_debt": 1_234_567,
        "time_debt_1": 2_345_678,
        "time_debt_2": 3_456_789,
        "meter_balance": -56_789,
    }
    balance = account.pop("meter_balance")
    prepaying(meter, balance=balance, emergency_credit_active=True, disablement_threshold=-GBP, **account)
    due = {element: (account | {"meter_balance": balance})[item] for element, item in _VALUES.items()}
    for when in ("as put there", "after a power cut"):
        with unchanged(meter):
            payload = served("4.3", meter)
        expect_content(evidence, f"balances and debts {when}", payload, due)
        power_cut(bench, clock)


@pytest.mark.srv("4.3")
@pytest.mark.ttm("TTM-4.3-E-03", "TTM-4.3-G-03")
@pytest.mark.devices("ESME", "GSME")
def test_balances_and_debts_are_those_of_the_moment(
    served: Served, meter: Meter, bench: Bench, clock: LabClock, evidence: EvidenceLog
) -> None:
    """SRV 4.3: after hours of consumption and debt recovery what is told is what is left, not what was."""
    hourly = {"rate": 1_234, "scale": -5, "period": "HOURLY"}
    prepaying(meter, balance=20 * GBP, time_debt_1=3 * GBP, debt_recovery_1=hourly)
    before = served("4.3", meter)
    let_flow(bench, clock, meter, timedelta(hours=3), 2_100)
    after = served("4.3", meter)
    expect_content(evidence, "balances and debts", after, _due(meter))
    for element in ("MeterBalance", "TimeDebtRegister1"):
        held = before.integer(element)
        what = f"{element}, fallen, millipence"
        evidence.expect_between(what, found=after.integer(element), low=0, high=held - 1)


@pytest.mark.srv("4.18")
@pytest.mark.ttm("TTM-4.18-E-01", "TTM-4.18-E-02", "TTM-4.18-G-01", "TTM-4.18-G-02")
@pytest.mark.devices("ESME", "GSME")
def test_the_balance_is_told_in_both_payment_modes(
    served: Served,
    unchanged: Unchanged,
    meter: Meter,
    bench: Bench,
    clock: LabClock,
    evidence: EvidenceLog,
) -> None:
    """SRV 4.18: the balance is told to the millipence, in credit and prepayment mode, below nothing too."""
    crediting(meter, balance=3_210_987)
    _expect_balance(served, unchanged, evidence, meter, 3_210_987)
    prepaying(meter, balance=-12_345, disablement_threshold=-GBP)
    _expect_balance(served, unchanged, evidence, meter, -12_345)
    power_cut(bench, clock)
    _expect_balance(served, unchanged, evidence, meter, -12_345)


def _expect_balance(
    served: Served, unchanged: Unchanged, evidence: EvidenceLog, meter: Meter, balance: int
) -> None:
    prepaid = meter.read("payment_mode") == PaymentMode.PREPAYMENT
    gas = prepaid and meter.device_type is DeviceType.GSME
    due = {"MeterBalance": balance} | ({"Gas": {"MeterBalancePrepaymentMode": balance}} if gas else {})
    with unchanged(meter):
        payload = served("4.18", meter)
    expect_content(evidence, "the balance told", payload, due)


@pytest.mark.srv("4.18")
@pytest.mark.ttm("TTM-4.18-E-03", "TTM-4.18-G-03")
@pytest.mark.devices("ESME", "GSME")
def test_the_balance_is_told_as_of_the_reading_while_it_falls(
    served: Served, meter: Meter, bench: Bench, clock: LabClock, evidence: EvidenceLog
) -> None:
    """SRV 4.18: while credit is used each reading lies between local ones around it, and below the last."""
    prepaying(meter, balance=80 * GBP)
    flow(bench, meter, 5_000)
    last = 80 * GBP
    for _ in range(3):
        clock.sleep(QUARTER)
        before = meter.read("meter_balance")
        told = served("4.18", meter).integer("MeterBalance")
        now = meter.read("meter_balance")
        evidence.expect_between("the balance, millipence", found=told, low=now, high=before)
        low = min(now, last - 1)  # where the balance stands still, too
        evidence.expect_between("the balance, below the last, millipence", found=told, low=low, high=last - 1)
        last = told
    demand(meter, bench, on=False)


def _switch(action: str, hour: int, minute: int, **row: Any) -> dict[str, Any]:
    """A row of a non-disablement calendar as the meter holds it."""
    always = {"weekdays": (), "special_days": (), "start": _WILD, "end": _WILD}
    return {"action": action, "hour": hour, "minute": minute} | always | row


def _calendar(meter: Meter) -> tuple[dict[str, Any], dict[str, Any]]:
    """A non-disablement calendar: as the meter holds it, and as SRV 4.13 has to tell it."""
    return _electricity_calendar() if meter.device_type is DeviceType.ESME else _gas_calendar()


def _electricity_calendar() -> tuple[dict[str, Any], dict[str, Any]]:
    start, end = _WILD | {"year": 2024, "month": 11, "day": 1}, _WILD | {"year": 2031, "month": 3, "day": 31}
    dates = {"start": start, "end": end}
    held = {
        "non_disablement_special_days": (
            {"index": 1, "date": _WILD | {"month": 12, "day": 25}, "day": 0},
            {"index": 2, "date": _WILD | {"year": 2030, "month": 1, "day": 1}, "day": 0},
        ),
        "non_disablement_calendar": (
            _switch("START", 16, 30, weekdays=(1, 3, 5), **dates),
            _switch("STOP", 9, 15, weekdays=(2, 4, 6), special_days=(1, 2), **dates),
        ),
    }
    told = {
        "ElectricitySpecialDays": {
            "SpecialDay": [
                {"@index": 1} | _electricity_date({"NonSpecifiedYear": {}}, 12, 25),
                {"@index": 2} | _electricity_date({"SpecifiedYear": 2030}, 1, 1),
            ]
        },
        "ElectricityNonDisablementSchedule": [
            _schedule("START", "16:30:00Z", (1, 3, 5), ()),
            _schedule("STOP", "09:15:00Z", (2, 4, 6), (1, 2)),
        ],
    }
    return held, told


def _electricity_date(year: Mapping[str, Any], month: int, day: int) -> dict[str, Any]:
    return {
        "Year": year,
        "Month": {"SpecifiedMonth": month},
        "DayOfMonth": {"SpecifiedDayOfMonth": day},
        "DayOfWeek": {"NonSpecifiedDayOfWeek": {}},
    }


def _schedule(action: str, time: str, weekdays: tuple[int, ...], special: tuple[int, ...]) -> dict[str, Any]:
    return {
        "NonDisablementScript": action,
        "SpecialDaysApplicability": {"SpecialDayApplicability": [{"SpecialDayID": day} for day in special]},
        "DaysOfWeekApplicability": {
            "DayOfWeekApplicability": [{"DayOfWeekID": _WEEKDAYS[day - 1]} for day in weekdays]
        },
        "ScheduleDatesAndTime": {"SwitchTime": time, "StartDate": "2024-11-01", "EndDate": "2031-03-31"},
    }


def _gas_calendar() -> tuple[dict[str, Any], dict[str, Any]]:
    season, every_day = _WILD | {"month": 11, "day": 1}, tuple(range(1, 8))
    held = {
        "non_disablement_special_days": (
            {"index": 1, "date": _WILD | {"year": 2030, "month": 12, "day": 25}, "day": 2},
        ),
        "non_disablement_calendar": (
            _switch("START", 16, 30, weekdays=every_day, start=season),
            _switch("STOP", 21, 45, weekdays=every_day, start=season),
            _switch("START", 7, 0, special_days=(1,)),
        ),
    }
    told = {
        "DayProfiles": {
            "GasNonDisablementDayProfile": [
                {
                    "TimeStartAction": [_action(1, "16:30:00Z", "START"), _action(2, "21:45:00Z", "STOP")],
                    "GasDayName": 1,
                },
                {"TimeStartAction": [_action(1, "07:00:00Z", "START")], "GasDayName": 2},
            ]
        },
        "WeekProfiles": {"WeekProfile": [{"WeekName": 1, "ReferencedDayName": indexed((1,) * 7)}]},
        "SeasonProfiles": {
            "Season": [
                {"SeasonStartDate": _gas_date({"NonSpecifiedYear": {}}, 11, 1), "ReferencedWeekName": 1}
            ]
        },
        "SpecialDays": {
            "SpecialDay": [{"Date": _gas_date({"SpecifiedYear": 2030}, 12, 25), "ReferencedDayName": 2}]
        },
    }
    return held, told


def _gas_date(year: Mapping[str, Any], month: int, day: int) -> dict[str, Any]:
    return {
        "GasYearWithWildcards": year,
        "GasMonthWithWildcards": {"SpecifiedMonth": month},
        "GasDayOfMonthWithWildcards": {"SpecifiedDayOfMonth": day},
        "GasDayOfWeekWithWildcards": {"NonSpecifiedDayOfWeek": {}},
    }


def _action(index: int, time: str, action: str) -> dict[str, Any]:
    return {"@index": index, "StartTime": time, "NonDisablementAction": action}


@pytest.mark.srv("4.13")
@pytest.mark.ttm("TTM-4.13-E-01", "TTM-4.13-E-02", "TTM-4.13-G-01", "TTM-4.13-G-02")
@pytest.mark.devices("ESME", "GSME")
def test_the_prepayment_configuration_is_told_whole(
    served: Served, unchanged: Unchanged, meter: Meter, evidence: EvidenceLog
) -> None:
    """SRV 4.13: every limit, threshold, rate, flag and calendar entry is told as the meter holds it."""
    rates = {"debt_recovery_1": (4_321, -5, "HOURLY"), "debt_recovery_2": (65_432, -4, "DAILY")}
    gas = meter.device_type is DeviceType.GSME
    prepaying(meter)
    held, calendar = _calendar(meter)
    put(meter, held | dict(_SETTINGS.values()))
    put(meter, {item: {"rate": rate, "scale": scale, "period": period}
                for item, (rate, scale, period) in rates.items()})  # fmt: skip
    recovery = {
        f"DebtRecovery{number}": {"DebtRecoveryRate": rate}
        | ({} if gas else {"DebtRecoveryRatePriceScale": scale})
        | {"DebtRecoveryRatePeriod": period}
        for number, (rate, scale, period) in enumerate(rates.values(), start=1)
    }
    mode = {} if gas else {"PaymentMode": "Prepayment"}
    fuel = {"Gas" if gas else "Electricity": mode | {"NonDisablementCalendar": calendar} | recovery}
    for more, disabled, emergency in ((0, True, False), (7, False, True)):  # told anew, not from memory
        settings = {element: value + more for element, (_, value) in _SETTINGS.items()}
        put(meter, {item: value + more for item, value in _SETTINGS.values()})
        put(meter, {"suspend_debt_disabled": disabled, "suspend_debt_emergency": emergency})
        flags = {"SuspendDebtDisabled": disabled, "SuspendDebtEmergency": emergency}
        with unchanged(meter):
            payload = served("4.13", meter)
        expect_content(evidence, "the prepayment configuration", payload, settings | flags | fuel)
