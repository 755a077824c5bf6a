"""Service groups 4 and 6: voltage, its settings, counters and profile (SRV 4.10, 6.2.1, 6.5)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import pytest

from harness.domain.events import Event
from harness.domain.instruments import Bench, Esme, EvidenceLog, LabClock, LogEntry, RigInHand, ServiceUser
from test_packs.arrange import Served, Unchanged, crediting, power_cut, put, watch_alerts
from test_packs.content import expect_content
from test_packs.metering import half_hours, log_period, tolerance, until_next

pytestmark = pytest.mark.functional_group("6 Device management")

_A_LITTLE: Final = timedelta(minutes=1)
_COUNTERS: Final = ("average_rms_over_voltage_counter", "average_rms_under_voltage_counter")
_RMS: Final = {
    "RMSExtremeOverVoltageMeasurementPeriod": ("rms_extreme_over_voltage_period", 41),
    "RMSExtremeOverVoltageThreshold": ("rms_extreme_over_voltage_threshold", 267),
    "RMSExtremeUnderVoltageMeasurementPeriod": ("rms_extreme_under_voltage_period", 43),
    "RMSExtremeUnderVoltageThreshold": ("rms_extreme_under_voltage_threshold", 191),
    "RMSVoltageSagMeasurementPeriod": ("rms_voltage_sag_period", 7),
    "RMSVoltageSagThreshold": ("rms_voltage_sag_threshold", 181),
    "RMSVoltageSwellMeasurementPeriod": ("rms_voltage_swell_period", 9),
    "RMSVoltageSwellThreshold": ("rms_voltage_swell_threshold", 279),
}
_AVERAGE: Final = {
    "AverageRMSOverVoltageThreshold": ("average_rms_over_voltage_threshold", 249),
    "AverageRMSUnderVoltageThreshold": ("average_rms_under_voltage_threshold", 219),
}
_PERIOD: Final = {"AverageRMSVoltageMeasurementPeriod": ("average_rms_voltage_period", 600)}


def _values(settings: Mapping[str, tuple[str, int]]) -> dict[str, int]:
    return {element: value for element, (_, value) in settings.items()}


def _update(**average: int) -> dict[str, Any]:
    """SRV 6.5 with the values above, or with other averages."""
    return {
        "RMSVoltageSettings": _values(_RMS),
        "SinglePhaseVoltageSettings": _values(_AVERAGE | _PERIOD) | average,
    }


@pytest.mark.srv("6.2.1")
@pytest.mark.ttm("TTM-6.2.1-E-01", "TTM-6.2.1-E-02")
@pytest.mark.devices("ESME")
def test_voltage_settings_are_told_each_in_its_place(
    served: Served, unchanged: Unchanged, esme: Esme, evidence: EvidenceLog
) -> None:
    """SRV 6.2.1: each of the ten voltage thresholds and periods is told as the meter holds it."""
    put(esme, dict((_RMS | _AVERAGE).values()))
    with unchanged(esme):
        payload = served("6.2.1", esme)
    due = {"SinglePhaseVoltageSettings": _values(_AVERAGE), "RMSVoltageSettings": _values(_RMS)}
    expect_content(evidence, "voltage settings", payload, due)


@pytest.mark.srv("6.5")
@pytest.mark.ttm("TTM-6.5-E-01", "TTM-6.5-E-02")
@pytest.mark.devices("ESME")
def test_voltage_settings_are_held_and_counters_reset_as_asked(
    served: Served,
    unchanged: Unchanged,
    esme: Esme,
    bench: Bench,
    clock: LabClock,
    evidence: EvidenceLog,
) -> None:
    """SRV 6.5: all settings sent are held, over a power cut too; counters are reset unless asked not to."""
    due = dict((_RMS | _AVERAGE | _PERIOD).values())
    put(esme, {_COUNTERS[0]: 17, _COUNTERS[1]: 23})
    with unchanged(esme, but=due):
        served("6.5", esme, _update() | {"RMSVoltageCountersNotReset": None})
    evidence.expect("settings held", found=dict(esme.read_many(tuple(due))), expected=due)
    again = due | {"average_rms_over_voltage_threshold": 251}
    with unchanged(esme, but={"average_rms_over_voltage_threshold", *_COUNTERS}):
        served("6.5", esme, _update(AverageRMSOverVoltageThreshold=251))
    again |= dict.fromkeys(_COUNTERS, 0)
    for when in ("at once", "after a power cut"):
        found = dict(esme.read_many(tuple(again)))
        evidence.expect(f"settings and counters {when}", found=found, expected=again)
        power_cut(bench, clock)


@pytest.mark.srv("6.5")
@pytest.mark.ttm("TTM-6.5-E-03")
@pytest.mark.devices("ESME")
def test_voltage_beyond_the_thresholds_sent_is_counted_and_alerted_once(
    served: Served,
    user: ServiceUser,
    esme: Esme,
    bench: Bench,
    clock: LabClock,
    evidence: EvidenceLog,
) -> None:
    """SRV 6.5: averages of the period sent beyond the thresholds sent are each counted; one alert each."""
    crediting(esme)
    served("6.5", esme, _update())  # 219 V to 249 V, over ten minutes
    period = timedelta(seconds=600)
    for volts, event in (
        (Decimal("248.5"), None),
        (Decimal("249.5"), Event.VOLTAGE_HIGH),
        (Decimal("219.5"), None),
        (Decimal("218.5"), Event.VOLTAGE_LOW),
    ):
        until_next(clock, period)
        alerts, before = watch_alerts(user, clock, esme), esme.read_many(_COUNTERS)
        bench.voltage(float(volts))
        until_next(clock, period)
        until_next(clock, period)
        bench.voltage(230.0)
        counters = zip(_COUNTERS, (Event.VOLTAGE_HIGH, Event.VOLTAGE_LOW), strict=True)
        due = {name: before[name] + (2 if event is own else 0) for name, own in counters}
        evidence.expect(f"counters at {volts} V", found=dict(esme.read_many(_COUNTERS)), expected=due)
        raised = [alert.code for alert in alerts.all()]
        evidence.expect(f"alerts at {volts} V", found=raised, expected=[event.alert] if event else [])
        if event is not None:
            alerts.expect_once(evidence, event)


@pytest.mark.srv("4.10")
@pytest.mark.ttm("TTM-4.10-E-01", "TTM-4.10-E-02", "TTM-4.10-E-03")
@pytest.mark.functional_group("4 Meter reading")
@pytest.mark.devices("ESME")
def test_the_voltage_profile_is_what_the_mains_had(
    served: Served,
    unchanged: Unchanged,
    rig: RigInHand,
    esme: Esme,
    bench: Bench,
    clock: LabClock,
    evidence: EvidenceLog,
) -> None:
    """SRV 4.10: each half hour's average is that of the mains; counters and period are told as held."""
    crediting(esme)
    put(esme, {"average_rms_voltage_period": 1_800, _COUNTERS[0]: 12, _COUNTERS[1]: 34})
    start = until_next(clock)
    plan = (
        ((30, "231.0"),),
        ((10, "224.0"), (20, "239.0")),
        ((15, "245.0"), (15, "220.5")),
        ((30, "228.8"),),
    )
    for pieces in plan:
        for minutes, volts in pieces:
            bench.voltage(float(volts))
            clock.sleep(timedelta(minutes=minutes))
    power_cut(bench, clock)
    end = clock.now()
    payload = _network_data(served, unchanged, evidence, esme, start + _A_LITTLE, end)
    entries = payload.all("Electricity/SinglePhaseESME/AvgRMSVoltageProfileDataLog/LogEntry")
    averages = [sum(Decimal(volts) * minutes for minutes, volts in pieces) / Decimal(30) for pieces in plan]
    times = [entry.time("Timestamp") for entry in entries]
    evidence.expect("half hours told", found=times, expected=half_hours(start, end))
    margin = Decimal("0.05") + 240 * tolerance(rig)
    for entry, average in zip(entries, averages, strict=True):
        evidence.expect_between(
            f"V in the half hour to {entry.time('Timestamp'):%H:%M}",
            found=entry.decimal("Value"),
            low=average - margin,
            high=average + margin,
        )


