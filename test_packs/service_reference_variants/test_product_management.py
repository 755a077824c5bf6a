"""Service group 1: meter balance and payment mode (SRV 1.5, 1.6), and what the group logs."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import pytest

from harness.domain.events import Event
from harness.domain.instruments import Bench, Body, EvidenceLog, LabClock, Meter
from harness.domain.words import PaymentMode, SupplyState
from test_packs.arrange import (
    GBP,
    Declined,
    Served,
    Unchanged,
    crediting,
    from_now,
    one_price,
    power_cut,
    prepaying,
    supplying,
    well_before_midnight,
)
from test_packs.consumption import Consume, bought, cost, demand_in, expect_bought, expect_charge
from test_packs.tariffs import Tariff, all_day

pytestmark = pytest.mark.functional_group("1 Product management")

QUARTER: Final = timedelta(minutes=15)


@pytest.mark.srv("1.5")
@pytest.mark.ttm("TTM-1.5-E-01", "TTM-1.5-E-02", "TTM-1.5-G-01", "TTM-1.5-G-02")
@pytest.mark.devices("ESME", "GSME")
def test_a_balance_is_adjusted_by_exactly_the_amount(
    served: Served, unchanged: Unchanged, meter: Meter, evidence: EvidenceLog
) -> None:
    """SRV 1.5: an adjustment up, then down, moves the balance by just that, in either payment mode."""
    for mode, arrange in ((PaymentMode.PREPAYMENT, prepaying), (PaymentMode.CREDIT, crediting)):
        arrange(meter, balance=4 * GBP + 321)
        due = 4 * GBP + 321
        for change in (123_457, -98_765):
            due += change
            with unchanged(meter, but={"meter_balance"}):
                served("1.5", meter, {f"{mode}Mode": {"AdjustMeterBalance": change}})
            found = meter.read("meter_balance")
            evidence.expect(f"balance adjusted by {change} in {mode} mode", found=found, expected=due)


@pytest.mark.srv("1.5")
@pytest.mark.ttm("TTM-1.5-E-03", "TTM-1.5-G-03")
@pytest.mark.devices("ESME", "GSME")
def test_a_balance_is_reset_and_stays_so_over_a_power_cut(
    served: Served, unchanged: Unchanged, meter: Meter, bench: Bench, clock: LabClock, evidence: EvidenceLog
) -> None:
    """SRV 1.5: a reset leaves a balance of nothing, which a power cut does not bring back."""
    crediting(meter, balance=7 * GBP)
    with unchanged(meter, but={"meter_balance"}):
        served("1.5", meter, {"CreditMode": {"ResetMeterBalance": {}}})
    evidence.expect("balance after the reset", found=meter.read("meter_balance"), expected=0)
    served("1.5", meter, {"CreditMode": {"AdjustMeterBalance": 55_555}})
    power_cut(bench, clock)
    evidence.expect("balance after a power cut", found=meter.read("meter_balance"), expected=55_555)


@pytest.mark.srv("1.5")
@pytest.mark.ttm("TTM-1.5-E-04", "TTM-1.5-G-04")
@pytest.mark.devices("ESME", "GSME")
def test_a_balance_of_the_other_mode_is_not_adjusted(
    declined: Declined, unchanged: Unchanged, meter: Meter
) -> None:
    """SRV 1.5: an adjustment for prepayment mode is declined in credit mode, and changes nothing."""
    crediting(meter, balance=3 * GBP)
    with unchanged(meter, events=()):
        declined("1.5", meter, {"PrepaymentMode": {"AdjustMeterBalance": 10_000}})


@pytest.mark.srv("1.6")
@pytest.mark.ttm("TTM-1.6-E-01", "TTM-1.6-E-02", "TTM-1.6-G-01", "TTM-1.6-G-02")
@pytest.mark.devices("ESME", "GSME")
def test_prepayment_mode_is_taken_with_its_terms(
    served: Served,
    unchanged: Unchanged,
    meter: Meter,
    bench: Bench,
    clock: LabClock,
    consume: Consume,
    evidence: EvidenceLog,
) -> None:
    """SRV 1.6: the meter goes over to prepayment with the terms sent, and consumption lowers the balance."""
    crediting(meter, balance=0)
    well_before_midnight(clock)
    price = one_price(meter)
    due = {
        "payment_mode": PaymentMode.PREPAYMENT,
        "suspend_debt_disabled": True,
        "suspend_debt_emergency": True,
        "disablement_threshold": -3 * GBP,
    }
    with unchanged(meter, but=due):
        terms = _prepayment(suspend_disabled=True, suspend_emergency=True, threshold=-3 * GBP)
        served("1.6", meter, terms)
    evidence.expect("mode and terms", found=dict(meter.read_many(tuple(due))), expected=due)
    expect_charge(evidence, meter, consume, QUARTER, price)
    power_cut(bench, clock)
    evidence.expect("after a power cut", found=dict(meter.read_many(tuple(due))), expected=due)


def _prepayment(
    *, suspend_disabled: bool = False, suspend_emergency: bool = False, threshold: int = 0
) -> Body:
    """Prepayment mode with its terms; the threshold in millipence."""
    terms = {"SuspendDebtDisabled": suspend_disabled, "SuspendDebtEmergency": suspend_emergency}
    return {"Prepayment": terms | {"DisablementThreshold": threshold}}


@pytest.mark.srv("1.6")
@pytest.mark.ttm("TTM-1.6-E-06", "TTM-1.6-G-06")
@pytest.mark.devices("ESME", "GSME")
def test_the_supply_is_cut_at_the_disablement_threshold_sent(
    served: Served, meter: Meter, clock: LabClock, consume: Consume, evidence: EvidenceLog
) -> None:
    """SRV 1.6: the supply flows on below nothing, and is cut when the balance passes the threshold sent."""
    crediting(meter, balance=0)
    well_before_midnight(clock)
    price = one_price(meter)
    threshold = -int(cost(meter, demand_in(meter, QUARTER), price))
    served("1.6", meter, _prepayment(threshold=threshold))
    used = consume(meter, timedelta(hours=1))
    expect_bought(evidence, meter, used, bought(meter, -threshold, price))
    evidence.expect("supply", found=meter.supply(), expected=SupplyState.DISABLED)


@pytest.mark.srv("1.6")
@pytest.mark.ttm("TTM-1.6-E-07", "TTM-1.6-G-07")
@pytest.mark.devices("ESME", "GSME")
def test_debt_recovery_rests_while_the_supply_is_disabled_where_the_terms_say_so(
    served: Served, meter: Meter, clock: LabClock, evidence: EvidenceLog
) -> None:
    """SRV 1.6: with SuspendDebtDisabled a disabled supply recovers no debt; without it, all that is due."""
    hourly = {"rate": 2_000, "scale": -5, "period": "HOURLY"}
    prepaying(meter, time_debt_1=20 * GBP, debt_recovery_1=hourly)
    well_before_midnight(clock)
    supplying(meter, SupplyState.DISABLED)
    for suspended, due in ((True, 0), (False, 3 * 2_000)):
        served("1.6", meter, _prepayment(suspend_disabled=suspended))
        before = meter.read_many(("time_debt_1", "meter_balance"))
        clock.sleep(timedelta(hours=3))
        taken = {name: before[name] - value for name, value in meter.read_many(tuple(before)).items()}
        expected = {"time_debt_1": due, "meter_balance": due}
        evidence.expect(f"recovered, suspended: {suspended}", found=taken, expected=expected)


@pytest.mark.srv("1.6")
@pytest.mark.ttm("TTM-1.6-E-03", "TTM-1.6-G-03")
@pytest.mark.devices("ESME", "GSME")
def test_billing_data_is_captured_when_the_mode_changes(
    served: Served, meter: Meter, clock: LabClock, consume: Consume, evidence: EvidenceLog
) -> None:
    """SRV 1.6: at the change of mode the meter keeps one row of its registers and balances as they stand."""
    prepaying(meter)
    consume(meter, QUARTER)
    start = from_now(clock)
    served("1.6", meter, {"Credit": {}})
    rows = meter.log("tariff_change_log", start=start)
    evidence.expect("rows that the change left", found=len(rows), expected=1)
    told = rows[0].values
    standing = meter.read_many(tuple(told))
    evidence.expect("what the row tells", found=dict(told), expected=dict(standing))


@pytest.mark.srv("1.6")
@pytest.mark.ttm("TTM-1.6-E-02", "TTM-1.6-G-02")
@pytest.mark.devices("ESME", "GSME")
def test_credit_mode_is_taken_and_kept_over_a_power_cut(
    served: Served, unchanged: Unchanged, meter: Meter, bench: Bench, clock: LabClock, evidence: EvidenceLog
) -> None:
    """SRV 1.6: the meter goes over to credit, keeps it over a power cut, and nothing else changes."""
    prepaying(meter)
    with unchanged(meter, but={"payment_mode"}):
        served("1.6", meter, {"Credit": {}})
    evidence.expect("payment mode", found=meter.read("payment_mode"), expected=PaymentMode.CREDIT)
    power_cut(bench, clock)
    evidence.expect("mode after a power cut", found=meter.read("payment_mode"), expected=PaymentMode.CREDIT)


@pytest.mark.srv("1.6")
@pytest.mark.ttm("TTM-1.6-E-04", "TTM-1.6-G-04")
@pytest.mark.devices("ESME", "GSME")
def test_a_meter_in_credit_mode_supplies_without_credit_and_counts_what_is_owed(
    served: Served, meter: Meter, clock: LabClock, consume: Consume, evidence: EvidenceLog
) -> None:
    """SRV 1.6: in credit mode the supply flows on without credit, and what it costs is owed."""
    prepaying(meter, balance=100)
    well_before_midnight(clock)
    price = one_price(meter)
    served("1.6", meter, {"Credit": {}})
    expect_charge(evidence, meter, consume, timedelta(hours=1), price)
    evidence.expect("supply", found=meter.supply(), expected=SupplyState.ENABLED)


@pytest.mark.srv("1.1.1", "1.2.1", "1.5", "1.6", "6.13")
@pytest.mark.ttm("TTM-1.5-E-05", "TTM-1.5-G-05", "TTM-1.6-E-05", "TTM-1.6-G-05")
@pytest.mark.devices("ESME", "GSME")
def test_commands_of_product_management_are_logged_once_each(
    served: Served, unchanged: Unchanged, meter: Meter
) -> None:
    """SRV 1.1.1, 1.2.1, 1.5, 1.6: the event log tells each command once, in their order, and nothing else."""
    prepaying(meter)
    tariff = Tariff(days=(all_day("tou", 1),), tou_prices=(20_100, 20_200))
    for srv, body, event, but in (
        ("1.1.1", tariff.body(meter), Event.TARIFF_CHANGED, tariff.held(meter)),
        ("1.2.1", tariff.prices(meter), Event.TARIFF_CHANGED, tariff.held_prices(meter)),
        ("1.5", {"PrepaymentMode": {"AdjustMeterBalance": 7}}, Event.BALANCE_CHANGED, {"meter_balance"}),
        ("1.6", {"Credit": {}}, Event.PAYMENT_MODE_CHANGED, {"payment_mode"}),
    ):
        with unchanged(meter, but=but, events=[event]):
            served(srv, meter, body)
