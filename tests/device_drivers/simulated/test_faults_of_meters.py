"""Each fault of a meter in the catalogue changes something in the life of a house."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import pytest

from device_drivers.simulated.faults import (
    electricity,
    gas,
    memory,
    prepayment,
    recording,
    settings,
    supply,
)
from device_drivers.simulated.firmware import make_image
from device_drivers.simulated.meters.calendars import yearly
from device_drivers.simulated.s1sp.content import ANY_DATE
from device_drivers.utrn import make_utrn
from harness.domain.errors import AccessRefused
from harness.domain.words import DeviceType, SupplyState
from tests.device_drivers.simulated.conftest import House, build_house
from tests.device_drivers.simulated.onlooker import Onlooker

METERS: Final = (
    *electricity.FAULTS,
    *recording.FAULTS,
    *settings.FAULTS,
    *supply.FAULTS,
    *memory.FAULTS,
    *prepayment.FAULTS,
    *gas.FAULTS,
)
S1SP_CLIENT: Final = 2
BEFORE_A_LEAP_DAY = datetime(2028, 2, 27, 9, 10, tzinfo=UTC)
MILLIPENCE_PER_POUND: Final = 100_000


def test_each_fault_of_a_meter_changes_something_in_the_life_of_a_house() -> None:
    onlooker = Onlooker(METERS)
    house = build_house(faults=onlooker.faults, starts=BEFORE_A_LEAP_DAY)
    for meter in (house.esme, house.gsme):
        meter.device = replace(meter.device, model=replace(meter.device.model, model="AE-110"))
        meter.values["firmware_version"] = "1.4.20"
    live(house)
    assert sorted({fault.name for fault in METERS} - onlooker.changing) == []


def live(house: House) -> None:
    """All that a meter may be told, asked and exposed to."""
    read_all(house)
    for meter in (house.esme, house.gsme):
        write_all(meter)
        money(house, meter)
        switching(house, meter)
        firmware(meter)
        for number in range(14):
            meter.set("standing_charge", number, S1SP_CLIENT)
        meter.tamper(True)
        meter.tamper(False)
    electricity_alone(house)
    blocks = ({"day": 1, "actions": ({"hour": 0, "minute": 0, "kind": "block", "register": 1},)},)
    house.gsme.set("day_profiles", blocks, S1SP_CLIENT)
    for load, gas_flow in ((-2_000, 600), (3_000, 2_000)):
        house.bench.load(load, load // 3)
        house.bench.gas_flow(gas_flow)
        house.wait(days=2)
    read_all(house)
    house.esme.act("disable_supply", None, S1SP_CLIENT)
    house.bench.mains(False)
    house.wait(minutes=10)
    house.bench.mains(True)
    house.wait(days=30)  # summer time begins
    house.gsme.clear_log("event_log", S1SP_CLIENT)
    read_all(house)


def read_all(house: House) -> None:
    for meter in (house.esme, house.gsme):
        for name in meter.table.items:
            meter.get(name, S1SP_CLIENT)
        for name in meter.table.logs:
            meter.rows(name, S1SP_CLIENT)


SENT: Final[dict[str, Any]] = {
    "tou_prices": (1, 2, 3, 4),
    "block_prices": ((1, 2, 3, 4),),
    "block_thresholds": ((1, 2, 3),),
    "standing_charge": 5,
    "day_profiles": ({"day": 1, "actions": ({"hour": 0, "minute": 30, "kind": "tou", "register": 1},)},),
    "week_profiles": ({"week": 1, "days": (1, 1, 1, 1, 1, 1, 2)},),
    "seasons": ({"name": "year", "start": yearly(1, 1), "week": 1},),
    "special_days": (),
    "billing_calendar": {"periodicity": "Daily", "hour": 3, "minute": 15, "day": 1, "month": 1},
    "low_credit_threshold": 2 * MILLIPENCE_PER_POUND,
    "disablement_threshold": -1,
    "debt_recovery_rate_cap": 7,
    "debt_recovery_1": {"rate": 10, "scale": -5, "period": "HOURLY"},
    "debt_recovery_2": {"rate": 10, "scale": -5, "period": "DAILY"},
    "debt_recovery_per_payment": 2_500,
    "time_debt_1": MILLIPENCE_PER_POUND,
    "time_debt_2": 2 * MILLIPENCE_PER_POUND,
    "payment_debt": MILLIPENCE_PER_POUND,
    "suspend_debt_disabled": True,
    "suspend_debt_emergency": True,
    "import_mpxn": "1900000000123",
    "supply_tamper_state": "Locked",
    "max_credit_threshold": 200 * MILLIPENCE_PER_POUND,
    "access_restricted_before": BEFORE_A_LEAP_DAY,
    "payment_mode": "Prepayment",
    "clock": BEFORE_A_LEAP_DAY + timedelta(minutes=2),
}
SENT_TO: Final[dict[DeviceType, dict[str, Any]]] = {
    DeviceType.ESME: {
        "price_scale": -4,
        "standing_charge_scale": -4,
        "load_limit_threshold": 4_000,
        "load_limit_period": 40,
        "load_limit_supply_state": "Disable",
        "low_medium_power_threshold": 400,
        "medium_high_power_threshold": 4_000,
        "average_rms_under_voltage_threshold": 210,
        "export_mpan": "1900000000321",
    },
    DeviceType.GSME: {
        "calorific_value": Decimal("39.5"),
        "conversion_factor": Decimal("1.02345"),
        "uncontrolled_gas_flow_rate": Decimal("0.050"),
        "flow_measurement_period": 3,
        "flow_stabilisation_period": 3,
    },
}


def write_all(meter: Any) -> None:
    for name, value in (SENT | SENT_TO[meter.device.type]).items():
        meter.act("hold_settings", None, S1SP_CLIENT)
        meter.set(name, value, S1SP_CLIENT)
        meter.act("release_settings", None, S1SP_CLIENT)
    meter.act("hold_settings", None, S1SP_CLIENT)
    for name in ("tou_prices", "standing_charge"):
        meter.set(name, SENT[name], S1SP_CLIENT)
    meter.act("release_settings", None, S1SP_CLIENT)


def money(house: House, meter: Any) -> None:
    def pay(pence: int, serial: int) -> None:
        meter.act("top_up", make_utrn(meter.device_id, pence, serial).encode(), S1SP_CLIENT)

    meter.set("meter_balance", 10)
    meter.set("emergency_credit_threshold", 0)
    with pytest.raises(AccessRefused):  # the balance is above the threshold
        meter.act("activate_emergency_credit", None, S1SP_CLIENT)
    meter.set("emergency_credit_threshold", MILLIPENCE_PER_POUND)
    meter.act("activate_emergency_credit", None, S1SP_CLIENT)
    meter.set("emergency_credit_balance", 3)
    every_day = {"weekdays": (1, 2, 3, 4, 5, 6, 7), "special_days": (), "start": ANY_DATE, "end": ANY_DATE}
    always = {"action": "START", "hour": 0, "minute": 0, **every_day}
    meter.set("non_disablement_calendar", (always,))
    meter.set("meter_balance", -20)
    assert meter.get("supply_state") == SupplyState.ENABLED
    meter.set("non_disablement_calendar", ())
    assert meter.get("supply_state") == SupplyState.DISABLED
    with pytest.raises(AccessRefused):
        meter.act("arm_supply", None, S1SP_CLIENT)
    meter.set("accumulated_debt", 100)
    read_all(house)
    pay(1_234, 1)
    for pence, serial in ((1_234, 1), (99_000, 2)):
        with pytest.raises(AccessRefused):
            pay(pence, serial)
    for change in (500, -300):
        meter.act("adjust_balance", change, S1SP_CLIENT)
    meter.act("reset_balance", None, S1SP_CLIENT)
    meter.set("meter_balance", 100 * MILLIPENCE_PER_POUND)
    meter.set("max_meter_balance", 10_000 * MILLIPENCE_PER_POUND)


def switching(house: House, meter: Any) -> None:
    meter.act("disable_supply", None, S1SP_CLIENT)
    meter.get("supply_state", S1SP_CLIENT)
    if meter.device.type is DeviceType.ESME:
        meter.act("enable_supply", None, S1SP_CLIENT)
    meter.act("arm_supply", None, S1SP_CLIENT)
    meter.get("supply_state", S1SP_CLIENT)
    house.bench.gas_flow(1_000)
    house.bench.press_enable(meter.device.type)
    house.wait(minutes=2)  # gas flows while the meter looks for a leak
    house.bench.gas_flow(0)
    meter.act("arm_supply", None, S1SP_CLIENT)
    house.bench.press_enable(meter.device.type)


def firmware(meter: Any) -> None:
    image = make_image(b"another")
    meter.act("image_initiate", {"version": b"1.4.21", "size": len(image)}, S1SP_CLIENT)
    meter.act("image_block", {"number": 0, "block": image}, S1SP_CLIENT)
    meter.act("image_verify", 0, S1SP_CLIENT)
    meter.act("image_activate", 0, S1SP_CLIENT)


def electricity_alone(house: House) -> None:
    for volts in (260, 200):
        house.bench.voltage(volts)
        house.wait(hours=2)
    house.bench.voltage(230)
    house.esme.act("reconnect")
    house.bench.load(9_000)
    house.wait(minutes=5)
    house.bench.load(0)
    for counter in ("load_limit_counter", "average_rms_over_voltage_counter"):
        assert house.esme.get(counter, S1SP_CLIENT) > 0
    house.esme.set("load_limit_threshold", 0, S1SP_CLIENT)
    house.esme.act("reset_load_limit_counter", None, S1SP_CLIENT)
    house.esme.act("reset_voltage_counters", None, S1SP_CLIENT)
    house.esme.clear_log("event_log", S1SP_CLIENT)
    house.esme.act("reconnect")
