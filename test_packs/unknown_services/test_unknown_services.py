"""SRVs of which no public source says whether SMETS1 devices serve them.

The catalogue marks them ``?``. A lab whose devices serve them says ``unknown_services: true`` in its lab
file; elsewhere these tests are never planned. What each request does is inferred from its name and elements.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

import pytest

from harness.domain.instruments import (
    Bench,
    CommunicationsHub,
    Esme,
    EvidenceLog,
    Gsme,
    LabClock,
    Meter,
    Operator,
)
from harness.domain.words import DeviceType, SupplyState
from test_packs.arrange import (
    Served,
    Unchanged,
    crediting,
    expect_held,
    power_cut,
    press_enable,
    put,
    supplying,
)
from test_packs.content import expect_content, indexed
from test_packs.metering import counted, let_flow, log_period, since, until_next
from test_packs.tariffs import Tariff, all_day

pytestmark = pytest.mark.functional_group("Unknown services")

_DAY: Final = timedelta(days=1)
_COUNTERS: Final = ("average_rms_over_voltage_counter", "average_rms_under_voltage_counter")


@pytest.mark.srv("3.1")
@pytest.mark.ttm("TTM-UNK-3.1-E-01", "TTM-UNK-3.1-G-01")
@pytest.mark.devices("ESME", "GSME")
def test_a_message_stands_on_the_display(
    served: Served, unchanged: Unchanged, operator: Operator, meter: Meter, bench: Bench, clock: LabClock,
    evidence: EvidenceLog,
) -> None:  # fmt: skip
    """SRV 3.1: the text sent is held and shown, over a power cut too, and the next takes its place."""
    crediting(meter)
    for text in ("Your supply is interrupted on 4 June, 9:00 to 11:30", "Thank you"):
        with unchanged(meter, but={"message"}):
            served("3.1", meter, {"SupplierMessage": text})
        expect_held(evidence, meter, "after the request", {"message": text})
        power_cut(bench, clock)
        shown = operator.read_display(meter.device_type)
        evidence.expect("the display shows the text", found=text in shown, expected=True)


@pytest.mark.srv("3.4")
@pytest.mark.ttm("TTM-UNK-3.4-E-01", "TTM-UNK-3.4-G-01")
@pytest.mark.devices("ESME", "GSME")
def test_the_suppliers_name_and_number_are_held(
    served: Served, unchanged: Unchanged, meter: Meter, bench: Bench, clock: LabClock, evidence: EvidenceLog
) -> None:
    """SRV 3.4: name and telephone number sent are held, each in its place, over a power cut too."""
    crediting(meter)
    due = {"supplier_name": "Alder & Birch", "supplier_telephone": "0161 496 0123"}
    body = {"SupplierName": "Alder & Birch", "SupplierTelephoneNumber": "0161 496 0123"}
    with unchanged(meter, but=due):
        served("3.4", meter, body)
    expect_held(evidence, meter, "at once", due)
    power_cut(bench, clock)
    expect_held(evidence, meter, "after a power cut", due)


@pytest.mark.srv("1.7")
@pytest.mark.ttm("TTM-UNK-1.7-E-01")
@pytest.mark.devices("ESME")
def test_block_counters_begin_anew(
    served: Served, unchanged: Unchanged, esme: Esme, bench: Bench, clock: LabClock, evidence: EvidenceLog
) -> None:
    """SRV 1.7: the block counters, and no register, go back to nothing, and count on from there."""
    crediting(esme)
    tariff = Tariff(days=(all_day("block", 1),), block_prices=((10, 20, 30, 40),), thresholds=((9, 19, 29),))
    put(esme, tariff.held(esme))
    let_flow(bench, clock, esme, timedelta(minutes=30), 2_000)
    evidence.expect("something was counted", found=any(esme.read("block_counters")), expected=True)
    registers = counted(esme), esme.read("tou_block_registers")
    with unchanged(esme):
        served("1.7", esme)
    evidence.expect("counters", found=sum(esme.read("block_counters")), expected=0)
    found = counted(esme), esme.read("tou_block_registers")
    evidence.expect("registers", found=found, expected=registers)
    before = counted(esme)
    let_flow(bench, clock, esme, timedelta(minutes=12), 2_000)
    moved = since(before, counted(esme))["active_import"]
    evidence.expect("counted from then on", found=sum(esme.read("block_counters")), expected=moved)


@pytest.mark.srv("4.1.2")
@pytest.mark.ttm("TTM-UNK-4.1.2-G-01")
@pytest.mark.devices("GSME")
def test_gas_tou_registers_are_told(
    served: Served, unchanged: Unchanged, gsme: Gsme, bench: Bench, clock: LabClock, evidence: EvidenceLog
) -> None:
    """SRV 4.1.2: all four registers are told as the meter holds them, before gas flows and after."""
    crediting(gsme)
    put(gsme, Tariff(days=(all_day("tou", 3),), tou_prices=(1, 2, 3, 4)).held(gsme))
    for minutes in (0, 20):
        let_flow(bench, clock, gsme, timedelta(minutes=minutes), 900)
        with unchanged(gsme):
            payload = served("4.1.2", gsme)
        matrix = {"TOURegisterMatrixValue": indexed(gsme.read("tou_registers"))}
        expect_content(evidence, "registers", payload, {"Gas": {"TariffTOURegisterMatrix": matrix}})


@pytest.mark.srv("4.1.3")
@pytest.mark.ttm("TTM-UNK-4.1.3-E-01")
@pytest.mark.devices("ESME")
def test_registers_of_each_block_are_told(
    served: Served, unchanged: Unchanged, esme: Esme, bench: Bench, clock: LabClock, evidence: EvidenceLog
) -> None:
    """SRV 4.1.3: the registers of all four blocks are told as the meter holds them, each in its place."""
    crediting(esme)
    tariff = Tariff(
        days=(all_day("block", 2),),
        block_prices=((1, 2, 3, 4), (10, 20, 30, 40)),
        thresholds=((1, 2, 3), (100, 200, 400)),
    )
    put(esme, tariff.held(esme))
    let_flow(bench, clock, esme, timedelta(minutes=20), 2_400)
    with unchanged(esme):
        payload = served("4.1.3", esme)
    held: Any = esme.read("tou_block_registers")
    blocks = [
        {"@index": number, "RegisterMatrixTOUValue": indexed(row)} for number, row in enumerate(held, start=1)
    ]
    due = {"TariffBlockTOURegisterCollection": {"TariffBlock": blocks}}
    expect_content(evidence, "registers by block", payload, due)


@pytest.mark.srv("4.17")
@pytest.mark.ttm("TTM-UNK-4.17-E-01", "TTM-UNK-4.17-G-01")
@pytest.mark.devices("ESME", "GSME")
@pytest.mark.days_of_lab_time
def test_what_each_day_used_is_told(
    served: Served, meter: Meter, bench: Bench, clock: LabClock, evidence: EvidenceLog
) -> None:
    """SRV 4.17: of each day in the period what flowed in it is told, under the midnight that ended it."""
    crediting(meter)
    gas = meter.device_type is DeviceType.GSME
    name, fuel = ("gas_volume", "Gas") if gas else ("active_import", "Electricity")
    until_next(clock, _DAY, timedelta(hours=1))
    days: list[tuple[Any, Decimal]] = []
    for minutes in (25, 50):
        before = counted(meter)
        let_flow(bench, clock, meter, timedelta(minutes=minutes), 1_500)
        used = since(before, counted(meter))[name]
        days.append((until_next(clock, _DAY, timedelta(hours=1)), used))
    payload = served("4.17", meter, log_period(days[0][0], days[1][0], certified=True))
    due = [{"Value": used, "Timestamp": midnight} for midnight, used in days]
    expect_content(evidence, "daily consumption", payload, {fuel: {"LogEntry": due}})
    rows = meter.log("daily_read_log", days[0][0], days[1][0])
    last, first = Decimal(str(rows[-1].values[name])), Decimal(str(rows[0].values[name]))
    evidence.expect("the meter's own log agrees", found=last - first, expected=days[1][1])


@pytest.mark.srv("6.25")
@pytest.mark.ttm("TTM-UNK-6.25-E-01")
@pytest.mark.devices("ESME")
def test_the_tamper_state_decides_what_an_opened_cover_does(
    served: Served, unchanged: Unchanged, esme: Esme, bench: Bench, clock: LabClock, evidence: EvidenceLog
) -> None:
    """SRV 6.25: Locked, an opened cover cuts the supply; Unchanged, it does not."""
    crediting(esme)
    put(esme, {"supply_tamper_state": "Locked"})
    for state, supply in (("Unchanged", SupplyState.ENABLED), ("Locked", SupplyState.DISABLED)):
        with unchanged(esme, but={"supply_tamper_state"}):
            served("6.25", esme, {"SupplyTamperState": state})
        expect_held(evidence, esme, "after the request", {"supply_tamper_state": state})
        bench.tamper(DeviceType.ESME, True)
        clock.sleep(timedelta(minutes=1))
        evidence.expect(f"supply, {state}, cover open", found=esme.supply(), expected=supply)
        bench.tamper(DeviceType.ESME, False)
        press_enable(bench, clock, esme)
        supplying(esme)


@pytest.mark.srv("6.27")
@pytest.mark.ttm("TTM-UNK-6.27-E-01")
@pytest.mark.devices("ESME")
def test_voltage_counters_begin_anew(
    served: Served, unchanged: Unchanged, esme: Esme, bench: Bench, clock: LabClock, evidence: EvidenceLog
) -> None:
    """SRV 6.27: both counters, and no setting, go back to nothing, over a power cut too."""
    put(esme, {_COUNTERS[0]: 13, _COUNTERS[1]: 29})
    with unchanged(esme, but=_COUNTERS):
        served("6.27", esme)
    expect_held(evidence, esme, "at once", dict.fromkeys(_COUNTERS, 0))
    power_cut(bench, clock)
    expect_held(evidence, esme, "after a power cut", dict.fromkeys(_COUNTERS, 0))


@pytest.mark.srv("6.13", "11.2")
@pytest.mark.ttm("TTM-UNK-6.13-C-01", "TTM-UNK-11.2-C-01")
@pytest.mark.devices("CH")
def test_a_hub_tells_its_firmware_and_its_events(
    served: Served, ch: CommunicationsHub, bench: Bench, clock: LabClock, evidence: EvidenceLog
) -> None:
    """SRV 11.2, 6.13 to a hub: the version that runs, and the rows of its event log, one after the other."""
    begin = clock.now()
    for open_ in (True, False):
        bench.tamper(DeviceType.CH, open_)
        clock.sleep(timedelta(minutes=1))
    expect_content(evidence, "firmware", served("11.2", ch), {"FirmwareVersion": ch.identity().firmware[:8]})
    payload = served("6.13", ch, log_period(begin, clock.now()) | {"LogToRead": "Event"})
    found = [(row.time("Timestamp"), int(row.text("LogCode"), 16)) for row in payload.all("Log/LogEntry")]
    due = [(row.timestamp, row.values["code"]) for row in ch.log("event_log", begin)]
    evidence.expect("the hub's log is not empty", found=bool(due), expected=True)
    evidence.expect("events told", found=found, expected=due)
