"""The meter's account, against arithmetic of the tests' own: credit, prepayment, debts, emergency credit."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from math import ceil, floor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_drivers.utrn import make_utrn, wrong_utrns
from harness.domain.errors import AccessRefused

PRICE = 30_000  # millipence per kWh, day and night
EVERY_DAY = (1, 2, 3, 4, 5, 6, 7)
SOME_DATE = {"year": 0xFFFF, "month": 0xFF, "day": 0xFF, "weekday": 0xFF}

Build = Callable[..., Any]


def prepaid(house: Any, credit: int = 1_000_000, **terms: Any) -> Any:
    """Put the electricity meter into prepayment mode with so many millipence of credit."""
    meter = house.esme
    for name, value in ({"tou_prices": (PRICE, PRICE), "standing_charge": 0} | terms).items():
        meter.set(name, value)
    meter.act("reset_balance")
    meter.act("adjust_balance", credit)
    meter.set("payment_mode", "Prepayment")
    house.alerts.clear()
    return meter


def top_up(meter: Any, pence: int, serial: int = 1) -> None:
    meter.act("top_up", make_utrn(meter.device_id, pence, serial).encode())


def protection(start: int, stop: int) -> tuple[dict[str, Any], ...]:
    """A non-disablement calendar: no disablement between these hours of each day."""
    return tuple(
        {
            "action": what, "weekdays": EVERY_DAY, "special_days": (), "hour": hour, "minute": 0,
            "start": SOME_DATE, "end": SOME_DATE,
        }
        for what, hour in (("START", start), ("STOP", stop))
    )  # fmt: skip


# Consumption


def test_in_credit_mode_the_balance_rises_with_the_cost(house: Any) -> None:
    house.esme.set("tou_prices", (27_500, 27_500))
    house.bench.load(1_000)
    house.wait(hours=2)
    assert house.esme.get("meter_balance") == 55_000


def test_in_prepayment_mode_the_balance_falls_with_the_cost(house: Any) -> None:
    meter = prepaid(house)
    house.bench.load(1_000)
    house.wait(hours=2)
    assert meter.get("meter_balance") == 1_000_000 - 60_000


@settings(max_examples=50, deadline=None)
@given(
    use=st.lists(st.tuples(st.integers(0, 9_000), st.integers(1, 90_000)), min_size=1, max_size=12),
    prices=st.tuples(st.integers(0, 99_999), st.integers(0, 99_999)),
    standing=st.integers(0, 99_999),
    scale=st.integers(-8, -4),
)
def test_cost_is_use_times_price_and_the_standing_charge_of_each_midnight(
    a_house: Build, use: list[tuple[int, int]], prices: tuple[int, int], standing: int, scale: int
) -> None:
    house = a_house()
    meter = house.esme
    for name, value in {"tou_prices": prices, "standing_charge": standing, "price_scale": scale}.items():
        meter.set(name, value)
    before, began = meter.get("tou_registers"), house.clock.now()
    for watts, seconds in use:
        house.bench.load(watts)
        house.wait(seconds=seconds)
    used = [after - old for after, old in zip(meter.get("tou_registers"), before, strict=True)]
    per_kwh = [price * Fraction(10) ** (scale + 5) for price in prices]
    midnights = (house.clock.now().date() - began.date()).days
    cost = sum(wh * Fraction(price, 1) / 1_000 for wh, price in zip(used, per_kwh, strict=False))
    assert meter.get("meter_balance") == floor(cost + midnights * standing)


def test_the_standing_charge_is_taken_at_midnight(house: Any) -> None:
    meter = prepaid(house, standing_charge=45_000)
    house.until(23, 59)
    assert meter.get("meter_balance") == 1_000_000
    house.wait(minutes=1)
    assert meter.get("meter_balance") == 955_000


# Running out


def test_credit_runs_out_at_the_very_watt_hour_that_it_no_longer_pays(house: Any, events: Any) -> None:
    meter = prepaid(house, credit=100_000, low_credit_threshold=40_000)
    began = house.clock.now()
    house.bench.load(3_000)
    house.wait(hours=12)
    watt_hours = floor(Fraction(100_000, PRICE) * 1_000) + 1
    assert house.bench.reference().active_import == watt_hours
    assert meter.get("meter_balance") == floor(100_000 - Fraction(watt_hours * PRICE, 1_000))
    low, off = meter.rows("event_log")[-2:]
    assert [low[1], off[1]] == [0x000A, 0x0007]
    assert off[0] - began == timedelta(seconds=watt_hours * 3_600 / 3_000)
    low_at = floor(Fraction(60_000, PRICE) * 1_000) + 1
    assert low[0] - began == timedelta(seconds=low_at * 3_600 / 3_000)
    assert house.alert_codes() == [0x000A, 0x0007]
    assert (meter.get("supply_state"), meter.get("supply_output")) == ("Disabled", False)


def test_a_top_up_arms_the_supply_and_a_person_enables_it(house: Any, events: Any) -> None:
    meter = prepaid(house, credit=0)
    house.bench.load(3_000)
    house.wait(hours=1)
    assert not meter.press_enable()
    top_up(meter, 500)
    assert (meter.get("supply_state"), meter.get("supply_output")) == ("Armed", False)
    house.wait(hours=1)
    assert house.bench.reference().active_import == 1
    assert meter.press_enable()
    assert meter.get("supply_output") is True
    house.wait(hours=1)
    assert house.bench.reference().active_import == 3_001
    assert events(meter)[-4:] == [0x0007, 0x000C, 0x001A, 0x0008]


def test_no_credit_no_enabling(house: Any) -> None:
    meter = prepaid(house, credit=-1)
    assert meter.get("supply_state") == "Disabled"
    for command in ("enable_supply", "arm_supply", "reconnect"):
        with pytest.raises(AccessRefused) as refused:
            meter.act(command)
        assert refused.value.result == "temporary-failure"
    assert meter.get("supply_state") == "Disabled"


def test_the_supply_is_cut_only_when_the_non_disablement_period_ends(house: Any) -> None:
    meter = prepaid(house, credit=0, non_disablement_calendar=protection(8, 18))
    house.bench.load(2_000)
    house.until(17, 59)
    assert meter.get("supply_state") == "Enabled"
    assert meter.get("meter_balance") < 0
    house.until(18)
    assert meter.get("supply_state") == "Disabled"
    assert house.alert_codes() == [0x0007]


def test_a_non_disablement_calendar_knows_special_days(house: Any) -> None:
    christmas = {"index": 3, "date": SOME_DATE | {"month": 12, "day": 25}, "day": 0}
    calendar = (
        protection(0, 0)[0] | {"weekdays": (), "special_days": (3,)},
        protection(0, 1)[1] | {"weekdays": EVERY_DAY},
    )
    meter = prepaid(house, credit=10_000_000, non_disablement_calendar=calendar)
    meter.set("non_disablement_special_days", (christmas,))
    house.clock.advance_to(datetime(2026, 12, 25, 0, 30, tzinfo=UTC))
    meter.act("adjust_balance", -20_000_000)
    assert meter.get("supply_state") == "Enabled"
    house.until(1)
    assert meter.get("supply_state") == "Disabled"


def test_the_disablement_threshold_may_lie_above_or_below_zero(house: Any) -> None:
    meter = prepaid(house, credit=10, disablement_threshold=-50)
    meter.act("adjust_balance", -60)
    assert meter.get("supply_state") == "Enabled"
    meter.act("adjust_balance", -1)
    assert meter.get("supply_state") == "Disabled"
    meter.set("disablement_threshold", -100)
    assert meter.get("supply_state") == "Armed"


def test_back_in_credit_mode_a_supply_cut_for_credit_is_armed(house: Any) -> None:
    meter = prepaid(house, credit=-5)
    meter.set("payment_mode", "Credit")
    assert meter.get("supply_state") == "Armed"


# Emergency credit


def test_emergency_credit_is_used_after_the_balance_and_then_the_supply_goes(house: Any, events: Any) -> None:
    meter = prepaid(house, credit=50_000, emergency_credit_limit=30_000)
    meter.act("activate_emergency_credit")
    assert (meter.get("emergency_credit_balance"), meter.get("emergency_credit_active")) == (30_000, True)
    house.bench.load(1_000)
    house.wait(hours=2)
    assert (meter.get("meter_balance"), meter.get("emergency_credit_balance")) == (0, 20_000)
    house.wait(hours=1)
    watt_hours = floor(Fraction(80_000, PRICE) * 1_000) + 1
    assert house.bench.reference().active_import == watt_hours
    assert meter.get("emergency_credit_balance") == 0
    assert meter.get("meter_balance") == floor(80_000 - Fraction(watt_hours * PRICE, 1_000))
    assert events(meter)[-3:] == [0x000B, 0x0017, 0x0007]


def test_a_top_up_repays_the_emergency_credit_that_was_used(house: Any) -> None:
    meter = prepaid(house, credit=-20_000, disablement_threshold=-50_000, emergency_credit_limit=40_000)
    meter.act("activate_emergency_credit")
    meter.act("adjust_balance", -30_000)
    house.bench.load(1_000)
    house.wait(hours=1)
    assert (meter.get("meter_balance"), meter.get("emergency_credit_balance")) == (-50_000, 10_000)
    top_up(meter, 20, serial=1)
    assert (meter.get("meter_balance"), meter.get("emergency_credit_balance")) == (-50_000, 30_000)
    top_up(meter, 100, serial=2)
    assert meter.get("meter_balance") == -50_000 + 90_000
    assert (meter.get("emergency_credit_balance"), meter.get("emergency_credit_active")) == (0, False)


@pytest.mark.parametrize("case", ["credit mode", "enough credit", "twice"])
def test_emergency_credit_is_refused_where_there_is_no_need(house: Any, case: str) -> None:
    if case == "credit mode":
        meter = house.esme
    else:
        meter = prepaid(house, credit=10_000_000 if case == "enough credit" else 5)
    if case == "twice":
        meter.act("activate_emergency_credit")
    before = meter.get("emergency_credit_balance")
    with pytest.raises(AccessRefused) as refused:
        meter.act("activate_emergency_credit")
    assert refused.value.result == "temporary-failure"
    assert meter.get("emergency_credit_balance") == before


def test_emergency_credit_brings_an_exhausted_meter_back_to_armed(house: Any) -> None:
    meter = prepaid(house, credit=-10)
    meter.act("activate_emergency_credit")
    assert meter.get("supply_state") == "Armed"


# Debts


def debt(rate: int, period: str, scale: int = -5) -> dict[str, Any]:
    return {"rate": rate, "scale": scale, "period": period}


def test_time_debts_are_recovered_by_the_hour_and_by_the_day(house: Any) -> None:
    meter = prepaid(
        house, time_debt_1=2_500, time_debt_2=100_000, debt_recovery_1=debt(1_000, "HOURLY"),
        debt_recovery_2=debt(30_000, "DAILY"),
    )  # fmt: skip
    house.until(11)
    assert (meter.get("time_debt_1"), meter.get("time_debt_2")) == (500, 100_000)
    assert meter.get("meter_balance") == 998_000
    house.until(0, days=1)
    assert (meter.get("time_debt_1"), meter.get("time_debt_2")) == (0, 70_000)
    assert meter.get("meter_balance") == 1_000_000 - 2_500 - 30_000


def test_a_recovery_rate_below_a_millipence_adds_up_exactly(house: Any) -> None:
    meter = prepaid(house, time_debt_1=1_000, debt_recovery_1=debt(333, "HOURLY", scale=-8))
    house.wait(hours=100)
    assert meter.get("time_debt_1") == 1_000 - ceil(Fraction(100 * 333, 1_000))
    assert meter.get("meter_balance") == 1_000_000 - ceil(Fraction(100 * 333, 1_000))


@pytest.mark.parametrize("suspended", [True, False])
def test_debt_recovery_may_be_suspended_while_the_supply_is_disabled(house: Any, suspended: bool) -> None:
    meter = prepaid(
        house, time_debt_1=9_000, debt_recovery_1=debt(1_000, "HOURLY"), suspend_debt_disabled=suspended
    )
    meter.act("disable_supply")
    house.wait(hours=3)
    assert meter.get("time_debt_1") == (9_000 if suspended else 6_000)


@pytest.mark.parametrize("suspended", [True, False])
def test_debt_recovery_may_be_suspended_in_emergency_credit(house: Any, suspended: bool) -> None:
    meter = prepaid(
        house,
        credit=0,
        time_debt_1=9_000,
        debt_recovery_1=debt(1_000, "HOURLY"),
        suspend_debt_emergency=suspended,
    )
    meter.act("activate_emergency_credit")
    house.wait(hours=3)
    assert meter.get("time_debt_1") == (9_000 if suspended else 6_000)
    assert meter.get("emergency_credit_balance") == (500_000 if suspended else 497_000)


def test_charges_without_credit_add_up_as_accumulated_debt_and_are_paid_first(house: Any) -> None:
    meter = prepaid(
        house, credit=-1_000, standing_charge=40_000, time_debt_1=5_000, debt_recovery_1=debt(1_000, "DAILY")
    )
    house.until(0, days=2)
    assert (meter.get("accumulated_debt"), meter.get("time_debt_1")) == (82_000, 3_000)
    assert meter.get("meter_balance") == -1_000
    top_up(meter, 100)
    assert (meter.get("accumulated_debt"), meter.get("meter_balance")) == (0, -1_000 + 100_000 - 82_000)


def test_each_payment_pays_a_share_of_the_payment_debt_up_to_the_weeks_cap(house: Any) -> None:
    meter = prepaid(
        house, credit=0, payment_debt=90_000, debt_recovery_per_payment=2_500, debt_recovery_rate_cap=60_000
    )
    top_up(meter, 200, serial=1)
    assert (meter.get("payment_debt"), meter.get("meter_balance")) == (40_000, 150_000)
    top_up(meter, 200, serial=2)
    assert (meter.get("payment_debt"), meter.get("meter_balance")) == (30_000, 340_000)
    house.wait(days=7)
    top_up(meter, 200, serial=3)
    assert (meter.get("payment_debt"), meter.get("meter_balance")) == (0, 510_000)


def test_debts_rest_in_credit_mode(house: Any) -> None:
    meter = house.esme
    meter.set("standing_charge", 0)
    meter.set("time_debt_1", 5_000)
    meter.set("debt_recovery_1", debt(1_000, "HOURLY"))
    house.wait(hours=30)
    assert (meter.get("time_debt_1"), meter.get("meter_balance")) == (5_000, 0)


CUSTOMERS = st.lists(
    st.tuples(st.just("load"), st.integers(0, 9_000))
    | st.tuples(st.just("wait"), st.integers(1, 100_000))
    | st.tuples(st.just("pay"), st.integers(0, 2_000))
    | st.tuples(st.just("emergency"), st.just(0))
    | st.tuples(st.just("press"), st.just(0)),
    max_size=30,
)


@settings(max_examples=80, deadline=None)
@given(
    life=CUSTOMERS,
    debts=st.tuples(*[st.integers(0, 200_000)] * 3),
    rates=st.tuples(*[st.integers(0, 5_000)] * 2),
    share=st.integers(0, 10_000),
    suspend=st.tuples(st.booleans(), st.booleans()),
)
def test_no_money_is_made_or_lost_whatever_a_customer_does(
    a_house: Build,
    life: list[tuple[str, int]],
    debts: tuple[int, ...],
    rates: tuple[int, ...],
    share: int,
    suspend: tuple[bool, bool],
) -> None:
    """What was paid in is what was used and charged, what debts fell by, and what is left."""
    house = a_house()
    meter = prepaid(
        house,
        credit=100_000,
        standing_charge=40_000,
        payment_debt=debts[0],
        time_debt_1=debts[1],
        time_debt_2=debts[2],
        debt_recovery_1=debt(rates[0], "HOURLY"),
        debt_recovery_2=debt(rates[1], "DAILY"),
        debt_recovery_per_payment=share,
        suspend_debt_disabled=suspend[0],
        suspend_debt_emergency=suspend[1],
    )
    began, paid = house.clock.now().date(), 100_000
    for serial, (what, how) in enumerate(life, 1):
        match what:
            case "load":
                house.bench.load(how)
            case "wait":
                house.wait(seconds=how)
            case "pay":
                top_up(meter, how, serial)
                paid += how * 1_000
            case "emergency":
                with suppress(AccessRefused):
                    meter.act("activate_emergency_credit")
            case "press":
                meter.press_enable()
    used = house.bench.reference().active_import // 1 * PRICE / 1_000
    standing = (house.clock.now().date() - began).days * 40_000
    recovered = sum(debts) - sum(meter.get(name) for name in ("payment_debt", "time_debt_1", "time_debt_2"))
    lent = meter.get("emergency_credit_limit") - meter.get("emergency_credit_balance")
    owed = meter.get("accumulated_debt") + (lent if meter.get("emergency_credit_active") else 0)
    left = paid - (int(used) + standing + recovered - owed)
    assert left - 1 <= meter.get("meter_balance") <= left
    assert meter.get("supply_output") is False or not meter.account.exhausted


# Top-ups


def test_a_utrn_is_good_once_and_on_its_own_meter(house: Any, events: Any) -> None:
    meter = prepaid(house, credit=0)
    code = make_utrn(meter.device_id, 1_000, 7)
    meter.act("top_up", code.encode())
    assert (meter.get("meter_balance"), meter.get("last_top_up")) == (1_000_000, code)
    for wrong in (code, make_utrn(house.gsme.device_id, 1_000, 8), code[:-1] + str(9 - int(code[-1])), "12"):
        with pytest.raises(AccessRefused) as refused:
            meter.act("top_up", wrong.encode())
        assert refused.value.result == "other-reason"
    assert (meter.get("meter_balance"), meter.get("last_top_up")) == (1_000_000, code)
    assert events(meter)[-5:] == [0x000C, *[0x000D] * 4]


@pytest.mark.parametrize(
    ("terms", "why"),
    [({"max_credit_threshold": 99_999}, "maximum credit"), ({"max_meter_balance": 149_999}, "maximum meter")],
)
def test_a_top_up_beyond_a_maximum_is_refused(house: Any, terms: dict[str, int], why: str) -> None:
    meter = prepaid(house, credit=50_000, **terms)
    with pytest.raises(AccessRefused, match=why):
        top_up(meter, 100)
    assert meter.get("meter_balance") == 50_000


def test_a_meter_in_credit_mode_takes_no_top_up(house: Any) -> None:
    with pytest.raises(AccessRefused, match="credit mode"):
        top_up(house.esme, 100)
    assert house.esme.get("meter_balance") == 0


def test_a_refused_utrn_is_still_good_later(house: Any) -> None:
    meter = prepaid(house, credit=0, max_credit_threshold=1)
    with pytest.raises(AccessRefused):
        top_up(meter, 100, serial=5)
    meter.set("max_credit_threshold", 1_000_000)
    top_up(meter, 100, serial=5)
    assert meter.get("meter_balance") == 100_000


# Mode


def test_a_change_of_mode_is_captured_and_keeps_the_balance(house: Any, events: Any) -> None:
    house.esme.act("adjust_balance", 700)
    house.esme.set("payment_mode", "Prepayment")
    (row,) = house.esme.rows("tariff_change_log")
    assert row[4] == house.esme.get("meter_balance") == 700
    assert 0x000E in events(house.esme)
    house.esme.set("payment_mode", "Prepayment")
    assert len(house.esme.rows("tariff_change_log")) == 1


def test_the_balance_is_adjusted_and_reset_by_command(house: Any, events: Any) -> None:
    house.esme.act("adjust_balance", 1_234)
    house.esme.act("adjust_balance", -2_000)
    assert house.esme.get("meter_balance") == -766
    house.esme.act("reset_balance")
    assert house.esme.get("meter_balance") == 0
    assert events(house.esme) == [0x0018] * 3


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("debt_recovery_per_payment", 10_001),
        ("time_debt_1", -1),
        ("emergency_credit_limit", -1),
        ("debt_recovery_1", debt(1, "HOURLY", scale=-9)),
        ("payment_mode", "Barter"),
        ("active_price", 5),
    ],
)
def test_what_cannot_be_is_refused(house: Any, name: str, value: Any) -> None:
    before = house.esme.get(name)
    with pytest.raises(AccessRefused):
        house.esme.set(name, value)
    assert house.esme.get(name) == before


def test_gas_is_prepaid_in_the_same_way_and_the_valve_closes_at_the_very_litre(house: Any) -> None:
    meter = house.gsme
    for name, value in {
        "tou_prices": (6_000, 6_000), "standing_charge": 0, "calorific_value": "39.3",
        "conversion_factor": "1.02264",
    }.items():  # fmt: skip
        meter.set(name, value)
    meter.act("adjust_balance", 10_000)
    meter.set("payment_mode", "Prepayment")
    house.bench.gas_flow(1_000)
    house.wait(hours=1)
    per_litre = Fraction(393, 10) * Fraction(102_264, 100_000) / Fraction(36, 10)  # Wh
    watt_hours = floor(Fraction(10_000 * 1_000, 6_000)) + 1
    litres = house.bench.reference().gas_volume * 1_000
    assert ceil(watt_hours / per_litre) - 1 <= litres <= ceil(watt_hours / per_litre)
    assert meter.get("supply_state") == "Disabled"
    assert meter.get("meter_balance") == floor(10_000 - Fraction(6 * floor(litres_energy(meter, per_litre))))


def litres_energy(meter: Any, per_litre: Fraction) -> Fraction:
    """Energy of what has flowed since a meter without a past was made, in Wh; its start is not whole."""
    start = Fraction(int(sum(meter.get("tou_registers")) * 1_000)) * per_litre
    flowed = Fraction(int(sum(row[1] for row in meter.rows("profile")) * 1_000)) * per_litre
    return Fraction(floor(start)) - Fraction(floor(start - flowed))


# Codes that are guessed


def guess(meter: Any, times: int) -> None:
    for code in wrong_utrns(meter.device_id, 500, times):
        with pytest.raises(AccessRefused, match="top-up refused"):
            meter.act("top_up", code.encode())


def test_after_ten_guesses_no_code_is_looked_at_for_an_hour(house: Any) -> None:
    meter = prepaid(house)
    before = meter.get("meter_balance")
    guess(meter, 10)
    with pytest.raises(AccessRefused, match="too many wrong codes"):
        top_up(meter, 500)
    house.wait(hours=1)
    top_up(meter, 500)
    assert meter.get("meter_balance") == before + 500_000


def test_a_right_code_between_guesses_begins_the_count_anew(house: Any) -> None:
    meter = prepaid(house)
    guess(meter, 9)
    top_up(meter, 500, serial=1)
    guess(meter, 9)
    top_up(meter, 500, serial=2)


def test_a_code_that_was_used_is_no_guess(house: Any) -> None:
    meter = prepaid(house)
    top_up(meter, 500, serial=1)
    for _ in range(12):
        with pytest.raises(AccessRefused, match="used before"):
            top_up(meter, 500, serial=1)
    top_up(meter, 500, serial=2)
