"""What is done at a time of its own: future-dated requests, and schedules of the DCC (SRV 5.1 to 5.3)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from harness.domain.instruments import (
    Body,
    Device,
    EvidenceLog,
    LabClock,
    ServiceResponse,
    ServiceUser,
)
from harness.domain.words import DeviceType, UserRole
from test_packs.content import expect_content
from test_packs.estate import DONE
from test_packs.metering import log_period

DAY: Final = timedelta(days=1)
SECOND: Final = timedelta(seconds=1)
TEN_MINUTES: Final = timedelta(minutes=10)
GAS_SLEEP: Final = timedelta(minutes=31)
"""For which a gas meter may be out of reach when the time of a schedule comes."""


def details(meter: Device, at: datetime, *, last: datetime | None = None, **other: Any) -> dict[str, Any]:
    """SRV 5.1: the day before's reading each day from ``at`` on, until ``last``'s day."""
    end = {"ScheduleEndDate": f"{last:%Y-%m-%d}"} if last else {}
    return {
        "ScheduleFrequency": "Daily",
        "ScheduleStartDate": f"{at:%Y-%m-%d}",
        **end,
        "ScheduleExecutionStartTime": f"{at:%H:%M:%S}Z",
        "DSPScheduledServiceReference": "4.8",
        "DSPScheduledServiceReferenceVariant": "4.8.1",
        "DeviceID": meter.device_id,
        "DSPReadActiveImportProfileData": {
            "StartDateOffset": -1,
            "StartTime": "22:00:00Z",
            "EndDateOffset": 0,
            "EndTime": "23:59:59Z",
        },
    } | other


LOGS: Final = frozenset(
    {
        "DSPRetrieveImportDailyReadLog",
        "DSPReadReactiveImportProfileData",
        "DSPReadExportProfileData",
        "DSPReadNetworkData",
    }
)
SCHEDULABLE: Final = {
    "4.6.1": "DSPRetrieveImportDailyReadLog",
    "4.8.2": "DSPReadReactiveImportProfileData",
    "4.8.3": "DSPReadExportProfileData",
    "4.10": "DSPReadNetworkData",
    "4.15": "DSPReadLoadLimitData",
    "4.16": "DSPReadActivePowerImport",
}
"""What a schedule may ask of an electricity meter beside SRV 4.8.1: SRV → the element that says so."""


def asking(meter: Device, at: datetime, srv: str, element: str) -> dict[str, Any]:
    """SRV 5.1 for a reading, of yesterday where it is one of a log."""
    body = {name: value for name, value in details(meter, at).items() if not name.startswith("DSPRead")}
    yesterday = {
        "StartDateOffset": -1,
        "StartTime": "00:00:00Z",
        "EndDateOffset": -1,
        "EndTime": "23:59:59Z",
    }
    return body | {
        "DSPScheduledServiceReference": ".".join(srv.split(".")[:2]),
        "DSPScheduledServiceReferenceVariant": srv,
        element: yesterday if element in LOGS else None,
    }


def period_of_yesterday(clock: LabClock) -> dict[str, Any]:
    """The same as a request's ReadLogPeriod."""
    midnight = clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
    return log_period(midnight - DAY, midnight - timedelta(seconds=1))


def reader_of(srv: str) -> UserRole:
    """A User Role that may read it: the supplier, or the export supplier of what is exported."""
    return UserRole.ES if srv == "4.8.3" else UserRole.IS


