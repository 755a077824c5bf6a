"""The gateway stub: what the DCC does with a Service Request, behind a real socket.

Checks (:mod:`.admission`), acknowledges, has the S1SP perform the request, and posts the response. Faults at
:attr:`Place.GATEWAY` sit at CHECK (a check's name; its refusal code or ""), REQUEST (the admitted
:class:`RequestMessage`; DROP: acknowledged and forgotten; altered, the S1SP refuses it, because what came is
what is countersigned), RESPONSE (the :class:`Smets1Answer`, or the response code where there is none, or a
non-device :class:`Answer`; DROP: no response), ALERT (:mod:`.alerts`; DROP: lost) and DELIVERY (the
messages to post; ``hold(seconds)`` in details).
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
from device_drivers.simulated.s1sp.answer import CountersignedRequest, Smets1Answer
from device_drivers.simulated.wan.head import DeviceSilent, HubAlert, HubUnreachable
from harness.domain.errors import HarnessError, LinkLost, ProtocolViolation
from harness.domain.faults import DROP, Interceptions, Point
from harness.domain.lab import Lab

_log: Final = logging.getLogger(__name__)
_SETTLE_SECONDS: Final = 60.0
_FIRMWARE_ACTIVATED: Final = 0x0014  # of a twin's events


class Performer(Protocol):
    """What the gateway asks of the S1SP."""

    def perform(self, request: CountersignedRequest) -> Smets1Answer:
        """The equivalent steps; :class:`HubUnreachable` or :class:`DeviceSilent` where there is no answer."""

    def distribute_firmware(self, device_id: str, version: str, image: bytes) -> None:
        """Bring an image to a device."""

    def firmware_version(self, device_id: str) -> str:
        """The version that a device runs."""


class LabTime(Protocol):
    """Where the gateway has the lab time of a hub's rig from: the WAN head."""

    def now(self, ch_id: str) -> datetime:
        """The rig's lab time."""

    def hold(self, ch_id: str, seconds: float) -> None:
        """Let the rig's lab time pass."""


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
        self._non_device_srvs = {row.srv for row in lab.catalogue.values() if row.non_device}
        self._hubs: dict[str, ThreadPoolExecutor] = {}
        self._lock = threading.Lock()
        self.in_flight = InFlight()

    def handle(self, service: str, xml: bytes) -> tuple[int, str, bytes]:
        """HTTP status, content type and content of the answer to a posted message."""
        try:
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
        if passed is not DROP:
            self._queue(request.request_id.target, lambda: self._perform(passed, xml))
        return 200, XML, self._writer.plain(request, "I99", now)

    def alert(self, alert: HubAlert) -> None:
        """Post a device's alert to the user whom it concerns; returns when it has been delivered."""
        device_id = alert.device_id.upper()
        record = self.inventory.find(device_id)
        sent = self._alerts.device(alert, self._now(device_id))
        if sent and record and record.type == "CHF" and alert.code == _FIRMWARE_ACTIVATED:
            self._queue(device_id, lambda: self._tell_firmware(record))

    def close(self) -> None:
        """Finish what is under way and let go of everything."""
        with self._lock:
            hubs = list(self._hubs.values())
        for hub in hubs:
            hub.shutdown(wait=True, cancel_futures=True)
        self._outbound.close()

    def _answer(self, request: RequestMessage, passed: Any, now: datetime) -> tuple[int, str, bytes]:
        if request.srv not in self._non_device.served:
            return 501, PLAIN, f"the simulated DCC does not serve SRV {request.srv}".encode()
        try:
            answer = DROP if passed is DROP else self._non_device.answer(passed)
        except ProtocolViolation as error:
            return 400, PLAIN, error.message.encode()
        target = request.request_id.target
        answer = DROP if answer is DROP else self._passing(Point.RESPONSE, request.srv, answer, target, now)
        if answer is DROP:
            return 504, PLAIN, b"no answer"
        assert isinstance(answer, Answer)  # what a fault returns is its author's affair
        return 200, XML, self._writer.plain(request, answer.code, now, answer.content)

    def _perform(self, request: RequestMessage, xml: bytes) -> None:
        """Have the S1SP perform an accepted request, and post what comes of it."""
        target = request.request_id.target
        outcome = self._outcome(request, xml)
        now = self._now(target)
        outcome = self._passing(Point.RESPONSE, request.srv, outcome, target, now)
        if outcome is DROP:
            return
        if isinstance(outcome, str):
            response = self._writer.plain(request, outcome, now)
        else:
            self._note(request, outcome)
            response = self._writer.response(request, outcome, now)
        self._deliver("response", response, target, now)

    def _outcome(self, request: RequestMessage, xml: bytes) -> Smets1Answer | str:
        countersigned = CountersignedRequest(
            request_id=str(request.request_id),
            originator=request.request_id.originator,
            target=request.request_id.target,
            counter=request.request_id.counter,
            srv=request.srv,
            body_element=request.body_element,
            body=request.body,
            xml=self._writer.countersigned(xml),
        )
        try:
            return self._s1sp.perform(countersigned)
        except HubUnreachable:
            return "E20"
        except DeviceSilent:
            return "E21"
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
            return self._hubs.setdefault(name, ThreadPoolExecutor(1, f"hub-{name}"))

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
