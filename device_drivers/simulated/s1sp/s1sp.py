"""The S1SP: takes countersigned requests, performs their equivalent steps on meters, answers.

Faults at :attr:`Place.S1SP` sit at CHECK ("countersignature", before all else, then "device",
"authorisation", "certificate" and "counter"; the refusal or ""), REQUEST (the :class:`CountersignedRequest`
once its countersignature has been verified; DROP: no answer ever comes), ACTION (the request that has been
admitted; DROP: answered as done, and nothing is done), RESPONSE (the :class:`Smets1Answer`; DROP: it is lost)
and ALERT (the :class:`HubAlert`; DROP: it goes no further).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final

from device_drivers.dcc.duis import RequestId, RequestMessage, response_element
from device_drivers.dcc.identities import simulated_pki
from device_drivers.dcc.signature import Ring
from device_drivers.dlms.counters import CounterStore
from device_drivers.named.device import NamedDevice
from device_drivers.simulated.gateway.countersignature import countersigned
from device_drivers.simulated.keys import key_ring
from device_drivers.simulated.s1sp import (
    configuration,
    credentials,
    customer,
    estate,
    firmware,
    logs,
    payment,
    prepayment,
    registers,
    supply,
    tariff,
    tariff_reading,
    unknown,
)
from device_drivers.simulated.s1sp.answer import CountersignedRequest, Smets1Answer
from device_drivers.simulated.s1sp.executed import Executed
from device_drivers.simulated.s1sp.record import DeviceRecord
from device_drivers.simulated.s1sp.refusal import (
    DEVICE_REFUSED,
    NOT_AUTHORISED,
    NOT_COUNTERSIGNED,
    NOT_FOR_THIS_DEVICE,
    NOT_SERVED,
    OUT_OF_RANGE,
    PROTOCOL_BROKEN,
    REPLAYED,
    Refused,
)
from device_drivers.simulated.s1sp.sessions import Sessions
from device_drivers.simulated.s1sp.steps import Job, Step
from device_drivers.simulated.wan.head import DeviceSilent, HubAlert, WanHead
from harness.domain.errors import AccessRefused, HarnessError, ProtocolViolation, UsageError
from harness.domain.faults import DROP, Interceptions, Point
from harness.domain.instruments import Body
from harness.domain.lab import Lab, RigDevice
from harness.domain.words import DeviceType, UserRole

STEPS: Final[Mapping[str, Step]] = {
    srv: step
    for group in (
        tariff,
        tariff_reading,
        payment,
        prepayment,
        customer,
        registers,
        logs,
        configuration,
        credentials,
        supply,
        estate,
        firmware,
        unknown,
    )
    for srv, step in group.STEPS.items()
}
"""SRV → what it takes to serve it."""

HELD_BY_DEVICES: Final = frozenset({"1.1.1", "1.2.1", "1.6", "2.1", "6.4.1", "11.3"})
"""SRVs whose steps a meter can hold until a time to come, where the catalogue lets it."""

_SCHEDULE: Final = " by schedule"


@dataclass(slots=True)
class _Station:
    """One device of the lab: its hub, that hub's order, and what the S1SP keeps of the device."""

    device: RigDevice
    ch_id: str
    order: threading.Lock  # one request at a time through a hub
    record: DeviceRecord


