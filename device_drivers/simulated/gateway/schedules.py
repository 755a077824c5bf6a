"""Schedules: what the DCC asks a device again and again on a User's behalf (SRV 5.1, 5.2, 5.3).

The shapes are the schema's. When a schedule is carried out is **inferred** from its elements' names: at
ScheduleExecutionStartTime (UTC; midnight where there is none) of ScheduleStartDate, then a day, a week, or
one, three, six or twelve months after each other, up to ScheduleEndDate; where a month is too short, on its
last day. Offsets of a period count from the day on which it is carried out. What becomes of a schedule whose
device is decommissioned, and which code says what, is ours.
"""

from __future__ import annotations

import calendar
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import count
from typing import Any, Final, Protocol

from device_drivers.dcc.duis import RequestMessage
from device_drivers.simulated.gateway.admission import AUTHORISED
from device_drivers.simulated.gateway.inventory import Inventory
from device_drivers.simulated.gateway.non_device import Answer
from harness.domain.errors import ProtocolViolation
from harness.domain.faults import DROP
from harness.domain.instruments import Body
from harness.domain.lab import Lab
from harness.domain.payload import Payload
from harness.domain.words import DeviceType

AT_MOST: Final = 99  # of a User for one device, as many as the schema can tell (inferred)
DETAILS_WRONG: Final = "E050101"  # these codes are by their names of service 5; what each says is ours
TOO_MANY: Final = "E050102"
NOT_SCHEDULABLE: Final = "E050103"
UNKNOWN_TO_READ: Final = "E050201"
NONE_TO_READ: Final = "W050201"
UNKNOWN_TO_DELETE: Final = "E050301"
NONE_TO_DELETE: Final = "W050301"

_MONTHS: Final = {"Monthly": 1, "Quarterly": 3, "Half-Yearly": 6, "Yearly": 12}
_DAYS: Final = {"Daily": 1, "Weekly": 7}
_PREFIX: Final = "DSP"  # of the element that names what is asked
_TYPES: Final = {"ESME": DeviceType.ESME, "GSME": DeviceType.GSME}


