"""Service group 2: prepayment configuration and debt (SRV 2.1, 2.3)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any, Final

import pytest

from harness.domain.events import Event
from harness.domain.instruments import Bench, EvidenceLog, LabClock, Meter, ServiceUser
from harness.domain.words import DeviceType, SupplyState
from test_packs.arrange import (
    GBP,
    Declined,
    Served,
    Unchanged,
    one_price,
    power_cut,
    prepaying,
    put,
    watch_alerts,
    well_before_midnight,
)
from test_packs.consumption import Consume, cost, demand_in, expect_flow
from test_packs.prepayment import NO_TIME_DEBT, PENNY, configuration, debt

pytestmark = pytest.mark.functional_group("2 Prepayment")

QUARTER: Final = timedelta(minutes=15)


@pytest.mark.srv("2.1")
@pytest.mark.ttm("TTM-2.1-E-01", "TTM-2.1-E-02", "TTM-2.1-G-01", "TTM-2.1-G-02")
@pytest.mark.devices("ESME", "GSME")
def test_a_prepayment_configuration_is_held_whole_also_over_a_power_cut(
    served: Served, unchanged: Unchanged, meter: Meter, bench: Bench, clock: LabClock, evidence: EvidenceLog
) -> None:
    """SRV 2.1: the meter holds every limit, threshold and calendar sent, also over a power cut."""
    prepaying(meter)
    due = {
        "debt_recovery_rate_cap": 20_000,
        "emergency_credit_limit": 6 * GBP,
        "emergency_credit_threshold": 2 * GBP,
        "low_credit_threshold": 3 * GBP,
        "max_meter_balance": 200 * GBP,
        "max_credit_threshold": 90 * GBP,
    }
    calendar = {"non_disablement_calendar", "non_disablement_special_days"}
    special = {"year": 2031, "month": 12, "day": 25, "weekday": 0xFF}
    with unchanged(meter, but={*due, *calendar}):
        switching = {"START": "16:30", "STOP": "09:15"}
        served("2.1", meter, configuration(meter, switching, date(2031, 12, 25)))
    for moment in ("at once", "after a power cut"):
        found = dict(meter.read_many(tuple(due)))
        evidence.expect(f"limits and thresholds {moment}", found=found, expected=due)
        days = [(row["index"], row["date"]) for row in meter.read("non_disablement_special_days")]
        evidence.expect(f"special days {moment}", found=days, expected=[(1, special)])
        switches = {
            (row["action"], row["hour"], row["minute"], *_bounds(row), day)
            for row in meter.read("non_disablement_calendar")
            for day in (*row["weekdays"], *(-index for index in row["special_days"]))
        }
        expected = {
            (*switch, *_due_bounds(meter, day), day)
            for switch in (("START", 16, 30), ("STOP", 9, 15))
            for day in (*range(1, 8), -1)  # each weekday, and the first special day
        }
        evidence.expect(f"non-disablement calendar {moment}", found=switches, expected=expected)
        power_cut(bench, clock)


Date = tuple[int, int, int]


def _bounds(row: Mapping[str, Any]) -> tuple[Date, Date]:
    """From which day to which a row of the calendar counts: year, month and day, or their wildcards."""
    start, end = ((each["year"], each["month"], each["day"]) for each in (row["start"], row["end"]))
    return start, end


def _due_bounds(meter: Meter, day: int) -> tuple[Date, Date]:
    """As they are sent: a gas calendar says no more than the day on which its season begins."""
    if meter.device_type is DeviceType.ESME:
        return (2020, 1, 1), (2050, 12, 31)
    always = (0xFFFF, 0xFF, 0xFF)
    return (always if day < 0 else (0xFFFF, 1, 1)), always


@pytest.mark.srv("2.1")
@pytest.mark.ttm("TTM-2.1-E-03", "TTM-2.1-G-03")
@pytest.mark.devices("ESME", "GSME")
def test_low_credit_is_alerted_once_at_the_threshold_sent(
    served: Served, user: ServiceUser, meter: Meter, clock: LabClock, consume: Consume, evidence: EvidenceLog
) -> None:
    """SRV 2.1: when consumption takes the balance below the threshold sent, the meter alerts, once."""
    prepaying(meter)
    well_before_midnight(clock)
    price = one_price(meter)
    served("2.1", meter, configuration(meter, LowCreditThreshold=8 * GBP))
    quarter_hour_costs = int(cost(meter, demand_in(meter, QUARTER), price))
    put(meter, {"meter_balance": 8 * GBP + quarter_hour_costs * 3 // 2})
    alerts = watch_alerts(user, clock, meter)
    consume(meter, QUARTER)
    clock.sleep(timedelta(hours=1))
    early = [alert.code for alert in alerts.all()]
    evidence.expect("alerts above the threshold", found=early, expected=[])
    consume(meter, QUARTER)
    alerts.expect_once(evidence, Event.CREDIT_LOW)


@pytest.mark.srv("2.1")
@pytest.mark.ttm("TTM-2.1-E-04", "TTM-2.1-G-04")
@pytest.mark.devices("ESME", "GSME")
def test_supply_without_credit_lasts_until_the_end_of_a_non_disablement_period(
    served: Served, user: ServiceUser, meter: Meter, clock: LabClock, consume: Consume, evidence: EvidenceLog
) -> None:
    """SRV 2.1: credit runs out in a non-disablement period; the supply is cut at its end, not before."""
    prepaying(meter)
    well_before_midnight(clock, timedelta(hours=5))
    now = clock.now()
    end = (now + timedelta(hours=3)).replace(minute=30, second=0, microsecond=0)
    began = now - timedelta(hours=1) if now.hour else now.replace(minute=0)
    switches = {"START": f"{began:%H:%M}", "STOP": f"{end:%H:%M}"}
    served("2.1", meter, configuration(meter, switches))
    put(meter, {"meter_balance": PENNY})
    alerts = watch_alerts(user, clock, meter)
    expect_flow(evidence, "without credit in the period", consume(meter, timedelta(hours=1)))
    evidence.expect("supply in the period", found=meter.supply(), expected=SupplyState.ENABLED)
    clock.sleep(end - clock.now() + timedelta(minutes=1))
    evidence.expect("supply after the period", found=meter.supply(), expected=SupplyState.DISABLED)
    expect_flow(evidence, "after the period", consume(meter, QUARTER), flows=False)
    alerts.expect_once(evidence, Event.CREDIT_EXHAUSTED)


@pytest.mark.srv("2.1", "2.2")
@pytest.mark.ttm("TTM-2.1-E-05", "TTM-2.1-G-05")
@pytest.mark.devices("ESME", "GSME")
def test_top_ups_beyond_the_maxima_are_refused(
    served: Served,
    declined: Declined,
    unchanged: Unchanged,
    user: ServiceUser,
    meter: Meter,
    evidence: EvidenceLog,
) -> None:
    """SRV 2.1, 2.2: one top-up above the maximum, or one beyond the maximum balance, is refused."""
    prepaying(meter, balance=10 * GBP)
    served("2.1", meter, configuration(meter, MaxMeterBalance=50 * GBP, MaxCreditThreshold=30 * GBP))
    with unchanged(meter):
        declined("2.2", meter, {"UTRN": user.vend(meter, 3_001)})
    served("2.2", meter, {"UTRN": user.vend(meter, 3_000)})
    with unchanged(meter):
        declined("2.2", meter, {"UTRN": user.vend(meter, 1_001)})
    served("2.2", meter, {"UTRN": user.vend(meter, 1_000)})
    evidence.expect("meter balance", found=meter.read("meter_balance"), expected=50 * GBP)


@pytest.mark.srv("2.3")
@pytest.mark.ttm("TTM-2.3-E-01", "TTM-2.3-E-02", "TTM-2.3-G-01", "TTM-2.3-G-02")
@pytest.mark.devices("ESME", "GSME")
def test_debts_and_their_recovery_are_held(
    served: Served, unchanged: Unchanged, meter: Meter, evidence: EvidenceLog
) -> None:
    """SRV 2.3: the meter holds each debt, share and recovery rate sent, and nothing else changes."""
    prepaying(meter)
    due = {
        "time_debt_1": 40 * GBP,
        "time_debt_2": 30 * GBP,
        "payment_debt": 20 * GBP,
        "debt_recovery_per_payment": 2_500,
        "debt_recovery_1": {"rate": 1_234, "scale": -5, "period": "HOURLY"},
        "debt_recovery_2": {"rate": 25_678, "scale": -5, "period": "DAILY"},
    }
    with unchanged(meter, but=due):
        served("2.3", meter, debt(meter))
    evidence.expect("debts and rates", found=dict(meter.read_many(tuple(due))), expected=due)


@pytest.mark.srv("2.3")
@pytest.mark.ttm("TTM-2.3-E-03", "TTM-2.3-G-03")
@pytest.mark.devices("ESME", "GSME")
def test_time_based_debts_are_recovered_at_their_rates_also_over_a_power_cut(
    served: Served, meter: Meter, bench: Bench, clock: LabClock, evidence: EvidenceLog
) -> None:
    """SRV 2.3: in two days each debt falls by its rate, the balance by the sum, across a power cut."""
    prepaying(meter)
    names = ("time_debt_1", "time_debt_2", "payment_debt", "accumulated_debt", "meter_balance")
    well_before_midnight(clock)
    served("2.3", meter, debt(meter))
    before = meter.read_many(names)
    clock.sleep(timedelta(hours=20))
    power_cut(bench, clock, timedelta(minutes=10))
    clock.sleep(timedelta(days=2) - timedelta(hours=20, minutes=12))
    taken = {name: before[name] - value for name, value in meter.read_many(names).items()}
    hourly, daily = 48 * 1_234, 2 * 25_678
    expected = dict(zip(names, (hourly, daily, 0, 0, hourly + daily), strict=True))
    evidence.expect("millipence taken in two days", found=taken, expected=expected)


@pytest.mark.srv("2.2", "2.3")
@pytest.mark.ttm("TTM-2.3-E-04", "TTM-2.3-G-04")
@pytest.mark.devices("ESME", "GSME")
def test_the_share_of_each_payment_goes_to_the_debt_and_the_rest_to_the_balance(
    served: Served, user: ServiceUser, meter: Meter, evidence: EvidenceLog
) -> None:
    """SRV 2.2, 2.3: of a payment the share sent lowers the payment debt, and the rest is credited."""
    prepaying(meter, balance=5 * GBP)
    served(
        "2.3", meter, debt(meter, **NO_TIME_DEBT, DebtRecoveryPerPayment=3_000, PaymentDebtRegister=5 * GBP)
    )
    for paid, to_debt in ((1_000, 3 * GBP), (2_000, 2 * GBP)):  # the second owes less than its share
        before = meter.read_many(("payment_debt", "meter_balance"))
        served("2.2", meter, {"UTRN": user.vend(meter, paid)})
        now = meter.read_many(("payment_debt", "meter_balance"))
        found = (before["payment_debt"] - now["payment_debt"], now["meter_balance"] - before["meter_balance"])
        expected = (to_debt, paid * PENNY - to_debt)
        evidence.expect(f"debt paid and credit, of {paid} pence", found=found, expected=expected)


@pytest.mark.srv("2.1", "2.2", "2.3", "2.5", "6.13")
@pytest.mark.ttm("TTM-2.2-E-07", "TTM-2.2-G-07")
@pytest.mark.devices("ESME", "GSME")
def test_commands_of_prepayment_are_logged_once_each(
    served: Served, declined: Declined, unchanged: Unchanged, user: ServiceUser, meter: Meter
) -> None:
    """SRV 2.1, 2.2, 2.3, 2.5: the event log tells what was done, once each, and what was refused."""
    prepaying(meter, balance=50 * PENNY)
    anything = set(meter.snapshot())  # what changes is other tests' matter
    with unchanged(meter, but=anything, events=[Event.CONFIGURATION_CHANGED]):
        served("2.1", meter, configuration(meter, LowCreditThreshold=0))
    with unchanged(meter, but=anything, events=[Event.CONFIGURATION_CHANGED]):
        served("2.3", meter, debt(meter, **NO_TIME_DEBT))
    with unchanged(meter, but=anything, events=[Event.EMERGENCY_CREDIT_ACTIVATED]):
        served("2.5", meter)
    utrn = user.vend(meter, 2_000)
    with unchanged(meter, but=anything, events=[Event.TOP_UP_ACCEPTED]):
        served("2.2", meter, {"UTRN": utrn})
    with unchanged(meter, events=[Event.TOP_UP_REFUSED]):
        declined("2.2", meter, {"UTRN": utrn})
