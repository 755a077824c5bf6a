"""Energy is conserved: registers, profiles, daily logs and the bench's reference agree to the last Wh."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from device_drivers.simulated.meters.energy import JOULES_PER_WH, MICRO, Counter

Build = Callable[..., Any]
Life = list[tuple[Any, ...]]

QUANTITIES = ("active_import", "active_export", "reactive_import", "reactive_export")

LOADS = st.tuples(st.just("load"), st.integers(-20_000, 20_000), st.integers(-5_000, 5_000))
GAS = st.tuples(st.just("gas"), st.integers(0, 6_000))
WAITS = st.tuples(st.just("wait"), st.integers(1, 200_000_000_000))  # microseconds, up to 55 hours
MAINS = st.tuples(st.just("mains"), st.booleans())
SUPPLY = st.tuples(st.just("supply"), st.booleans())
CLOCK = st.tuples(st.just("clock"), st.integers(-300_000, 300_000))  # seconds
QUIET_LIVES = st.lists(LOADS | GAS | WAITS | MAINS | SUPPLY, max_size=25)
LIVES = st.lists(LOADS | GAS | WAITS | MAINS | SUPPLY | CLOCK, max_size=25)


def live(house: Any, life: list[tuple[Any, ...]]) -> None:
    """Let it happen, then close the half hour that is open."""
    for what, *how in life:
        match what:
            case "load":
                house.bench.load(*how)
            case "gas":
                house.bench.gas_flow(*how)
            case "wait":
                house.wait(microseconds=how[0])
            case "mains":
                house.bench.mains(how[0])
            case "supply":
                for meter in (house.esme, house.gsme):
                    if meter.powered:
                        meter.act("enable_supply" if how[0] else "disable_supply")
            case "clock":
                for meter in (house.esme, house.gsme):
                    if meter.powered:
                        meter.set("clock", meter.get("clock") + timedelta(seconds=how[0]))
    house.bench.mains(True)
    house.bench.load(0)
    house.bench.gas_flow(0)
    house.wait(minutes=30)


def shown(house: Any) -> dict[str, int]:
    litres = int(house.gsme.get("gas_volume") * 1000)
    return {name: house.esme.get(name) for name in QUANTITIES} | {"gas": litres}


def in_profiles(house: Any) -> dict[str, int]:
    rows = house.esme.rows("profile")
    sums = {name: sum(row[n + 1] for row in rows) for n, name in enumerate(QUANTITIES)}
    return sums | {"gas": int(1000 * sum(row[1] for row in house.gsme.rows("profile")))}


def really(house: Any) -> dict[str, int]:
    """What flowed, by the bench, in whole Wh, varh and litres."""
    flow = house.bench.reference()
    return {name: int(getattr(flow, name)) for name in QUANTITIES} | {"gas": int(flow.gas_volume * 1000)}


def since(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    return {name: after[name] - before[name] for name in after}


class Lived:
    """A house after a life, and what its meters, their profiles and the bench make of it."""

    def __init__(self, house: Any, life: list[tuple[Any, ...]]) -> None:
        before = shown(house)
        live(house, life)
        self.esme, self.gsme = house.esme, house.gsme
        self.counted = since(before, shown(house))
        self.in_profiles = in_profiles(house)
        self.really = really(house)


@settings(max_examples=60, deadline=None)
@given(life=LIVES)
def test_registers_profile_and_reference_agree_whatever_happens(a_house: Build, life: Life) -> None:
    lived = Lived(a_house(), life)
    assert lived.counted == lived.really
    assert lived.in_profiles == lived.really
    for rows in (lived.esme.rows("profile"), lived.gsme.rows("profile")):
        times = [row[0] for row in rows]
        assert times == sorted(set(times))
        assert all(moment.minute in (0, 30) and not moment.second for moment in times)
    assert sum(lived.esme.get("tou_registers")) == lived.esme.get("active_import")
    assert sum(lived.gsme.get("tou_registers")) == lived.gsme.get("gas_volume")


@settings(max_examples=40, deadline=None)
@given(life=QUIET_LIVES)
def test_daily_reads_differ_by_what_the_profile_says_of_the_day(a_house: Build, life: Life) -> None:
    lived = Lived(a_house(), life)
    profile, daily = lived.esme.rows("profile"), lived.esme.rows("daily_read_log")
    for (begin, *first), (end, *second) in pairwise(daily):
        assert end - begin == timedelta(days=1)
        of_the_day = [row for row in profile if begin < row[0] <= end]
        assert len(of_the_day) == 48
        assert second[0] - first[0] == sum(row[1] for row in of_the_day)
        assert sum(second[1]) == second[0]


@settings(max_examples=40, deadline=None)
@given(life=QUIET_LIVES)
def test_the_profile_has_a_row_for_every_half_hour_even_through_power_cuts(
    a_house: Build, life: Life
) -> None:
    for meter in (Lived(a_house(), life).esme, Lived(a_house(), life).gsme):
        times = [row[0] for row in meter.rows("profile")]
        assert {later - earlier for earlier, later in pairwise(times)} <= {timedelta(minutes=30)}


@settings(max_examples=40, deadline=None)
@given(life=LIVES)
def test_the_cost_is_that_of_the_rates_whatever_happens(a_house: Build, life: Life) -> None:
    house = a_house()
    for meter in (house.esme, house.gsme):
        meter.set("standing_charge", 0)
    before = house.esme.get("tou_registers")
    live(house, life)
    used = [after - old for after, old in zip(house.esme.get("tou_registers"), before, strict=True)]
    day, night = house.esme.get("tou_prices")
    assert house.esme.get("meter_balance") == Fraction(used[0] * day + used[1] * night, 1000) // 1


def test_a_year_of_varying_load_agrees_and_is_simulated_in_about_a_second(a_house: Build) -> None:
    house, random = a_house(history_days=395), Random(4)
    before, opened = shown(house), house.clock.now()
    began = time.process_time()
    for _ in range(365 * 24):
        house.bench.load(random.randrange(-3_000, 9_000), random.randrange(-900, 900))
        house.bench.gas_flow(random.randrange(0, 4_000))
        house.wait(hours=1)
    took = time.process_time() - began
    house.bench.load(0)
    house.bench.gas_flow(0)
    house.wait(hours=1)
    year = since(before, shown(house))
    assert year == really(house)
    recorded = [row[1] for row in house.esme.rows("profile") if row[0] > opened]
    assert (len(recorded), sum(recorded)) == (365 * 48 + 2, year["active_import"])
    assert took < 4  # about one second where nothing else runs


def test_a_meter_comes_with_thirteen_months_of_history_that_its_registers_agree_with(a_house: Build) -> None:
    began = time.process_time()
    house = a_house(history_days=395)
    assert time.process_time() - began < 0.6  # two meters
    profile, daily = house.esme.rows("profile"), house.esme.rows("daily_read_log")
    assert (len(profile), len(daily), len(house.esme.rows("billing_data_log"))) == (395 * 48, 31, 12)
    assert profile[-1][0] == house.clock.now().replace(minute=0)
    since_midnight = sum(row[1] for row in profile if row[0] > daily[-1][0])
    assert house.esme.get("active_import") == daily[-1][1] + since_midnight
    assert daily[-1][1] - daily[-2][1] == sum(
        row[1] for row in profile if daily[-2][0] < row[0] <= daily[-1][0]
    )
    gas, gas_daily = house.gsme.rows("profile"), house.gsme.rows("daily_read_log")
    assert house.gsme.get("gas_volume") == gas_daily[-1][1] + sum(
        r[1] for r in gas if r[0] > gas_daily[-1][0]
    )


def test_history_grows_from_the_seed(a_house: Build) -> None:
    def profile(seed: int) -> Any:
        return a_house(history_days=10, seed=seed).esme.rows("profile")

    assert profile(7) == profile(7)
    assert profile(7) != profile(8)


def test_what_is_used_is_read_in_watt_hours_and_cubic_metres(house: Any) -> None:
    before = shown(house)
    house.bench.load(2_400, -120)
    house.bench.gas_flow(1_500)
    house.wait(minutes=90)
    assert since(before, shown(house)) == {
        "active_import": 3_600,
        "active_export": 0,
        "reactive_import": 0,
        "reactive_export": 180,
        "gas": 2_250,
    }
    assert house.esme.get("active_power_import") == 2_400
    house.bench.load(-1_000)
    house.wait(minutes=3)
    assert house.esme.get("active_export") == 50
    assert (house.esme.get("active_power_import"), house.esme.get("active_power_export")) == (0, 1_000)


def test_nothing_flows_through_an_open_contactor_or_a_closed_valve(house: Any) -> None:
    house.bench.load(5_000)
    house.bench.gas_flow(900)
    for meter in (house.esme, house.gsme):
        meter.act("disable_supply")
    before, truth = shown(house), house.bench.reference()
    house.wait(hours=7)
    assert (shown(house), house.bench.reference()) == (before, truth)
    assert house.esme.get("active_power_import") == 0


def test_no_electricity_flows_without_mains_while_gas_does(house: Any) -> None:
    house.bench.load(5_000)
    house.bench.gas_flow(900)
    house.bench.mains(False)
    house.wait(hours=2)
    flow = house.bench.reference()
    assert (flow.active_import, flow.gas_volume) == (0, Decimal("1.8"))


@given(st.lists(st.tuples(st.integers(1, 30_000), st.integers(1, 10_000_000_000)), max_size=20))
def test_a_counter_loses_nothing_however_it_is_cut_into_pieces(pieces: list[tuple[int, int]]) -> None:
    counter = Counter("active_import", per_tick=MICRO, per_pulse=JOULES_PER_WH)
    pulses = sum(counter.add(watts * span) for watts, span in pieces)
    total = sum(watts * span for watts, span in pieces)
    assert (counter.ticks, counter.rest) == divmod(total, MICRO)
    assert pulses == counter.pulses == total // (MICRO * JOULES_PER_WH)


@given(st.integers(0, 10**13), st.integers(1, 40), st.integers(1, 20_000))
def test_a_counter_knows_to_the_microsecond_when_its_next_pulses_are_complete(
    already: int, pulses: int, watts: int
) -> None:
    def after(span: int) -> int:
        counter = Counter("active_import", per_tick=MICRO, per_pulse=JOULES_PER_WH)
        counter.add(already)
        return counter.add(watts * span)

    counter = Counter("active_import", per_tick=MICRO, per_pulse=JOULES_PER_WH)
    counter.add(already)
    wait = counter.duration(pulses, watts)
    assert after(wait) >= pulses > after(wait - 1)
