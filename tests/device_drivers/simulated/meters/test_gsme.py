"""What is the gas meter's own: its schedule, its battery, its energy, its check for uncontrolled flow."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from math import floor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.domain.errors import AccessRefused


def test_it_wakes_on_its_own_schedule_and_measures_in_between(house: Any) -> None:
    meter = house.gsme
    meter.set("wake_period", 900)
    first = meter.next_wake()
    assert house.clock.now() <= first < house.clock.now() + timedelta(seconds=900)
    assert meter.next_wake(first) == first
    assert meter.next_wake(first + timedelta(microseconds=1)) == first + timedelta(seconds=900)
    house.bench.gas_flow(600)
    house.wait(hours=1)
    assert meter.rows("profile")[-1][1] == Decimal("0.300")


def test_two_meters_do_not_wake_at_the_same_second(a_house: Any) -> None:
    wakes = {a_house(seed=seed).gsme.next_wake() for seed in range(5)}
    assert len(wakes) > 1


def test_mains_do_not_concern_it(house: Any) -> None:
    house.bench.mains(False)
    assert house.gsme.get("supply_state") == "Enabled"


def test_its_battery_grows_old(house: Any) -> None:
    assert house.gsme.get("battery_capacity") == 5_475
    house.wait(days=100)
    assert house.gsme.get("battery_capacity") == 5_375


@pytest.mark.parametrize(("state", "supply"), [("Unchanged", "Enabled"), ("Locked", "Disabled")])
def test_with_its_battery_exhausted_it_closes_the_valve_if_so_set(
    house: Any, state: str, supply: str
) -> None:
    house.gsme.set("supply_depletion_state", state)
    house.gsme._made -= 5_474 * 86_400_000_000
    house.wait(days=1)
    assert house.gsme.get("supply_state") == "Enabled"
    house.wait(days=1)
    assert house.gsme.get("supply_state") == supply


@settings(max_examples=30, deadline=None)
@given(
    calorific=st.integers(1, 999),
    conversion=st.integers(1, 200_000),
    flows=st.lists(st.tuples(st.integers(0, 6_000), st.integers(1, 40_000)), max_size=8),
)
def test_energy_is_volume_times_conversion_times_calorific_value(
    a_house: Any, calorific: int, conversion: int, flows: list[tuple[int, int]]
) -> None:
    house = a_house()
    meter = house.gsme
    meter.set("calorific_value", Decimal(calorific) / 10)
    meter.set("conversion_factor", Decimal(conversion) / 100_000)
    before, volume = meter.get("gas_energy"), meter.get("gas_volume")
    for litres_per_hour, seconds in flows:
        house.bench.gas_flow(litres_per_hour)
        house.wait(seconds=seconds)
    used = Fraction(meter.get("gas_volume") - volume)
    megajoules = used * Fraction(calorific, 10) * Fraction(conversion, 100_000)
    assert meter.get("gas_energy") - before in (floor(megajoules / Fraction(36, 10_000)) + n for n in (0, 1))


@pytest.mark.parametrize(
    "name", ["calorific_value", "conversion_factor", "wake_period", "flow_measurement_period"]
)
def test_values_that_must_be_above_zero_are_refused_at_zero(house: Any, name: str) -> None:
    with pytest.raises(AccessRefused):
        house.gsme.set(name, 0)


def closed_then_armed(house: Any) -> Any:
    house.gsme.act("disable_supply")
    house.gsme.act("arm_supply")
    return house.gsme


def test_a_tap_left_open_closes_the_valve_again_soon_after_it_was_enabled(house: Any, events: Any) -> None:
    meter = closed_then_armed(house)
    house.bench.gas_flow(200)
    assert meter.press_enable()
    house.wait(seconds=5)
    assert meter.get("supply_state") == "Enabled"
    house.wait(seconds=1)
    assert meter.get("supply_state") == "Disabled"
    assert events(meter)[-1] == 0x0085
    assert house.alert_codes() == [0x0085]


def test_a_flow_below_the_limit_is_a_pilot_light(house: Any) -> None:
    meter = closed_then_armed(house)
    house.bench.gas_flow(9)
    assert meter.press_enable()
    house.wait(minutes=5)
    assert meter.get("supply_state") == "Enabled"


def test_gas_used_after_the_check_is_nobodys_business(house: Any) -> None:
    meter = closed_then_armed(house)
    assert meter.press_enable()
    house.wait(seconds=7)
    house.bench.gas_flow(4_000)
    house.wait(minutes=5)
    assert meter.get("supply_state") == "Enabled"


def test_no_check_where_the_rate_is_zero(house: Any) -> None:
    meter = closed_then_armed(house)
    meter.set("uncontrolled_gas_flow_rate", 0)
    house.bench.gas_flow(4_000)
    assert meter.press_enable()
    house.wait(minutes=5)
    assert meter.get("supply_state") == "Enabled"
