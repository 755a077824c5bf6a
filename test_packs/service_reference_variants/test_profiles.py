"""Service group 4: half-hourly profiles (SRV 4.8.1, 4.8.2, 4.8.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import pytest

from harness.domain.instruments import Bench, Device, Esme, EvidenceLog, LabClock, LogEntry, Meter, RigInHand
from harness.domain.payload import Payload
from harness.domain.words import DeviceType
from test_packs.arrange import Served, Unchanged, crediting, power_cut
from test_packs.content import expect_content
from test_packs.metering import (
    HALF_HOUR,
    Quantities,
    by_half_hours,
    counted,
    expect_counted,
    expect_sum,
    half_hours,
    let_flow,
    log_period,
    since,
    until_next,
)

pytestmark = pytest.mark.functional_group("4 Meter reading")

_A_LITTLE: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Profile:
    """Where an SRV tells which quantities of a half hour: quantity → path in a LogEntry."""

    srv: str
    places: Mapping[str, str]
    certified: bool = False  # whether its request carries a certificate

    def read(self, served: Served, meter: Device, start: datetime, end: datetime) -> Payload:
        """The response for a period."""
        return served(self.srv, meter, log_period(start, end, certified=self.certified))

    def due(self, rows: Sequence[LogEntry]) -> dict[str, Any]:
        """What the response has to say of rows of the meter's own log."""
        return {"LogEntry": [self._entry(row) for row in rows]}

    def _entry(self, row: LogEntry) -> dict[str, Any]:
        entry: dict[str, Any] = {"Timestamp": row.timestamp}
        for quantity, place in self.places.items():
            outer, _, inner = place.partition("/")
            entry[outer] = {inner: row.values[quantity]} if inner else row.values[quantity]
        return entry

    def rows(self, payload: Payload) -> list[tuple[datetime, Quantities]]:
        """What the response says of each half hour, in its order."""
        return [
            (entry.time("Timestamp"), {name: entry.decimal(place) for name, place in self.places.items()})
            for entry in payload.all("LogEntry")
        ]


def _import(meter: Device) -> Profile:
    if meter.device_type is DeviceType.GSME:
        return Profile("4.8.1", {"gas_volume": "Gas/PrimaryValue"}, certified=True)
    return Profile("4.8.1", {"active_import": "Electricity/PrimaryValue"}, certified=True)


REACTIVE: Final = Profile("4.8.2", {"reactive_import": "ReactiveEnergyImportedValue"})
EXPORT: Final = Profile(
    "4.8.3",
    {"active_export": "ActiveEnergyExportedValue", "reactive_export": "ReactiveEnergyExportedValue"},
)
_DRAWN: Final = (
    (),
    ((7, 4_321, 876), (11, 0, 0), (9, 1_010, 99)),
    ((30, 2_222, 555),),
    (),
    ((1, 5_999, 1_234),),
)
_FED_BACK: Final = tuple(tuple((minutes, -w, -var) for minutes, w, var in pieces) for pieces in _DRAWN)


def _expect_profile(
    evidence: EvidenceLog,
    rig: RigInHand,
    profile: Profile,
    payload: Payload,
    reference: Mapping[datetime, Quantities],
    registered: Quantities,
) -> None:
    """One row for each half hour, in order, of what flowed in it; together what the registers counted."""
    rows = profile.rows(payload)
    evidence.expect("half hours told", found=[end for end, _ in rows], expected=list(reference))
    for end, values in rows:
        expect_counted(evidence, rig, f"half hour to {end:%H:%M}", values, reference[end])
    for quantity in profile.places:
        total = sum((values[quantity] for _, values in rows), Decimal(0))
        expect_sum(evidence, "the profile", quantity, total, registered[quantity])


def _check(
    profile: Profile,
    plan: Any,
    served: Served,
    unchanged: Unchanged,
    rig: RigInHand,
    meter: Device,
    evidence: EvidenceLog,
) -> None:
    """Let flow as planned; the profile told is the meter's own, the bench's and the registers'."""
    bench, clock = rig.bench, rig.clock
    until_next(clock, past=_A_LITTLE)
    before = counted(meter)
    reference = by_half_hours(bench, clock, meter, plan)
    registered = since(before, counted(meter))
    start, end = min(reference), max(reference)
    clock.sleep(_A_LITTLE)
    with unchanged(meter):
        payload = profile.read(served, meter, start, end)
    expect_content(evidence, "the rows of the period", payload, profile.due(meter.log("profile", start, end)))
    _expect_profile(evidence, rig, profile, payload, reference, registered)


@pytest.mark.srv("4.8.1")
@pytest.mark.ttm("TTM-4.8.1-E-01", "TTM-4.8.1-E-02", "TTM-4.8.1-G-01", "TTM-4.8.1-G-02")
@pytest.mark.ttm("TTM-4.8.1-E-03", "TTM-4.8.1-G-03")
@pytest.mark.devices("ESME", "GSME")
def test_each_half_hour_of_import_is_told_once_with_what_flowed(
    served: Served, unchanged: Unchanged, rig: RigInHand, meter: Meter, evidence: EvidenceLog
) -> None:
    """SRV 4.8.1: a row for each half hour with what flowed in it; their sum is what the register counted."""
    crediting(meter)
    _check(_import(meter), _DRAWN, served, unchanged, rig, meter, evidence)


