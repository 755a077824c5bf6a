"""Service group 5: schedules that the DCC carries out (SRV 5.1, 5.2, 5.3).

When a schedule is carried out is inferred: at its time of day in UTC, on its first day and a period after
each other, up to its last day.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from harness.domain.instruments import Bench, Esme, EvidenceLog, Forgery, LabClock, Meter, ServiceUser
from harness.domain.words import DeviceType, UserRole
from test_packs.arrange import Served, Unchanged
from test_packs.estate import UNKNOWN_DEVICE, ask_dcc, synchronised
from test_packs.metering import let_flow
from test_packs.schedules import (
    DAY,
    LOGS,
    SCHEDULABLE,
    Scheduling,
    asking,
    details,
    expect_profile,
    expect_whole,
    period_of_yesterday,
    reader_of,
    told,
    until,
)

pytestmark = pytest.mark.functional_group("5 Scheduling")

_STRANGER = "00-DB-12-34-56-FE-00-09"
_AWAY = "E20"  # the hub cannot be reached


@pytest.fixture
def scheduling(user: ServiceUser, clock: LabClock, meter: Meter, evidence: EvidenceLog) -> Scheduling:
    """The DCC's schedules for the meter."""
    return Scheduling(evidence, user, clock, meter)


def _soon(clock: LabClock, minutes: int = 20) -> datetime:
    """A whole minute of today, so many minutes ahead."""
    return (clock.now() + timedelta(minutes=minutes)).replace(second=0, microsecond=0)


def _appetite(meter: Meter) -> int:
    return 700 if meter.device_type is DeviceType.GSME else 2_300


@pytest.mark.srv("5.1", "4.8.1")
@pytest.mark.ttm("TTM-5.1-E-01", "TTM-5.1-G-01")
@pytest.mark.devices("ESME", "GSME")
def test_a_schedule_brings_a_reading_at_each_of_its_times(
    scheduling: Scheduling, user: ServiceUser, bench: Bench, meter: Meter, clock: LabClock,
    evidence: EvidenceLog,
) -> None:  # fmt: skip
    """SRV 5.1: not before its time, then once each day up to the last, with what the meter held then."""
    at, strays = _soon(clock), user.strays()
    with scheduling.created(details(meter, at, last=at + DAY)) as number:
        until(clock, at - timedelta(seconds=1))
        evidence.expect("brought before its time", found=scheduling.brought(number), expected=())
        for day in range(2):
            due = at + day * DAY
            until(clock, due + scheduling.slack())
            found = scheduling.brought(number)
            evidence.expect("responses so far", found=len(found), expected=day + 1)
            expect_profile(evidence, found[-1], meter, due, scheduling.slack())
            let_flow(bench, clock, meter, timedelta(minutes=40), _appetite(meter))
        until(clock, at + 2 * DAY + scheduling.slack())
        evidence.expect("after its last day", found=len(scheduling.brought(number)), expected=2)
    evidence.expect("messages that nobody waits for", found=user.strays(), expected=strays)


@pytest.mark.srv("5.1", "5.2", "5.3")
@pytest.mark.ttm("TTM-5.1-D-01", "TTM-5.1-D-02", "TTM-5.2-D-01", "TTM-5.2-D-02", "TTM-5.3-D-01")
@pytest.mark.ttm("TTM-5.2-E-01", "TTM-5.2-G-01", "TTM-5.3-D-02")
@pytest.mark.devices("ESME", "GSME")
def test_the_dcc_tells_just_the_schedules_that_it_holds(
    scheduling: Scheduling, unchanged: Unchanged, user: ServiceUser, meter: Meter, evidence: EvidenceLog,
    clock: LabClock,
) -> None:  # fmt: skip
    """SRV 5.1 to 5.3: created, told by id and by device as sent, deleted; no other schedule has changed."""
    at = clock.now() + 3 * DAY
    daily = details(meter, at, last=at + 40 * DAY)
    log = {"StartDateOffset": -7, "StartTime": "00:00:00Z", "EndDateOffset": -1, "EndTime": "23:30:00Z"}
    weekly = {
        "ScheduleFrequency": "Weekly",
        "ScheduleStartDate": f"{at:%Y-%m-%d}",
        "DSPScheduledServiceReference": "4.6",
        "DSPScheduledServiceReferenceVariant": "4.6.1",
        "DeviceID": meter.device_id,
        "DSPRetrieveImportDailyReadLog": log,
    }
    with unchanged(meter, events=[]):
        before = scheduling.held()
        with scheduling.created(daily) as first, scheduling.created(weekly) as second:
            due = before | {first: told(daily), second: told(weekly)}
            evidence.expect("schedules held", found=scheduling.held(), expected=due)
            answer = ask_dcc(evidence, user, "5.2", meter, {"DSPScheduleID": second}, code="I0")
            (entry,) = answer.all("DSPSchedulesRead/DSPSchedules")
            found = (entry.integer("DSPScheduleID"), dict(entry.all("DSPScheduleDetails")[0].leaves()))
            evidence.expect("the schedule asked for", found=found, expected=(second, told(weekly)))
            scheduling.delete(first)
            evidence.expect("one deleted", found=scheduling.held(), expected=before | {second: told(weekly)})
            gone = user.request("5.2", meter, {"DSPScheduleID": first})
            evidence.expect("the deleted one is told", found=gone.success, expected=False)
        evidence.expect("both deleted", found=scheduling.held(), expected=before)


