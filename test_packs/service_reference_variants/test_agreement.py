"""Where two Service Requests must agree: what one sets and another tells, what one tells and another sums up.

Both ends go through the DCC here; the meter's own port says who is right where they differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

import pytest

from harness.domain.instruments import (
    Bench,
    Body,
    Device,
    Esme,
    EvidenceLog,
    Gsme,
    LabClock,
    Meter,
    ServiceUser,
)
from harness.domain.payload import Payload
from harness.domain.words import DeviceType, SupplyState
from test_packs.arrange import GBP, Served, crediting, expect_held, prepaying, put, supplying
from test_packs.calendars import held_calendar, told_calendar
from test_packs.content import row_of
from test_packs.metering import HALF_HOUR, expect_sum, let_flow, log_period, until_next
from test_packs.prepayment import configuration, debt
from test_packs.tariffs import Tariff, all_day

pytestmark = pytest.mark.functional_group("Agreement")

_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Pair:
    """What is sent under one SRV, and where another one tells it: path → value; item of the meter → value."""

    sets: str
    body: Body
    tells: str
    told: Mapping[str, Any]
    held: Mapping[str, Any]


def _expect_agreement(served: Served, meter: Device, evidence: EvidenceLog, pairs: Iterable[Pair]) -> None:
    for pair in pairs:
        served(pair.sets, meter, pair.body)
        expect_held(evidence, meter, f"after SRV {pair.sets}", pair.held)
        payload = served(pair.tells, meter)
        found = {path: _like(payload, path, due) for path, due in pair.told.items()}
        evidence.expect(f"SRV {pair.tells} after SRV {pair.sets}", found=found, expected=pair.told)


def _like(payload: Payload, path: str, due: Any) -> Any:
    """What stands at a path, read as what is due there."""
    if isinstance(due, tuple):
        return row_of(payload.all(path))
    return payload.decimal(path) if isinstance(due, int | Decimal) else payload.text(path)


def _gas(meter: Device) -> bool:
    return meter.device_type is DeviceType.GSME


@pytest.mark.srv("1.1.1", "1.2.1", "4.11.1")
@pytest.mark.ttm("TTM-AGR-01-E-01", "TTM-AGR-01-G-01")
@pytest.mark.devices("ESME", "GSME")
def test_the_tariff_told_is_the_one_sent(served: Served, meter: Meter, evidence: EvidenceLog) -> None:
    """SRV 1.1.1, 1.2.1 ↔ 4.11.1: prices, standing charge and the price in force are those sent last."""
    crediting(meter)
    fuel, prices = ("Gas", "TOUTariff") if _gas(meter) else ("Electricity", "TariffTOUPriceMatrix")

    def told(tariff: Tariff) -> dict[str, Any]:
        return {
            f"{fuel}/{prices}/TariffTOUPrice": tariff.held(meter)["tou_prices"],
            f"{fuel}/StandingCharge": tariff.standing_charge,
            f"{fuel}/PrimaryActiveTariffPrice": tariff.tou_prices[1],
        }

    days = (all_day("tou", 2),)
    first = Tariff(days=days, tou_prices=(11_111, 12_122, 13_313, 14_144), standing_charge=31_234)
    second = Tariff(days=days, tou_prices=(21_212, 22_323, 23_434, 24_545), standing_charge=9_876)
    _expect_agreement(served, meter, evidence, (
        Pair("1.1.1", first.body(meter), "4.11.1", told(first), first.held(meter)),
        Pair("1.2.1", second.prices(meter), "4.11.1", told(second), second.held_prices(meter)),
    ))  # fmt: skip


@pytest.mark.srv("1.6", "2.1", "2.3", "4.3", "4.13", "6.2.9")
@pytest.mark.ttm("TTM-AGR-02-E-01", "TTM-AGR-02-G-01")
@pytest.mark.devices("ESME", "GSME")
def test_the_account_told_is_the_one_set(served: Served, meter: Meter, evidence: EvidenceLog) -> None:
    """SRV 2.1, 1.6 ↔ 4.13, 6.2.9 and 2.3 ↔ 4.13, 4.3: limits, terms, debts and rates are those sent."""
    prepaying(meter, balance=50 * GBP)
    limits = {"EmergencyCreditLimit": 7 * GBP, "EmergencyCreditThreshold": GBP, "LowCreditThreshold": 2 * GBP}
    limiting = configuration(
        meter, EmergencyCreditLimit=7 * GBP, EmergencyCreditThreshold=GBP, LowCreditThreshold=2 * GBP
    )
    terms = {"SuspendDebtDisabled": True, "SuspendDebtEmergency": False, "DisablementThreshold": -3 * GBP}
    owed = {"TimeDebtRegister1": 41 * GBP, "TimeDebtRegister2": 32 * GBP, "PaymentDebtRegister": 23 * GBP}
    debts = {"time_debt_1": 41 * GBP, "time_debt_2": 32 * GBP, "payment_debt": 23 * GBP}
    fuel = "Gas" if _gas(meter) else "Electricity"
    rates = {
        "DebtRecoveryPerPayment": 2_500,
        f"{fuel}/DebtRecovery1/DebtRecoveryRate": 1_234,
        f"{fuel}/DebtRecovery1/DebtRecoveryRatePeriod": "HOURLY",
        f"{fuel}/DebtRecovery2/DebtRecoveryRate": 25_678,
        f"{fuel}/DebtRecovery2/DebtRecoveryRatePeriod": "DAILY",
    }
    flags = {"SuspendDebtDisabled": "true", "SuspendDebtEmergency": "false"}
    suspended = {"suspend_debt_disabled": True, "suspend_debt_emergency": False}
    _expect_agreement(served, meter, evidence, (
        Pair("2.1", limiting, "4.13", limits, {"emergency_credit_limit": 7 * GBP}),
        Pair("1.6", {"Prepayment": terms}, "4.13", flags | {"DisablementThreshold": -3 * GBP}, suspended),
        Pair("1.6", {"Prepayment": terms}, "6.2.9", flags | {"PaymentMode": "Prepayment"}, suspended),
        Pair("2.3", debt(meter, **owed), "4.13", rates, debts),
        Pair("2.3", debt(meter, **owed), "4.3", owed, debts),
    ))  # fmt: skip


@pytest.mark.srv("6.5", "6.2.1", "6.4.1", "4.15", "6.12", "6.2.5", "6.20.2", "6.2.7", "6.8", "6.2.3")
@pytest.mark.ttm("TTM-AGR-03-E-01")
@pytest.mark.devices("ESME")
def test_electricity_settings_told_are_those_sent(served: Served, esme: Esme, evidence: EvidenceLog) -> None:
    """SRV 6.5 ↔ 6.2.1, 6.4.1 ↔ 4.15, 6.12 ↔ 6.2.5, 6.20.2 ↔ 6.2.7, 6.8 ↔ 6.2.3: what was sent is told."""
    calendar = held_calendar("Weekly", {"hour": 21, "minute": 45, "day": 3})
    limit = {
        "LoadLimitPeriod": 51,
        "LoadLimitPowerThreshold": 4_321,
        "LoadLimitRestorationPeriod": 777,
        "LoadLimitSupplyState": "Unchanged",
    }
    power = {"LowMediumPowerThreshold": 432, "MediumHighPowerThreshold": 5_432}
    rms = {
        "RMSExtremeOverVoltageMeasurementPeriod": 31,
        "RMSExtremeOverVoltageThreshold": 268,
        "RMSExtremeUnderVoltageMeasurementPeriod": 32,
        "RMSExtremeUnderVoltageThreshold": 189,
        "RMSVoltageSagMeasurementPeriod": 6,
        "RMSVoltageSagThreshold": 179,
        "RMSVoltageSwellMeasurementPeriod": 8,
        "RMSVoltageSwellThreshold": 281,
    }
    average = {"AverageRMSOverVoltageThreshold": 251, "AverageRMSUnderVoltageThreshold": 217}
    voltage = {
        "RMSVoltageSettings": rms,
        "SinglePhaseVoltageSettings": average | {"AverageRMSVoltageMeasurementPeriod": 900},
    }
    told = {f"RMSVoltageSettings/{name}": value for name, value in rms.items()}
    told |= {f"SinglePhaseVoltageSettings/{name}": value for name, value in average.items()}
    billing = {"ElectricityBillingCalendar": told_calendar(calendar)}
    at = "BillingCalendar/ElectricityBillingCalendar"
    _expect_agreement(served, esme, evidence, (
        Pair("6.5", voltage, "6.2.1", told, {"rms_voltage_sag_threshold": 179}),
        Pair("6.4.1", limit, "4.15", limit, {"load_limit_period": 51}),
        Pair("6.12", power, "6.2.5", power, {"low_medium_power_threshold": 432}),
        Pair("6.20.2", {"ExportMPAN": "9900000998024"}, "6.2.7",
             {"Electricity/ExportMPAN": "9900000998024"}, {"export_mpan": "9900000998024"}),
        Pair("6.8", billing, "6.2.3", {f"{at}/BillingTime": "21:45:00Z", f"{at}/Weekly": 3},
             {"billing_calendar": calendar}),
    ))  # fmt: skip


@pytest.mark.srv("6.6", "6.7", "6.2.8", "6.2.4", "6.8", "6.2.3")
@pytest.mark.ttm("TTM-AGR-03-G-01")
@pytest.mark.devices("GSME")
def test_gas_settings_told_are_those_sent(
    served: Served, gsme: Gsme, clock: LabClock, evidence: EvidenceLog
) -> None:
    """SRV 6.6, 6.7 ↔ 6.2.8, 6.7 ↔ 6.2.4, 6.8 ↔ 6.2.3: what was sent is told."""
    values = {"CalorificValue": Decimal("38.7"), "ConversionFactor": Decimal("1.03456")}
    flow = {
        "UncontrolledGasFlowRateDecimal": Decimal("0.120"),
        "SupplyDepletionState": "Locked",
        "SupplyTamperState": "Unchanged",
        "StabilisationPeriod": 21,
        "MeasurementPeriod": 41,
    }
    told = {
        "UncontrolledGasFlowRate": Decimal("0.120"),
        "FlowStabilisationPeriod": 21,
        "FlowMeasurementPeriod": 41,
    }
    states = {"Gas/SupplyDepletionState": "Locked", "Gas/SupplyTamperState": "Unchanged"}
    begins = clock.now().replace(minute=0, second=0, microsecond=0) + timedelta(hours=3)
    billing = {"GasBillingCalendar": {"BillingPeriodStart": begins, "Periodicity": "Daily"}}
    yesterday = begins - _DAY
    _expect_agreement(served, gsme, evidence, (
        Pair("6.6", values, "6.2.8", values, {"calorific_value": Decimal("38.7")}),
        Pair("6.7", flow, "6.2.8", told, {"flow_measurement_period": 41}),
        Pair("6.7", flow, "6.2.4", states, {"supply_depletion_state": "Locked"}),
    ))  # fmt: skip
    served("6.8", gsme, billing)
    payload, at = served("6.2.3", gsme), "BillingCalendar/GasBillingCalendar"
    found = (payload.text(f"{at}/Periodicity"), payload.time(f"{at}/BillingPeriodStart"))
    evidence.expect("SRV 6.2.3 after SRV 6.8", found=found, expected=("Daily", yesterday))
    evidence.expect("the meter's own", found=gsme.read("billing_calendar")["hour"], expected=begins.hour)


@pytest.mark.srv("2.2", "1.5", "4.3", "4.18")
@pytest.mark.ttm("TTM-AGR-04-E-01", "TTM-AGR-04-G-01")
@pytest.mark.devices("ESME", "GSME")
def test_the_balance_told_moves_by_what_is_paid_and_adjusted(
    served: Served, user: ServiceUser, meter: Meter, evidence: EvidenceLog
) -> None:
    """SRV 2.2, 1.5 ↔ 4.18, 4.3: both tell the balance before, and what was paid and adjusted more after."""
    prepaying(meter, balance=3 * GBP)
    due = 3 * GBP

    def expect_told(when: str) -> None:
        found = (
            served("4.18", meter).integer("MeterBalance"),
            served("4.3", meter).integer("MeterBalance"),
            meter.read("meter_balance"),
        )
        evidence.expect(f"SRV 4.18, 4.3 and the meter {when}", found=found, expected=(due,) * 3)

    expect_told("before")
    served("2.2", meter, {"UTRN": user.vend(meter, 1_234)})
    due += 1_234 * 1_000
    expect_told("after a top-up")
    served("1.5", meter, {"PrepaymentMode": {"AdjustMeterBalance": -45_678}})
    due -= 45_678
    expect_told("after an adjustment")


@pytest.mark.srv("7.2", "7.3", "7.4")
@pytest.mark.ttm("TTM-AGR-05-E-01", "TTM-AGR-05-G-01")
@pytest.mark.devices("ESME", "GSME")
def test_the_supply_told_is_the_one_commanded(served: Served, meter: Meter, evidence: EvidenceLog) -> None:
    """SRV 7.2, 7.3 ↔ 7.4: Disabled, then Armed, is told after each command, and is so at the meter."""
    prepaying(meter)
    for srv, state in (("7.2", SupplyState.DISABLED), ("7.3", SupplyState.ARMED)):
        served(srv, meter)
        found = (served("7.4", meter).text("SupplyState"), meter.supply())
        evidence.expect(f"SRV 7.4 after SRV {srv}", found=found, expected=(str(state), state))
    supplying(meter)


def _register(served: Served, meter: Meter) -> Decimal:
    path = "Gas/ConsumptionRegister/Value" if _gas(meter) else "Electricity/ActiveImportRegister/Value"
    return served("4.1.1", meter).decimal(path)


@pytest.mark.srv("4.1.1", "4.8.1", "4.6.1")
@pytest.mark.ttm("TTM-AGR-06-E-01", "TTM-AGR-06-G-01")
@pytest.mark.devices("ESME", "GSME")
def test_profile_and_daily_log_add_up_to_the_registers(
    served: Served, bench: Bench, meter: Meter, clock: LabClock, evidence: EvidenceLog
) -> None:
    """SRV 4.1.1 ↔ 4.8.1, 4.6.1: half hours sum up to what the register moved; midnight's row is its value."""
    crediting(meter)
    start, before = until_next(clock, HALF_HOUR), _register(served, meter)
    for _ in range(2):
        until_next(clock, HALF_HOUR, timedelta(minutes=5))
        let_flow(bench, clock, meter, timedelta(minutes=17), 900 if _gas(meter) else 2_700)
    end = until_next(clock, HALF_HOUR)
    after = _register(served, meter)
    midnight = until_next(clock, _DAY, timedelta(minutes=1))
    place = "Gas/PrimaryValue" if _gas(meter) else "Electricity/PrimaryValue"
    first = start + timedelta(seconds=1)  # that half hour's own row is of the time before
    profile = served("4.8.1", meter, log_period(first, end, certified=True))
    told = sum((row.decimal(place) for row in profile.all("LogEntry")), Decimal(0))
    quantity = "gas_volume" if _gas(meter) else "active_import"
    expect_sum(evidence, "the profile of SRV 4.8.1", quantity, told, after - before)
    daily = served("4.6.1", meter, log_period(midnight, midnight, certified=True))
    element = (
        "Gas/GasActiveImportRegisterConsumption"
        if _gas(meter)
        else "Electricity/ElecActiveImportRegisterConsumption"
    )
    rows = [(row.time("Timestamp"), row.decimal(element)) for row in daily.all("LogEntry")]
    evidence.expect("the row of midnight", found=rows, expected=[(midnight, after)])
    name = "gas_volume" if _gas(meter) else "active_import"
    evidence.expect("the meter's own register", found=meter.read(name), expected=after)


