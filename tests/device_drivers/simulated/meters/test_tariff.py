"""Which register counts when, and what it costs. All switching times are UTC: no daylight saving."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_drivers.simulated.meters.calendars import fits, next_billing
from harness.domain.errors import AccessRefused

ANY_DATE = {"year": 0xFFFF, "month": 0xFF, "day": 0xFF, "weekday": 0xFF}


def on(**parts: int) -> dict[str, int]:
    return ANY_DATE | parts


def action(hour: int, register: int, kind: str = "tou", minute: int = 0) -> dict[str, Any]:
    return {"hour": hour, "minute": minute, "kind": kind, "register": register}


def install(meter: Any, **settings: Any) -> None:
    """Write a tariff so that it takes effect at once."""
    meter.act("hold_settings")
    for name, value in settings.items():
        meter.set(name, value)
    meter.act("release_settings")


EVERY_DAY = {
    "week_profiles": ({"week": 1, "days": (1,) * 7},),
    "seasons": ({"name": "all", "start": on(month=1, day=1), "week": 1},),
    "special_days": (),
}


def used_by_register(meter: Any, before: tuple[int, ...]) -> dict[int, int]:
    after = meter.get("tou_registers")
    return {n + 1: int(b - a) for n, (a, b) in enumerate(zip(before, after, strict=True)) if b != a}


def test_forty_eight_registers_take_a_half_hour_each(house: Any) -> None:
    actions = tuple(action(n // 2, n + 1, minute=n % 2 * 30) for n in range(48))
    install(house.esme, day_profiles=({"day": 1, "actions": actions},), **EVERY_DAY)
    house.until(0, days=1)
    before = house.esme.get("tou_registers")
    house.bench.load(1_000)
    house.wait(hours=24)
    assert used_by_register(house.esme, before) == dict.fromkeys(range(1, 49), 500)
    assert house.esme.get("tou_register_8") == 500


def test_weekdays_have_their_day_profiles(house: Any) -> None:
    install(
        house.esme,
        day_profiles=tuple({"day": n, "actions": (action(0, n),)} for n in (1, 2)),
        week_profiles=({"week": 1, "days": (1, 1, 1, 1, 1, 2, 2)},),
        seasons=EVERY_DAY["seasons"],
        special_days=(),
    )
    house.until(0, days=1)  # Tuesday
    before = house.esme.get("tou_registers")
    house.bench.load(1_000)
    house.wait(days=7)
    assert used_by_register(house.esme, before) == {1: 5 * 24_000, 2: 2 * 24_000}


def test_seasons_begin_on_their_dates_and_last_into_the_next_year(house: Any) -> None:
    install(
        house.esme,
        day_profiles=tuple({"day": n, "actions": (action(0, n),)} for n in (1, 2)),
        week_profiles=({"week": 1, "days": (1,) * 7}, {"week": 2, "days": (2,) * 7}),
        seasons=(
            {"name": "summer", "start": on(month=4, day=1), "week": 1},
            {"name": "winter", "start": on(month=10, day=1), "week": 2},
        ),
        special_days=(),
    )
    tariff = house.esme.tariff

    def register(*day: int) -> int:
        moment = datetime(*day, 12, tzinfo=UTC)
        return tariff.action_at(int(moment.timestamp()) * 1_000_000).register

    assert [register(2026, 3, 31), register(2026, 4, 1), register(2026, 9, 30)] == [2, 1, 1]
    assert [register(2026, 10, 1), register(2027, 1, 1), register(2027, 3, 31)] == [2, 2, 2]
    house.bench.load(1_000)
    before = house.esme.get("tou_registers")
    house.wait(days=365)
    assert used_by_register(house.esme, before) == {1: 183 * 24_000, 2: 182 * 24_000}


def test_a_special_day_overrides_its_season(house: Any) -> None:
    christmas = {"index": 1, "date": on(month=12, day=25), "day": 2}
    install(
        house.esme,
        day_profiles=tuple({"day": n, "actions": (action(0, n),)} for n in (1, 2)),
        **EVERY_DAY | {"special_days": (christmas,)},
    )
    house.clock.advance_to(datetime(2026, 12, 24, tzinfo=UTC))
    before = house.esme.get("tou_registers")
    house.bench.load(1_000)
    house.wait(days=3)
    assert used_by_register(house.esme, before) == {1: 48_000, 2: 24_000}


def test_switching_is_in_utc_also_while_summer_time_is_in_force(house: Any) -> None:
    house.clock.advance_to(datetime(2026, 7, 1, 6, 59, tzinfo=UTC))
    assert house.esme.get("active_price") == 12_000
    house.wait(minutes=1)
    assert house.esme.get("active_price") == 27_500


def test_before_the_first_switch_of_a_day_the_last_of_the_day_before_holds(house: Any) -> None:
    actions = (action(8, 1), action(20, 2))
    install(house.esme, day_profiles=({"day": 1, "actions": actions},), **EVERY_DAY)
    house.until(7, days=1)
    before = house.esme.get("tou_registers")
    house.bench.load(1_000)
    house.wait(hours=2)
    assert used_by_register(house.esme, before) == {1: 1_000, 2: 1_000}


BLOCKS = {
    "day_profiles": ({"day": 1, "actions": (action(0, 3), action(8, 1, "block"))},),
    "block_thresholds": ((1_000, 3_000, 6_000),),
    "block_prices": ((10_000, 20_000, 30_000, 40_000),),
    "tou_prices": (0, 0, 50_000),
    "standing_charge": 0,
} | EVERY_DAY


def test_blocks_are_passed_as_the_days_use_passes_their_thresholds(house: Any) -> None:
    install(house.esme, **BLOCKS)
    house.bench.load(1_500)
    house.wait(hours=2)
    assert [row[0] for row in house.esme.get("tou_block_registers")] == [1_000, 2_000, 0, 0]
    assert house.esme.get("block_counters")[0] == 3_000
    assert house.esme.get("active_price") == 30_000
    house.wait(hours=4)
    assert [row[0] for row in house.esme.get("tou_block_registers")] == [1_000, 2_000, 3_000, 3_000]
    assert house.esme.get("meter_balance") == 10_000 + 2 * 20_000 + 3 * 30_000 + 3 * 40_000


def test_the_price_changes_at_the_moment_the_block_does(house: Any) -> None:
    install(house.esme, **BLOCKS)
    house.bench.load(1_200)
    house.wait(seconds=49 * 60 + 59)
    assert house.esme.get("active_price") == 10_000
    house.wait(seconds=1)
    assert house.esme.get("active_price") == 20_000


def test_block_counters_begin_anew_at_midnight_and_by_command(house: Any) -> None:
    install(house.esme, **BLOCKS)
    house.bench.load(1_500)
    house.wait(hours=1)
    house.esme.act("reset_block_counters")
    assert house.esme.get("block_counters") == (0,) * 8
    house.wait(hours=1)
    assert house.esme.get("block_counters")[0] == 1_500
    house.until(0, days=1)
    assert house.esme.get("block_counters") == (0,) * 8


def test_time_of_use_and_blocks_mix_and_the_registers_still_add_up(house: Any) -> None:
    install(house.esme, **BLOCKS)
    house.until(0, days=1)
    import_before, tou_before = house.esme.get("active_import"), house.esme.get("tou_registers")
    balance = house.esme.get("meter_balance")
    house.bench.load(600)
    house.wait(hours=24)
    assert used_by_register(house.esme, tou_before) == {3: 4_800, 1: 9_600}
    assert house.esme.get("active_import") - import_before == 14_400
    blocks = 10_000 + 2 * 20_000 + 3 * 30_000 + 36 * 40_000 // 10
    assert house.esme.get("meter_balance") - balance == 48 * 50_000 // 10 + blocks


def test_a_price_scale_other_than_millipence_is_taken_exactly(house: Any) -> None:
    install(house.esme, tou_prices=(2_750_123,), price_scale=-7, standing_charge=0)
    house.bench.load(1_000)
    house.wait(hours=1)
    assert house.esme.get("meter_balance") == 27_501  # 27,501.23 millipence
    house.wait(hours=9)
    assert house.esme.get("meter_balance") == 275_012


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("price_scale", -9, "scale"),
        ("tou_prices", (1,) * 49, "more than 48"),
        ("block_prices", ((1, 2, 3, 4, 5),), "larger than 8 by 4"),
        ("week_profiles", ({"week": 1, "days": (1, 2)},), "seven days"),
        ("day_profiles", ({"day": 1, "actions": (action(24, 1),)},), "time of day"),
        ("day_profiles", ({"day": 1, "actions": (action(0, 49),)},), "no tou register 49"),
        ("day_profiles", ({"day": 1, "actions": (action(0, 9, "block"),)},), "no block register 9"),
    ],
)
def test_a_tariff_that_the_meter_cannot_have_is_refused(house: Any, name: str, value: Any, why: str) -> None:
    before = house.esme.get(name)
    with pytest.raises(AccessRefused, match=why) as refused:
        house.esme.set(name, value)
    assert refused.value.result == "other-reason"
    assert house.esme.get(name) == before


def test_held_settings_take_effect_together_at_their_release(house: Any, events: Any) -> None:
    house.esme.act("hold_settings")
    house.esme.set("tou_prices", (1, 2))
    house.esme.set("standing_charge", 3)
    assert house.esme.get("tou_prices") != (1, 2)
    assert events(house.esme) == []
    house.esme.act("release_settings")
    assert (house.esme.get("tou_prices"), house.esme.get("standing_charge")) == ((1, 2), 3)
    assert events(house.esme) == [0x000F]
    assert len(house.esme.rows("tariff_change_log")) == 1


def test_what_one_client_holds_does_not_hold_up_another(house: Any) -> None:
    management, s1sp = 1, 2
    house.esme.act("hold_settings", None, s1sp)
    house.esme.set("message", "of the S1SP", s1sp)
    house.esme.set("supplier_name", "of the lab", management)
    assert (house.esme.get("message"), house.esme.get("supplier_name")) == ("", "of the lab")
    house.esme.act("release_settings", None, s1sp)
    assert house.esme.get("message") == "of the S1SP"


def test_what_is_held_and_never_released_is_forgotten(house: Any) -> None:
    house.esme.act("hold_settings")
    house.esme.set("standing_charge", 3)
    house.esme.act("hold_settings")
    house.esme.act("release_settings")
    assert house.esme.get("standing_charge") == 53_000
    with pytest.raises(AccessRefused) as refused:
        house.esme.act("release_settings")
    assert refused.value.result == "temporary-failure"


def test_a_change_of_tariff_captures_what_the_old_one_counted(house: Any) -> None:
    house.bench.load(1_000)
    house.wait(hours=1)
    house.esme.set("tou_prices", (1, 2))
    (row,) = house.esme.rows("tariff_change_log")
    assert row[:2] == (house.clock.now(), house.esme.get("active_import"))
    assert row[4] == house.esme.get("meter_balance") == 27_500


def test_gas_is_counted_by_day_and_paid_by_its_energy(house: Any) -> None:
    install(
        house.gsme, tou_prices=(6_000, 6_000), standing_charge=0, calorific_value="40", conversion_factor="1"
    )
    before = house.gsme.get("gas_energy")
    house.bench.gas_flow(900)
    house.wait(hours=4)
    assert house.gsme.get("gas_energy") - before == 40_000  # Wh: 3.6 m3 of 40 MJ/m3
    assert house.gsme.get("meter_balance") == 240_000


def test_gas_blocks_count_over_the_billing_period(house: Any) -> None:
    install(
        house.gsme,
        day_profiles=({"day": 1, "actions": (action(0, 1, "block"),)},),
        block_thresholds=((1_000, 2_500),),
        block_prices=((1_000, 2_000, 3_000),),
        **EVERY_DAY,
    )
    house.bench.gas_flow(1_000)
    house.wait(hours=4)
    assert [str(volume) for volume in house.gsme.get("block_registers")] == [
        "1.000",
        "1.500",
        "1.500",
        "0.000",
    ]
    assert house.gsme.get("block_counters") == house.gsme.get("block_registers")
    house.bench.gas_flow(0)
    house.clock.advance_to(datetime(2026, 4, 1, tzinfo=UTC))
    assert set(house.gsme.get("block_counters")) == {0}
    assert sum(house.gsme.get("block_registers")) == 4


@pytest.mark.parametrize(
    ("calendar", "expected"),
    [
        ({"periodicity": "Daily", "hour": 6}, ["2026-03-03 06:00", "2026-03-04 06:00"]),
        ({"periodicity": "Weekly", "day": 1}, ["2026-03-09 00:00", "2026-03-16 00:00"]),
        ({"periodicity": "Monthly", "day": 31}, ["2026-03-31 00:00", "2026-04-30 00:00"]),
        ({"periodicity": "Quarterly", "day": 5, "month": 2}, ["2026-05-05 00:00", "2026-08-05 00:00"]),
        ({"periodicity": "SixMonthly", "day": 1, "month": 3}, ["2026-09-01 00:00", "2027-03-01 00:00"]),
        ({"periodicity": "Yearly", "day": 29, "month": 2}, ["2027-02-28 00:00", "2028-02-29 00:00"]),
    ],
)
def test_billing_dates_follow_the_calendar(calendar: dict[str, Any], expected: list[str]) -> None:
    whole = {"hour": 0, "minute": 0, "day": 1, "month": 1} | calendar
    first = next_billing(whole, datetime(2026, 3, 2, 9, 10, tzinfo=UTC))
    assert [f"{first:%F %H:%M}", f"{next_billing(whole, first):%F %H:%M}"] == expected


def test_billing_data_is_captured_on_its_date(house: Any, events: Any) -> None:
    calendar = {"periodicity": "Daily", "hour": 18, "minute": 45, "day": 1, "month": 1}
    house.esme.set("billing_calendar", calendar)
    house.bench.load(1_000)
    house.wait(days=1)
    (row,) = house.esme.rows("billing_data_log")
    assert row[0] == datetime(2026, 3, 2, 18, 45, tzinfo=UTC)
    assert events(house.esme) == [0x0019, 0x0010]
    house.wait(days=20)
    assert len(house.esme.rows("billing_data_log")) == 12


@given(st.dates(date(2020, 1, 1), date(2040, 1, 1)))
def test_a_pattern_of_a_date_fits_that_date_and_its_last_days(day: date) -> None:
    assert fits(on(year=day.year, month=day.month, day=day.day, weekday=day.isoweekday()), day)
    assert not fits(on(day=day.day), day + timedelta(days=1))
    last = (day.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
    assert fits(on(day=0xFE), day) == (day == last)
    assert fits(on(day=0xFD), day) == (day == last - timedelta(days=1))
