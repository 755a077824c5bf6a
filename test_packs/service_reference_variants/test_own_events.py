"""Service group 6: what a meter does by itself is in its event log, and alerted where due (SRV 6.13)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import pytest

from harness.domain.events import Event
from harness.domain.instruments import Bench, Esme, EvidenceLog, Gsme, LabClock, Meter, ServiceUser
from harness.domain.words import SupplyState
from test_packs.arrange import (
    GBP,
    AlertWatch,
    Served,
    crediting,
    prepaying,
    press_enable,
    put,
    supplying,
    watch_alerts,
)
from test_packs.metering import log_period, until_next

pytestmark = pytest.mark.functional_group("6 Device management")

_ARRANGING: Final = {Event.CONFIGURATION_CHANGED, Event.TARIFF_CHANGED, Event.BILLING_DATA_CAPTURED}
_TOLD_AS: Final = {"ESME": "Event", "GSME": "GSMEEvent"}
_TEN_MINUTES: Final = timedelta(minutes=10)
_ALERTED: Final = {
    Event.CREDIT_LOW,
    Event.CREDIT_EXHAUSTED,
    Event.EMERGENCY_CREDIT_EXHAUSTED,
    Event.LOAD_LIMITED,
    Event.LOAD_LIMIT_EXCEEDED,
    Event.VOLTAGE_HIGH,
    Event.VOLTAGE_LOW,
    Event.UNCONTROLLED_FLOW,
}


def _expect_own(
    evidence: EvidenceLog, served: Served, meter: Meter, watch: AlertWatch, due: Sequence[Event]
) -> None:
    """Those events and no other were logged, in that order, and are told so; those alerts came, no other."""
    watch.clock.sleep(timedelta(minutes=1))
    end = watch.clock.now()
    rows = meter.log("event_log", watch.since, end)
    own = [row.values["code"] for row in rows if row.values["code"] not in _ARRANGING]
    evidence.expect("events logged", found=own, expected=list(due))
    body = log_period(watch.since, end) | {"LogToRead": _TOLD_AS[meter.device_type]}
    entries = served("6.13", meter, body).all("Log/LogEntry")
    told = [int(entry.text("LogCode"), 16) for entry in entries]
    evidence.expect("events told", found=told, expected=[row.values["code"] for row in rows])
    alerts = [alert.code for alert in watch.all()]
    expected = [event.alert for event in due if event in _ALERTED]
    evidence.expect("alerts", found=alerts, expected=expected)


@pytest.mark.srv("6.13")
@pytest.mark.ttm("TTM-6.13-E-07", "TTM-6.13-G-07")
@pytest.mark.devices("ESME", "GSME")
def test_what_credit_brings_about_is_logged_and_alerted_once(
    served: Served, user: ServiceUser, meter: Meter, bench: Bench, clock: LabClock, evidence: EvidenceLog
) -> None:
    """SRV 6.13: low credit, its end, a supply armed and enabled again, emergency credit: once each."""
    prepaying(meter, balance=5 * GBP, low_credit_threshold=2 * GBP)
    watch = watch_alerts(user, clock, meter)
    for balance in (GBP, -GBP, 5 * GBP):  # low, then none, then ample
        put(meter, {"meter_balance": balance})
        clock.sleep(timedelta(seconds=30))
    press_enable(bench, clock, meter)
    evidence.expect("supply", found=meter.supply(), expected=SupplyState.ENABLED)
    put(meter, {"meter_balance": GBP // 2})
    clock.sleep(timedelta(seconds=30))
    meter.perform("activate_emergency_credit")
    put(meter, {"emergency_credit_balance": 0})
    due = (
        Event.CREDIT_LOW,
        Event.CREDIT_EXHAUSTED,
        Event.ARMED_BY_METER,
        Event.ENABLED_LOCALLY,
        Event.CREDIT_LOW,
        Event.EMERGENCY_CREDIT_ACTIVATED,
        Event.EMERGENCY_CREDIT_EXHAUSTED,
    )
    _expect_own(evidence, served, meter, watch, due)


@pytest.mark.srv("6.13")
@pytest.mark.ttm("TTM-6.13-E-08")
@pytest.mark.devices("ESME")
def test_what_load_and_voltage_bring_about_is_logged_and_alerted_once(
    served: Served, user: ServiceUser, esme: Esme, bench: Bench, clock: LabClock, evidence: EvidenceLog
) -> None:
    """SRV 6.13: a load and a voltage beyond their limits: once each, in order, and nothing else."""
    crediting(esme)
    limits = {"load_limit_threshold": 1_000, "load_limit_period": 20, "load_limit_restoration_period": 30}
    put(esme, limits | {"average_rms_voltage_period": int(_TEN_MINUTES.total_seconds())})
    until_next(clock, _TEN_MINUTES)
    watch = watch_alerts(user, clock, esme)
    for state in ("Unchanged", "Disable"):
        put(esme, {"load_limit_supply_state": state})
        bench.load(2_000)
        clock.sleep(timedelta(minutes=1))
        bench.load(0)
    press_enable(bench, clock, esme)
    for volts in (259.0, 201.0):
        until_next(clock, _TEN_MINUTES)
        bench.voltage(volts)
        until_next(clock, _TEN_MINUTES)
        bench.voltage(230.0)
        until_next(clock, _TEN_MINUTES)
    due = (
        Event.LOAD_LIMIT_EXCEEDED,
        Event.LOAD_LIMITED,
        Event.ARMED_BY_METER,
        Event.ENABLED_LOCALLY,
        Event.VOLTAGE_HIGH,
        Event.VOLTAGE_LOW,
    )
    _expect_own(evidence, served, esme, watch, due)


@pytest.mark.srv("6.13")
@pytest.mark.ttm("TTM-6.13-G-08")
@pytest.mark.devices("GSME")
def test_what_a_leak_brings_about_is_logged_and_alerted_once(
    served: Served, user: ServiceUser, gsme: Gsme, bench: Bench, clock: LabClock, evidence: EvidenceLog
) -> None:
    """SRV 6.13: a supply enabled locally while gas flows, and the valve that closes for it: once each."""
    crediting(gsme)
    put(gsme, {"uncontrolled_gas_flow_rate": "0.050"})
    supplying(gsme, SupplyState.ARMED)
    watch = watch_alerts(user, clock, gsme)
    bench.gas_flow(1_000)
    press_enable(bench, clock, gsme)
    bench.gas_flow(0)
    evidence.expect("supply", found=gsme.supply(), expected=SupplyState.DISABLED)
    _expect_own(evidence, served, gsme, watch, (Event.ENABLED_LOCALLY, Event.UNCONTROLLED_FLOW))