@dataclass(frozen=True, slots=True)
class Recurrence:
    """When a schedule is carried out."""

    frequency: str  # as the schema names it
    first: datetime  # aware UTC
    last_day: date | None = None

    def after(self, moment: datetime) -> datetime | None:
        """The first time after a moment; ``None`` where the schedule has ended."""
        number = self._whole_periods(moment)
        while (found := self._time(number)) <= moment:
            number += 1
        return found if self.last_day is None or found.date() <= self.last_day else None

    def _whole_periods(self, moment: datetime) -> int:
        """So many periods have passed at least."""
        if moment < self.first:
            return 0
        if self.frequency in _DAYS:
            return (moment - self.first).days // _DAYS[self.frequency]
        months = (moment.year - self.first.year) * 12 + moment.month - self.first.month
        return max(0, months // _MONTHS[self.frequency] - 1)

    def _time(self, number: int) -> datetime:
        if self.frequency in _DAYS:
            return self.first + number * timedelta(days=_DAYS[self.frequency])
        months = self.first.month - 1 + number * _MONTHS[self.frequency]
        year, month = self.first.year + months // 12, months % 12 + 1
        day = min(self.first.day, calendar.monthrange(year, month)[1])
        return self.first.replace(year=year, month=month, day=day)


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """One schedule of a User for a device."""

    id: int
    owner: str  # EUI-64 of the User
    device_id: str
    srv: str  # what is asked
    recurrence: Recurrence
    details: Payload  # as it was sent

    def request_body(self, at: datetime) -> Body:
        """The body below the SRV's own element, of the request that is due at a time."""
        element = next(name for name in self.details.names() if _asks(name))
        asked = self.details.all(element)[0]
        if "StartDateOffset" not in asked:
            return None
        period = {
            f"{end}DateTime": datetime.combine(
                at.date() + timedelta(days=asked.integer(f"{end}DateOffset")),
                _utc(asked.text(f"{end}Time"), f"{end}Time"),
            )
            for end in ("Start", "End")
        }
        body: dict[str, Any] = {"ReadLogPeriod": period}
        if "KAPublicSecurityCredential" in self.details:
            body["KAPublicSecurityCredentials"] = self.details.text("KAPublicSecurityCredential")
        return body


class Passing(Protocol):
    """Lets a value pass the faults at :attr:`Point.SCHEDULE`."""

    def __call__(self, item: str, value: Any, device_id: str, srv: str) -> Any:
        """What goes on instead."""


class Schedules:
    """The DCC's schedules, by id. ``now`` tells the lab time of a device's rig. Safe for threads."""

    def __init__(
        self, lab: Lab, inventory: Inventory, now: Callable[[str], datetime], passing: Passing
    ) -> None:
        self._catalogue = lab.catalogue
        self._roles = {user.eui.upper(): user.role for user in lab.dcc.users}
        self._inventory = inventory
        self._now = now
        self._passing = passing
        self._ids = count(1)
        self._held: dict[int, Schedule] = {}
        self._lock = threading.Lock()
        self.on_created: Callable[[Schedule], None] = lambda _: None
        self.served: Mapping[str, Callable[[RequestMessage], Answer]] = {
            "5.1": self._create,
            "5.2": self._read,
            "5.3": self._delete,
        }

    def find(self, number: int) -> Schedule | None:
        """The schedule, while it is held."""
        with self._lock:
            return self._held.get(number)

    def remove(self, device_ids: Collection[str]) -> tuple[Schedule, ...]:
        """Forget every schedule of these devices; those that there were."""
        with self._lock:
            gone = [each for each in self._held.values() if each.device_id in device_ids]
            for each in gone:
                del self._held[each.id]
        return tuple(gone)

    def _create(self, request: RequestMessage) -> Answer:
        body, owner = request.body, request.request_id.originator
        device_id, srv = body.text("DeviceID").upper(), body.text("DSPScheduledServiceReferenceVariant")
        if refusal := self._unfit(owner, device_id, srv):
            return Answer(refusal)
        schedule = self._right(owner, device_id, srv, body)
        if schedule is None:
            return Answer(DETAILS_WRONG)
        with self._lock:
            if len(self._of(owner, device_id)) >= AT_MOST:
                return Answer(TOO_MANY)
            schedule = replace(schedule, id=next(self._ids))
            kept = self._passing("create", schedule, device_id, srv)
            if kept is not DROP:
                self._held[schedule.id] = kept
        if kept is not DROP:
            self.on_created(kept)
        return Answer("I0", {"DSPScheduleID": schedule.id})

    def _right(self, owner: str, device_id: str, srv: str, body: Payload) -> Schedule | None:
        """The schedule that is asked for, without its id yet; none where its details cannot be."""
        try:
            recurrence = _recurrence(body)
            schedule = Schedule(
                id=0, owner=owner, device_id=device_id, srv=srv, recurrence=recurrence, details=body
            )
            if not self._consistent(srv, body):
                return None
            schedule.request_body(recurrence.first)
        except ProtocolViolation:
            return None
        first, last = recurrence.first.date(), recurrence.last_day
        past = first < self._now(device_id).date() or (last is not None and last < first)
        return None if past else schedule

    def _unfit(self, owner: str, device_id: str, srv: str) -> str:
        """Why the DCC will not ask this of the device for this User, or nothing."""
        record, row = self._inventory.find(device_id), self._catalogue.get(srv)
        if record is None:
            return "E19"
        if row is None or not row.dcc_scheduled:
            return NOT_SCHEDULABLE
        role = self._roles.get(owner)
        if role not in row.roles:
            return "E2"
        if role not in AUTHORISED.get(record.type, frozenset()):
            return "E4"
        return "" if _TYPES.get(record.type) in row.device_types else "E11"

    def _consistent(self, srv: str, body: Payload) -> bool:
        """Whether reference, variant and the element of what is asked are of one request."""
        row = self._catalogue[srv]
        return (
            body.text("DSPScheduledServiceReference") == row.service_reference
            and f"{_PREFIX}{row.body_element}" in body.names()
        )

    def _read(self, request: RequestMessage) -> Answer:
        found, refusal = self._named(request, UNKNOWN_TO_READ, NONE_TO_READ)
        if refusal:
            return Answer(refusal)
        told = [{"DSPScheduleID": each.id, "DSPScheduleDetails": each.details.tree} for each in found]
        return Answer("I0", {"DSPSchedulesRead": {"DSPSchedules": told}})

    def _delete(self, request: RequestMessage) -> Answer:
        found, refusal = self._named(request, UNKNOWN_TO_DELETE, NONE_TO_DELETE)
        if found:
            ids = tuple(each.id for each in found)
            gone = self._passing("removed", ids, found[0].device_id, found[0].srv)
            with self._lock:
                for each in () if gone is DROP else gone:
                    self._held.pop(each, None)
        return Answer(refusal or "I99")

    def _named(self, request: RequestMessage, unknown: str, none: str) -> tuple[list[Schedule], str]:
        """The sender's own schedules that the request names; why there are none."""
        body, owner = request.body, request.request_id.originator
        if "DSPScheduleID" in body:
            held = self.find(body.integer("DSPScheduleID"))
            return ([held], "") if held is not None and held.owner == owner else ([], unknown)
        device_id = body.text("DeviceID").upper()
        if self._inventory.find(device_id) is None:
            return [], "E19"
        with self._lock:
            found = self._of(owner, device_id)
        return found, "" if found else none

    def _of(self, owner: str, device_id: str) -> list[Schedule]:
        return [each for each in self._held.values() if (each.owner, each.device_id) == (owner, device_id)]


def _asks(name: str) -> bool:
    return name.startswith(("DSPRead", "DSPRetrieve", "DSPRecord"))


def _recurrence(body: Payload) -> Recurrence:
    start = _date(body, "ScheduleStartDate")
    at = "ScheduleExecutionStartTime"
    first = datetime.combine(start, _utc(body.text(at), at) if at in body else time(tzinfo=UTC))
    last = _date(body, "ScheduleEndDate") if "ScheduleEndDate" in body else None
    return Recurrence(body.text("ScheduleFrequency"), first, last)


def _date(body: Payload, path: str) -> date:
    try:
        return date.fromisoformat(body.text(path)[:10])
    except ValueError:
        raise ProtocolViolation(f"{path} is {body.text(path)!r}, not a date") from None


def _utc(text: str, path: str) -> time:
    try:
        found = time.fromisoformat(text)
    except ValueError:
        raise ProtocolViolation(f"{path} is {text!r}, not a time of day") from None
    if found.tzinfo is not None and found.utcoffset():
        raise ProtocolViolation(f"{path} is {text!r}, not a time of UTC")
    return found.replace(tzinfo=UTC)
