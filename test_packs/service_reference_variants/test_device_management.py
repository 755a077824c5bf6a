"""Service group 6: configuration sent to a meter (SRV 6.6, 6.7, 6.8, 6.12, 6.20.1, 6.20.2)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import pytest

from harness.domain.instruments import (
    Bench,
    Device,
    Esme,
    EvidenceLog,
    Gsme,
    LabClock,
    Meter,
    RigInHand,
    ServiceUser,
)
from harness.domain.words import DeviceType, SupplyState
from test_packs.arrange import (
    Declined,
    Event,
    Served,
    Unchanged,
    crediting,
    one_price,
    power_cut,
    prepaying,
    put,
    supplying,
    watch_alerts,
)
from test_packs.calendars import CALENDARS, held_calendar, told_calendar
from test_packs.metering import counted, expect_counted, flowed, let_flow, since, until_next

pytestmark = pytest.mark.functional_group("6 Device management")

QUARTER: Final = timedelta(minutes=15)
_MINUTE: Final = timedelta(minutes=1)


def _expect_held(evidence: EvidenceLog, meter: Device, when: str, due: Mapping[str, Any]) -> None:
    evidence.expect(f"what the meter holds {when}", found=dict(meter.read_many(tuple(due))), expected=due)


@pytest.mark.srv("6.12")
@pytest.mark.ttm("TTM-6.12-E-01", "TTM-6.12-E-02")
@pytest.mark.devices("ESME")
def test_power_thresholds_are_held(
    served: Served,
    unchanged: Unchanged,
    esme: Esme,
    bench: Bench,
    clock: LabClock,
    evidence: EvidenceLog,
) -> None:
    """SRV 6.12: both power thresholds are held, each in its place, over a power cut too."""
    due: Mapping[str, Any] = {}
    for low, high in ((1_357, 8_642), (246, 9_753)):
        due = {"low_medium_power_threshold": low, "medium_high_power_threshold": high}
        with unchanged(esme, but=due):
            served("6.12", esme, {"LowMediumPowerThreshold": low, "MediumHighPowerThreshold": high})
        _expect_held(evidence, esme, "at once", due)
    power_cut(bench, clock)
    _expect_held(evidence, esme, "after a power cut", due)


@pytest.mark.srv("6.6")
@pytest.mark.ttm("TTM-6.6-G-01", "TTM-6.6-G-02", "TTM-6.6-G-03")
@pytest.mark.devices("GSME")
def test_gas_is_converted_by_the_values_sent(
    served: Served,
    unchanged: Unchanged,
    gsme: Gsme,
    bench: Bench,
    clock: LabClock,
    evidence: EvidenceLog,
) -> None:
    """SRV 6.6: calorific value and conversion factor are held, and energy and cost follow them at once."""
    prepaying(gsme)
    price = one_price(gsme)
    due = {"calorific_value": Decimal(1), "conversion_factor": Decimal(1)}
    for calorific, factor in (("41.7", "1.03456"), ("36.2", "0.98765")):
        due = {"calorific_value": Decimal(calorific), "conversion_factor": Decimal(factor)}
        with unchanged(gsme, but=due):
            served("6.6", gsme, {"CalorificValue": calorific, "ConversionFactor": factor})
        _expect_held(evidence, gsme, "at once", due)
        _expect_conversion(evidence, gsme, bench, clock, due, price)
    power_cut(bench, clock)
    _expect_held(evidence, gsme, "after a power cut", due)
    _expect_conversion(evidence, gsme, bench, clock, due, price)


def _expect_conversion(
    evidence: EvidenceLog, gsme: Gsme, bench: Bench, clock: LabClock, sent: Mapping[str, Decimal], price: int
) -> None:
    """Energy and cost of a flow are those of its volume by the values sent, at so many millipence/kWh."""
    megajoules = sent["calorific_value"] * sent["conversion_factor"]
    names = ("gas_volume", "gas_energy", "meter_balance")
    before = gsme.read_many(names)
    let_flow(bench, clock, gsme, timedelta(minutes=30), 2_400)
    after = gsme.read_many(names)
    energy = (after["gas_volume"] - before["gas_volume"]) * megajoules * 1_000 / Decimal("3.6")
    added = after["gas_energy"] - before["gas_energy"]
    evidence.expect_between("Wh added", found=added, low=energy - 1, high=energy + 1)
    cost, spent = added * price / 1_000, before["meter_balance"] - after["meter_balance"]
    evidence.expect_between("millipence charged", found=spent, low=cost - 2, high=cost + 2)


_FLOW: Final = {
    "UncontrolledGasFlowRateDecimal": Decimal("0.250"),
    "SupplyDepletionState": "Locked",
    "SupplyTamperState": "Unchanged",
    "StabilisationPeriod": 20,
    "MeasurementPeriod": 40,
}


@pytest.mark.srv("6.7")
@pytest.mark.ttm("TTM-6.7-G-01", "TTM-6.7-G-02")
@pytest.mark.devices("GSME")
def test_gas_flow_settings_are_held(
    served: Served,
    unchanged: Unchanged,
    gsme: Gsme,
    bench: Bench,
    clock: LabClock,
    evidence: EvidenceLog,
) -> None:
    """SRV 6.7: flow rate, both periods and both states are held, each in its place, over a power cut too."""
    swapped = {"SupplyDepletionState": "Unchanged", "SupplyTamperState": "Locked"}
    due: Mapping[str, Any] = {}
    for body in (_FLOW, _FLOW | swapped | {"StabilisationPeriod": 255, "MeasurementPeriod": 12_345}):
        due = {
            "uncontrolled_gas_flow_rate": body["UncontrolledGasFlowRateDecimal"],
            "supply_depletion_state": body["SupplyDepletionState"],
            "supply_tamper_state": body["SupplyTamperState"],
            "flow_stabilisation_period": body["StabilisationPeriod"],
            "flow_measurement_period": body["MeasurementPeriod"],
        }
        with unchanged(gsme, but=due):
            served("6.7", gsme, body)
        _expect_held(evidence, gsme, "at once", due)
    power_cut(bench, clock)
    _expect_held(evidence, gsme, "after a power cut", due)


@pytest.mark.srv("6.7")
@pytest.mark.ttm("TTM-6.7-G-03")
@pytest.mark.devices("GSME")
def test_uncontrolled_flow_closes_the_valve_again(
    served: Served,
    user: ServiceUser,
    gsme: Gsme,
    bench: Bench,
    clock: LabClock,
    evidence: EvidenceLog,
) -> None:
    """SRV 6.7: when enabled, more flow than the rate sent closes the valve with one alert; less does not."""
    crediting(gsme)
    served("6.7", gsme, _FLOW)
    alerts = watch_alerts(user, clock, gsme)
    for litres, state in ((200, SupplyState.ENABLED), (300, SupplyState.DISABLED)):
        supplying(gsme, SupplyState.ARMED)
        bench.gas_flow(litres)
        bench.press_enable(DeviceType.GSME)
        clock.sleep(timedelta(seconds=50))  # of 20 s to settle and 40 s to measure
        evidence.expect(
            f"supply at {litres} l/h, measuring", found=gsme.supply(), expected=SupplyState.ENABLED
        )
        clock.sleep(timedelta(seconds=15))
        evidence.expect(f"supply at {litres} l/h, measured", found=gsme.supply(), expected=state)
        raised = [alert.code for alert in alerts.all()]
        cut = [Event.UNCONTROLLED_FLOW.alert] if state is SupplyState.DISABLED else []
        evidence.expect(f"alerts at {litres} l/h", found=raised, expected=cut)
    flow = flowed(bench, gsme)
    clock.sleep(QUARTER)
    evidence.expect("gas that flows on", found=since(flow, flowed(bench, gsme)), expected={"gas_volume": 0})
    alerts.expect_once(evidence, Event.UNCONTROLLED_FLOW)


def _calendar(meter: Device, calendar: Mapping[str, Any], first: datetime) -> dict[str, Any]:
    """SRV 6.8: an electricity calendar as it is, a gas one by its first start."""
    if meter.device_type is DeviceType.ESME:
        return {"ElectricityBillingCalendar": told_calendar(calendar)}
    return {"GasBillingCalendar": {"BillingPeriodStart": first, "Periodicity": calendar["periodicity"]}}


def _first_start(calendar: Mapping[str, Any], now: datetime) -> datetime:
    """A day of the year before on which a calendar starts a period."""
    start = now.replace(
        year=now.year - 1,
        month=calendar["month"],
        day=1 if calendar["periodicity"] == "Weekly" else calendar["day"],
        hour=calendar["hour"],
        minute=calendar["minute"],
        second=0,
        microsecond=0,
    )
    if calendar["periodicity"] == "Weekly":
        start += timedelta(days=(calendar["day"] - start.isoweekday()) % 7)
    return start


@pytest.mark.srv("6.8")
@pytest.mark.ttm("TTM-6.8-E-01", "TTM-6.8-E-02", "TTM-6.8-G-01", "TTM-6.8-G-02")
@pytest.mark.devices("ESME", "GSME")
def test_a_billing_calendar_of_every_kind_is_held(
    served: Served,
    unchanged: Unchanged,
    meter: Meter,
    bench: Bench,
    clock: LabClock,
    evidence: EvidenceLog,
) -> None:
    """SRV 6.8: daily, weekly, … yearly: the meter holds time, day and month, over a power cut too."""
    matters = {"Daily": (), "Weekly": ("day",), "Monthly": ("day",)}
    held: Mapping[str, Any] = {}
    for periodicity, parts in CALENDARS:
        calendar = held_calendar(periodicity, parts)
        with unchanged(meter, but={"billing_calendar"}):
            served("6.8", meter, _calendar(meter, calendar, _first_start(calendar, clock.now())))
        names = ("periodicity", "hour", "minute", *matters.get(periodicity, ("day", "month")))
        due = {name: calendar[name] for name in names}
        held = meter.read("billing_calendar")
        found = {name: held[name] for name in names}
        evidence.expect(f"{periodicity} calendar held", found=found, expected=due)
    power_cut(bench, clock)
    evidence.expect("calendar after a power cut", found=meter.read("billing_calendar"), expected=held)


@pytest.mark.srv("6.8")
@pytest.mark.ttm("TTM-6.8-E-03", "TTM-6.8-G-03")
@pytest.mark.devices("ESME", "GSME")
def test_billing_data_is_captured_when_the_calendar_says(
    served: Served, rig: RigInHand, meter: Meter, bench: Bench, clock: LabClock, evidence: EvidenceLog
) -> None:
    """SRV 6.8: billing data is captured at the time sent, each day and at no other, as it then stands."""
    crediting(meter)
    hour = until_next(clock, timedelta(hours=1)).hour
    put(meter, {"billing_calendar": held_calendar("Daily", {"hour": (hour + 12) % 24, "minute": 0})})
    calendar = held_calendar("Daily", {"hour": (hour + 2) % 24, "minute": 20})
    served("6.8", meter, _calendar(meter, calendar, _first_start(calendar, clock.now())))
    start = clock.now()
    due = start.replace(hour=calendar["hour"], minute=20, second=0, microsecond=0)
    due += timedelta(days=0 if due > start else 1)
    register = next(iter(counted(meter)))
    rows: list[tuple[datetime, Any]] = []
    flow: Mapping[str, Decimal] = {}
    for day in range(2):
        flow = let_flow(bench, clock, meter, QUARTER, 2_000)
        clock.sleep(due + timedelta(days=day) - clock.now())
        rows.append((clock.now(), meter.read(register)))
    clock.sleep(timedelta(hours=2))
    logged = [(row.timestamp, row.values[register]) for row in meter.log("billing_data_log", start)]
    evidence.expect("billing data captured", found=logged, expected=rows)
    moved = {register: rows[1][1] - rows[0][1]}
    expect_counted(evidence, rig, "between the captures", moved, flow)


@pytest.mark.srv("6.20.1")
@pytest.mark.ttm("TTM-6.20.1-E-01", "TTM-6.20.1-E-02", "TTM-6.20.1-G-01", "TTM-6.20.1-G-02")
@pytest.mark.ttm("TTM-AK-5.4a-01")
@pytest.mark.devices("ESME", "GSME")
def test_the_import_supply_number_is_held(
    served: Served,
    unchanged: Unchanged,
    meter: Meter,
    bench: Bench,
    clock: LabClock,
    evidence: EvidenceLog,
) -> None:
    """SRV 6.20.1: the MPAN or MPRN sent is held, its leading zeros too, and over a power cut."""
    gas = meter.device_type is DeviceType.GSME
    for number in ("0099000077", "9900000776") if gas else ("0099000077013", "9900000778012"):
        body = {"ImportMPRN": number} if gas else {"ImportMPANs": {"ImportMPAN": number}}
        with unchanged(meter, but={"import_mpxn"}):
            served("6.20.1", meter, body)
        _expect_held(evidence, meter, "at once", {"import_mpxn": number})
    power_cut(bench, clock)
    _expect_held(evidence, meter, "after a power cut", {"import_mpxn": number})


@pytest.mark.srv("6.20.1")
@pytest.mark.ttm("TTM-6.20.1-E-03", "TTM-6.20.1-G-03")
@pytest.mark.devices("ESME", "GSME")
def test_the_other_fuels_supply_number_is_declined(
    declined: Declined, unchanged: Unchanged, meter: Meter
) -> None:
    """SRV 6.20.1: an MPRN is not taken by an electricity meter, nor an MPAN by a gas meter."""
    gas = meter.device_type is DeviceType.GSME
    body = {"ImportMPANs": {"ImportMPAN": "9900000778012"}} if gas else {"ImportMPRN": "9900000776"}
    with unchanged(meter):
        declined("6.20.1", meter, body)


@pytest.mark.srv("6.20.2")
@pytest.mark.ttm("TTM-6.20.2-E-01", "TTM-6.20.2-E-02")
@pytest.mark.devices("ESME")
def test_the_export_supply_number_is_held(
    served: Served,
    unchanged: Unchanged,
    esme: Esme,
    bench: Bench,
    clock: LabClock,
    evidence: EvidenceLog,
) -> None:
    """SRV 6.20.2: the export MPAN sent is held beside the import one, over a power cut too."""
    for number in ("0099000088017", "9900000889016"):
        with unchanged(esme, but={"export_mpan"}):
            served("6.20.2", esme, {"ExportMPAN": number})
        _expect_held(evidence, esme, "at once", {"export_mpan": number})
    power_cut(bench, clock)
    _expect_held(evidence, esme, "after a power cut", {"export_mpan": number})
