"""Service group 4: registers and power (SRV 4.1.1, 4.1.2, 4.1.4, 4.2, 4.16)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

import pytest

from harness.domain.instruments import Bench, Esme, EvidenceLog, Gsme, LabClock, Meter, RigInHand
from harness.domain.payload import Payload
from harness.domain.words import DeviceType, SupplyState
from test_packs.arrange import Served, Unchanged, crediting, put, supplying
from test_packs.content import expect_content, indexed, row_of
from test_packs.metering import (
    HALF_HOUR,
    counted,
    expect_counted,
    flow,
    let_flow,
    quantities_of,
    since,
    step_of,
    unit_of,
    until_next,
)

pytestmark = pytest.mark.functional_group("4 Meter reading")

LONG: Final = timedelta(minutes=95)  # over three half hours
_ELECTRICITY: Final = {  # quantity → where SRV 4.1.1 and 4.2 tell it
    "active_import": "Electricity/ActiveImportRegister/Value",
    "reactive_import": "Electricity/ReactiveImportRegister/Value",
    "active_export": "ActiveExportRegister/Value",
    "reactive_export": "ReactiveExportRegister/Value",
}


def _import(held: Mapping[str, Any]) -> dict[str, Any]:
    """What SRV 4.1.1 has to tell of registers that stand so."""
    if "gas_volume" in held:
        return {"Gas": {"ConsumptionRegister": {"Value": held["gas_volume"], "Unit": "m3"}}}
    return {
        "Electricity": {
            "ActiveImportRegister": {"Value": held["active_import"], "ActiveEnergyUnit": "Wh"},
            "ReactiveImportRegister": {"Value": held["reactive_import"], "ReactiveEnergyUnit": "varh"},
        }
    }


def _export(held: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "ActiveExportRegister": {"Value": held["active_export"], "ActiveEnergyUnit": "Wh"},
        "ReactiveExportRegister": {"Value": held["reactive_export"], "ReactiveEnergyUnit": "varh"},
    }


def _told(payload: Payload, quantities: tuple[str, ...]) -> dict[str, Decimal]:
    """Quantities as the response of SRV 4.1.1 or 4.2 tells them."""
    places = _ELECTRICITY | {"gas_volume": "Gas/ConsumptionRegister/Value"}
    return {name: payload.decimal(places[name]) for name in quantities}


@pytest.mark.srv("4.1.1")
@pytest.mark.ttm("TTM-4.1.1-E-01", "TTM-4.1.1-E-02", "TTM-4.1.1-G-01", "TTM-4.1.1-G-02")
@pytest.mark.ttm("TTM-4.1.1-E-03", "TTM-4.1.1-G-03")
@pytest.mark.devices("ESME", "GSME")
def test_import_is_told_as_it_stands_and_moves_by_what_flows(
    served: Served,
    unchanged: Unchanged,
    rig: RigInHand,
    meter: Meter,
    bench: Bench,
    clock: LabClock,
    evidence: EvidenceLog,
) -> None:
    """SRV 4.1.1: import is told to the last digit, and between two readings it moved by what flowed."""
    crediting(meter)
    names = (
        ("active_import", "reactive_import")
        if "active_import" in quantities_of(meter)
        else quantities_of(meter)
    )
    readings = []
    reference: Mapping[str, Decimal] = {}
    for when in ("before", "after"):
        with unchanged(meter):
            payload = served("4.1.1", meter)
        expect_content(evidence, f"registers told {when} the flow", payload, _import(counted(meter)))
        readings.append(_told(payload, names))
        if when == "before":
            reference = let_flow(bench, clock, meter, LONG, 1_234, 345)
    expect_counted(evidence, rig, "between the readings", since(*readings), reference)


@pytest.mark.srv("4.1.1")
@pytest.mark.ttm("TTM-4.1.1-E-04", "TTM-4.1.1-G-04")
@pytest.mark.devices("ESME", "GSME")
def test_import_is_told_as_of_the_reading_while_it_flows(
    served: Served, meter: Meter, bench: Bench, clock: LabClock, evidence: EvidenceLog
) -> None:
    """SRV 4.1.1: while energy flows each reading lies between local ones around it, and above the last."""
    crediting(meter)
    (place,) = _told_of_import(meter)
    flow(bench, meter, 5_400)
    last = Decimal(0)
    for _ in range(3):
        clock.sleep(timedelta(minutes=7))
        before = counted(meter)[place]
        told = _told(served("4.1.1", meter), (place,))[place]
        now, unit = counted(meter)[place], unit_of(place)
        evidence.expect_between(f"the reading, {unit}", found=told, low=before, high=now)
        above = last + step_of(place)
        high = max(now, above)  # where the register stands still, too
        evidence.expect_between(f"the reading, above the last, {unit}", found=told, low=above, high=high)
        last = told


def _told_of_import(meter: Meter) -> tuple[str]:
    return ("active_import",) if meter.device_type is DeviceType.ESME else ("gas_volume",)


@pytest.mark.srv("4.1.1")
@pytest.mark.ttm("TTM-4.1.1-E-05", "TTM-4.1.1-G-05")
@pytest.mark.devices("ESME", "GSME")
def test_import_outlives_a_power_cut(
    served: Served, meter: Meter, bench: Bench, clock: LabClock, evidence: EvidenceLog
) -> None:
    """SRV 4.1.1: after a power cut the registers tell what they told before."""
    crediting(meter)
    let_flow(bench, clock, meter, LONG, 3_210, 100)
    before = counted(meter)
    bench.mains(on=False)
    clock.sleep(LONG)
    bench.mains(on=True)
    clock.sleep(timedelta(minutes=2))
    expect_content(evidence, "registers after the power cut", served("4.1.1", meter), _import(before))


@pytest.mark.srv("4.1.2")
@pytest.mark.ttm("TTM-4.1.2-E-01", "TTM-4.1.2-E-02", "TTM-4.1.2-E-03")
@pytest.mark.devices("ESME")
def test_every_tou_register_is_told_and_the_one_in_force_counts(
    served: Served,
    unchanged: Unchanged,
    rig: RigInHand,
    esme: Esme,
    bench: Bench,
    clock: LabClock,
    evidence: EvidenceLog,
) -> None:
    """SRV 4.1.2: all 48 registers are told; what flowed went to the register of its time, and only there."""
    crediting(esme)
    begun = until_next(clock)
    _switch_registers(esme, (begun.hour, begun.minute, 3), _later(begun, HALF_HOUR, 48))
    before = _tou(served, unchanged, esme, evidence)
    first = let_flow(bench, clock, esme, HALF_HOUR - (clock.now() - begun), 4_321)
    second = let_flow(bench, clock, esme, HALF_HOUR, 2_109)
    after = _tou(served, unchanged, esme, evidence)
    moved = [now - then for now, then in zip(after, before, strict=True)]
    for number, reference in ((3, first), (48, second)):
        expect_counted(evidence, rig, f"register {number}", {"active_import": moved[number - 1]}, reference)
    others = [number for number, value in enumerate(moved, start=1) if value and number not in (3, 48)]
    evidence.expect("other registers that moved", found=others, expected=[])


def _later(begun: Any, wait: timedelta, register: int) -> tuple[int, int, int]:
    moment = begun + wait
    return moment.hour, moment.minute, register


def _switch_registers(meter: Meter, *switches: tuple[int, int, int]) -> None:
    """Spend every day so: from hour and minute on a TOU register."""
    actions = tuple(
        {"hour": hour, "minute": minute, "kind": "tou", "register": register}
        for hour, minute, register in sorted(switches)
    )
    put(
        meter,
        {"day_profiles": tuple({"day": d["day"], "actions": actions} for d in meter.read("day_profiles"))},
    )


def _tou(served: Served, unchanged: Unchanged, esme: Esme, evidence: EvidenceLog) -> tuple[Decimal, ...]:
    """The registers as SRV 4.1.2 tells them, which is how they stand."""
    with unchanged(esme):
        payload = served("4.1.2", esme)
    held = esme.read("tou_registers")
    due = {"Electricity": {"TariffTOURegisterCollection": {"TOUPrimaryRegisterValue": indexed(held)}}}
    expect_content(evidence, "TOU registers told", payload, due)
    evidence.expect("number of TOU registers", found=len(held), expected=48)
    return row_of(payload.all("Electricity/TariffTOURegisterCollection/TOUPrimaryRegisterValue"))


@pytest.mark.srv("4.1.4")
@pytest.mark.ttm("TTM-4.1.4-G-01", "TTM-4.1.4-G-02", "TTM-4.1.4-G-03")
@pytest.mark.devices("GSME")
def test_block_counters_are_told_and_count_what_flows(
    served: Served,
    unchanged: Unchanged,
    rig: RigInHand,
    gsme: Gsme,
    bench: Bench,
    clock: LabClock,
    evidence: EvidenceLog,
) -> None:
    """SRV 4.1.4: all four counters are told; gas goes to the counter of its block, and on to the next."""
    crediting(gsme)
    begun = sum(gsme.read("block_counters"))
    always = {"hour": 0, "minute": 0, "kind": "block", "register": 1}
    limit = int(begun * 1_000) + 500  # litres: a little into the flow
    days = tuple({"day": day["day"], "actions": (always,)} for day in gsme.read("day_profiles"))
    put(gsme, {"day_profiles": days, "block_thresholds": ((limit, limit + 900, 0),)})
    before = _blocks(served, unchanged, gsme, evidence)
    reference = let_flow(bench, clock, gsme, LONG, 1_500)["gas_volume"]
    after = _blocks(served, unchanged, gsme, evidence)
    moved = [now - then for now, then in zip(after, before, strict=True)]
    due = (Decimal("0.5"), Decimal("0.9"), reference - Decimal("1.4"), Decimal(0))
    for number, (found, litres) in enumerate(zip(moved, due, strict=True), start=1):
        expect_counted(evidence, rig, f"block {number}", {"gas_volume": found}, {"gas_volume": litres})


def _blocks(served: Served, unchanged: Unchanged, gsme: Gsme, evidence: EvidenceLog) -> tuple[Decimal, ...]:
    with unchanged(gsme):
        payload = served("4.1.4", gsme)
    due = {"ImportBlockCounters": {"TariffBlockCounterValue": indexed(gsme.read("block_counters"))}}
    expect_content(evidence, "block counters told", payload, due)
    values = row_of(payload.all("ImportBlockCounters/TariffBlockCounterValue"))
    evidence.expect("number of block counters", found=len(values), expected=4)
    return values


@pytest.mark.srv("4.2")
@pytest.mark.ttm("TTM-4.2-E-01", "TTM-4.2-E-02", "TTM-4.2-E-03")
@pytest.mark.devices("ESME")
def test_export_is_told_as_it_stands_and_moves_by_what_flows_back(
    served: Served,
    unchanged: Unchanged,
    rig: RigInHand,
    esme: Esme,
    bench: Bench,
    clock: LabClock,
    evidence: EvidenceLog,
) -> None:
    """SRV 4.2: export is told to the last digit; it moves by what flows back, and import does not."""
    crediting(esme)
    names = ("active_export", "reactive_export")
    readings, registers = [], []
    reference: Mapping[str, Decimal] = {}
    for when in ("before", "after"):
        with unchanged(esme):
            payload = served("4.2", esme)
        registers.append(counted(esme))
        expect_content(evidence, f"registers told {when} the flow", payload, _export(registers[-1]))
        readings.append(_told(payload, names))
        if when == "before":
            reference = let_flow(bench, clock, esme, LONG, -1_876, -543)
    expect_counted(evidence, rig, "between the readings", since(*readings), reference)
    imported = {name: value for name, value in since(*registers).items() if name.endswith("import")}
    none = {"active_import": 0, "reactive_import": 0}
    evidence.expect("imported meanwhile", found=imported, expected=none)


@pytest.mark.srv("4.16")
@pytest.mark.ttm("TTM-4.16-E-01", "TTM-4.16-E-02", "TTM-4.16-E-03")
@pytest.mark.devices("ESME")
def test_power_is_told_as_it_is_drawn(
    served: Served,
    unchanged: Unchanged,
    rig: RigInHand,
    esme: Esme,
    bench: Bench,
    clock: LabClock,
    evidence: EvidenceLog,
) -> None:
    """SRV 4.16: the power drawn now is told in W; exporting, or with the supply off, none is drawn."""
    crediting(esme)
    for load, drawn in ((0, 0), (3_456, 3_456), (789, 789), (-2_000, 0)):
        bench.load(load)
        clock.sleep(timedelta(seconds=30))
        _expect_power(served, evidence, rig, esme, drawn)
    bench.load(1_000)
    supplying(esme, SupplyState.DISABLED)
    with unchanged(esme):
        _expect_power(served, evidence, rig, esme, 0)


def _expect_power(served: Served, evidence: EvidenceLog, rig: RigInHand, esme: Esme, drawn: int) -> None:
    payload = served("4.16", esme)
    held = esme.read("active_power_import")
    due = {"ActivePowerImport": {"Value": held, "Unit": "W"}}
    expect_content(evidence, f"power told at {drawn} W", payload, due)
    expect_counted(evidence, rig, "W", {"active_import": held}, {"active_import": Decimal(drawn)})
