"""The gateway stub: what the DCC does with a Service Request, behind a real socket.

Checks (:mod:`.admission`), acknowledges, has the S1SP perform the request, and posts the response. Faults at
:attr:`Place.GATEWAY` sit at CHECK (a check's name; its refusal code or ""), REQUEST (the admitted
:class:`RequestMessage`; DROP: acknowledged and forgotten; altered, the S1SP refuses it, because what came is
what is countersigned), RESPONSE (the :class:`Smets1Answer`, or the response code where there is none, or a
non-device :class:`Answer`; DROP: no response), ALERT (:mod:`.alerts`; DROP: lost) and DELIVERY (the
messages to post; ``hold(seconds)`` in details). Those at SCHEDULE are told in :mod:`.timetable`.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Collection
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, Protocol

from starlette.applications import Starlette

from device_drivers.dcc.duis import SERVICE_OF, RequestId, RequestMessage
from device_drivers.dcc.http import PLAIN, XML, xml_route
from device_drivers.dcc.schemas import Schemas
from device_drivers.dcc.tree import parse
from device_drivers.simulated.gateway.admission import Admission
from device_drivers.simulated.gateway.alerts import Alerts
from device_drivers.simulated.gateway.delivery import Outbound, Writer
from device_drivers.simulated.gateway.inventory import COMMISSIONED, Inventory, Record
from device_drivers.simulated.gateway.non_device import Answer, NonDevice
from device_drivers.simulated.gateway.timetable import NOT_IN_TIME, LabTime, Occasion, Timetable
from device_drivers.simulated.s1sp.answer import CountersignedRequest, Smets1Answer
from device_drivers.simulated.wan.head import DeviceSilent, HubAlert, HubUnreachable
from harness.domain.errors import HarnessError, LinkLost, ProtocolViolation
from harness.domain.events import Event
from harness.domain.faults import DROP, Interceptions, Point
from harness.domain.lab import Lab

_log: Final = logging.getLogger(__name__)
_SETTLE_SECONDS: Final = 60.0


class Performer(Protocol):
    """What the gateway asks of the S1SP."""

    def perform(self, request: CountersignedRequest) -> Smets1Answer:
        """The equivalent steps; :class:`HubUnreachable` or :class:`DeviceSilent` where there is no answer."""

    def distribute_firmware(self, device_id: str, version: str, image: bytes) -> None:
        """Bring an image to a device."""

    def firmware_version(self, device_id: str) -> str:
        """The version that a device runs."""

    def installed(self, device_ids: Collection[str]) -> None:
        """These devices have been installed and enrolled afresh."""


class InFlight:
    """What is on its way, by device, so that lab time never overtakes it."""

    def __init__(self) -> None:
        self._count: Counter[str] = Counter()
        self._changed = threading.Condition()

    def begin(self, device_id: str) -> None:
        """Something for the device is on its way."""
        with self._changed:
            self._count[device_id] += 1

    def end(self, device_id: str) -> None:
        """It has arrived."""
        with self._changed:
            self._count[device_id] -= 1
            self._changed.notify_all()

    def settle(self, device_ids: Collection[str], timeout: float = _SETTLE_SECONDS) -> None:
        """Return when nothing is on its way for these devices; :class:`LinkLost` if that takes too long."""
        with self._changed:
            if not self._changed.wait_for(lambda: not any(map(self._count.get, device_ids)), timeout):
                raise LinkLost(
                    f"the gateway still has a message for one of {', '.join(device_ids)} after {timeout:g} s"
                )


class Gateway:
    """The DCC of a simulated lab, apart from its sockets. Safe for threads.

    Requests for the devices behind one hub are performed one after another, in the order of acceptance.
    """

    def __init__(
        self,
        lab: Lab,
        s1sp: Performer,
        time: LabTime,
        admission: Admission,
        inventory: Inventory,
        writer: Writer,
        outbound: Outbound,
        interceptions: Interceptions,
        schemas: Schemas | None,
    ) -> None:
        self._s1sp = s1sp
        self._time = time
        self._admission = admission
        self.inventory = inventory
        self._writer = writer
        self._outbound = outbound
        self._interceptions = interceptions
        self._schemas = schemas
        self._alerts = Alerts(lab, inventory, writer, interceptions, self._deliver_alert)
        self._non_device = NonDevice(inventory, self._distribute)
        self._timetable = Timetable(lab, inventory, writer, time, self._now, interceptions, self._perform_now)
        self._served = {**self._non_device.served, **self._timetable.schedules.served}
        self._non_device_srvs = {row.srv for row in lab.catalogue.values() if row.non_device}
        self._hubs: dict[str, ThreadPoolExecutor] = {}
        self._lock = threading.Lock()
        self.in_flight = InFlight()

    def handle(self, service: str, xml: bytes) -> tuple[int, str, bytes]:
        """HTTP status, content type and content of the answer to a posted message."""
        try:
            xml = self._passing(Point.INTAKE, "xml", xml, "", datetime.now(UTC))
            root = parse(xml)
            if problems := self._schemas.problems(root) if self._schemas else ():
                return 400, PLAIN, "\n".join(problems).encode()
            request = RequestMessage.read(root)
        except ProtocolViolation as error:
            return 400, PLAIN, error.message.encode()
        now = self._now(request.request_id.target)
        if refusal := self._admission.decide(service, root, request, now):
            return 200, XML, self._writer.plain(request, refusal, now)
        passed = self._passing(Point.REQUEST, request.srv, request, request.request_id.target, now)
        if request.srv in self._non_device_srvs:
            return self._answer(request, passed, now)
        if passed is not DROP and not self._timetable.holds(passed, xml, now):
            self._queue(request.request_id.target, lambda: self._perform(Occasion(passed, xml)))
        return 200, XML, self._writer.plain(request, "I99", now)

    def alert(self, alert: HubAlert) -> None:
        """Post a device's alert to the user whom it concerns; returns when it has been delivered."""
        device_id = alert.device_id.upper()
        record = self.inventory.find(device_id)
        sent = self._alerts.device(alert, self._now(device_id))
        if sent and record and record.type == "CHF" and alert.code == Event.FIRMWARE_ACTIVATED:
            self._queue(device_id, lambda: self._tell_firmware(record))

    def due(self, hub: str) -> None:
        """Lab time has come to a moment at which something is to be done for a hub's devices."""
        for device_id, work in self._timetable.due(hub):
            self._queue(device_id, work)

    def installed(self, device_ids: Collection[str]) -> None:
        """These devices have been installed afresh: nothing of before holds."""
        known = {device_id.upper() for device_id in device_ids}
        self._timetable.forget(known)
        self._s1sp.installed(known)
        self.inventory.installed(known)

    def close(self) -> None:
        """Finish what is under way and let go of everything."""
        with self._lock:
            hubs = list(self._hubs.values())
        for hub in hubs:
            hub.shutdown(wait=True, cancel_futures=True)
        self._outbound.close()

    def _answer(self, request: RequestMessage, passed: Any, now: datetime) -> tuple[int, str, bytes]:
        if request.srv not in self._served:
            return 501, PLAIN, f"the simulated DCC does not serve SRV {request.srv}".encode()
        try:
            answer = DROP if passed is DROP else self._served[request.srv](passed)
        except ProtocolViolation as error:
            return 400, PLAIN, error.message.encode()
        target = request.request_id.target
        answer = DROP if answer is DROP else self._passing(Point.RESPONSE, request.srv, answer, target, now)
        if answer is DROP:
            return 504, PLAIN, b"no answer"
        assert isinstance(answer, Answer)  # what a fault returns is its author's affair
        self._end_schedules(request)
        return 200, XML, self._writer.plain(request, answer.code, now, answer.content)

    def _end_schedules(self, request: RequestMessage) -> None:
        """A device that is decommissioned or deleted has no schedules; their owners are told (ours)."""
        if request.srv not in {"8.3", "8.4"}:
            return
        device_id = request.body.text("DeviceID").upper()
        record = self.inventory.find(device_id)
        if record is not None and record.status != "Decommissioned":
            return
        now = self._now(device_id)  # the request was for the DCC, which has no lab time of its own
        for ended in self._timetable.forget({device_id}):
            self._deliver_alert(
                self._writer.schedule_removed(device_id, ended.id, ended.owner, now), device_id, now
            )

    def _perform_now(self, occasion: Occasion) -> None:
        """What has waited for its time: the device may have gone meanwhile."""
        record = self.inventory.find(occasion.request.request_id.target)
        if record is not None and record.status == COMMISSIONED:
            self._perform(replace(occasion, waited=True))
        elif occasion.schedule is None:
            now = self._now(occasion.request.request_id.target)
            self._respond(occasion, "E5" if record else "E19", now)

    def _perform(self, occasion: Occasion) -> None:
        """Have the S1SP perform an accepted request, and post what comes of it."""
        request = occasion.request
        target = request.request_id.target
        outcome = self._outcome(occasion)
        now = self._now(target)
        outcome = self._passing(Point.RESPONSE, request.srv, outcome, target, now)
        if outcome is DROP:
            return
        self._respond(occasion, outcome, now)

    def _respond(self, occasion: Occasion, outcome: Smets1Answer | str, now: datetime) -> None:
        request, schedule = occasion.request, occasion.schedule
        if not isinstance(outcome, str):
            self._note(request, outcome)
            response = self._writer.response(request, outcome, now, schedule)
        elif schedule is None:
            response = self._writer.plain(request, outcome, now)
        else:
            response = self._writer.scheduled_error(request, outcome, now, schedule)
        self._deliver("response", response, request.request_id.target, now)

    def _outcome(self, occasion: Occasion) -> Smets1Answer | str:
        request = occasion.request
        held = occasion.waited and occasion.schedule is None
        countersigned = CountersignedRequest(
            request_id=str(request.request_id),
            originator=request.request_id.originator,
            target=request.request_id.target,
            counter=request.request_id.counter,
            srv=request.srv,
            body_element=request.body_element,
            body=request.body,
            xml=self._writer.countersigned(occasion.xml),
            scheduled=occasion.schedule is not None,
            held=held,
        )
        try:
            return self._s1sp.perform(countersigned)
        except HubUnreachable:
            return NOT_IN_TIME if held else "E20"
        except DeviceSilent:
            return NOT_IN_TIME if held else "E21"
        except HarnessError as error:
            _log.error("the S1SP failed at %s: %s", request.request_id, error)
            return "E21"

    def _note(self, request: RequestMessage, answer: Smets1Answer) -> None:
        if request.srv == "8.1.1" and answer.success and self.inventory.find(request.request_id.target):
            self.inventory.set_status(request.request_id.target, COMMISSIONED)

    def _distribute(self, request_id: RequestId, device_id: str, version: str, image: bytes) -> None:
        def bring() -> None:
            done, told = True, f"firmware {version} is on the device, verified"
            try:
                self._s1sp.distribute_firmware(device_id, version, image)
            except HarnessError as error:
                done, told = False, f"firmware {version} did not reach the device: {error.message}"
            self._alerts.distribution(request_id, device_id, told, done=done, now=self._now(device_id))

        self._queue(device_id, bring)

    def _tell_firmware(self, hub: Record) -> None:
        try:
            version = self._s1sp.firmware_version(hub.device_id)
        except HarnessError as error:
            _log.warning("the firmware of hub %s cannot be read: %s", hub.device_id, error)
            return
        self.inventory.put(replace(hub, firmware=version))
        self._alerts.ch_firmware(hub.device_id, version, self._now(hub.device_id))

    def _queue(self, device_id: str, work: Callable[[], None]) -> None:
        record = self.inventory.find(device_id)
        self.in_flight.begin(device_id)

        def done(future: Future[None]) -> None:
            self.in_flight.end(device_id)
            if not future.cancelled() and (error := future.exception()) is not None:
                _log.error("a request for %s was lost", device_id, exc_info=error)

        self._hub(record).submit(work).add_done_callback(done)

    def _hub(self, record: Record | None) -> ThreadPoolExecutor:
        name = record.hub if record else ""
        with self._lock:
            if name not in self._hubs:
                self._hubs[name] = ThreadPoolExecutor(1, f"hub-{name}")
            return self._hubs[name]

    def _deliver_alert(self, xml: bytes, device_id: str, now: datetime) -> None:
        self._deliver("alert", xml, device_id, now)

    def _deliver(self, item: str, xml: bytes, device_id: str, now: datetime) -> None:
        record = self.inventory.find(device_id)
        hub = record.hub if record else ""
        self._outbound.deliver(item, xml, device_id, now, lambda seconds: self._time.hold(hub, seconds))

    def _passing(self, point: Point, item: str, value: Any, device_id: str, now: datetime) -> Any:
        return self._interceptions.passing(point, item, value, device_id=device_id, now=now)

    def _now(self, device_id: str) -> datetime:
        """The lab time of the device's rig; the wall clock where the device or its hub is not known."""
        record = self.inventory.find(device_id)
        try:
            return self._time.now(record.hub) if record else datetime.now(UTC)
        except (HubUnreachable, DeviceSilent):
            return datetime.now(UTC)


def application(gateway: Gateway) -> Starlette:
    """The gateway's web services, at the paths of DCC Boxed."""
    services = sorted(set(SERVICE_OF.values()))
    return Starlette(
        routes=[xml_route(f"/api/v1/{service}", partial(gateway.handle, service)) for service in services]
    )
