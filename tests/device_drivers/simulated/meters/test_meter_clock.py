"""What becomes of half hours, days and charges when a meter's clock is set."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from harness.domain.errors import AccessRefused


def at(hour: int, minute: int = 0, *, day: int = 2) -> datetime:
    return datetime(2026, 3, day, hour, minute, tzinfo=UTC)


def profile(house: Any) -> dict[str, int]:
    """What each half hour holds, by its end."""
    return {f"{row[0]:%d %H:%M}": row[1] for row in house.esme.rows("profile")}


@pytest.fixture
def loaded(house: Any) -> Any:
    """A house that uses 1,200 W from 09:30 on: 20 Wh a minute."""
    house.until(9, 30)
    house.bench.load(1_200)
    return house


def test_the_clock_shows_lab_time_until_it_is_set(house: Any) -> None:
    assert house.esme.get("clock") == house.clock.now()
    house.esme.set("clock", at(12))
    house.wait(minutes=5)
    assert house.esme.get("clock") == at(12, 5)
    assert house.clock.now() == at(9, 15)


def test_setting_the_clock_is_an_event_at_the_new_time(house: Any, events: Any) -> None:
    house.esme.set("clock", at(12))
    assert house.esme.rows("event_log") == ((at(12), 0x0001),)


def test_a_correction_within_the_half_hour_leaves_one_row_of_it(loaded: Any) -> None:
    loaded.wait(minutes=10)
    loaded.esme.set("clock", at(9, 45))
    loaded.wait(minutes=15)
    assert profile(loaded) == {"02 09:30": 0, "02 10:00": 500}
    loaded.wait(minutes=20)
    loaded.esme.set("clock", at(10, 10))
    loaded.wait(minutes=20)
    assert profile(loaded)["02 10:30"] == 800


def test_half_hours_jumped_over_have_no_row_and_the_open_one_keeps_its_own_time(loaded: Any) -> None:
    loaded.wait(minutes=10)
    loaded.esme.set("clock", at(11, 50))
    loaded.wait(minutes=40)
    assert profile(loaded) == {"02 09:30": 0, "02 10:00": 200, "02 12:00": 200, "02 12:30": 600}


def test_half_hours_shown_twice_are_one_row_that_holds_both(loaded: Any) -> None:
    loaded.wait(minutes=70)  # to 10:40
    loaded.esme.set("clock", at(9, 40))
    loaded.wait(minutes=80)  # to 11:00 on the meter
    assert profile(loaded) == {
        "02 09:30": 0,
        "02 10:00": 600 + 400,
        "02 10:30": 600 + 600,
        "02 11:00": 200 + 600,
    }


def test_a_clock_set_to_the_very_end_of_the_half_hour_closes_it(loaded: Any) -> None:
    loaded.wait(minutes=10)
    loaded.esme.set("clock", at(10))
    assert profile(loaded)["02 10:00"] == 200
    loaded.wait(minutes=30)
    assert profile(loaded)["02 10:30"] == 600


def test_a_midnight_jumped_over_is_read_and_charged_once(house: Any) -> None:
    house.esme.set("standing_charge", 50_000)
    house.esme.set("clock", at(3, day=5))
    assert [row[0] for row in house.esme.rows("daily_read_log")] == [at(0, day=3)]
    assert house.esme.get("meter_balance") == 50_000
    house.wait(hours=24)
    assert [row[0] for row in house.esme.rows("daily_read_log")] == [at(0, day=3), at(0, day=6)]
    assert house.esme.get("meter_balance") == 100_000


def test_a_midnight_shown_twice_is_read_and_charged_once(house: Any) -> None:
    house.esme.set("standing_charge", 50_000)
    house.wait(hours=24)
    house.esme.set("clock", house.esme.get("clock") - timedelta(hours=12))
    house.wait(hours=24)
    assert [row[0] for row in house.esme.rows("daily_read_log")] == [at(0, day=3)]
    assert house.esme.get("meter_balance") == 50_000


def test_the_rate_follows_the_meters_own_clock(house: Any) -> None:
    assert house.esme.get("active_price") == 27_500
    house.esme.set("clock", at(2))
    assert house.esme.get("active_price") == 12_000
    house.wait(hours=5)
    assert house.esme.get("active_price") == 27_500


@pytest.mark.parametrize("year", [1999, 2100])
def test_a_clock_outside_this_century_is_refused(house: Any, year: int) -> None:
    with pytest.raises(AccessRefused) as refused:
        house.esme.set("clock", datetime(year, 1, 1, tzinfo=UTC))
    assert refused.value.result == "other-reason"
    assert house.esme.get("clock") == house.clock.now()


def test_however_often_the_load_changes_the_meter_waits_for_one_moment_only(house: Any) -> None:
    house.esme.act("adjust_balance", 100_000)
    house.esme.set("payment_mode", "Prepayment")
    for watts in range(1_000, 60_000, 1_000):  # each brings the end of the credit nearer
        house.bench.load(watts)
    house.bench.load(0)
    house.wait(hours=100)
    assert len(house.clock._timers) <= 2  # one for each meter
