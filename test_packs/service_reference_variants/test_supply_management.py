"""Service group 7: enabling, disabling and arming the supply, and its status (SRV 7.1, 7.2, 7.3, 7.4)."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Final

import pytest

from harness.domain.events import Event
from harness.domain.instruments import Bench, Esme, EvidenceLog, LabClock, Meter, RigInHand, ServiceUser
from harness.domain.words import DeviceType, SupplyState
from test_packs.arrange import (
    Declined,
    Served,
    Unchanged,
    crediting,
    power_cut,
    prepaying,
    press_enable,
    put,
    supplying,
)
from test_packs.consumption import Consume, Consumption, demand, demand_in, expect_flow, flow_of

pytestmark = pytest.mark.functional_group("7 Supply management")

QUARTER: Final = timedelta(minutes=15)
_SUPPLY: Final = frozenset({"supply_output", "supply_state"})


def _expect_supply(
    evidence: EvidenceLog, meter: Meter, consume: Consume, state: SupplyState, when: str
) -> None:
    """The meter tells the state, its contactor or valve stands accordingly, and the bench sees it so."""
    closed = state is SupplyState.ENABLED
    found = dict(meter.read_many(("supply_state", "supply_output")))
    expected = {"supply_state": state.value, "supply_output": closed}
    evidence.expect(f"supply {when}", found=found, expected=expected)
    used = consume(meter, QUARTER)
    expect_flow(evidence, when, used, flows=closed)
    if not closed:
        evidence.expect(f"what the meter counted {when}", found=used.registered, expected=0)


@pytest.mark.srv("7.1")
@pytest.mark.ttm("TTM-7.1-E-01", "TTM-7.1-E-02")
@pytest.mark.devices("ESME")
def test_supply_is_enabled_and_flows(
    served: Served, unchanged: Unchanged, esme: Esme, consume: Consume, evidence: EvidenceLog
) -> None:
    """SRV 7.1: a disabled, and an armed, supply is enabled, and what the load asks for flows."""
    crediting(esme)
    for start in (SupplyState.ARMED, SupplyState.DISABLED):
        supplying(esme, start)
        with unchanged(esme, but=_SUPPLY):
            served("7.1", esme)
        _expect_supply(evidence, esme, consume, SupplyState.ENABLED, f"enabled when {start}")


@pytest.mark.srv("7.1")
@pytest.mark.ttm("TTM-7.1-E-03")
@pytest.mark.devices("ESME")
def test_an_enabled_supply_outlives_a_power_cut(
    served: Served, esme: Esme, bench: Bench, clock: LabClock, consume: Consume, evidence: EvidenceLog
) -> None:
    """SRV 7.1: a supply that was enabled is enabled when power returns."""
    crediting(esme)
    supplying(esme, SupplyState.DISABLED)
    served("7.1", esme)
    power_cut(bench, clock)
    _expect_supply(evidence, esme, consume, SupplyState.ENABLED, "after a power cut")


@pytest.mark.srv("7.3")
@pytest.mark.ttm("TTM-7.3-E-04", "TTM-7.3-G-04")
@pytest.mark.devices("ESME", "GSME")
def test_a_supply_without_credit_is_not_armed(
    declined: Declined, unchanged: Unchanged, meter: Meter, consume: Consume, evidence: EvidenceLog
) -> None:
    """SRV 7.3: what the meter has cut for want of credit no command arms."""
    prepaying(meter)
    put(meter, {"meter_balance": -1})
    evidence.expect("supply", found=meter.supply(), expected=SupplyState.DISABLED)
    with unchanged(meter):
        declined("7.3", meter)
    _expect_supply(evidence, meter, consume, SupplyState.DISABLED, "without credit")


@pytest.mark.srv("7.2")
@pytest.mark.ttm("TTM-7.2-E-01", "TTM-7.2-E-02", "TTM-7.2-G-01", "TTM-7.2-G-02")
@pytest.mark.devices("ESME", "GSME")
def test_supply_is_disabled_and_nothing_flows(
    served: Served, unchanged: Unchanged, meter: Meter, consume: Consume, evidence: EvidenceLog
) -> None:
    """SRV 7.2: the supply is disabled, nothing flows whatever is asked for, and nothing else changes."""
    crediting(meter)
    _expect_supply(evidence, meter, consume, SupplyState.ENABLED, "before the command")
    with unchanged(meter, but=_SUPPLY):
        served("7.2", meter)
    _expect_supply(evidence, meter, consume, SupplyState.DISABLED, "after the command")


@pytest.mark.srv("7.2")
@pytest.mark.ttm("TTM-7.2-E-04", "TTM-7.2-G-04")
@pytest.mark.devices("ESME", "GSME")
def test_disabling_interrupts_what_flows_and_leaves_the_other_fuel(
    served: Served, rig: RigInHand, meter: Meter, bench: Bench, clock: LabClock, evidence: EvidenceLog
) -> None:
    """SRV 7.2: a demand is interrupted at the command, while the other fuel flows on."""
    meters = [device for device in rig.devices.values() if device.device_type is not DeviceType.CH]
    crediting(meter)
    for each in meters:
        demand(each, bench, on=True)
    served("7.2", meter)
    before = {each.device_type: flow_of(each, bench.reference()) for each in meters}
    clock.sleep(QUARTER)
    evidence.expect("contactor or valve", found=meter.read("supply_output"), expected=False)
    for each in meters:
        flowed = flow_of(each, bench.reference()) - before[each.device_type]
        used = Consumption(demand_in(each, QUARTER), flowed, registered=Decimal(0))
        own = each.device_id == meter.device_id
        expect_flow(evidence, f"through the {each.device_type}", used, flows=not own)


@pytest.mark.srv("7.2")
@pytest.mark.ttm("TTM-7.2-E-03", "TTM-7.2-G-03")
@pytest.mark.devices("ESME", "GSME")
def test_a_disabled_supply_outlives_a_power_cut(
    served: Served, meter: Meter, bench: Bench, clock: LabClock, consume: Consume, evidence: EvidenceLog
) -> None:
    """SRV 7.2: a supply that was disabled stays so when power returns."""
    crediting(meter)
    served("7.2", meter)
    power_cut(bench, clock)
    clock.sleep(timedelta(hours=1))  # nor does it come back by itself
    _expect_supply(evidence, meter, consume, SupplyState.DISABLED, "after a power cut")


@pytest.mark.srv("7.3")
@pytest.mark.ttm("TTM-7.3-E-01", "TTM-7.3-E-02", "TTM-7.3-G-01", "TTM-7.3-G-02")
@pytest.mark.devices("ESME", "GSME")
def test_supply_is_armed_and_waits(
    served: Served,
    unchanged: Unchanged,
    meter: Meter,
    bench: Bench,
    clock: LabClock,
    consume: Consume,
    evidence: EvidenceLog,
) -> None:
    """SRV 7.3: a disabled supply is armed and nothing flows yet, also after a power cut."""
    crediting(meter)
    supplying(meter, SupplyState.DISABLED)
    with unchanged(meter, but={"supply_state"}):
        served("7.3", meter)
    _expect_supply(evidence, meter, consume, SupplyState.ARMED, "after the command")
    power_cut(bench, clock)
    _expect_supply(evidence, meter, consume, SupplyState.ARMED, "after a power cut")


@pytest.mark.srv("7.3")
@pytest.mark.ttm("TTM-7.3-E-03", "TTM-7.3-G-03")
@pytest.mark.devices("ESME", "GSME")
def test_a_consumer_enables_an_armed_supply_and_no_other(
    served: Served, meter: Meter, bench: Bench, clock: LabClock, consume: Consume, evidence: EvidenceLog
) -> None:
    """SRV 7.3: the meter's button does nothing while the supply is disabled, and enables it once armed."""
    crediting(meter)
    supplying(meter, SupplyState.DISABLED)
    press_enable(bench, clock, meter)
    _expect_supply(evidence, meter, consume, SupplyState.DISABLED, "when the button is pressed too early")
    served("7.3", meter)
    press_enable(bench, clock, meter)
    _expect_supply(evidence, meter, consume, SupplyState.ENABLED, "when the consumer has enabled it")


