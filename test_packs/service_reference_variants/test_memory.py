"""What an electricity meter keeps while it has no power: all that it was told, counted and recorded."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

import pytest

from harness.domain.events import Event
from harness.domain.instruments import Bench, Esme, EvidenceLog, LabClock
from harness.domain.words import SupplyState
from test_packs.arrange import (
    GBP,
    added_rows,
    crediting,
    expect_held,
    power_cut,
    prepaying,
    put,
    supplying,
    well_before_midnight,
)
from test_packs.metering import flow, until_next

pytestmark = pytest.mark.functional_group("4 Meter reading")

REGISTERS: Final = (
    "active_import",
    "active_export",
    "reactive_import",
    "reactive_export",
    "tou_registers",
    "tou_block_registers",
    "block_counters",
)
_OF_POWER: Final = ("event_log", "power_event_log")
_CUT: Final = [Event.POWER_LOST, Event.POWER_RESTORED]
_AHEAD: Final = timedelta(seconds=7)  # what the clock is wrong by: it is to stay so
_ALWAYS: Final = {"hour": 0, "minute": 0, "kind": "block", "register": 2}
_NEVER_YET: Final = {"year": 2031, "month": 12, "day": 25, "weekday": 0xFF}
_EACH_YEAR: Final = {"year": 0xFFFF, "month": 1, "day": 1, "weekday": 0xFF}
_START: Final[dict[str, Any]] = {
    "action": "START",
    "weekdays": (2, 4, 6),
    "special_days": (1,),
    "hour": 5,
    "minute": 30,
    "start": _EACH_YEAR,
    "end": {"year": 0xFFFF, "month": 12, "day": 31, "weekday": 0xFF},
}
_CALENDARS: Final[dict[str, Any]] = {
    "day_profiles": ({"day": 1, "actions": (_ALWAYS,)}, {"day": 2, "actions": (_ALWAYS,)}),
    "week_profiles": ({"week": 1, "days": (1, 1, 1, 1, 2, 2, 2)},),
    "seasons": ({"name": "All the year", "start": _EACH_YEAR, "week": 1},),
    "special_days": ({"index": 1, "date": _NEVER_YET, "day": 2},),
}
_BILLING: Final[dict[str, Any]] = {
    "billing_calendar": {"periodicity": "Quarterly", "hour": 3, "minute": 15, "day": 9, "month": 2},
}
_MONEY: Final[dict[str, Any]] = {
    "tou_prices": tuple(range(20_001, 20_049)),
    "block_prices": tuple((30_000 + n, 40_000 + n, 50_000 + n, 60_000 + n) for n in range(8)),
    "block_thresholds": tuple((700 + n, 80_000 + n, 90_000 + n) for n in range(8)),
    "standing_charge": 31_415,
    "price_scale": -6,
    "standing_charge_scale": -7,
    "debt_recovery_per_payment": 1_750,
    "debt_recovery_1": {"rate": 0, "scale": -4, "period": "HOURLY"},
    "debt_recovery_2": {"rate": 12, "scale": -6, "period": "DAILY"},
    "debt_recovery_rate_cap": 17_000,
    "emergency_credit_limit": 7 * GBP,
    "emergency_credit_threshold": 3 * GBP,
    "low_credit_threshold": -4 * GBP,
    "disablement_threshold": -9 * GBP,
    "max_meter_balance": 300 * GBP,
    "max_credit_threshold": 120 * GBP,
    "suspend_debt_disabled": True,
    "suspend_debt_emergency": True,
    "non_disablement_special_days": ({"index": 1, "date": _NEVER_YET, "day": 1},),
    "non_disablement_calendar": (_START, _START | {"action": "STOP", "hour": 21, "minute": 45}),
    "emergency_credit_balance": 2 * GBP,
    "emergency_credit_active": True,
    "accumulated_debt": 5 * GBP,
    "payment_debt": 6 * GBP,
    "time_debt_1": 8 * GBP,
    "time_debt_2": 11 * GBP,
}
_LIMITS: Final[dict[str, Any]] = {
    "load_limit_threshold": 9_100,
    "load_limit_period": 45,
    "load_limit_restoration_period": 95,
    "load_limit_supply_state": "Disable",
    "load_limit_counter": 3,
    "low_medium_power_threshold": 611,
    "medium_high_power_threshold": 3_222,
    "average_rms_over_voltage_threshold": 251,
    "average_rms_under_voltage_threshold": 207,
    "average_rms_voltage_period": 86_400,  # no period ends meanwhile
    "rms_extreme_over_voltage_period": 61,
    "rms_extreme_over_voltage_threshold": 265,
    "rms_extreme_under_voltage_period": 62,
    "rms_extreme_under_voltage_threshold": 194,
    "rms_voltage_sag_period": 11,
    "rms_voltage_sag_threshold": 183,
    "rms_voltage_swell_period": 12,
    "rms_voltage_swell_threshold": 277,
    "average_rms_over_voltage_counter": 5,
    "average_rms_under_voltage_counter": 6,
}
_WORDS: Final[dict[str, Any]] = {
    "supplier_name": "Another Supply",
    "message": "Kept over a power cut",
    "supply_tamper_state": "Locked",
    "import_mpxn": "1900000000321",
    "export_mpan": "1900000000654",
}


@pytest.mark.srv("1.1.1", "1.2.1", "1.6", "2.1", "2.3")
@pytest.mark.ttm("TTM-1.1.1-E-05", "TTM-2.1-E-02", "TTM-2.3-E-03")
@pytest.mark.devices("ESME")
def test_a_power_cut_leaves_tariff_and_account(
    esme: Esme, bench: Bench, clock: LabClock, evidence: EvidenceLog
) -> None:
    """SRV 1.1.1, 1.2.1, 1.6, 2.1, 2.3: tariff, terms, balances, debts and calendars outlive a power cut."""
    well_before_midnight(clock)
    prepaying(esme)
    put(esme, _CALENDARS | _MONEY)
    names = (*_CALENDARS, *_MONEY, "payment_mode", "meter_balance")
    _expect_all_kept(esme, bench, clock, evidence, names)


@pytest.mark.srv("3.2", "6.4.1", "6.5", "6.12", "6.20.2")
@pytest.mark.ttm("TTM-3.2-E-03")
@pytest.mark.devices("ESME")
def test_a_power_cut_leaves_limits_numbers_and_supply(
    esme: Esme, bench: Bench, clock: LabClock, evidence: EvidenceLog
) -> None:
    """SRV 3.2, 6.4.1, 6.5, 6.12, 6.20.2: limits, counters, names and an armed supply outlive a power cut."""
    well_before_midnight(clock)
    crediting(esme)
    put(esme, _LIMITS | _WORDS | {"access_restricted_before": clock.now()})
    supplying(esme, SupplyState.ARMED)
    names = (*_LIMITS, *_WORDS, "access_restricted_before", "supply_state", "supply_output")
    _expect_all_kept(esme, bench, clock, evidence, names)


@pytest.mark.srv("4.1.1", "4.1.2", "4.2", "4.6.1", "4.8.1")
@pytest.mark.ttm("TTM-4.1.1-E-05", "TTM-4.6.1-E-03", "TTM-4.8.1-E-05")
@pytest.mark.devices("ESME")
def test_a_power_cut_leaves_registers_and_profile(
    esme: Esme, bench: Bench, clock: LabClock, evidence: EvidenceLog
) -> None:
    """SRV 4.1.1, 4.1.2, 4.2, 4.6.1, 4.8.1: every register and what was recorded of it outlive a power cut."""
    well_before_midnight(clock)
    crediting(esme)
    put(esme, _CALENDARS | {"block_thresholds": _MONEY["block_thresholds"]})
    until_next(clock, past=timedelta(minutes=1))
    for active, reactive in ((2_400, 700), (-1_300, -500)):
        flow(bench, esme, active, reactive)
        clock.sleep(timedelta(minutes=5))
    flow(bench, esme, 0)
    logs = ("profile", "voltage_profile", "daily_read_log")
    put(esme, {"average_rms_voltage_period": _LIMITS["average_rms_voltage_period"]})
    _expect_all_kept(esme, bench, clock, evidence, REGISTERS, logs)


@pytest.mark.srv("4.4.2", "4.4.3", "6.8", "6.11", "6.13")
@pytest.mark.ttm("TTM-4.4.3-E-03")
@pytest.mark.devices("ESME")
def test_a_power_cut_leaves_logs_and_clock(
    esme: Esme, bench: Bench, clock: LabClock, evidence: EvidenceLog
) -> None:
    """SRV 4.4.2, 4.4.3, 6.8, 6.11, 6.13: logs and calendar outlive a power cut, and the clock goes on."""
    well_before_midnight(clock)
    crediting(esme)
    put(esme, _BILLING)
    logs = ("billing_data_log", "tariff_change_log", "security_log", *_OF_POWER)
    try:
        esme.write("clock", clock.now() + _AHEAD)
        _expect_all_kept(esme, bench, clock, evidence, tuple(_BILLING), logs)
        ahead = esme.clock() - clock.now()
        error = timedelta(seconds=2)
        evidence.expect_between("the clock is ahead", found=ahead, low=_AHEAD - error, high=_AHEAD + error)
    finally:
        bench.mains(on=True)
        esme.write("clock", clock.now())


def _expect_all_kept(
    esme: Esme,
    bench: Bench,
    clock: LabClock,
    evidence: EvidenceLog,
    names: Sequence[str],
    logs: Sequence[str] = (),
) -> None:
    """Those items are after a power cut what they were, and those logs have every row."""
    before = esme.read_many(tuple(names))
    day_before = clock.now() - timedelta(days=1)  # of the long logs it will do
    logged = {name: esme.log(name, day_before if name.endswith("profile") else None) for name in logs}
    power_cut(bench, clock, timedelta(minutes=4))
    expect_held(evidence, esme, "after the power cut", before)
    for name, rows in logged.items():
        found = esme.log(name, day_before if name.endswith("profile") else None)
        gained = [row.values.get("code", row) for row in added_rows(rows, found)]
        evidence.expect(f"rows new in the {name}", found=gained, expected=_CUT if name in _OF_POWER else [])
        gone = len(rows) + len(gained) - len(found)  # a full log lets one go for each that is new
        evidence.expect_between(f"rows gone from the {name}", found=gone, low=0, high=len(gained))
