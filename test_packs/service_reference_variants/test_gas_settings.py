"""Service group 6: gas conversion and gas flow (SRV 6.6, 6.7)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

import pytest

from harness.domain.events import Event
from harness.domain.instruments import Bench, EvidenceLog, Gsme, LabClock, ServiceUser
from harness.domain.words import DeviceType, SupplyState
from test_packs.arrange import (
    Served,
    Unchanged,
    crediting,
    expect_held,
    one_price,
    power_cut,
    prepaying,
    supplying,
    watch_alerts,
)
from test_packs.metering import flowed, let_flow, since

pytestmark = pytest.mark.functional_group("6 Device management")

QUARTER: Final = timedelta(minutes=15)


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
        expect_held(evidence, gsme, "at once", due)
        _expect_conversion(evidence, gsme, bench, clock, due, price)
    power_cut(bench, clock)
    expect_held(evidence, gsme, "after a power cut", due)
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
        expect_held(evidence, gsme, "at once", due)
    power_cut(bench, clock)
    expect_held(evidence, gsme, "after a power cut", due)


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