@pytest.mark.srv("4.8.1")
@pytest.mark.ttm("TTM-4.8.1-E-04", "TTM-4.8.1-G-04")
@pytest.mark.devices("ESME", "GSME")
def test_the_import_profile_is_told_for_the_period_asked_for(
    served: Served, unchanged: Unchanged, meter: Meter, clock: LabClock, evidence: EvidenceLog
) -> None:
    """SRV 4.8.1: of a whole day, of an hour and of a moment between rows just the rows in it are told."""
    profile, minute = _import(meter), timedelta(minutes=1)
    midnight = clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
    day = timedelta(days=1)
    for start, end, rows in (
        (midnight - 2 * day + minute, midnight - day + minute, 48),
        (midnight - day + 9 * HALF_HOUR, midnight - day + 11 * HALF_HOUR, 3),  # both ends belong to it
        (midnight - day + 9 * HALF_HOUR + minute, midnight - day + 11 * HALF_HOUR - minute, 1),
        (midnight - day + minute, midnight - day + HALF_HOUR - minute, 0),
        (midnight + 2 * day, midnight + 3 * day, 0),
    ):
        due = meter.log("profile", start, end)
        with unchanged(meter):
            payload = profile.read(served, meter, start, end)
        expect_content(evidence, f"{start:%d %b %H:%M} to {end:%d %b %H:%M}", payload, profile.due(due))
        times = [end for end, _ in profile.rows(payload)]
        expected = half_hours(start - minute, end) if rows else []
        evidence.expect("half hours told", found=times, expected=expected)
        evidence.expect("number of rows", found=len(times), expected=rows)


@pytest.mark.srv("4.8.1")
@pytest.mark.ttm("TTM-4.8.1-E-05", "TTM-4.8.1-G-05")
@pytest.mark.devices("ESME", "GSME")
def test_the_import_profile_has_no_gap_after_a_power_cut(
    served: Served, rig: RigInHand, meter: Meter, bench: Bench, clock: LabClock, evidence: EvidenceLog
) -> None:
    """SRV 4.8.1: rows from before a power cut are kept, and each half hour has its row, sums as counted."""
    crediting(meter)
    profile = _import(meter)
    start, before = until_next(clock), counted(meter)
    flows = let_flow(bench, clock, meter, timedelta(minutes=40), 3_333)
    power_cut(bench, clock, timedelta(minutes=70))
    more = let_flow(bench, clock, meter, timedelta(minutes=20), 2_222)
    end = until_next(clock, past=_A_LITTLE)
    rows = profile.rows(profile.read(served, meter, start + _A_LITTLE, end))
    expected = half_hours(start, end)
    evidence.expect("half hours told", found=[moment for moment, _ in rows], expected=expected)
    registered = since(before, counted(meter))
    for quantity in profile.places:
        total = sum((values[quantity] for _, values in rows), Decimal(0))
        expect_sum(evidence, "the profile", quantity, total, registered[quantity])
        reference = {quantity: flows[quantity] + more[quantity]}
        expect_counted(evidence, rig, "sum of the rows", {quantity: total}, reference)


@pytest.mark.srv("4.8.2")
@pytest.mark.ttm("TTM-4.8.2-E-01", "TTM-4.8.2-E-02", "TTM-4.8.2-E-03")
@pytest.mark.devices("ESME")
def test_each_half_hour_of_reactive_import_is_told_once_with_what_flowed(
    served: Served, unchanged: Unchanged, rig: RigInHand, esme: Esme, evidence: EvidenceLog
) -> None:
    """SRV 4.8.2: a row for each half hour with its reactive energy; their sum is what was counted."""
    crediting(esme)
    _check(REACTIVE, _DRAWN, served, unchanged, rig, esme, evidence)


@pytest.mark.srv("4.8.3")
@pytest.mark.ttm("TTM-4.8.3-E-01", "TTM-4.8.3-E-02", "TTM-4.8.3-E-03")
@pytest.mark.devices("ESME")
def test_each_half_hour_of_export_is_told_once_with_what_flowed_back(
    served: Served, unchanged: Unchanged, rig: RigInHand, esme: Esme, evidence: EvidenceLog
) -> None:
    """SRV 4.8.3: a row for each half hour with active and reactive export; sums are what was counted."""
    crediting(esme)
    _check(EXPORT, _FED_BACK, served, unchanged, rig, esme, evidence)


@pytest.mark.srv("4.8.2", "4.8.3")
@pytest.mark.ttm("TTM-4.8.2-E-04", "TTM-4.8.3-E-04")
@pytest.mark.devices("ESME")
def test_reactive_and_export_profiles_are_told_for_the_period_asked_for(
    served: Served, unchanged: Unchanged, esme: Esme, clock: LabClock, evidence: EvidenceLog
) -> None:
    """SRV 4.8.2, 4.8.3: of a day just its 48 rows are told, of an hour its rows and no other."""
    midnight = clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
    start = midnight - timedelta(days=1)
    for profile in (REACTIVE, EXPORT):
        for end, rows in ((midnight - _A_LITTLE, 48), (start + 2 * HALF_HOUR, 3)):
            with unchanged(esme):
                payload = profile.read(served, esme, start, end)
            due = profile.due(esme.log("profile", start, end))
            expect_content(evidence, f"rows told by SRV {profile.srv}", payload, due)
            times = [moment for moment, _ in profile.rows(payload)]
            evidence.expect("half hours told", found=times, expected=half_hours(start - _A_LITTLE, end))
            evidence.expect("number of rows", found=len(times), expected=rows)
