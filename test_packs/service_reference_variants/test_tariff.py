"""Service group 1: tariff and price (SRV 1.1.1, 1.2.1)."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Final

import pytest

from harness.domain.instruments import Bench, EvidenceLog, LabClock, Meter
from harness.domain.words import DeviceType
from test_packs.arrange import (
    Served,
    Unchanged,
    one_price,
    power_cut,
    prepaying,
    well_before_midnight,
)
from test_packs.consumption import (
    Consume,
    charge,
    cost,
    demand_in,
    expect_charge,
    expect_due,
    expect_flow,
    step_of,
)
from test_packs.tariffs import Switch, Tariff, all_day

pytestmark = pytest.mark.functional_group("1 Product management")

QUARTER: Final = timedelta(minutes=15)


def _rich_tariff(meter: Meter) -> Tariff:
    """Different values in every place, so that none can stand in for another."""
    if meter.device_type is DeviceType.GSME:
        return Tariff(
            days=(all_day("tou", 2), all_day("tou", 4), all_day("tou", 1)),
            weeks=((1, 1, 1, 1, 1, 2, 3), (2, 2, 2, 1, 1, 3, 3)),
            seasons=((3, 1, 1), (10, 15, 2)),
            special_days=((date(2031, 12, 25), 3), (date(2032, 1, 1), 2)),
            tou_prices=(7_310, 5_870, 8_990, 6_050),
            thresholds=((500, 700, 900),),
            standing_charge=28_560,
        )
    return Tariff(
        days=(
            (Switch(0, 0, "tou", 2), Switch(7, 30, "tou", 1), Switch(16, 0, "block", 3)),
            (Switch(0, 0, "tou", 4), Switch(22, 15, "tou", 3)),
            all_day("tou", 5),
        ),
        weeks=((1, 1, 1, 1, 1, 2, 3), (2, 2, 2, 1, 1, 3, 3)),
        seasons=((3, 1, 1), (10, 15, 2)),
        special_days=((date(2031, 12, 25), 3), (date(2032, 1, 1), 2)),
        tou_prices=(24_310, 11_870, 31_990, 9_050, 17_420),
        block_prices=((21, 22, 23, 24), (31, 32, 33, 34), (25_010, 26_020, 27_030, 28_040)),
        thresholds=((1_000, 2_000, 3_000), (4_000, 5_000, 6_000), (7_000, 8_500, 9_900)),
        standing_charge=28_560,
    )


@pytest.mark.srv("1.1.1")
@pytest.mark.ttm("TTM-1.1.1-E-01", "TTM-1.1.1-E-02", "TTM-1.1.1-G-01", "TTM-1.1.1-G-02")
@pytest.mark.devices("ESME", "GSME")
def test_a_tariff_is_held_whole(
    served: Served, unchanged: Unchanged, meter: Meter, evidence: EvidenceLog
) -> None:
    """SRV 1.1.1: the meter holds every switching time, calendar, threshold and price of the tariff sent."""
    tariff = _rich_tariff(meter)
    due = tariff.held(meter)
    with unchanged(meter, but=due):
        served("1.1.1", meter, tariff.body(meter))
    evidence.expect("the tariff held", found=dict(meter.read_many(tuple(due))), expected=due)


@pytest.mark.srv("1.1.1")
@pytest.mark.ttm("TTM-1.1.1-E-03", "TTM-1.1.1-G-03")
@pytest.mark.devices("ESME", "GSME")
def test_consumption_is_counted_and_charged_as_the_switching_table_says(
    served: Served, meter: Meter, clock: LabClock, consume: Consume, evidence: EvidenceLog
) -> None:
    """SRV 1.1.1: consumption lands in the TOU register of the day and hour, and costs its price."""
    electricity = meter.device_type is DeviceType.ESME
    prepaying(meter)
    well_before_midnight(clock)
    switch = (clock.now() + timedelta(hours=2)).replace(minute=0, second=0, microsecond=0)
    special = (Switch(0, 0, "tou", 2), Switch(switch.hour, 0, "tou", 3)) if electricity else all_day("tou", 2)
    tariff = Tariff(
        days=(all_day("tou", 1), special),
        special_days=((clock.now().date(), 2),),
        tou_prices=(24_310, 11_870, 31_990, 9_050),
    )
    served("1.1.1", meter, tariff.body(meter))
    _expect_counted_and_charged(evidence, meter, consume, register=2, price=11_870)
    if electricity:
        clock.sleep(switch - clock.now())
        _expect_counted_and_charged(evidence, meter, consume, register=3, price=31_990)


@pytest.mark.srv("1.1.1")
@pytest.mark.ttm("TTM-1.1.1-E-06", "TTM-1.1.1-G-06")
@pytest.mark.devices("ESME", "GSME")
def test_the_weekday_and_the_season_choose_the_day_profile(
    served: Served, meter: Meter, clock: LabClock, consume: Consume, evidence: EvidenceLog
) -> None:
    """SRV 1.1.1: the season that began last, and the weekday in its week, choose the register and price."""
    prepaying(meter)
    well_before_midnight(clock)
    today = clock.now()
    began, ahead = today - timedelta(days=20), today + timedelta(days=20)
    this_week = tuple(3 if number == today.isoweekday() else 4 for number in range(1, 8))
    tariff = Tariff(
        days=tuple(all_day("tou", register) for register in (1, 2, 3, 4)),
        weeks=((1,) * 7, this_week),
        seasons=((ahead.month, ahead.day, 1), (began.month, began.day, 2)),
        special_days=((ahead.date(), 2),),
        tou_prices=(24_310, 11_870, 31_990, 9_050),
    )
    served("1.1.1", meter, tariff.body(meter))
    _expect_counted_and_charged(evidence, meter, consume, register=3, price=31_990)


def _expect_counted_and_charged(
    evidence: EvidenceLog, meter: Meter, consume: Consume, *, register: int, price: int
) -> None:
    before = meter.read("tou_registers")
    used = expect_charge(evidence, meter, consume, QUARTER, price)
    counted = tuple(now - was for now, was in zip(meter.read("tou_registers"), before, strict=True))
    expected = tuple(used.registered if n == register else 0 for n in range(1, len(before) + 1))
    evidence.expect(f"what TOU register {register}, and no other, counted", found=counted, expected=expected)


@pytest.mark.srv("1.1.1")
@pytest.mark.ttm("TTM-1.1.1-E-04", "TTM-1.1.1-G-04")
@pytest.mark.devices("ESME", "GSME")
def test_consumption_beyond_a_block_costs_the_price_of_the_next(
    served: Served, meter: Meter, clock: LabClock, consume: Consume, evidence: EvidenceLog
) -> None:
    """SRV 1.1.1: block thresholds divide consumption, and each part costs its block's price."""
    prepaying(meter)
    well_before_midnight(clock)
    row = 3 if meter.device_type is DeviceType.ESME else 1
    step, begun = step_of(meter), _on_block_counter(meter, row)
    part = demand_in(meter, QUARTER) / step / 6  # in Wh or litres
    others = ((0,) * 4,) * (row - 1)
    prices = (20_000, 25_000, 30_000, 32_000)
    limits = tuple(int(begun / step + share * part) for share in (2, 5))
    tariff = Tariff(
        days=(all_day("block", row),),
        block_prices=(*others, prices),
        thresholds=(*((0,) * 3 for _ in others), limits),
    )
    served("1.1.1", meter, tariff.body(meter))
    before = _blocks(meter, row)
    used, charged = charge(meter, consume, QUARTER)
    first, second = limits[0] * step - begun, (limits[1] - limits[0]) * step
    expected = (first, second, used.registered - first - second, 0)
    counted = tuple(now - was for now, was in zip(_blocks(meter, row), before, strict=True))
    expect_flow(evidence, "as asked", used)
    evidence.expect("what each block counted", found=counted, expected=expected)
    evidence.expect(
        "the block counter", found=_on_block_counter(meter, row), expected=begun + used.registered
    )
    due = sum((cost(meter, part, price) for part, price in zip(counted, prices, strict=True)), Decimal(0))
    expect_due(evidence, meter, charged, due, dearest=max(prices))