@pytest.mark.srv("5.1", "5.3", "4.8.1")
@pytest.mark.ttm("TTM-5.3-E-01", "TTM-5.3-G-01", "TTM-5.3-D-02")
@pytest.mark.devices("ESME", "GSME")
@pytest.mark.days_of_lab_time
def test_a_deleted_schedule_brings_nothing_more(
    scheduling: Scheduling, user: ServiceUser, meter: Meter, clock: LabClock, evidence: EvidenceLog
) -> None:
    """SRV 5.3: deleted by id, a schedule ends and the other goes on; deleted by device, all of it end."""
    at = _soon(clock)
    strays = user.strays()
    with (
        scheduling.created(details(meter, at)) as first,
        scheduling.created(details(meter, at + timedelta(minutes=1))) as second,
    ):
        for day, counts in enumerate(((1, 1), (1, 2), (1, 2))):
            until(clock, at + day * DAY + timedelta(minutes=1) + scheduling.slack())
            found = [scheduling.brought(number) for number in (first, second)]
            evidence.expect(f"responses by day {day}", found=tuple(map(len, found)), expected=counts)
            if day < 2:
                due = at + day * DAY + timedelta(minutes=1)
                expect_profile(evidence, found[1][-1], meter, due, scheduling.slack())
            if day == 0:
                scheduling.delete(first)
            elif day == 1:
                ask_dcc(evidence, user, "5.3", meter, {"DeviceID": meter.device_id})
                evidence.expect("schedules held", found=scheduling.held(), expected={})
    evidence.expect("messages that nobody waits for", found=user.strays(), expected=strays)


@pytest.mark.srv("5.1", "4.8.1")
@pytest.mark.ttm("TTM-5.1-E-02", "TTM-5.1-G-02")
@pytest.mark.devices("ESME", "GSME")
@pytest.mark.days_of_lab_time
def test_a_schedule_goes_on_after_a_time_at_which_the_hub_has_no_power(
    scheduling: Scheduling, bench: Bench, meter: Meter, clock: LabClock, evidence: EvidenceLog
) -> None:
    """SRV 5.1: without power at a schedule's time, that time brings an error, and the next its reading."""
    at = _soon(clock)
    with scheduling.created(details(meter, at)) as number:
        until(clock, at - timedelta(minutes=5))
        bench.mains(on=False)
        until(clock, at + timedelta(minutes=10))
        lost = [(each.code, each.srv, each.success, each.problems) for each in scheduling.brought(number)]
        evidence.expect("without power", found=lost, expected=[(_AWAY, "4.8.1", False, ())])
        bench.mains(on=True)
        until(clock, at + DAY + scheduling.slack())
        responses = scheduling.brought(number)
        evidence.expect("responses by the next day", found=len(responses), expected=2)
        expect_profile(evidence, responses[-1], meter, at + DAY, scheduling.slack())


@pytest.mark.srv("5.1", "4.15", "4.16", "4.6.1", "4.8.2", "4.8.3", "4.10")
@pytest.mark.ttm("TTM-5.1-E-04")
@pytest.mark.devices("ESME")
def test_every_reading_that_can_be_scheduled_is_brought(
    user: ServiceUser, esme: Esme, clock: LabClock, evidence: EvidenceLog
) -> None:
    """SRV 5.1 for SRV 4.6.1, 4.8.2, 4.8.3, 4.10, 4.15, 4.16: each tells what a reading at once tells."""
    at, yesterday = _soon(clock), period_of_yesterday(clock)
    scheduling = Scheduling(evidence, user, clock, esme)
    numbers: dict[str, int] = {}
    try:
        for srv, element in SCHEDULABLE.items():
            numbers[srv] = scheduling.create(asking(esme, at, srv, element), role=reader_of(srv))
        until(clock, at + scheduling.slack())
        for srv, number in numbers.items():
            body = yesterday if SCHEDULABLE[srv] in LOGS else None
            now = user.request(srv, esme, body, role=reader_of(srv))
            brought = scheduling.brought(number)
            evidence.expect(f"responses of {srv}", found=len(brought), expected=1)
            expect_whole(evidence, brought[0], esme, srv, at, scheduling.slack())
            evidence.expect(f"content of {srv}", found=brought[0].payload.tree, expected=now.payload.tree)
    finally:
        for srv, number in numbers.items():
            scheduling.delete(number, role=reader_of(srv))
    by_now = clock.now() + scheduling.slack()
    evidence.expect_between("the meter's own clock", found=esme.clock(), low=at, high=by_now)


