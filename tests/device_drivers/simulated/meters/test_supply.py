"""Contactor, load limiting, voltage and tamper of the electricity meter."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from harness.domain.errors import AccessRefused, BenchFault
from harness.domain.words import DeviceType

# The contactor


@pytest.mark.parametrize(
    ("command", "state", "closed", "event"),
    [
        ("disable_supply", "Disabled", False, 0x0004),
        ("disconnect", "Disabled", False, 0x0004),
        ("enable_supply", "Enabled", True, 0x0005),
        ("reconnect", "Enabled", True, 0x0005),
        ("arm_supply", "Armed", False, 0x0006),
    ],
)
def test_the_supply_follows_the_command(
    house: Any, events: Any, command: str, state: str, closed: bool, event: int
) -> None:
    for meter in (house.esme, house.gsme):
        meter.act(command)
        assert (meter.get("supply_state"), meter.get("supply_output")) == (state, closed)
        assert events(meter) == [event]


def test_only_an_armed_supply_is_enabled_by_the_button(house: Any) -> None:
    assert not house.esme.press_enable()
    house.esme.act("disable_supply")
    assert not house.esme.press_enable()
    house.esme.act("arm_supply")
    assert house.esme.press_enable()
    assert house.esme.get("supply_state") == "Enabled"


# Load limiting


@pytest.fixture
def limited(house: Any) -> Any:
    """A house limited to 4 kW for 30 s, then off for 60 s."""
    for name, value in {
        "load_limit_threshold": 4_000,
        "load_limit_period": 30,
        "load_limit_restoration_period": 60,
        "load_limit_supply_state": "Disable",
    }.items():
        house.esme.set(name, value)
    return house


def test_a_load_beyond_the_limit_for_the_whole_period_disables_the_supply(limited: Any, events: Any) -> None:
    limited.bench.load(4_001)
    limited.wait(seconds=29)
    assert limited.esme.get("supply_state") == "Enabled"
    limited.wait(seconds=1)
    assert limited.esme.get("supply_state") == "Disabled"
    assert limited.esme.get("load_limit_counter") == 1
    assert limited.alert_codes() == [0x0009]
    limited.wait(seconds=59)
    assert limited.esme.get("supply_state") == "Disabled"
    limited.wait(seconds=1)
    assert limited.esme.get("supply_state") == "Armed"
    assert events(limited.esme)[-2:] == [0x0009, 0x001A]


def test_a_load_at_the_limit_or_a_short_one_beyond_it_is_let_be(limited: Any) -> None:
    limited.bench.load(4_000)
    limited.wait(minutes=10)
    limited.bench.load(9_000)
    limited.wait(seconds=29)
    limited.bench.load(100)
    limited.wait(seconds=5)
    limited.bench.load(9_000)
    limited.wait(seconds=29)
    assert (limited.esme.get("supply_state"), limited.esme.get("load_limit_counter")) == ("Enabled", 0)


def test_where_the_supply_is_to_stay_the_excess_is_only_counted_and_told(limited: Any) -> None:
    limited.esme.set("load_limit_supply_state", "Unchanged")
    for _ in range(2):
        limited.bench.load(5_000)
        limited.wait(minutes=5)
        limited.bench.load(0)
        limited.wait(minutes=5)
    assert (limited.esme.get("supply_state"), limited.esme.get("load_limit_counter")) == ("Enabled", 2)
    assert limited.alert_codes() == [0x001B, 0x001B]
    limited.esme.act("reset_load_limit_counter")
    assert limited.esme.get("load_limit_counter") == 0


def test_a_command_during_the_restoration_period_has_the_last_word(limited: Any) -> None:
    limited.bench.load(5_000)
    limited.wait(seconds=40)
    limited.bench.load(0)
    limited.esme.act("disable_supply")
    limited.wait(minutes=5)
    assert limited.esme.get("supply_state") == "Disabled"


def test_a_supply_due_to_be_armed_again_stays_off_without_credit(limited: Any, events: Any) -> None:
    limited.bench.load(5_000)
    limited.wait(seconds=40)
    limited.esme.act("adjust_balance", -1_000_000)
    limited.esme.set("payment_mode", "Prepayment")
    limited.wait(minutes=2)
    assert limited.esme.get("supply_state") == "Disabled"
    assert events(limited.esme)[-2:] == [0x001A, 0x0007]


# Voltage


def test_the_voltage_profile_holds_the_average_of_each_half_hour(house: Any) -> None:
    house.until(9, 30)
    house.bench.voltage(240.0)
    house.wait(minutes=20)
    house.bench.voltage(246.5)
    house.wait(minutes=10)
    assert house.esme.get("voltage") == Decimal("246.5")
    assert [row[1] for row in house.esme.rows("voltage_profile")] == [Decimal("230.0"), Decimal("242.2")]


def test_a_half_hour_without_mains_has_no_voltage(house: Any) -> None:
    house.until(9, 30)
    house.bench.mains(False)
    house.wait(minutes=60)
    house.bench.mains(True)
    house.wait(minutes=30)
    assert [f"{row[0]:%H:%M}" for row in house.esme.rows("voltage_profile")] == ["09:30", "11:00"]


def test_averages_beyond_a_threshold_are_counted_and_told_once(house: Any) -> None:
    house.until(9, 30)
    house.bench.voltage(254.0)
    house.wait(minutes=90)
    house.bench.voltage(210.0)
    house.wait(minutes=60)
    assert house.esme.get("average_rms_over_voltage_counter") == 3
    assert house.esme.get("average_rms_under_voltage_counter") == 2
    assert house.alert_codes() == [0x0015, 0x0016]
    house.esme.act("reset_voltage_counters")
    assert house.esme.get("average_rms_over_voltage_counter") == 0
    assert house.esme.get("average_rms_under_voltage_counter") == 0


def test_a_voltage_at_the_threshold_is_within(house: Any) -> None:
    house.bench.voltage(253.0)
    house.wait(hours=2)
    assert house.esme.get("average_rms_over_voltage_counter") == 0


def test_the_averaging_period_can_be_set(house: Any) -> None:
    house.esme.set("average_rms_voltage_period", 600)
    house.wait(minutes=60)
    assert len(house.esme.rows("voltage_profile")) == 6


# Tamper


def test_a_cover_opened_and_closed_is_logged_for_security_and_alerted(house: Any, events: Any) -> None:
    for meter, type_ in ((house.esme, DeviceType.ESME), (house.gsme, DeviceType.GSME)):
        house.alerts.clear()
        house.bench.tamper(type_, True)
        assert meter.get("cover_open") is True
        house.bench.tamper(type_, True)
        house.bench.tamper(type_, False)
        assert (events(meter, "security_log"), events(meter)) == ([0x0081, 0x0082], [])
        assert [(alert.code, alert.device_id) for alert in house.alerts] == [(0x0081, meter.device_id)]
        assert meter.get("supply_state") == "Enabled"


def test_where_so_set_a_tamper_locks_the_supply(house: Any) -> None:
    house.esme.set("supply_tamper_state", "Locked")
    house.bench.tamper(DeviceType.ESME, True)
    assert house.esme.get("supply_state") == "Disabled"
    with pytest.raises(AccessRefused, match="cover is open"):
        house.esme.act("enable_supply")
    house.bench.tamper(DeviceType.ESME, False)
    assert house.esme.get("supply_state") == "Disabled"
    house.esme.act("enable_supply")
    assert house.esme.get("supply_state") == "Enabled"


# The bench


def test_the_bench_refuses_what_no_rig_can_do(house: Any) -> None:
    for wrong in (
        lambda: house.bench.load(100_001),
        lambda: house.bench.voltage(401),
        lambda: house.bench.gas_flow(-1),
        lambda: house.bench.tamper(DeviceType.CH, True),
    ):
        with pytest.raises(BenchFault):
            wrong()


def test_the_safe_state_is_no_load_no_gas_closed_covers_and_mains_on(house: Any) -> None:
    house.bench.load(3_000)
    house.bench.gas_flow(500)
    house.bench.voltage(200)
    house.bench.tamper(DeviceType.ESME, True)
    house.bench.mains(False)
    house.bench.safe()
    before = house.bench.reference()
    house.wait(hours=2)
    assert house.bench.reference() == before
    assert house.esme.powered
    assert house.esme.get("cover_open") is False
    assert house.esme.get("voltage") == 230