def _blocks(meter: Meter, row: int) -> tuple[Decimal, ...]:
    """The four block registers of a row, in Wh or m3."""
    if meter.device_type is DeviceType.GSME:
        return tuple(meter.read("block_registers"))
    return tuple(Decimal(block[row - 1]) for block in meter.read("tou_block_registers"))


def _on_block_counter(meter: Meter, row: int) -> Decimal:
    """What counts towards the thresholds of a row, in Wh (of the day) or m3 (of the billing period)."""
    counters = meter.read("block_counters")
    return Decimal(sum(counters) if meter.device_type is DeviceType.GSME else counters[row - 1])


@pytest.mark.srv("1.1.1")
@pytest.mark.ttm("TTM-1.1.1-E-05", "TTM-1.1.1-G-05")
@pytest.mark.devices("ESME", "GSME")
def test_a_tariff_outlives_a_power_cut(
    served: Served, meter: Meter, bench: Bench, clock: LabClock, consume: Consume, evidence: EvidenceLog
) -> None:
    """SRV 1.1.1: after a power cut the tariff is still held whole, and still charged."""
    prepaying(meter)
    well_before_midnight(clock)
    tariff = Tariff(
        days=(all_day("tou", 4),), tou_prices=(24_310, 11_870, 31_990, 19_050), standing_charge=25_430
    )
    due = tariff.held(meter)
    served("1.1.1", meter, tariff.body(meter))
    power_cut(bench, clock)
    evidence.expect("the tariff held", found=dict(meter.read_many(tuple(due))), expected=due)
    _expect_counted_and_charged(evidence, meter, consume, register=4, price=19_050)


