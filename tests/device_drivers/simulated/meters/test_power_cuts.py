"""What a meter does without mains, and what it still knows afterwards."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from device_drivers.utrn import make_utrn
from harness.domain.errors import AccessRefused, DeviceTimeout
from harness.domain.faults import DROP, Fault, Place, Point

Build = Callable[..., Any]


def test_a_power_cut_is_told_with_the_last_gasp_and_its_end_as_well(house: Any, events: Any) -> None:
    cut = house.clock.now()
    house.bench.mains(False)
    house.wait(hours=3)
    house.bench.mains(True)
    assert [(alert.code, alert.timestamp - cut) for alert in house.alerts] == [
        (0x0002, timedelta()),
        (0x0003, timedelta(hours=3)),
    ]
    assert events(house.esme) == events(house.esme, "power_event_log") == [0x0002, 0x0003]
    assert events(house.gsme) == []


def test_without_power_nothing_answers_and_nothing_shows(house: Any) -> None:
    house.bench.mains(False)
    for ask in (
        lambda: house.esme.get("active_import"),
        lambda: house.esme.set("message", "x"),
        lambda: house.esme.act("disable_supply"),
        lambda: house.esme.rows("profile"),
    ):
        with pytest.raises(DeviceTimeout, match="no power"):
            ask()
    assert house.esme.display() == ""


def test_everything_is_kept_over_a_cut(a_house: Build) -> None:
    house = a_house(history_days=60)
    house.esme.set("message", "hello")
    house.esme.act("adjust_balance", 5)
    house.esme.act("arm_supply")
    house.esme.set("clock", house.clock.now() + timedelta(minutes=3))
    items = [name for name, item in house.esme.table.items.items() if item.name != "clock"]
    logs = ("profile", "daily_read_log", "billing_data_log", "tariff_change_log", "security_log")

    def all_of_it() -> tuple[Any, Any, Any]:
        esme = house.esme
        offset = esme.get("clock") - house.clock.now()
        return {name: esme.get(name) for name in items}, {name: esme.rows(name) for name in logs}, offset

    before = all_of_it()
    house.bench.mains(False)
    house.wait(minutes=10)
    house.bench.mains(True)
    assert all_of_it() == before


def test_half_hours_without_power_are_rows_of_nothing(house: Any) -> None:
    house.bench.load(2_000)
    house.until(9, 45)
    house.bench.mains(False)
    house.until(11, 15)
    house.bench.mains(True)
    house.until(12)
    rows = {f"{row[0]:%H:%M}": row[1] for row in house.esme.rows("profile")}
    assert rows == {"09:30": 666, "10:00": 500, "10:30": 0, "11:00": 0, "11:30": 500, "12:00": 1_000}


def test_standing_charges_of_days_without_power_are_made_good(house: Any) -> None:
    house.esme.set("standing_charge", 50_000)
    house.bench.mains(False)
    house.wait(days=3)
    house.bench.mains(True)
    assert house.esme.get("meter_balance") == 150_000
    assert len(house.esme.rows("daily_read_log")) == 3


def test_a_utrn_used_before_the_cut_is_not_good_again_after_it(house: Any) -> None:
    house.esme.set("payment_mode", "Prepayment")
    code = make_utrn(house.esme.device_id, 100, 1).encode()
    house.esme.act("top_up", code)
    house.bench.mains(False)
    house.bench.mains(True)
    with pytest.raises(AccessRefused, match="used before"):
        house.esme.act("top_up", code)
    assert house.esme.get("meter_balance") == 100_000


def test_settings_that_were_held_are_lost_with_the_power(house: Any) -> None:
    house.esme.act("hold_settings")
    house.esme.set("message", "held")
    house.bench.mains(False)
    house.bench.mains(True)
    house.esme.set("message", "written")
    assert house.esme.get("message") == "written"


def test_a_twin_made_to_forget_its_balance_wakes_without_it(a_house: Build) -> None:
    def forgetful(seen: Any) -> Any:
        return {name: value for name, value in seen.value.items() if name not in ("balance", "message")}

    fault = Fault("forgetful", Place.ESME, Point.POWER, "forgets its balance", forgetful)
    house = a_house(faults=(fault,))
    house.esme.act("adjust_balance", 5)
    house.esme.set("message", "hello")
    house.esme.set("supplier_name", "Kept")
    house.bench.mains(False)
    house.bench.mains(True)
    assert (house.esme.get("meter_balance"), house.esme.get("message")) == (0, "")
    assert house.esme.get("supplier_name") == "Kept"


def test_a_twin_made_to_keep_nothing_starts_as_it_left_the_factory(a_house: Build) -> None:
    fault = Fault("blank", Place.ESME, Point.POWER, "keeps nothing", lambda _: DROP)
    house = a_house(faults=(fault,), history_days=40)
    house.bench.load(1_000)
    house.wait(minutes=10)
    house.bench.mains(False)
    house.bench.mains(True)
    assert house.esme.get("active_import") == 0
    assert house.esme.rows("profile") == ()
    house.wait(minutes=10)
    assert [row[1] for row in house.esme.rows("profile")] == [house.esme.get("active_import")] == [166]