def period_at(at: datetime) -> tuple[datetime, datetime]:
    """First and last moment that the reading of a time is about."""
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight - timedelta(hours=2), midnight + DAY - timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Scheduling:
    """The DCC's schedules for one meter, in the User Role that supplies it."""

    evidence: EvidenceLog
    user: ServiceUser
    clock: LabClock
    meter: Device

    def create(self, body: Body, *, role: UserRole | None = None) -> int:
        """SRV 5.1; the id that the DCC gives."""
        answer = self.user.request("5.1", self.meter, body, role=role)
        found = (answer.code, answer.srv, answer.problems)
        self.evidence.expect("answer to 5.1", found=found, expected=("I0", "5.1", ()))
        return answer.payload.integer("DSPScheduleID")

    def delete(self, number: int, *, role: UserRole | None = None) -> None:
        """SRV 5.3 by the schedule's id."""
        answer = self.user.request("5.3", self.meter, {"DSPScheduleID": number}, role=role)
        found = (answer.code, answer.srv, answer.problems)
        self.evidence.expect("answer to 5.3", found=found, expected=(DONE, "5.3", ()))

    @contextmanager
    def created(self, body: Body) -> Iterator[int]:
        """A schedule, and no trace of it afterwards."""
        number = self.create(body)
        try:
            yield number
        finally:
            if number in self.held():
                self.delete(number)

    def held(self) -> dict[int, Mapping[str, str]]:
        """SRV 5.2: what the DCC holds for the meter, by id; nothing where it says that there is none."""
        response = self.user.request("5.2", self.meter, {"DeviceID": self.meter.device_id})
        self.evidence.expect("5.2: problems of the message", found=response.problems, expected=())
        told = response.payload.all("DSPSchedulesRead/DSPSchedules")
        self.evidence.expect("5.2: success where there are any", found=response.success, expected=bool(told))
        return {
            entry.integer("DSPScheduleID"): dict(entry.all("DSPScheduleDetails")[0].leaves())
            for entry in told
        }

    def brought(self, number: int) -> tuple[ServiceResponse, ...]:
        """What a schedule has brought so far."""
        return self.user.scheduled(number, self.meter)

    def slack(self) -> timedelta:
        """How late a response may be."""
        return slack_of(self.meter)


def until(clock: LabClock, moment: datetime) -> None:
    """Let lab time come to a moment, if it has not passed."""
    clock.sleep(max(timedelta(0), moment - clock.now()))


def ahead(clock: LabClock, meter: Device) -> datetime:
    """A whole minute, far enough ahead for a gas meter to hear of it first."""
    return (clock.now() + slack_of(meter) + timedelta(minutes=20)).replace(second=0, microsecond=0)


def future_dated(moment: datetime, body: Any = None) -> dict[str, Any]:
    """A request's body with its ExecutionDateTime, which stands first."""
    return {"ExecutionDateTime": moment, **(body or {})}


def slack_of(meter: Device) -> timedelta:
    """How late an answer may be that falls due at a time: as long as the meter may sleep, and a moment."""
    gas = meter.device_type is DeviceType.GSME
    return timedelta(minutes=5) + (GAS_SLEEP if gas else timedelta(0))


def expect_whole(
    evidence: EvidenceLog, response: ServiceResponse, meter: Device, srv: str, at: datetime, slack: timedelta
) -> None:
    """What a schedule brought is whole, the meter's, and of its time."""
    found = (response.code, response.srv, response.device_id, response.success, response.problems)
    due = ("I0", srv, meter.device_id, True, ())
    evidence.expect(f"scheduled response of {at:%F %T}", found=found, expected=due)
    assert response.timestamp is not None, "the scheduled response has no timestamp"
    evidence.expect_between("its own time", found=response.timestamp, low=at, high=at + slack)


def expect_profile(
    evidence: EvidenceLog, response: ServiceResponse, meter: Device, at: datetime, slack: timedelta
) -> None:
    """A whole answer to :func:`details`: the rows that the meter's own log has of the period by then."""
    expect_whole(evidence, response, meter, "4.8.1", at, slack)
    assert response.timestamp is not None
    start, end = period_at(at)
    gas = meter.device_type is DeviceType.GSME
    quantity, fuel = ("gas_volume", "Gas") if gas else ("active_import", "Electricity")
    rows = meter.log("profile", start, min(end, response.timestamp))
    entries = [{"Timestamp": row.timestamp, fuel: {"PrimaryValue": row.values[quantity]}} for row in rows]
    expect_content(evidence, f"the reading of {at:%F %T}", response.payload, {"LogEntry": entries})


def told(body: Mapping[str, Any]) -> dict[str, str]:
    """A schedule's details as the DCC tells them."""
    flat: dict[str, str] = {}
    for name, value in body.items():
        below = value if isinstance(value, Mapping) else {"": value}
        flat |= {f"{name}/{inner}" if inner else name: str(text) for inner, text in below.items()}
    return flat