@pytest.mark.srv("1.2.1")
@pytest.mark.ttm("TTM-1.2.1-E-01", "TTM-1.2.1-E-02", "TTM-1.2.1-G-01", "TTM-1.2.1-G-02")
@pytest.mark.devices("ESME", "GSME")
def test_prices_are_held_and_the_switching_table_stays(
    served: Served, unchanged: Unchanged, meter: Meter, evidence: EvidenceLog
) -> None:
    """SRV 1.2.1: the meter holds the prices and the standing charge sent, and nothing else changes."""
    tariff = Tariff(
        days=(),
        tou_prices=(24_311, 11_872, 31_993, 9_054),
        standing_charge=28_565,
        price_scale=-6,
        standing_charge_scale=-4,
    )
    due = tariff.held_prices(meter)
    with unchanged(meter, but=due):
        served("1.2.1", meter, tariff.prices(meter))
    evidence.expect("the prices held", found=dict(meter.read_many(tuple(due))), expected=due)


@pytest.mark.srv("1.2.1")
@pytest.mark.ttm("TTM-1.2.1-E-03", "TTM-1.2.1-G-03")
@pytest.mark.devices("ESME", "GSME")
def test_consumption_costs_the_new_price_also_after_a_power_cut(
    served: Served, meter: Meter, bench: Bench, clock: LabClock, consume: Consume, evidence: EvidenceLog
) -> None:
    """SRV 1.2.1: from then on consumption costs the price sent, and a power cut does not change that."""
    prepaying(meter)
    well_before_midnight(clock)
    old = one_price(meter)
    price = 23_450 if old != 23_450 else 24_560
    coarser = 10 if meter.device_type is DeviceType.ESME else 1  # an electricity price has a scale of its own
    prices = Tariff(days=(), tou_prices=(price // coarser, 1, 2, 3), price_scale=-4).prices(meter)
    served("1.2.1", meter, prices)
    evidence.expect("the active price", found=meter.read("active_price"), expected=price // coarser)
    expect_charge(evidence, meter, consume, QUARTER, price)
    power_cut(bench, clock)
    expect_charge(evidence, meter, consume, QUARTER, price)


@pytest.mark.srv("1.2.1")
@pytest.mark.ttm("TTM-1.2.1-E-04", "TTM-1.2.1-G-04")
@pytest.mark.devices("ESME", "GSME")
def test_the_standing_charge_is_taken_once_a_day(
    served: Served, meter: Meter, clock: LabClock, evidence: EvidenceLog
) -> None:
    """SRV 1.2.1: with nothing consumed, three midnights cost three standing charges."""
    prepaying(meter)
    coarser = 10 if meter.device_type is DeviceType.ESME else 1  # its standing charge has one too
    prices = Tariff(
        days=(), tou_prices=(20_000,), standing_charge=30_170 // coarser, standing_charge_scale=-4
    )
    served("1.2.1", meter, prices.prices(meter))
    balance = meter.read("meter_balance")
    clock.sleep(timedelta(days=3))
    evidence.expect(
        "millipence taken in three days", found=balance - meter.read("meter_balance"), expected=3 * 30_170
    )
