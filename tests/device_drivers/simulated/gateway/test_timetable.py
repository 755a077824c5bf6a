"""What the simulated DCC does at a time of its own."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from device_drivers.dcc.duis import ResponseMessage
from device_drivers.dcc.tree import parse
from device_drivers.simulated.wan.head import HubUnreachable
from harness.domain.faults import DROP, Fault, Place, Point
from harness.domain.lab import Lab

HOUR = timedelta(hours=1)


def schedule(dcc: Any, at: datetime, **other: Any) -> dict[str, Any]:
    return {
        "ScheduleFrequency": "Daily",
        "ScheduleStartDate": f"{at:%Y-%m-%d}",
        "ScheduleExecutionStartTime": f"{at:%H:%M:%S}Z",
        "DSPScheduledServiceReference": "4.15",
        "DSPScheduledServiceReferenceVariant": "4.15",
        "DeviceID": dcc.esme,
        "DSPReadLoadLimitData": None,
    } | other


def create(dcc: Any, body: Any) -> int:
    answer = ResponseMessage.read(parse(dcc.send("5.1", body).answer))
    assert answer.code == "I0", answer.code
    return answer.content.integer("DSPScheduleID")


def come_to(dcc: Any, moment: datetime) -> None:
    """Lab time comes to a moment, and the gateway is told."""
    dcc.time.moment = moment
    dcc.gateway.due(dcc.lab.rigs[0].devices["CH"].device_id.upper())
    dcc.settle()


def brought(dcc: Any) -> list[Any]:
    return list(dcc.link.mailbox.scheduled([dcc.esme], 0))


def test_a_schedule_is_carried_out_each_day_and_its_response_is_whole(dcc: Any) -> None:
    at = dcc.time.moment + HOUR
    number = create(dcc, schedule(dcc, at))
    assert [moment for _, moment in dcc.time.rung] == [at]
    come_to(dcc, at - timedelta(seconds=1))
    assert dcc.s1sp.asked == []
    for day in range(3):
        come_to(dcc, at + timedelta(days=day))
    assert [(asked.srv, asked.scheduled) for asked in dcc.s1sp.asked] == [("4.15", True)] * 3
    assert [(each.schedule, each.problems, each.stray) for each in brought(dcc)] == [(number, (), "")] * 3
    assert len({each.response_id for each in brought(dcc)}) == 3


def test_what_a_deleted_schedule_still_brings_is_a_stray(dcc: Any) -> None:
    number = create(dcc, schedule(dcc, dcc.time.moment + HOUR))
    dcc.link.mailbox.stop_schedules(number, "")
    come_to(dcc, dcc.time.moment + HOUR)
    (stray,) = dcc.link.mailbox.strays([dcc.esme], 0)
    assert stray.stray == f"of schedule {number}, which this run has not got"
    assert brought(dcc) == []


def test_a_device_that_is_installed_afresh_has_no_past(dcc: Any) -> None:
    at = dcc.time.moment + HOUR
    create(dcc, schedule(dcc, at))
    held = dcc.send("4.1.1", {"ExecutionDateTime": at})
    dcc.gateway.installed([dcc.esme])
    come_to(dcc, at)
    assert dcc.s1sp.asked == []
    assert dcc.link.mailbox.response(held.ticket) is None
    assert dcc.code("5.2", {"DeviceID": dcc.esme}) == "W050201"


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"DeviceID": "00-DB-12-34-56-FE-00-01"}, "E19"),
        ({"DSPScheduledServiceReference": "4.16"}, "E050101"),
        ({"ScheduleStartDate": "2025-03-02"}, "E050101"),
        ({"ScheduleEndDate": "2025-03-02"}, "E050101"),
        ({"ScheduleExecutionStartTime": "10:00:00+01:00"}, "E050101"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused(dcc: Any, wrong: dict[str, str], code: str) -> None:
    body = schedule(dcc, dcc.time.moment + HOUR)
    ordered = {"ScheduleFrequency": "Daily", "ScheduleStartDate": body["ScheduleStartDate"]} | (
        {"ScheduleEndDate": ""} if "ScheduleEndDate" in wrong else {}
    )
    assert dcc.code("5.1", ordered | body | wrong) == code


def test_a_period_by_another_clock_than_utc_is_refused(dcc: Any) -> None:
    body = schedule(dcc, dcc.time.moment + HOUR)
    del body["DSPReadLoadLimitData"]
    period = {
        "StartDateOffset": -1,
        "StartTime": "00:00:00+01:00",
        "EndDateOffset": 0,
        "EndTime": "00:00:00Z",
    }
    reading = {"DSPScheduledServiceReference": "4.10", "DSPScheduledServiceReferenceVariant": "4.10"}
    assert dcc.code("5.1", body | reading | {"DSPReadNetworkData": period}) == "E050101"
    right = period | {"StartTime": "00:00:00Z"}
    assert dcc.code("5.1", body | reading | {"DSPReadNetworkData": right}) == "I0"


def test_no_user_has_more_schedules_for_a_device_than_can_be_told(dcc: Any) -> None:
    body = schedule(dcc, dcc.time.moment + HOUR)
    for _ in range(99):
        create(dcc, body)
    assert dcc.code("5.1", body) == "E050102"
    assert dcc.code("5.3", {"DeviceID": dcc.esme}) == "I99"
    create(dcc, body)


def test_a_schedule_is_its_owners_alone(dcc: Any) -> None:
    number = create(dcc, schedule(dcc, dcc.time.moment + HOUR))
    assert dcc.code("5.2", {"DSPScheduleID": number}, role="ED") == "E050201"
    assert dcc.code("5.3", {"DSPScheduleID": number}, role="ED") == "E050301"
    assert dcc.code("5.2", {"DSPScheduleID": number}) == "I0"


def test_what_the_dcc_holds_goes_at_its_time(dcc: Any) -> None:
    at = dcc.time.moment + HOUR
    held = dcc.send("4.1.1", {"ExecutionDateTime": at})
    dcc.send("4.1.1")
    dcc.settle()
    assert [asked.held for asked in dcc.s1sp.asked] == [False]
    come_to(dcc, at)
    assert [asked.held for asked in dcc.s1sp.asked] == [False, True]
    response = dcc.link.mailbox.response(held.ticket)
    assert (response.code, response.problems) == ("I0", ())


def test_what_cannot_be_brought_to_the_device_at_its_time_is_timed_out(dcc: Any) -> None:
    def unreachable(request: Any) -> Any:
        raise HubUnreachable("away")

    dcc.s1sp.answer = unreachable
    held = dcc.send("4.1.1", {"ExecutionDateTime": dcc.time.moment + HOUR})
    come_to(dcc, dcc.time.moment + HOUR)
    assert dcc.link.mailbox.response(held.ticket).code == "E30"


def test_a_device_that_was_decommissioned_meanwhile_is_not_asked(dcc: Any) -> None:
    held = dcc.send("4.1.1", {"ExecutionDateTime": dcc.time.moment + HOUR})
    dcc.gateway.inventory.set_status(dcc.esme, "Suspended")
    come_to(dcc, dcc.time.moment + HOUR)
    assert dcc.link.mailbox.response(held.ticket).code == "E5"
    assert dcc.s1sp.asked == []


def test_what_a_device_holds_goes_on_at_once(dcc: Any) -> None:
    dcc.send("1.6", {"ExecutionDateTime": dcc.time.moment + HOUR, "Credit": None})
    dcc.settle()
    assert [asked.srv for asked in dcc.s1sp.asked] == ["1.6"]


def test_a_fault_can_change_a_time_and_keep_what_was_deleted(dcc_lab: Lab, open_dcc: Any) -> None:
    def late(seen: Any) -> Any:
        if seen.item == "removed":
            return DROP
        return seen.value + HOUR if seen.item in ("next", "held") else seen.value

    dcc = open_dcc(dcc_lab, Fault("late", Place.GATEWAY, Point.SCHEDULE, "", late))
    at = dcc.time.moment + HOUR
    number = create(dcc, schedule(dcc, at))
    dcc.send("4.1.1", {"ExecutionDateTime": at})
    come_to(dcc, at)
    assert dcc.s1sp.asked == []
    come_to(dcc, at + HOUR)
    assert sorted(asked.srv for asked in dcc.s1sp.asked) == ["4.1.1", "4.15"]
    assert dcc.code("5.3", {"DSPScheduleID": number}) == "I99"
    assert dcc.code("5.2", {"DSPScheduleID": number}) == "I0"