@pytest.mark.srv("4.10")
@pytest.mark.ttm("TTM-4.10-E-04")
@pytest.mark.functional_group("4 Meter reading")
@pytest.mark.devices("ESME")
def test_network_data_is_told_for_the_period_asked_for(
    served: Served, unchanged: Unchanged, esme: Esme, clock: LabClock, evidence: EvidenceLog
) -> None:
    """SRV 4.10: of a time behind, and of one to come, just the averages in it are told."""
    now = clock.now()
    rows = esme.log("voltage_profile", now - timedelta(days=3), now - timedelta(days=1))
    for wanted in (rows, rows[5:8], rows[9:10]):
        start, end = wanted[0].timestamp, wanted[-1].timestamp
        _network_data(served, unchanged, evidence, esme, start, end, wanted)
    _network_data(served, unchanged, evidence, esme, now + _A_LITTLE, now + timedelta(days=1), ())


def _network_data(
    served: Served,
    unchanged: Unchanged,
    evidence: EvidenceLog,
    esme: Esme,
    start: datetime,
    end: datetime,
    wanted: Iterable[LogEntry] | None = None,
) -> Any:
    """SRV 4.10, which tells what the meter's own log has of the period."""
    with unchanged(esme):
        payload = served("4.10", esme, log_period(start, end, certified=True))
    rows = esme.log("voltage_profile", start, end) if wanted is None else wanted
    held = esme.read_many((*_COUNTERS, "average_rms_voltage_period"))
    entries = [{"Value": row.values["voltage"], "Timestamp": row.timestamp} for row in rows]
    content = {
        "AvgRMSOverVoltageCounter": {"Value": held[_COUNTERS[0]]},
        "AvgRMSUnderVoltageCounter": {"Value": held[_COUNTERS[1]]},
        "AvgRMSVoltageProfileDataLog": {
            "LogEntry": entries,
            "MeasurementPeriod": held["average_rms_voltage_period"],
        },
    }
    due = {"Electricity": {"SinglePhaseESME": content}}
    expect_content(evidence, f"{start:%d %b %H:%M} to {end:%d %b %H:%M}", payload, due)
    return payload
