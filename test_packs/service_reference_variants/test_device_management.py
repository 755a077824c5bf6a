"""Service group 6: configuration sent to a meter (SRV 6.8, 6.12, 6.20.1, 6.20.2)."""

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
    LabClock,
    Meter,
    RigInHand,
)
from harness.domain.words import DeviceType
from test_packs.arrange import (
    Declined,
    Served,
    Unchanged,
    crediting,
    expect_held,
    power_cut,
    put,
)
from test_packs.calendars import CALENDARS, held_calendar, told_calendar
from test_packs.metering import counted, expect_counted, let_flow, until_next

pytestmark = pytest.mark.functional_group("6 Device management")

QUARTER: Final = timedelta(minutes=15)


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
        expect_held(evidence, esme, "at once", due)
    power_cut(bench, clock)
    expect_held(evidence, esme, "after a power cut", due)


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
        expect_held(evidence, meter, "at once", {"import_mpxn": number})
    power_cut(bench, clock)
    expect_held(evidence, meter, "after a power cut", {"import_mpxn": number})


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
        expect_held(evidence, esme, "at once", {"export_mpan": number})
    power_cut(bench, clock)
    expect_held(evidence, esme, "after a power cut", {"export_mpan": number})
