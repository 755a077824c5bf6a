"""Service group 6: event and security logs (SRV 6.13)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from harness.domain.events import Event
from harness.domain.instruments import Bench, Esme, EvidenceLog, LabClock, LogEntry, Meter
from harness.domain.payload import Payload
from harness.domain.words import DeviceType
from test_packs.arrange import Declined, Served, Unchanged, crediting, power_cut
from test_packs.metering import log_period

pytestmark = pytest.mark.functional_group("6 Device management")

LOGS: Final = {  # LogToRead → the meter's own log
    DeviceType.ESME: {"Event": "event_log", "Security": "security_log", "PowerEvent": "power_event_log"},
    DeviceType.GSME: {"GSMEEvent": "event_log", "GSMESecurity": "security_log"},
}
_BEGINNING: Final = datetime(2014, 1, 1, tzinfo=UTC)
_CAPACITY: Final = 100  # entries that a response has room for
_ELEMENTS: Final = ("Timestamp", "LogCode", "LogMeaning")


def _read(
    served: Served, unchanged: Unchanged, meter: Meter, log: str, start: datetime, end: datetime
) -> Payload:
    with unchanged(meter):
        return served("6.13", meter, log_period(start, end) | {"LogToRead": log})


def _told(payload: Payload) -> list[tuple[datetime, int]]:
    """Time and code of each entry, in the order of the response."""
    return [
        (entry.time("Timestamp"), int(entry.text("LogCode"), 16)) for entry in payload.all("Log/LogEntry")
    ]


def _held(rows: Sequence[LogEntry]) -> list[tuple[datetime, Any]]:
    return [(row.timestamp, row.values["code"]) for row in rows]


def _expect_entries(evidence: EvidenceLog, what: str, payload: Payload, due: Sequence[LogEntry]) -> None:
    """The response tells those rows and no others, each whole and with a meaning."""
    evidence.expect(what, found=_told(payload), expected=_held(due))
    for entry in payload.all("Log/LogEntry"):
        evidence.expect("elements of an entry", found=entry.names(), expected=_ELEMENTS)
        evidence.expect("an entry has a meaning", found=bool(entry.text("LogMeaning")), expected=True)


def _quietly(clock: LabClock) -> datetime:
    """A moment well apart from whatever was logged before."""
    clock.sleep(timedelta(minutes=5))
    return clock.now()


def _cause(meter: Meter, bench: Bench, clock: LabClock) -> None:
    """Something for every log."""
    for open_ in (True, False):
        bench.tamper(meter.device_type, open_)
        clock.sleep(timedelta(seconds=40))
    for command in ("disconnect", "reconnect"):
        meter.perform(command)
        clock.sleep(timedelta(seconds=40))
    power_cut(bench, clock)


@pytest.mark.srv("6.13")
@pytest.mark.ttm("TTM-6.13-E-01", "TTM-6.13-E-02", "TTM-6.13-G-01", "TTM-6.13-G-02")
@pytest.mark.devices("ESME", "GSME")
def test_every_log_is_told_whole_row_by_row(
    served: Served,
    unchanged: Unchanged,
    meter: Meter,
    bench: Bench,
    clock: LabClock,
    evidence: EvidenceLog,
) -> None:
    """SRV 6.13: each log is told as the meter holds it: every row once, in order, with time and code."""
    crediting(meter)
    _cause(meter, bench, clock)
    for log, name in LOGS[meter.device_type].items():
        payload = _read(served, unchanged, meter, log, _BEGINNING, clock.now() + timedelta(days=1))
        rows = meter.log(name)
        evidence.expect(f"the {name} is not empty", found=bool(rows), expected=True)
        _expect_entries(evidence, f"entries of {log}", payload, rows[-_CAPACITY:])


@pytest.mark.srv("6.13")
@pytest.mark.ttm("TTM-6.13-E-03", "TTM-6.13-G-03")
@pytest.mark.devices("ESME", "GSME")
def test_events_just_caused_are_told_once_at_their_time(
    served: Served,
    unchanged: Unchanged,
    meter: Meter,
    bench: Bench,
    clock: LabClock,
    evidence: EvidenceLog,
) -> None:
    """SRV 6.13: covers opened, supply switched, power lost: each is in its log once, when it happened."""
    crediting(meter)
    start = _quietly(clock)
    _cause(meter, bench, clock)
    end = clock.now()
    electricity = meter.device_type is DeviceType.ESME
    switched = (Event.SUPPLY_DISABLED, Event.SUPPLY_ENABLED)
    power = (Event.POWER_LOST, Event.POWER_RESTORED)
    due: dict[str, Iterable[Event]] = {
        "event_log": switched + (power if electricity else ()),
        "security_log": (Event.COVER_OPENED, Event.COVER_CLOSED),
        "power_event_log": power,
    }
    offsets = {  # seconds after the start, by the order in which they were caused
        Event.COVER_OPENED: 0,
        Event.COVER_CLOSED: 40,
        Event.SUPPLY_DISABLED: 80,
        Event.SUPPLY_ENABLED: 120,
        Event.POWER_LOST: 160,
        Event.POWER_RESTORED: 760,
    }
    for log, name in LOGS[meter.device_type].items():
        told = _told(_read(served, unchanged, meter, log, start - timedelta(seconds=1), end))
        evidence.expect(f"events of {log}", found=[code for _, code in told], expected=list(due[name]))
        for moment, code in told:
            happened = start + timedelta(seconds=offsets[Event(code)])
            low, high = happened - timedelta(seconds=2), happened + timedelta(seconds=10)
            evidence.expect_between(f"time of event {code:04X}", found=moment, low=low, high=high)


@pytest.mark.srv("6.13")
@pytest.mark.ttm("TTM-6.13-E-04", "TTM-6.13-G-04")
@pytest.mark.devices("ESME", "GSME")
def test_a_log_is_told_for_the_period_asked_for(
    served: Served,
    unchanged: Unchanged,
    meter: Meter,
    clock: LabClock,
    evidence: EvidenceLog,
) -> None:
    """SRV 6.13: of three events just those in the period asked for are told, and of a time to come none."""
    crediting(meter)
    start = _quietly(clock)
    for command in ("disconnect", "reconnect", "disconnect"):
        meter.perform(command)
        clock.sleep(timedelta(minutes=2))
    meter.perform("reconnect")
    minute, event = timedelta(minutes=1), next(iter(LOGS[meter.device_type]))
    for first, last, count in ((-1, 5, 3), (1, 3, 1), (1, 5, 2), (-1, 1, 1), (2_000, 4_000, 0)):
        begin, end = start + first * minute, start + last * minute
        payload = _read(served, unchanged, meter, event, begin, end)
        rows = meter.log("event_log", begin, end)
        evidence.expect(f"number of entries, minutes {first} to {last}", found=len(rows), expected=count)
        _expect_entries(evidence, f"entries, minutes {first} to {last}", payload, rows)


@pytest.mark.srv("6.13")
@pytest.mark.ttm("TTM-6.13-E-05", "TTM-6.13-G-05")
@pytest.mark.devices("ESME", "GSME")
def test_a_log_that_the_meter_does_not_have_is_declined(
    declined: Declined, unchanged: Unchanged, meter: Meter, clock: LabClock
) -> None:
    """SRV 6.13: the other fuel's log, and one of auxiliary switches, are declined."""
    electricity = meter.device_type is DeviceType.ESME
    for log in ("GSMEEvent" if electricity else "Event", "ALCSEvent"):
        with unchanged(meter):
            declined("6.13", meter, log_period(_BEGINNING, clock.now()) | {"LogToRead": log})


@pytest.mark.srv("6.13")
@pytest.mark.ttm("TTM-6.13-E-06")
@pytest.mark.devices("ESME")
def test_power_events_are_told_in_pairs(
    served: Served, unchanged: Unchanged, esme: Esme, bench: Bench, clock: LabClock, evidence: EvidenceLog
) -> None:
    """SRV 6.13: two power cuts are two losses and two returns in the power event log, each at its time."""
    start = _quietly(clock)
    due = []
    for minutes in (3, 45):
        due.append((clock.now(), Event.POWER_LOST))
        due.append((clock.now() + timedelta(minutes=minutes), Event.POWER_RESTORED))
        power_cut(bench, clock, timedelta(minutes=minutes))
    told = _told(_read(served, unchanged, esme, "PowerEvent", start - timedelta(seconds=1), clock.now()))
    evidence.expect("power events", found=[code for _, code in told], expected=[code for _, code in due])
    for (moment, _), (happened, _) in zip(told, due, strict=True):
        low, high = happened - timedelta(seconds=2), happened + timedelta(seconds=10)
        evidence.expect_between("time of a power event", found=moment, low=low, high=high)