@pytest.mark.srv("7.4")
@pytest.mark.ttm("TTM-7.4-E-01", "TTM-7.4-E-02", "TTM-7.4-G-01", "TTM-7.4-G-02")
@pytest.mark.devices("ESME", "GSME")
def test_the_status_read_is_the_meters(
    served: Served, unchanged: Unchanged, meter: Meter, evidence: EvidenceLog
) -> None:
    """SRV 7.4: the status told is the meter's own, in each state, and reading it changes nothing."""
    crediting(meter)
    gas = meter.device_type is DeviceType.GSME
    for state in (SupplyState.DISABLED, SupplyState.ARMED, SupplyState.ENABLED):
        supplying(meter, state)
        before = meter.read("battery_capacity") if gas else None
        with unchanged(meter, events=()):
            status = served("7.4", meter)
        evidence.expect("SupplyState", found=status.text("SupplyState"), expected=meter.supply().value)
        evidence.expect("battery is told", found="Gas/RemainingBatteryCapacity" in status, expected=gas)
        if gas:
            left = status.integer("Gas/RemainingBatteryCapacity")
            evidence.expect_between("days", found=left, low=meter.read("battery_capacity"), high=before)


@pytest.mark.srv("7.4")
@pytest.mark.ttm("TTM-7.4-E-03", "TTM-7.4-G-03")
@pytest.mark.devices("ESME", "GSME")
def test_each_answer_comes_once(
    served: Served, user: ServiceUser, meter: Meter, clock: LabClock, evidence: EvidenceLog
) -> None:
    """SRV 7.4: of several requests each is answered for itself, and no answer comes twice or unasked."""
    clock.sleep(timedelta(minutes=1))
    before = user.strays()
    told = [served("7.4", meter).text("SupplyState") for _ in range(3)]
    clock.sleep(timedelta(minutes=5))
    evidence.expect("states told", found=told, expected=[meter.supply().value] * 3)
    evidence.expect("messages that nobody asked for", found=user.strays(), expected=before)


@pytest.mark.srv("7.2", "7.3", "6.13")
@pytest.mark.ttm("TTM-7.2-E-05", "TTM-7.2-G-05")
@pytest.mark.devices("ESME", "GSME")
def test_disabling_and_arming_are_logged_once_each(
    served: Served, unchanged: Unchanged, meter: Meter
) -> None:
    """SRV 7.2, 7.3: the event log tells each command once, in their order, and nothing else."""
    crediting(meter)
    for srv, event in (("7.2", Event.SUPPLY_DISABLED), ("7.3", Event.SUPPLY_ARMED)):
        with unchanged(meter, but=_SUPPLY, events=[event]):
            served(srv, meter)


@pytest.mark.srv("7.1", "6.13")
@pytest.mark.ttm("TTM-7.1-E-04")
@pytest.mark.devices("ESME")
def test_enabling_is_logged_once(served: Served, unchanged: Unchanged, esme: Esme) -> None:
    """SRV 7.1: the event log tells that the supply was enabled, once, and nothing else."""
    crediting(esme)
    supplying(esme, SupplyState.DISABLED)
    with unchanged(esme, but=_SUPPLY, events=[Event.SUPPLY_ENABLED]):
        served("7.1", esme)
