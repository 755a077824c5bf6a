"""Service group 2: top-up and emergency credit (SRV 2.2, 2.5)."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

import pytest

from harness.domain.events import Event
from harness.domain.instruments import Bench, EvidenceLog, LabClock, Meter, Operator, RigInHand, ServiceUser
from harness.domain.words import DeviceType, SupplyState
from test_packs.arrange import (
    GBP,
    Declined,
    Served,
    Unchanged,
    one_price,
    power_cut,
    prepaying,
    press_enable,
    put,
    watch_alerts,
    well_before_midnight,
)
from test_packs.consumption import Consume, bought, cost, demand_in, expect_bought, expect_due, expect_flow
from test_packs.prepayment import PENNY

pytestmark = pytest.mark.functional_group("2 Prepayment")

QUARTER: Final = timedelta(minutes=15)


@pytest.mark.srv("2.2")
@pytest.mark.ttm("TTM-2.2-E-01", "TTM-2.2-E-02", "TTM-2.2-G-01", "TTM-2.2-G-02")
@pytest.mark.devices("ESME", "GSME")
def test_a_top_up_is_credited_once_and_to_the_penny(
    served: Served, unchanged: Unchanged, user: ServiceUser, meter: Meter, evidence: EvidenceLog
) -> None:
    """SRV 2.2: the balance rises by exactly what was paid, and the meter remembers the code."""
    prepaying(meter, balance=7 * GBP)
    utrn = user.vend(meter, 1_537)
    with unchanged(meter, but={"meter_balance", "last_top_up"}):
        served("2.2", meter, {"UTRN": utrn})
    expected = {"meter_balance": 7 * GBP + 1_537 * PENNY, "last_top_up": utrn}
    evidence.expect("balance and code", found=dict(meter.read_many(tuple(expected))), expected=expected)


@pytest.mark.srv("2.2")
@pytest.mark.ttm("TTM-2.2-E-08", "TTM-2.2-G-08")
@pytest.mark.devices("ESME", "GSME")
def test_the_display_shows_the_balance_before_and_after_a_top_up(
    served: Served, user: ServiceUser, meter: Meter, operator: Operator, evidence: EvidenceLog
) -> None:
    """SRV 2.2: whoever stands before the meter reads the balance, and after a top-up the new one."""
    prepaying(meter, balance=41 * GBP + 58 * PENNY)
    shown = _amounts(operator.read_display(meter.device_type))
    evidence.expect("balance on the display", found=shown & {"41.58", "56.95"}, expected={"41.58"})
    served("2.2", meter, {"UTRN": user.vend(meter, 1_537)})
    shown = _amounts(operator.read_display(meter.device_type))
    evidence.expect("balance after a top-up", found=shown & {"41.58", "56.95"}, expected={"56.95"})


def _amounts(display: str) -> set[str]:
    """All that may be pounds and pence: a display has other numbers, and its own words, as well."""
    return set(re.findall(r"(?<![\d.])\d+\.\d\d(?!\d)", display))


@pytest.mark.srv("2.2")
@pytest.mark.ttm("TTM-2.2-E-03", "TTM-2.2-G-03")
@pytest.mark.devices("ESME", "GSME")
def test_a_code_is_good_once_even_after_a_power_cut(
    served: Served,
    declined: Declined,
    unchanged: Unchanged,
    user: ServiceUser,
    meter: Meter,
    bench: Bench,
    clock: LabClock,
    evidence: EvidenceLog,
) -> None:
    """SRV 2.2: a code used before is refused, at once and after a power cut; a new one is taken."""
    prepaying(meter, balance=7 * GBP)
    utrn = user.vend(meter, 500)
    served("2.2", meter, {"UTRN": utrn})
    with unchanged(meter):
        declined("2.2", meter, {"UTRN": utrn})
    power_cut(bench, clock)
    kept = {"meter_balance": 12 * GBP, "last_top_up": utrn}
    evidence.expect("after a power cut", found=dict(meter.read_many(tuple(kept))), expected=kept)
    with unchanged(meter):
        declined("2.2", meter, {"UTRN": utrn})
    served("2.2", meter, {"UTRN": user.vend(meter, 100)})
    evidence.expect("balance after a new code", found=meter.read("meter_balance"), expected=13 * GBP)


@pytest.mark.srv("2.2")
@pytest.mark.ttm("TTM-2.2-E-04", "TTM-2.2-G-04")
@pytest.mark.devices("ESME", "GSME")
def test_a_wrong_code_and_another_meters_code_are_refused(
    declined: Declined, unchanged: Unchanged, user: ServiceUser, rig: RigInHand, meter: Meter
) -> None:
    """SRV 2.2: a mistyped code, and a good code of the other meter, are refused and credit neither meter."""
    prepaying(meter, balance=7 * GBP)
    utrn = user.vend(meter, 500)
    with unchanged(meter):
        declined("2.2", meter, {"UTRN": f"{utrn[:3]}{9 - int(utrn[3])}{utrn[4:]}"})
    other = DeviceType.GSME if meter.device_type is DeviceType.ESME else DeviceType.ESME
    if other in rig.devices:
        with unchanged(meter):
            declined("2.2", meter, {"UTRN": user.vend(rig.devices[other], 500)})


@pytest.mark.srv("2.2")
@pytest.mark.ttm("TTM-2.2-E-05", "TTM-2.2-G-05")
@pytest.mark.devices("ESME", "GSME")
def test_credit_buys_its_energy_and_then_the_supply_is_cut(
    served: Served, user: ServiceUser, meter: Meter, clock: LabClock, consume: Consume, evidence: EvidenceLog
) -> None:
    """SRV 2.2: a top-up buys the energy that its price says; then the supply is cut, with one alert."""
    prepaying(meter, balance=0)
    well_before_midnight(clock)
    price = one_price(meter)
    pence = int(cost(meter, demand_in(meter, QUARTER), price)) // PENNY
    served("2.2", meter, {"UTRN": user.vend(meter, pence)})
    alerts = watch_alerts(user, clock, meter)
    used = consume(meter, timedelta(hours=1))
    expect_bought(evidence, meter, used, bought(meter, pence * PENNY, price))
    evidence.expect("supply", found=meter.supply(), expected=SupplyState.DISABLED)
    expect_flow(evidence, "without credit", consume(meter, QUARTER), flows=False)
    alerts.expect_once(evidence, Event.CREDIT_EXHAUSTED)


@pytest.mark.srv("2.2")
@pytest.mark.ttm("TTM-2.2-E-06", "TTM-2.2-G-06")
@pytest.mark.devices("ESME", "GSME")
def test_a_top_up_after_a_cut_arms_the_supply(
    served: Served,
    user: ServiceUser,
    meter: Meter,
    bench: Bench,
    clock: LabClock,
    consume: Consume,
    evidence: EvidenceLog,
) -> None:
    """SRV 2.2: a top-up after the credit ran out arms the supply; it flows when the consumer enables it."""
    prepaying(meter, balance=PENNY)
    consume(meter, timedelta(hours=1))
    evidence.expect("supply without credit", found=meter.supply(), expected=SupplyState.DISABLED)
    served("2.2", meter, {"UTRN": user.vend(meter, 2_000)})
    evidence.expect("supply after a top-up", found=meter.supply(), expected=SupplyState.ARMED)
    expect_flow(evidence, "while armed", consume(meter, QUARTER), flows=False)
    press_enable(bench, clock, meter)
    expect_flow(evidence, "when enabled", consume(meter, QUARTER))


@pytest.mark.srv("2.5")
@pytest.mark.ttm("TTM-2.5-E-01", "TTM-2.5-E-02", "TTM-2.5-G-01", "TTM-2.5-G-02")
@pytest.mark.devices("ESME", "GSME")
def test_emergency_credit_is_lent_to_its_limit(
    served: Served, unchanged: Unchanged, meter: Meter, evidence: EvidenceLog
) -> None:
    """SRV 2.5: below its threshold the whole limit is lent, beside the balance, and nothing else changes."""
    prepaying(meter, balance=50 * PENNY, emergency_credit_limit=4 * GBP)
    with unchanged(meter, but={"emergency_credit_active", "emergency_credit_balance"}):
        served("2.5", meter)
    expected = {"emergency_credit_active": True, "emergency_credit_balance": 4 * GBP}
    evidence.expect("emergency credit", found=dict(meter.read_many(tuple(expected))), expected=expected)


@pytest.mark.srv("2.5")
@pytest.mark.ttm("TTM-2.5-E-03", "TTM-2.5-G-03")
@pytest.mark.devices("ESME", "GSME")
def test_emergency_credit_is_not_lent_above_its_threshold_or_twice(
    served: Served, declined: Declined, unchanged: Unchanged, meter: Meter
) -> None:
    """SRV 2.5: emergency credit is refused above its threshold, and refused while it is lent already."""
    prepaying(meter, balance=2 * GBP)
    with unchanged(meter):
        declined("2.5", meter)
    put(meter, {"meter_balance": 50 * PENNY})
    served("2.5", meter)
    with unchanged(meter):
        declined("2.5", meter)


@pytest.mark.srv("2.5")
@pytest.mark.ttm("TTM-2.5-E-04", "TTM-2.5-G-04")
@pytest.mark.devices("ESME", "GSME")
def test_emergency_credit_is_used_after_the_balance_and_then_the_supply_is_cut(
    served: Served,
    user: ServiceUser,
    meter: Meter,
    bench: Bench,
    clock: LabClock,
    consume: Consume,
    evidence: EvidenceLog,
) -> None:
    """SRV 2.5: consumption draws the balance, then what was lent, over a power cut; then supply is cut."""
    price = _arrange_for_a_quarter_hour_of_emergency_credit(meter, clock)
    served("2.5", meter)
    alerts, had = watch_alerts(user, clock, meter), _credit(meter)
    used = consume(meter, QUARTER)
    drawn = had - _credit(meter)
    expect_flow(evidence, "on emergency credit", used)
    expect_due(evidence, meter, drawn, cost(meter, used.registered, price), dearest=price, what="drawn")
    evidence.expect("balance, used up first", found=meter.read("meter_balance"), expected=0)
    power_cut(bench, clock)
    evidence.expect("supply after a power cut", found=meter.supply(), expected=SupplyState.ENABLED)
    consume(meter, timedelta(hours=1))
    evidence.expect("supply, all used up", found=meter.supply(), expected=SupplyState.DISABLED)
    for event in (Event.EMERGENCY_CREDIT_EXHAUSTED, Event.CREDIT_EXHAUSTED):
        alerts.expect_once(evidence, event)


@pytest.mark.srv("2.2", "2.5")
@pytest.mark.ttm("TTM-2.5-E-05", "TTM-2.5-G-05")
@pytest.mark.devices("ESME", "GSME")
def test_a_top_up_pays_emergency_credit_back_first(
    served: Served, user: ServiceUser, meter: Meter, clock: LabClock, consume: Consume, evidence: EvidenceLog
) -> None:
    """SRV 2.2, 2.5: what was used of emergency credit is paid back before the balance rises."""
    _arrange_for_a_quarter_hour_of_emergency_credit(meter, clock)
    limit = meter.read("emergency_credit_limit")
    served("2.5", meter)
    consume(meter, QUARTER)
    lent = limit - meter.read("emergency_credit_balance")
    assert lent > 0, "no emergency credit was used"
    due = meter.read("meter_balance") + 10 * GBP - lent
    served("2.2", meter, {"UTRN": user.vend(meter, 1_000)})
    evidence.expect("balance", found=meter.read("meter_balance"), expected=due)
    evidence.expect("still active", found=meter.read("emergency_credit_active"), expected=False)


def _credit(meter: Meter) -> int:
    """Balance and emergency credit together, in millipence."""
    return sum(meter.read_many(("meter_balance", "emergency_credit_balance")).values())


def _arrange_for_a_quarter_hour_of_emergency_credit(meter: Meter, clock: LabClock) -> int:
    """Credit for a third of a quarter hour's use, emergency credit for one and a third; tells the price."""
    prepaying(meter)
    well_before_midnight(clock)
    price = one_price(meter)
    third = int(cost(meter, demand_in(meter, QUARTER), price)) // 3
    prepaying(meter, balance=third, emergency_credit_limit=4 * third, emergency_credit_threshold=2 * third)
    return price
