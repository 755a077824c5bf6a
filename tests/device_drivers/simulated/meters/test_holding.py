"""What a meter holds until a time on its own clock."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from device_drivers.named.forms import UNSET
from harness.domain.errors import AccessRefused
from harness.domain.faults import DROP, Fault, Place, Point

HOUR = timedelta(hours=1)


def hold(meter: Any, at: datetime, name: str = "1.6", **settings: Any) -> None:
    meter.act("hold_settings")
    for item, value in settings.items():
        meter.set(item, value)
    meter.act("release_settings_at", {"name": name, "at": at})


def test_settings_take_effect_at_their_time_together_and_are_told_once(house: Any, events: Any) -> None:
    at = house.clock.now() + HOUR
    hold(house.esme, at, max_meter_balance=77, disablement_threshold=-7)
    house.wait(minutes=59, seconds=59)
    assert (house.esme.get("disablement_threshold"), house.esme.get("held_until")) == (0, at)
    assert house.alert_codes() == []
    house.wait(seconds=1)
    assert (house.esme.get("max_meter_balance"), house.esme.get("disablement_threshold")) == (77, -7)
    assert house.esme.get("held_until") == UNSET
    assert house.alert_codes() == [0x8F66]
    assert events(house.esme)[-2:] == [0x0019, 0x8F66]


def test_what_comes_later_under_a_name_takes_the_place_of_what_is_held(house: Any) -> None:
    now = house.clock.now()
    hold(house.esme, now + HOUR, low_credit_threshold=1)
    hold(house.esme, now + 2 * HOUR, name="2.1", emergency_credit_limit=5)
    hold(house.esme, now + 3 * HOUR, low_credit_threshold=3)
    before = house.esme.get("low_credit_threshold")
    house.wait(hours=2)
    assert (house.esme.get("low_credit_threshold"), house.esme.get("emergency_credit_limit")) == (before, 5)
    house.wait(hours=1)
    assert house.esme.get("low_credit_threshold") == 3


@pytest.mark.parametrize("hours_without_power", [0.5, 2])
def test_what_is_held_outlives_a_power_cut_also_one_at_its_time(
    house: Any, hours_without_power: float
) -> None:
    hold(house.esme, house.clock.now() + HOUR, low_credit_threshold=3)
    house.esme.power(False)
    house.wait(hours=hours_without_power)
    house.esme.power(True)
    house.wait(hours=1)
    assert house.esme.get("low_credit_threshold") == 3
    assert house.alert_codes().count(0x8F66) == 1


def test_the_meters_own_clock_decides(house: Any) -> None:
    at = house.clock.now() + 5 * HOUR
    hold(house.gsme, at, low_credit_threshold=3)
    house.gsme.set("clock", at - timedelta(minutes=1))
    assert house.gsme.get("low_credit_threshold") != 3
    house.wait(minutes=1)
    assert house.gsme.get("low_credit_threshold") == 3


def test_a_clock_that_is_set_past_its_time_makes_it_happen(house: Any) -> None:
    at = house.clock.now() + 5 * HOUR
    hold(house.gsme, at, low_credit_threshold=3)
    house.gsme.set("clock", at + HOUR)
    assert house.gsme.get("low_credit_threshold") == 3


def test_the_lab_can_have_a_meter_forget_what_it_holds(house: Any, events: Any) -> None:
    hold(house.esme, house.clock.now() + HOUR, low_credit_threshold=3)
    house.esme.set("held_until", UNSET)
    house.wait(hours=2)
    assert house.esme.get("low_credit_threshold") != 3
    assert events(house.esme) == []


def test_nothing_is_held_for_a_time_that_has_passed_or_without_content(house: Any) -> None:
    with pytest.raises(AccessRefused, match="has passed"):
        hold(house.esme, house.clock.now(), low_credit_threshold=3)
    with pytest.raises(AccessRefused, match="no settings are held"):
        house.esme.act("release_settings_at", {"name": "2.1", "at": house.clock.now() + HOUR})
    with pytest.raises(AccessRefused, match="no verified image"):
        house.esme.act("image_activate_at", {"name": "11.3", "at": house.clock.now() + HOUR})


def test_an_activation_without_its_image_fails_and_says_so(house: Any) -> None:
    house.esme.values["firmware_pending"] = "2.0"
    house.esme.act("image_activate_at", {"name": "11.3", "at": house.clock.now() + HOUR})
    house.esme.values["firmware_pending"] = ""
    house.wait(hours=1)
    assert house.alert_codes() == [0x8F67]


def test_a_fault_can_keep_it_from_happening(a_house: Callable[..., Any]) -> None:
    def never(seen: Any) -> Any:
        return DROP if seen.item == "held" else seen.value

    house = a_house(faults=(Fault("never", Place.ESME, Point.ACTION, "", never),))
    hold(house.esme, house.clock.now() + HOUR, low_credit_threshold=3)
    house.wait(hours=2)
    assert house.esme.get("low_credit_threshold") != 3
