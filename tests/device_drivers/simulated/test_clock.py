"""Lab time of a simulated rig stops where something is to be set under way."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from device_drivers.simulated.clock import VirtualClock

EIGHT = datetime(2025, 3, 3, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_a_sleep_settles_at_every_appointment_on_its_way() -> None:
    clock, settled = VirtualClock(EIGHT), []
    clock.on_settle(lambda: settled.append(clock.now().hour))
    for hour in (11, 10, 10):
        clock.appoint(EIGHT.replace(hour=hour), lambda: None)
    clock.call_at(EIGHT.replace(hour=9), lambda: None)
    clock.sleep(6 * HOUR)
    assert settled == [8, 10, 11, 14]


def test_an_appointment_made_on_the_way_is_kept() -> None:
    clock, kept = VirtualClock(EIGHT), []

    def next_hour() -> None:
        kept.append(clock.now().hour)
        clock.appoint(clock.now() + HOUR, next_hour)

    clock.appoint(EIGHT + HOUR, next_hour)
    clock.sleep(4 * HOUR)
    assert kept == [9, 10, 11, 12]
    assert clock.now() == EIGHT + 4 * HOUR


def test_an_appointment_in_the_past_is_kept_at_the_next_jump() -> None:
    clock, kept = VirtualClock(EIGHT), []
    clock.appoint(EIGHT - HOUR, lambda: kept.append(clock.now()))
    clock.sleep(timedelta(0))
    assert kept == [EIGHT]