class S1sp:
    """Serves the simulated rigs of a lab through ``head``. Safe to call from several threads.

    ``on_alert`` is called with each alert before the hub is told that it arrived. ``executed`` keeps the
    counters of requests over restarts; without it they last as long as this S1SP.
    """

    def __init__(
        self,
        lab: Lab,
        head: WanHead,
        interceptions: Interceptions,
        counters: CounterStore,
        executed: Executed | None = None,
    ) -> None:
        self._executed = executed
        self.on_alert: Callable[[HubAlert], None] | None = None
        self._lab = lab
        self._head = head
        self._interceptions = interceptions
        self._dcc = Ring({"dcc": simulated_pki(lab).dcc(lab.dcc.dcc_eui).certificate})
        self._sessions = Sessions(head, key_ring(lab), counters)
        self._stations = _stations(lab, executed)
        head.on_alert = self._alert
        head.on_hello = self.hello

    def perform(self, request: CountersignedRequest) -> Smets1Answer:
        """Do what is asked and answer; a refusal, by S1SP or device, is an answer without success.

        Raises :class:`HubUnreachable` where the hub, :class:`DeviceSilent` where the device cannot be had.
        """
        station = self._stations.get(request.target.upper())
        if station is None:
            raise UsageError(f"no simulated rig of this lab has the device {request.target}")
        with station.order:
            about = {"device_id": station.device.device_id, "now": self._head.now(station.ch_id)}
            answer: Any = self._answer(request, station)
            answer = self._interceptions.passing(Point.RESPONSE, request.srv, answer, **about)
        if answer is DROP:
            raise DeviceSilent(f"the S1SP has no answer to {request.request_id}")
        assert isinstance(answer, Smets1Answer)  # what a fault returns is its author's affair
        return answer

    def distribute_firmware(self, device_id: str, version: str, image: bytes) -> None:
        """Bring an image to a device, as SRV 11.1 asks for; :class:`AccessRefused` if it does not verify."""
        station = self._stations[device_id.upper()]
        with station.order, self._association(station) as device:
            firmware.distribute(device, station.record, version, image)

    def firmware_version(self, device_id: str) -> str:
        """The version that a device runs, as it says itself, cut to what the schema has room for."""
        station = self._stations[device_id.upper()]
        with station.order, self._association(station) as device:
            return firmware.running(device)

    def record(self, device_id: str) -> DeviceRecord:
        """What the S1SP keeps of a device; migration writes it."""
        return self._stations[device_id.upper()].record

    def installed(self, device_ids: Iterable[str]) -> None:
        """These devices have been installed afresh: what is notified is what it was when they were enrolled.

        Counters go on: who sends requests has not changed.
        """
        for station in (self._stations.get(device_id.upper()) for device_id in device_ids):
            if station is not None:
                with station.order:
                    station.record.certificates = credentials.first_notified(self._lab, station.device.type)
                    station.record.floors.clear()

    def hello(self, ch_id: str, devices: tuple[str, ...]) -> None:
        """A hub has (re)connected: its devices know nothing of earlier associations."""
        self._sessions.forget((ch_id, *devices))

    def _alert(self, alert: HubAlert) -> None:
        item, about = f"{alert.code:04X}", {"device_id": alert.device_id, "now": alert.timestamp}
        passed = self._interceptions.passing(Point.ALERT, item, alert, **about)
        if passed is not DROP and self.on_alert is not None:
            self.on_alert(passed)

    def _answer(self, request: CountersignedRequest, station: _Station) -> Smets1Answer:
        now = partial(self._head.now, station.ch_id)
        data: Body = None
        debug: tuple[tuple[int, str], ...] = ()
        try:
            data = self._serve(request, station, now)
        except Refused as refusal:
            debug = ((refusal.code, refusal.message),)
        except UsageError as misfit:  # a value that the device's form cannot hold
            debug = ((OUT_OF_RANGE, misfit.message),)
        except AccessRefused as refusal:
            debug = ((DEVICE_REFUSED, refusal.message),)
        except ProtocolViolation as problem:
            debug = ((PROTOCOL_BROKEN, problem.message),)
        return Smets1Answer(
            device_id=station.device.device_id,
            srv=request.srv,
            response_element=response_element(request.body_element),
            success=not debug,
            data=data,
            debug=debug,
            timestamp=now(),
        )

    def _serve(self, request: CountersignedRequest, station: _Station, now: Callable[[], datetime]) -> Body:
        about = {"device_id": station.device.device_id, "now": now()}
        self._refuse_if("countersignature", NOT_COUNTERSIGNED, self._not_countersigned(request), **about)
        passed: Any = self._interceptions.passing(Point.REQUEST, request.srv, request, **about)
        if passed is DROP:
            raise DeviceSilent(f"the S1SP has lost {request.request_id}")
        self._check(passed, station, **about)
        passed = self._interceptions.passing(Point.ACTION, request.srv, passed, **about)
        return None if passed is DROP else self._perform(passed, station, now)

    def _perform(self, request: CountersignedRequest, station: _Station, now: Callable[[], datetime]) -> Body:
        step = STEPS.get(request.srv)
        if step is None:
            raise Refused(NOT_SERVED, f"this S1SP does not serve SRV {request.srv}")
        at = self._time_to_come(request, now())
        with self._association(station) as device:
            job = Job(
                device=device,
                type=station.device.type,
                body=request.body,
                now=now,
                record=station.record,
                roles=self._roles(request),
                counter=request.counter,
                srv=request.srv,
                at=at,
            )
            return step(job)

    def _time_to_come(self, request: CountersignedRequest, now: datetime) -> datetime | None:
        """The ExecutionDateTime, where it lies in the future; only a device may hold a request now."""
        if "ExecutionDateTime" not in request.body:
            return None
        at, row = request.body.time("ExecutionDateTime"), self._lab.catalogue[request.srv]
        if at <= now:
            return None
        if "Device" not in row.future_dated or request.srv not in HELD_BY_DEVICES:
            raise Refused(NOT_SERVED, f"no device holds SRV {request.srv} until {at:%F %T} UTC")
        return at

    @contextmanager
    def _association(self, station: _Station) -> Iterator[NamedDevice]:
        """The device; after anything but the S1SP's own refusal it is associated anew next time."""
        device_id = station.device.device_id
        try:
            yield self._sessions.device(station.ch_id, device_id, station.device.type)
        except Refused:
            raise
        except HarnessError:
            self._sessions.forget((device_id,))
            raise

    def _check(self, request: CountersignedRequest, station: _Station, **about: Any) -> None:
        """The S1SP's own checks, after the gateway's; an accepted counter counts as used.

        A schedule's requests are numbered by the DCC, apart from the User's. One that the DCC has held may be
        older than the last; it counts once all the same.
        """
        counters, late = station.record.counters, station.record.late
        series = f"{request.originator}{_SCHEDULE}" if request.scheduled else request.originator
        used = counters.get(series, -1)
        again = (series, request.counter) in late if request.held else request.counter <= used
        for item, code, refusal in (
            ("device", NOT_FOR_THIS_DEVICE, self._unfit(request.srv, station.device.type)),
            ("authorisation", NOT_AUTHORISED, self._unauthorised(request)),
            ("certificate", NOT_AUTHORISED, self._not_notified(request, station.record)),
            ("counter", REPLAYED, _replayed(request, used) if again else ""),
        ):
            self._refuse_if(item, code, refusal, **about)
        counters[series] = max(used, request.counter)
        if self._executed is not None and not request.scheduled:  # a schedule ends with the DCC that has it
            own = {name: each for name, each in counters.items() if not name.endswith(_SCHEDULE)}
            self._executed.keep(station.device.device_id, own)
        if request.held:
            late.add((series, request.counter))

    def _refuse_if(self, item: str, code: int, refusal: str, **about: Any) -> None:
        if found := self._interceptions.passing(Point.CHECK, item, refusal, **about):
            raise Refused(code, found)

    def _not_countersigned(self, request: CountersignedRequest) -> str:
        """Why the request is not what the DCC has countersigned, or nothing."""
        try:
            inner = countersigned(request.xml, self._dcc)
            if request.scheduled:  # no User has signed it
                self._dcc.verify(inner)
            message = RequestMessage.read(inner)
        except ProtocolViolation as problem:
            return f"countersignature: {problem.message}"
        signed = (message.request_id, message.srv, message.body_element, message.body)
        request_id = RequestId(request.originator.upper(), request.target.upper(), request.counter)
        asked = (request_id, request.srv, request.body_element, request.body)
        return "" if signed == asked else "countersignature: another request was countersigned"

    def _unfit(self, srv: str, device_type: DeviceType) -> str:
        known = self._lab.catalogue.get(srv)
        fits = known is not None and device_type in known.device_types
        return "" if fits else f"SRV {srv} is not for a SMETS1 {device_type}"

    def _unauthorised(self, request: CountersignedRequest) -> str:
        roles, known = self._roles(request), self._lab.catalogue.get(request.srv)
        if known is None or roles & set(known.roles):
            return ""
        held = ", ".join(sorted(roles)) or "none in this lab"
        return f"the User Role of {request.originator} ({held}) may not send SRV {request.srv}"

    def _not_notified(self, request: CountersignedRequest, record: DeviceRecord) -> str:
        return "" if request.scheduled else credentials.refusal(request, self._roles(request), record)

    def _roles(self, request: CountersignedRequest) -> frozenset[UserRole]:
        originator = request.originator.upper()
        return frozenset(user.role for user in self._lab.dcc.users if user.eui.upper() == originator)


def _replayed(request: CountersignedRequest, used: int) -> str:
    """Why a counter is no good that was used before; for each User and device it rises with every request."""
    return f"counter {request.counter} is not above {used}, the last one used"


def _stations(lab: Lab, executed: Executed | None) -> dict[str, _Station]:
    """Every device of the lab's simulated rigs, by its id."""
    stations = {}
    for rig in lab.rigs:
        hub = rig.devices.get(DeviceType.CH)
        if rig.simulation is None or hub is None:
            continue
        order = threading.Lock()
        for device in rig.devices.values():
            record = DeviceRecord(
                counters=executed.of(device.device_id) if executed else {},
                certificates=credentials.first_notified(lab, device.type),
            )
            stations[device.device_id.upper()] = _Station(device, hub.device_id, order, record)
    return stations
