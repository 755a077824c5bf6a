"""Ways in which an ESME can be wrong about what it keeps while it has no power."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from device_drivers.simulated.faults.making import at, forgetting
from harness.domain.faults import Fault, Place, Point, Seen

_MICROSECONDS: Final = 1_000_000

_fault = at(Place.ESME)


def _clock_stands_still(seen: Seen) -> Any:
    """As if the clock had lost ten minutes."""
    lost = int(timedelta(minutes=10).total_seconds()) * _MICROSECONDS
    return {**seen.value, "clock_offset": seen.value["clock_offset"] - lost}


def _comes_back_on(seen: Seen) -> Any:
    return {**seen.value, "supply_state": "Enabled", "supply_reason": ""}


def _debt_grows(seen: Seen) -> Any:
    return {**seen.value, "time_debt_1": 2 * seen.value["time_debt_1"]}


def _last_rows_lost(seen: Seen) -> Any:
    """What was entered since the last copy to lasting memory is gone."""
    return {**seen.value, "event_log": seen.value["event_log"][:-3]}


FAULTS: tuple[Fault, ...] = (
    _fault(
        "cut-registers",
        Point.POWER,
        "a power cut sets the import register back to nothing",
        forgetting("active_import"),
        "4.1.1",
    ),
    _fault(
        "cut-export",
        Point.POWER,
        "a power cut sets the export registers back to nothing",
        forgetting("active_export", "reactive_export"),
        "4.2",
    ),
    _fault(
        "cut-tou-registers",
        Point.POWER,
        "a power cut sets the TOU registers back to nothing",
        forgetting("tou_registers"),
        "4.1.2",
    ),
    _fault(
        "cut-profile",
        Point.POWER,
        "a power cut empties the profile",
        forgetting("profile"),
        "4.8.1",
    ),
    _fault(
        "cut-event-log",
        Point.POWER,
        "a power cut takes the newest events away",
        _last_rows_lost,
        "6.13",
    ),
    _fault(
        "cut-daily-reads",
        Point.POWER,
        "a power cut empties the daily read log",
        forgetting("daily_read_log"),
        "4.6.1",
    ),
    _fault(
        "cut-billing-data",
        Point.POWER,
        "a power cut empties the log of billing data",
        forgetting("billing_data_log"),
        "4.4.3",
    ),
    _fault(
        "cut-prices",
        Point.POWER,
        "a power cut brings the factory's prices back",
        forgetting("tou_prices", "block_prices"),
        "1.1.1", "1.2.1",
    ),
    _fault(
        "cut-switching-table",
        Point.POWER,
        "a power cut brings the factory's day profiles back",
        forgetting("day_profiles"),
        "1.1.1",
    ),
    _fault(
        "cut-balance",
        Point.POWER,
        "a power cut sets the balance to nothing",
        forgetting("balance"),
        "1.5", "1.6",
    ),
    _fault(
        "cut-debts",
        Point.POWER,
        "a power cut forgives the time-based debts",
        forgetting("time_debt_1", "time_debt_2"),
        "2.3",
    ),
    _fault(
        "cut-debt-doubled",
        Point.POWER,
        "a power cut doubles a time-based debt",
        _debt_grows,
        "2.3",
    ),
    _fault(
        "cut-thresholds",
        Point.POWER,
        "a power cut brings the factory's credit thresholds back",
        forgetting("low_credit_threshold", "emergency_credit_threshold"),
        "2.1",
    ),
    _fault(
        "cut-calendar",
        Point.POWER,
        "a power cut takes the non-disablement calendar away",
        forgetting("non_disablement_calendar"),
        "2.1",
    ),
    _fault(
        "cut-codes",
        Point.POWER,
        "after a power cut codes that were used are good again",
        forgetting("spent_serials"),
        "2.2",
    ),
    _fault(
        "cut-mode",
        Point.POWER,
        "a power cut brings credit mode back",
        forgetting("payment_mode"),
        "1.6",
    ),
    _fault(
        "cut-emergency-credit",
        Point.POWER,
        "a power cut ends emergency credit that is in use",
        forgetting("emergency", "emergency_active"),
        "2.1", "2.5",
    ),
    _fault(
        "cut-restriction",
        Point.POWER,
        "a power cut lifts the restriction of a change of tenancy",
        forgetting("access_restricted_before"),
        "3.2",
    ),
    _fault(
        "cut-load-limit",
        Point.POWER,
        "a power cut switches load limiting off",
        forgetting("load_limit_threshold"),
        "6.4.1",
    ),
    _fault(
        "cut-voltage-settings",
        Point.POWER,
        "a power cut brings the factory's voltage thresholds back",
        forgetting("average_rms_over_voltage_threshold"),
        "6.5",
    ),
    _fault(
        "cut-billing-calendar",
        Point.POWER,
        "a power cut brings the factory's billing calendar back",
        forgetting("billing_calendar"),
        "6.8",
    ),
    _fault(
        "cut-supply-number",
        Point.POWER,
        "a power cut takes the export supply number away",
        forgetting("export_mpan"),
        "6.20.2",
    ),
    _fault(
        "cut-enables",
        Point.POWER,
        "the supply is enabled when power returns, whatever it was",
        _comes_back_on,
        "6.4.1", "7.2",
    ),
    _fault(
        "cut-clock",
        Point.POWER,
        "the clock loses ten minutes in a power cut",
        _clock_stands_still,
        "6.11",
    ),
)  # fmt: skip