@pytest.mark.srv("5.1", "4.8.1")
@pytest.mark.ttm("TTM-5.1-E-05")
@pytest.mark.devices("ESME")
@pytest.mark.days_of_lab_time
def test_a_weekly_schedule_waits_a_week(
    user: ServiceUser, esme: Esme, clock: LabClock, evidence: EvidenceLog
) -> None:
    """SRV 5.1 weekly: on its first day, on none of the six after it, and again after a week."""
    at, scheduling = _soon(clock), Scheduling(evidence, user, clock, esme)
    with scheduling.created(details(esme, at) | {"ScheduleFrequency": "Weekly"}) as number:
        for days, due in ((0, 1), (6, 1), (7, 2)):
            until(clock, at + days * DAY + scheduling.slack())
            found = len(scheduling.brought(number))
            evidence.expect(f"responses after {days} days", found=found, expected=due)
        expect_profile(evidence, scheduling.brought(number)[-1], esme, at + 7 * DAY, scheduling.slack())


@pytest.mark.srv("5.1", "5.2", "8.3", "8.4", "8.1.1")
@pytest.mark.ttm("TTM-5.1-E-03", "TTM-5.1-G-03")
@pytest.mark.devices("ESME", "GSME")
def test_a_schedule_ends_with_its_device(
    scheduling: Scheduling, user: ServiceUser, meter: Meter, served: Served, clock: LabClock,
    evidence: EvidenceLog,
) -> None:  # fmt: skip
    """SRV 5.1: with the device decommissioned its schedules are gone, their owner is told, nothing comes."""
    at, strays, before = _soon(clock), user.strays(), dict(meter.snapshot())
    number, since = scheduling.create(details(meter, at)), len(user.alerts(meter))
    ask_dcc(evidence, user, "8.3", meter, {"DeviceID": meter.device_id})
    try:
        clock.sleep(timedelta(0))
        told_of = [alert.description for alert in user.alerts(meter)[since:]]
        evidence.expect("what the owner is told", found=told_of, expected=["DSPScheduleRemoval"])
        evidence.expect("schedules held", found=scheduling.held(), expected={})
        until(clock, at + scheduling.slack())
        evidence.expect("brought", found=scheduling.brought(number), expected=())
        evidence.expect("what the meter holds", found=dict(meter.snapshot()), expected=before)
        evidence.expect("messages that nobody waits for", found=user.strays(), expected=strays)
    finally:
        status = {"DeviceID": meter.device_id, "UpdateDeviceStatusExceptCH": "Pending"}
        ask_dcc(evidence, user, "8.4", meter, status)
        served("8.1.1", meter, synchronised(clock))


@pytest.mark.srv("5.1", "5.2", "5.3")
@pytest.mark.functional_group("Refusals")
@pytest.mark.ttm("TTM-REF-5-D-01", "TTM-REF-5-D-02", "TTM-REF-5-D-03", "TTM-REF-5-D-04", "TTM-REF-5-D-05")
@pytest.mark.devices("ESME", "GSME")
def test_a_schedule_is_refused_that_may_not_be(
    scheduling: Scheduling, unchanged: Unchanged, user: ServiceUser, meter: Meter, clock: LabClock,
    evidence: EvidenceLog,
) -> None:  # fmt: skip
    """Group 5: a wrong role, signature, counter, device or date is refused; the DCC holds what it held."""
    at = clock.now() + 3 * DAY
    body = details(meter, at)
    own = UserRole.GS if meter.device_type is DeviceType.GSME else UserRole.IS
    other = UserRole.IS if own is UserRole.GS else UserRole.GS
    with unchanged(meter, events=[]), scheduling.created(details(meter, at + DAY)) as kept:
        before = scheduling.held()
        deleting, right, broken = {"DSPScheduleID": kept}, Forgery(), Forgery(signature="broken")
        for what, srv, sent, code, role, forgery in (
            ("a role that is not eligible", "5.1", body, "E2", UserRole.RSA, right),
            ("another's schedule", "5.3", deleting, "", other, right),
            ("another's schedule", "5.2", deleting, "", other, right),
            ("a broken signature", "5.1", body, "", own, broken),
            ("a broken signature", "5.3", deleting, "", own, broken),
            ("a counter used before", "5.1", body, "", own, Forgery(counter="replayed")),
            ("an unknown device", "5.1", body | {"DeviceID": _STRANGER}, UNKNOWN_DEVICE, own, right),
            ("an end before its beginning", "5.1", details(meter, at, last=at - DAY), "", own, right),
            ("a beginning in the past", "5.1", details(meter, clock.now() - 2 * DAY), "", own, right),
        ):
            response = user.request(srv, meter, sent, role=role, forgery=forgery)
            found = (response.success, response.code, response.problems)
            due = (False, code or response.code, ())
            evidence.expect(f"SRV {srv} with {what}", found=found, expected=due)
        evidence.expect("schedules held", found=scheduling.held(), expected=before)
