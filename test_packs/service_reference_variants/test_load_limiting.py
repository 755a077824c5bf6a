"""Service groups 4 and 6: load limiting, its settings and its counter (SRV 4.15, 6.4.1, 6.4.2)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

import pytest

from harness.domain.events import Event
from harness.domain.instruments import Bench, Esme, EvidenceLog, LabClock, ServiceUser
from harness.domain.words import SupplyState
from test_packs.arrange import (
    AlertWatch,
    Served,
    Unchanged,
    crediting,
    power_cut,
    press_enable,
    put,
    watch_alerts,
)
from test_packs.content import expect_content
from test_packs.metering import flowed, since

pytestmark = pytest.mark.functional_group("6 Device management")

_SETTINGS: Final = {
    "LoadLimitPeriod": "load_limit_period",
    "LoadLimitPowerThreshold": "load_limit_threshold",
    "LoadLimitRestorationPeriod": "load_limit_restoration_period",
    "LoadLimitSupplyState": "load_limit_supply_state",
}
LIMIT: Final = {  # 3 kW for a minute; two minutes until the supply may be enabled again
    "LoadLimitPeriod": 60,
    "LoadLimitPowerThreshold": 3_000,
    "LoadLimitRestorationPeriod": 120,
    "LoadLimitSupplyState": "Disable",
}


def _held(body: dict[str, Any]) -> dict[str, Any]:
    return {_SETTINGS[element]: value for element, value in body.items()}


@pytest.mark.srv("6.4.1")
@pytest.mark.ttm("TTM-6.4.1-E-01", "TTM-6.4.1-E-02")
@pytest.mark.devices("ESME")
def test_load_limiting_settings_are_held(
    served: Served,
    unchanged: Unchanged,
    esme: Esme,
    bench: Bench,
    clock: LabClock,
    evidence: EvidenceLog,
) -> None:
    """SRV 6.4.1: threshold, both periods and the supply state are held, over a power cut too."""
    crediting(esme)
    for state in ("Disable", "Unchanged"):
        body = {
            "LoadLimitPeriod": 47,
            "LoadLimitPowerThreshold": 12_345,
            "LoadLimitRestorationPeriod": 1_801,
            "LoadLimitSupplyState": state,
        }
        with unchanged(esme, but=_SETTINGS.values()):
            served("6.4.1", esme, body)
        for when in ("at once", "after a power cut"):
            due = _held(body)
            evidence.expect(f"settings {when}", found=dict(esme.read_many(tuple(due))), expected=due)
            power_cut(bench, clock)


@pytest.mark.srv("6.4.1")
@pytest.mark.ttm("TTM-6.4.1-E-03")
@pytest.mark.devices("ESME")
def test_the_supply_is_cut_when_the_limit_is_passed_for_its_period(
    served: Served,
    user: ServiceUser,
    esme: Esme,
    bench: Bench,
    clock: LabClock,
    evidence: EvidenceLog,
) -> None:
    """SRV 6.4.1: more than the threshold, for the period and no sooner, cuts the supply with one alert."""
    crediting(esme)
    served("6.4.1", esme, LIMIT)
    alerts, counter = watch_alerts(user, clock, esme), esme.read("load_limit_counter")
    for load, seconds in ((2_990, 600), (3_500, 50), (500, 30), (3_500, 55)):
        bench.load(load)
        clock.sleep(timedelta(seconds=seconds))
        _expect_supply(evidence, esme, f"after {seconds} s of {load} W", SupplyState.ENABLED)
    evidence.expect("alerts so far", found=alerts.all(), expected=())
    clock.sleep(timedelta(seconds=10))
    _expect_supply(evidence, esme, "when the period is over", SupplyState.DISABLED)
    before = flowed(bench, esme)
    alerts.expect_once(evidence, Event.LOAD_LIMITED)
    _expect_count(evidence, esme, alerts, counter + 1, Event.LOAD_LIMITED)
    _expect_supply(evidence, esme, "within the restoration period", SupplyState.DISABLED)
    clock.sleep(timedelta(seconds=75))  # with the minute of watching, past the restoration period
    _expect_supply(evidence, esme, "when it may be enabled again", SupplyState.ARMED)
    evidence.expect_between(
        "Wh that flowed meanwhile", found=since(before, flowed(bench, esme))["active_import"], low=0, high=0
    )
    bench.load(1_000)
    press_enable(bench, clock, esme)
    _expect_supply(evidence, esme, "enabled by the consumer", SupplyState.ENABLED)
    drawn = esme.read("active_power_import")
    evidence.expect_between("power drawn, W", found=drawn, low=1, high=2_000)


def _expect_supply(evidence: EvidenceLog, esme: Esme, when: str, state: SupplyState) -> None:
    found = dict(esme.read_many(("supply_state", "supply_output")))
    expected = {"supply_state": state, "supply_output": state is SupplyState.ENABLED}
    evidence.expect(f"supply {when}", found=found, expected=expected)


def _expect_count(evidence: EvidenceLog, esme: Esme, alerts: AlertWatch, count: int, event: Event) -> None:
    evidence.expect("load limit counter", found=esme.read("load_limit_counter"), expected=count)
    evidence.expect("alerts", found=[alert.code for alert in alerts.all()], expected=[event.alert])


@pytest.mark.srv("6.4.1")
@pytest.mark.ttm("TTM-6.4.1-E-04")
@pytest.mark.devices("ESME")
def test_the_supply_stays_on_where_the_limit_is_only_counted(
    served: Served,
    user: ServiceUser,
    esme: Esme,
    bench: Bench,
    clock: LabClock,
    evidence: EvidenceLog,
) -> None:
    """SRV 6.4.1: with the supply state Unchanged a passed limit is counted and alerted once, and no more."""
    crediting(esme)
    served("6.4.1", esme, LIMIT | {"LoadLimitSupplyState": "Unchanged"})
    alerts, counter = watch_alerts(user, clock, esme), esme.read("load_limit_counter")
    bench.load(3_500)
    clock.sleep(timedelta(minutes=5))
    _expect_supply(evidence, esme, "after five minutes above the limit", SupplyState.ENABLED)
    bench.load(0)
    alerts.expect_once(evidence, Event.LOAD_LIMIT_EXCEEDED)
    _expect_count(evidence, esme, alerts, counter + 1, Event.LOAD_LIMIT_EXCEEDED)


@pytest.mark.srv("4.15")
@pytest.mark.ttm("TTM-4.15-E-01", "TTM-4.15-E-02", "TTM-4.15-E-03")
@pytest.mark.functional_group("4 Meter reading")
@pytest.mark.devices("ESME")
def test_load_limit_data_are_told_and_the_counter_has_counted(
    served: Served,
    unchanged: Unchanged,
    esme: Esme,
    bench: Bench,
    clock: LabClock,
    evidence: EvidenceLog,
) -> None:
    """SRV 4.15: settings are told as held, and the counter has counted each time the limit was passed."""
    crediting(esme)
    body = LIMIT | {"LoadLimitSupplyState": "Unchanged", "LoadLimitPeriod": 30}
    put(esme, _held(body) | {"load_limit_counter": 7})
    for passed in range(3):
        with unchanged(esme):
            payload = served("4.15", esme)
        expect_content(evidence, "load limit data", payload, body | {"LoadLimitCounterValue": 7 + passed})
        bench.load(3_600)
        clock.sleep(timedelta(seconds=45))
        bench.load(100)
        clock.sleep(timedelta(seconds=45))
    put(esme, {"load_limit_supply_state": "Disable"})
    bench.load(0)
    power_cut(bench, clock)
    due = body | {"LoadLimitSupplyState": "Disable", "LoadLimitCounterValue": 10}
    expect_content(evidence, "load limit data after a power cut", served("4.15", esme), due)


@pytest.mark.srv("6.4.2")
@pytest.mark.ttm("TTM-6.4.2-E-01", "TTM-6.4.2-E-02", "TTM-6.4.2-E-03")
@pytest.mark.devices("ESME")
def test_the_load_limit_counter_starts_anew(
    served: Served,
    unchanged: Unchanged,
    esme: Esme,
    bench: Bench,
    clock: LabClock,
    evidence: EvidenceLog,
) -> None:
    """SRV 6.4.2: the counter, and nothing else, is reset, stays so over a power cut, and counts on from 0."""
    crediting(esme)
    put(esme, _held(LIMIT | {"LoadLimitSupplyState": "Unchanged"}) | {"load_limit_counter": 31})
    with unchanged(esme, but={"load_limit_counter"}):
        served("6.4.2", esme)
    for when in ("at once", "after a power cut"):
        evidence.expect(f"counter {when}", found=esme.read("load_limit_counter"), expected=0)
        power_cut(bench, clock)
    bench.load(3_500)
    clock.sleep(timedelta(seconds=90))
    evidence.expect("counter, limit passed", found=esme.read("load_limit_counter"), expected=1)