@pytest.mark.srv("6.8", "4.1.1", "4.18", "4.4.3")
@pytest.mark.ttm("TTM-AGR-07-E-01", "TTM-AGR-07-G-01")
@pytest.mark.devices("ESME", "GSME")
def test_the_billing_log_has_what_was_told_at_its_time(
    served: Served, bench: Bench, meter: Meter, clock: LabClock, evidence: EvidenceLog
) -> None:
    """SRV 6.8, 4.1.1, 4.18 ↔ 4.4.3: billed is what register and balance told when the period ended."""
    crediting(meter, balance=2 * GBP)
    begin = until_next(clock, timedelta(hours=1))
    at = begin + timedelta(hours=2)
    away = held_calendar("Daily", {"hour": (at.hour + 9) % 24, "minute": 0})
    put(meter, {"billing_calendar": away})
    calendar = held_calendar("Daily", {"hour": at.hour, "minute": 0})
    gas = {"GasBillingCalendar": {"BillingPeriodStart": at, "Periodicity": "Daily"}}
    served("6.8", meter, gas if _gas(meter) else {"ElectricityBillingCalendar": told_calendar(calendar)})
    let_flow(bench, clock, meter, timedelta(minutes=12), 800 if _gas(meter) else 3_000)
    told = (_register(served, meter), served("4.18", meter).integer("MeterBalance"))
    clock.sleep(at - clock.now() + timedelta(minutes=1))
    log = served("4.4.3", meter, log_period(begin, clock.now(), certified=True))
    kind, fuel = meter.device_type, "Gas" if _gas(meter) else "Electricity"
    registers = log.all(f"{fuel}/{kind}BillingDataLogEntry")
    balances = log.all(f"{fuel}/{kind}BillingPrepaymentDataLogEntry")
    found = (
        [(row.time("Timestamp"), row.decimal("ActiveImportRegisterValueConsumption")) for row in registers],
        [(row.time("Timestamp"), row.integer("MeterBalance")) for row in balances],
    )
    evidence.expect("billed", found=found, expected=([(at, told[0])], [(at, told[1])]))
    own = [row.timestamp for row in meter.log("billing_data_log", begin)]
    evidence.expect("rows of the meter's own log", found=own, expected=[at])
