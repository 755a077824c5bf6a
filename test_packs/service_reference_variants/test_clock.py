"""Service group 6: the meter's clock (SRV 6.11)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final

import pytest

from harness.domain.events import Event
from harness.domain.instruments import Bench, EvidenceLog, LabClock, Meter, RigInHand
from harness.domain.payload import Payload
from harness.domain.words import DeviceType
from test_packs.arrange import Declined, Served, Unchanged, crediting, power_cut
from test_packs.content import expect_content
from test_packs.metering import by_half_hours, counted, expect_counted, since, until_next

pytestmark = pytest.mark.functional_group("6 Device management")

_RIGHT: Final = timedelta(seconds=2)  # how far a meter's clock may be off once it was set
_OFF: Final = (timedelta(minutes=-3), timedelta(minutes=4, seconds=20))
_A_LITTLE: Final = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def clock_put_right(meter: Meter, clock: LabClock) -> Iterator[None]:
    """Sets the meter's clock right again, on a whole second, through the lab's management access."""
    yield
    clock.sleep(timedelta(microseconds=1_000_000 - clock.now().microsecond))
    meter.write("clock", clock.now())


def synchronise(meter: Meter, now: datetime) -> dict[str, Any]:
    """SRV 6.11 for the time now; a gas meter hears of it up to half an hour later."""
    tolerance = 300 if meter.device_type is DeviceType.ESME else 3_600
    return {"CurrentDateTime": now, "TolerancePeriod": tolerance}


def _put_off(meter: Meter, clock: LabClock, offset: timedelta) -> None:
    """Make the meter's clock wrong, well within a half hour."""
    until_next(clock, past=timedelta(minutes=8))
    meter.write("clock", clock.now() + offset)


def _expect_clock(evidence: EvidenceLog, meter: Meter, clock: LabClock, offset: timedelta, when: str) -> None:
    low = clock.now() + offset - _RIGHT
    told = meter.clock()
    evidence.expect_between(f"meter's clock {when}", found=told, low=low, high=clock.now() + offset + _RIGHT)


def _expect_content(
    evidence: EvidenceLog, meter: Meter, payload: Payload, asked: datetime, now: datetime
) -> None:
    told = payload.time("DeviceTime")
    evidence.expect_between("device time told", found=told, low=asked - _RIGHT, high=now + _RIGHT)
    if meter.device_type is DeviceType.ESME:
        status: Any = {"ElecClockTimeStatus": {"@TimeStatusCode": 0, "TimeStatus": "reliable"}}
    else:
        status = {"GasClockTimeStatus": {"@ResponseCode": 0, "ASN1Status": "success"}}
    fuel = "Electricity" if meter.device_type is DeviceType.ESME else "Gas"
    expect_content(evidence, "clock response", payload, {"DeviceTime": told, fuel: status})


@pytest.mark.srv("6.11")
@pytest.mark.ttm("TTM-6.11-E-01", "TTM-6.11-E-02", "TTM-6.11-G-01", "TTM-6.11-G-02")
@pytest.mark.devices("ESME", "GSME")
def test_a_clock_that_is_off_is_set_right(
    served: Served,
    unchanged: Unchanged,
    meter: Meter,
    bench: Bench,
    clock: LabClock,
    evidence: EvidenceLog,
) -> None:
    """SRV 6.11: a slow and a fast clock then tell lab time, also after a power cut; nothing else changes."""
    for offset in _OFF:
        _put_off(meter, clock, offset)
        _expect_clock(evidence, meter, clock, offset, "put off")
        asked = clock.now()
        with unchanged(meter):
            payload = served("6.11", meter, synchronise(meter, asked))
        _expect_clock(evidence, meter, clock, timedelta(0), "once set")
        _expect_content(evidence, meter, payload, asked, clock.now())
    power_cut(bench, clock, timedelta(hours=1))
    _expect_clock(evidence, meter, clock, timedelta(0), "after a power cut")


@pytest.mark.srv("6.11", "4.8.1")
@pytest.mark.ttm("TTM-6.11-E-03", "TTM-6.11-G-03")
@pytest.mark.devices("ESME", "GSME")
def test_metering_goes_on_when_the_clock_is_set(
    served: Served, rig: RigInHand, meter: Meter, bench: Bench, clock: LabClock, evidence: EvidenceLog
) -> None:
    """SRV 6.11: setting the clock loses no energy; from then on half hours are those of lab time."""
    crediting(meter)
    _put_off(meter, clock, timedelta(minutes=-5))
    before = counted(meter)
    served("6.11", meter, synchronise(meter, clock.now()))
    evidence.expect("registers, clock set", found=counted(meter), expected=before)
    reference = by_half_hours(bench, clock, meter, (((10, 3_000, 0),), ((30, 2_000, 0),), ((5, 5_500, 0),)))
    clock.sleep(_A_LITTLE)
    rows = meter.log("profile", min(reference), max(reference))
    evidence.expect("half hours", found=[row.timestamp for row in rows], expected=list(reference))
    names = tuple(before)
    for row in rows:
        found = {name: row.values[name] for name in names}
        expect_counted(evidence, rig, f"half hour to {row.timestamp:%H:%M}", found, reference[row.timestamp])
    total = {name: sum(values[name] for values in reference.values()) for name in names}
    expect_counted(evidence, rig, "registers", since(before, counted(meter)), total)  # type: ignore[arg-type]  # sums of Decimals


@pytest.mark.srv("6.11")
@pytest.mark.ttm("TTM-6.11-E-04", "TTM-6.11-G-04")
@pytest.mark.devices("ESME", "GSME")
def test_a_time_beyond_the_tolerance_is_declined(
    declined: Declined, unchanged: Unchanged, meter: Meter, clock: LabClock, evidence: EvidenceLog
) -> None:
    """SRV 6.11: a time that is further off than the tolerance is declined, and the clock stays as it was."""
    (offset, _) = _OFF
    _put_off(meter, clock, offset)
    for wrong in (timedelta(hours=-3), timedelta(hours=3)):
        with unchanged(meter):
            declined("6.11", meter, {"CurrentDateTime": clock.now() + wrong, "TolerancePeriod": 60})
        _expect_clock(evidence, meter, clock, offset, "as it was")


@pytest.mark.srv("6.11", "6.13")
@pytest.mark.ttm("TTM-6.11-E-05", "TTM-6.11-G-05")
@pytest.mark.devices("ESME", "GSME")
def test_setting_the_clock_is_logged_once(
    served: Served, unchanged: Unchanged, meter: Meter, clock: LabClock
) -> None:
    """SRV 6.11: the event log tells that the clock was set, once, and nothing else."""
    _put_off(meter, clock, timedelta(minutes=2))
    with unchanged(meter, events=[Event.CLOCK_SET]):
        served("6.11", meter, synchronise(meter, clock.now()))
