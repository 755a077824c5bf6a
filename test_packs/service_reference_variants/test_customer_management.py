"""Service group 3: change of tenancy and the event log (SRV 3.2, 3.3)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

import pytest

from harness.domain.events import Event
from harness.domain.instruments import Bench, EvidenceLog, LabClock, LogEntry, Meter
from harness.domain.words import DeviceType
from test_packs.arrange import Served, Unchanged, crediting, from_now, power_cut

pytestmark = pytest.mark.functional_group("3 Customer management")

_LOGS: Final[Mapping[DeviceType, tuple[str, ...]]] = {
    DeviceType.ESME: (
        "profile",
        "daily_read_log",
        "billing_data_log",
        "tariff_change_log",
        "voltage_profile",
        "power_event_log",
    ),
    DeviceType.GSME: ("profile", "daily_read_log", "billing_data_log", "tariff_change_log"),
}


def _logs(meter: Meter, since: datetime, until: datetime) -> dict[str, tuple[LogEntry, ...]]:
    """Everything but events that the meter's logs hold of a time."""
    return {name: meter.log(name, since, until) for name in _LOGS[meter.device_type]}


@pytest.mark.srv("3.2")
@pytest.mark.ttm("TTM-3.2-E-01", "TTM-3.2-E-02", "TTM-3.2-G-01", "TTM-3.2-G-02")
@pytest.mark.devices("ESME", "GSME")
def test_access_is_restricted_from_the_moment_sent(
    served: Served, unchanged: Unchanged, meter: Meter, clock: LabClock, evidence: EvidenceLog
) -> None:
    """SRV 3.2: the meter holds the moment of the change of tenancy sent, and nothing else changes."""
    moment = (clock.now() - timedelta(days=3, hours=5)).replace(microsecond=0)
    with unchanged(meter, but={"access_restricted_before"}):
        served("3.2", meter, {"RestrictionDateTime": f"{moment:%Y-%m-%dT%H:%M:%SZ}"})
    held = meter.read("access_restricted_before")
    evidence.expect("moment before which access is restricted", found=held, expected=moment)


@pytest.mark.srv("3.2")
@pytest.mark.ttm("TTM-3.2-E-03", "TTM-3.2-G-03")
@pytest.mark.devices("ESME", "GSME")
def test_a_restriction_outlives_a_power_cut_and_erases_nothing(
    served: Served, meter: Meter, bench: Bench, clock: LabClock, evidence: EvidenceLog
) -> None:
    """SRV 3.2: the restriction stays over a power cut, and the logs that the supplier bills by stay whole."""
    now = clock.now().replace(microsecond=0)
    before = _logs(meter, now - timedelta(days=10), now)
    from_now(clock)
    served("3.2", meter, {"RestrictionDateTime": f"{now - timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}"})
    power_cut(bench, clock)
    held = meter.read("access_restricted_before")
    evidence.expect("moment after a power cut", found=held, expected=now - timedelta(days=1))
    for name, rows in _logs(meter, now - timedelta(days=10), now).items():
        evidence.expect(f"rows of the {name}", found=rows, expected=before[name])


@pytest.mark.srv("3.3", "6.13")
@pytest.mark.ttm("TTM-3.3-E-01", "TTM-3.3-E-02", "TTM-3.3-G-01", "TTM-3.3-G-02")
@pytest.mark.devices("ESME", "GSME")
def test_the_event_log_is_emptied_and_goes_on(
    served: Served, unchanged: Unchanged, meter: Meter, bench: Bench, clock: LabClock, evidence: EvidenceLog
) -> None:
    """SRV 3.3: the event log is emptied, no other log is, the clearing is told once, and new events come."""
    crediting(meter, balance=1_000)
    meter.perform("adjust_balance", 1)
    start = from_now(clock)
    assert meter.log("event_log"), "the event log tells nothing of what was done, so clearing proves nothing"
    kept = _logs(meter, start - timedelta(days=10), start)
    security = meter.log("security_log")
    electricity = meter.device_type is DeviceType.ESME
    with unchanged(meter):
        served("3.3", meter, {"ESMEEventLogType": "ESME"} if electricity else None)
    cleared = int(Event.EVENT_LOG_CLEARED)
    left = [row.values["code"] for row in meter.log("event_log")]
    after = meter.log("security_log")
    told = [row.values["code"] for row in after[len(security) :]]
    evidence.expect("events left", found=[code for code in left if code != cleared], expected=[])
    evidence.expect("the clearing is told", found=left + told, expected=[cleared])
    evidence.expect("earlier security events", found=after[: len(security)], expected=security)
    evidence.expect("other logs", found=_logs(meter, start - timedelta(days=10), start), expected=kept)
    _expect_new_events(meter, bench, clock, evidence)


def _expect_new_events(meter: Meter, bench: Bench, clock: LabClock, evidence: EvidenceLog) -> None:
    """An event after the clearing is kept, over a power cut, with its own time; no old one comes back."""
    start = from_now(clock)
    meter.perform("adjust_balance", 1)
    now = clock.now()
    from_now(clock)
    power_cut(bench, clock)
    rows = meter.log("event_log")
    codes = [row.values["code"] for row in rows if start <= row.timestamp <= now]
    evidence.expect("events since", found=codes, expected=[int(Event.BALANCE_CHANGED)])
    old = [row for row in rows if row.timestamp < start and row.values["code"] != Event.EVENT_LOG_CLEARED]
    evidence.expect("events of before", found=old, expected=[])
