"""The service user of a rig (Clause 17.1): what a test asks of the DCC, through the run's shared link."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

from device_drivers.dcc import telling
from device_drivers.dcc.calls import CallClient
from device_drivers.dcc.duis import RequestId, ResponseMessage
from device_drivers.dcc.loopback import Delivered, LinkClient
from device_drivers.dcc.orders import Order, Sent
from device_drivers.dcc.tree import body_element, fragment
from device_drivers.utrn import make_utrn
from harness.domain.errors import BeyondLab, DeviceTimeout, UsageError
from harness.domain.instruments import (
    Alert,
    Body,
    Certified,
    Device,
    Forgery,
    LabClock,
    Pending,
    ServiceResponse,
)
from harness.domain.lab import Lab, Rig, ServiceRequest
from harness.domain.payload import Payload
from harness.domain.words import DeviceType, UserRole
from harness.hooks import Trace, plugin_manager

_ROLES_OF: Mapping[DeviceType, frozenset[UserRole]] = {
    DeviceType.ESME: frozenset({UserRole.IS, UserRole.ES, UserRole.ED, UserRole.RSA, UserRole.OU}),
    DeviceType.GSME: frozenset({UserRole.GS, UserRole.GT, UserRole.RSA, UserRole.OU}),
    DeviceType.CH: frozenset(UserRole),
}

_GAS_SLEEP = timedelta(minutes=30)  # for which a gas meter may be out of reach


def gateway_settler(services: Mapping[str, Any], device_ids: Collection[str]) -> Callable[[], None]:
    """A barrier for :meth:`VirtualClock.on_settle`: returns when the gateway has nothing for these devices.

    ``services`` are the addresses of the run's services. Where the gateway is not simulated there is nothing
    to wait for. A gateway that has died is a :class:`LinkLost`.
    """
    if "settle" not in services:
        return lambda: None
    control = CallClient(services["settle"], services["settle_token"], "the simulated gateway")

    def settle() -> None:
        control("settle", devices=list(device_ids))

    weakref.finalize(settle, control.close)  # a clock's barriers live and die with its rig
    return settle


class RigUser:
    """Implements :class:`~harness.domain.instruments.ServiceUser` for the devices of one rig.

    Life cycle: construct when the rig is opened; :meth:`close` with the rig.
    """

    def __init__(
        self, lab: Lab, rig: Rig, services: Mapping[str, Any], clock: LabClock, trace: Trace
    ) -> None:
        self._lab = lab
        self._clock = clock
        self._trace = trace
        self._types = {device.device_id: device.type for device in rig.devices.values()}
        self._link = LinkClient(services["link"], services["token"])
        self._alerts: dict[int, Alert] = {}
        self._by_schedule: dict[int, ServiceResponse] = {}
        if "settle" in services:
            self._tell_installed(services)

    @property
    def catalogue(self) -> Mapping[str, ServiceRequest]:
        return self._lab.catalogue

    def request(
        self,
        srv: str,
        target: Device | str,
        body: Body = None,
        *,
        role: UserRole | None = None,
        forgery: Forgery | None = None,
        within: timedelta | None = None,
    ) -> ServiceResponse:
        row = self._row(srv)
        device_id = target if isinstance(target, str) else target.device_id
        order = self._order(row, target, body, role, forgery)
        begun = self._clock.now()
        sent = self._send(order)
        if not sent.awaited:
            return self._answered(row, sent, self._clock.now() - begun)
        limit = within or self._limit(self._types.get(device_id))
        delivered = self._wait(row, sent, limit)
        elapsed = self._clock.now() - begun
        if elapsed > limit and delivered.authentic:
            raise DeviceTimeout(
                f"response to {row.srv} {row.name} ({sent.request_id}) came after {elapsed} of lab time; "
                f"it was due within {limit}"
            )
        return self._responded(row, sent, delivered, elapsed)

    def send(
        self, srv: str, target: Device | str, body: Body = None, *, role: UserRole | None = None
    ) -> Pending:
        row, begun = self._row(srv), self._clock.now()
        order = self._order(row, target, body, role, None)
        return _Sent(self, row, self._send(order), begun)

    def scheduled(self, schedule: int, device: Device) -> tuple[ServiceResponse, ...]:
        self._clock.sleep(timedelta())  # lets what is on its way arrive first
        found = ((telling.read(each.xml), each) for each in self._link.scheduled(device.device_id))
        return tuple(
            self._read_scheduled(schedule, device, message, each)
            for message, each in found
            if message is not None and message.schedule == schedule
        )

    def _read_scheduled(
        self, schedule: int, device: Device, message: ResponseMessage, delivered: Delivered
    ) -> ServiceResponse:
        """Each is taken apart, and put into the evidence, once."""
        if delivered.number not in self._by_schedule:
            name = f"schedule {schedule}, message {delivered.number}"
            self._trace.message("DCC", name, delivered.xml, "application/xml")
            self._by_schedule[delivered.number] = telling.by_schedule(schedule, device, message, delivered)
        return self._by_schedule[delivered.number]

    def _order(
        self,
        row: ServiceRequest,
        target: Device | str,
        body: Body,
        role: UserRole | None,
        forgery: Forgery | None,
    ) -> Order:
        device_id = target if isinstance(target, str) else target.device_id
        return Order(
            srv=row.srv,
            role=role or self._default_role(row, self._types.get(device_id)),
            target=self._lab.dcc.dcc_eui if row.non_device else device_id,
            body_xml=fragment(body_element(row.body_element, body)),
            forgery=forgery or Forgery(),
        )

    def vend(self, meter: Device, pence: int) -> str:
        if self._lab.dcc.gateway == "simulated":
            return make_utrn(meter.device_id, pence, self._link.utrn_serial())
        hooks = plugin_manager(self._lab.plugins)
        code: str | None = hooks.hook.harness_vend(lab=self._lab, device_id=meter.device_id, pence=pence)
        if code is None:
            raise BeyondLab(
                f"nobody in this lab vends top-up codes for {meter.device_id}",
                remedy="name a plugin with hook harness_vend, which asks the lab's vending service",
            )
        return code

    def certified(self, role: UserRole, *, successor: bool = False) -> Certified:
        from device_drivers.dcc.identities import certified

        return certified(self._lab, role, successor=successor)

    def alert(self, code: str, device: Device, *, since: datetime, within: timedelta | None = None) -> Alert:
        limit = within or timedelta(seconds=self._lab.dcc.alert_limit_seconds)

        def come() -> Alert | None:
            alerts = self.alerts(device, since=since)
            return next((alert for alert in alerts if alert.code.upper() == code.upper()), None)

        return self._clock.until(come, within=limit, what=f"alert {code} from {device.device_id}")

    def alerts(self, device: Device, *, since: datetime | None = None) -> tuple[Alert, ...]:
        return tuple(
            self._read_alert(each)
            for each in self._link.alerts(device.device_id)
            if since is None or (each.moment is not None and each.moment >= since)
        )

    def _read_alert(self, delivered: Delivered) -> Alert:
        """Each alert is taken apart once, however often a test looks."""
        if delivered.number not in self._alerts:
            self._alerts[delivered.number] = telling.alert(delivered)
        return self._alerts[delivered.number]

    def strays(self, *, since: datetime | None = None) -> tuple[str, ...]:
        self._clock.sleep(timedelta())  # lets what is on its way arrive first
        found = self._link.strays(tuple(self._types))
        return tuple(
            each.told for each in found if since is None or each.moment is None or each.moment >= since
        )

    def close(self) -> None:
        """Leave the link; the run's other rigs keep it."""
        self._link.close()

    def _tell_installed(self, services: Mapping[str, Any]) -> None:
        """Fresh twins are a fresh installation: the simulated inventory has their devices as the lab says."""
        control = CallClient(services["settle"], services["settle_token"], "the simulated gateway")
        control("installed", devices=list(self._types))
        control.close()

    def _row(self, srv: str) -> ServiceRequest:
        if srv not in self._lab.catalogue:
            raise UsageError(
                f"SRV {srv!r} is not in the lab's catalogue", remedy="write it as the catalogue does"
            )
        return self._lab.catalogue[srv]

    @staticmethod
    def _default_role(row: ServiceRequest, device_type: DeviceType | None) -> UserRole:
        fitting = frozenset(UserRole) if device_type is None else _ROLES_OF[device_type]
        for role in row.roles:
            if role in fitting:
                return role
        raise UsageError(
            f"no User Role of SRV {row.srv} fits a {device_type or 'device'}",
            remedy="name the role in the request",
        )

    def _limit(self, device_type: DeviceType | None) -> timedelta:
        limit = timedelta(seconds=self._lab.dcc.response_limit_seconds)
        return limit + _GAS_SLEEP if device_type is DeviceType.GSME else limit

    def _send(self, order: Order) -> Sent:
        sent = self._link.send(order)
        name = f"{order.srv} {sent.request_id.rpartition(':')[2]}"
        self._trace.message("DCC", f"{name} request", sent.request, "application/xml")
        kind = "application/xml" if sent.status == 200 else "text/plain"
        self._trace.message("DCC", f"{name} answer", sent.answer, kind)
        return sent

    def _wait(self, row: ServiceRequest, sent: Sent, within: timedelta) -> Delivered:
        try:
            delivered = self._clock.until(
                lambda: self._link.response(sent.ticket),
                within=within,
                what=f"response to {row.srv} {row.name} ({sent.request_id})",
            )
        except DeviceTimeout:
            self._link.abandon(sent.ticket)
            refused = self._link.refused(sent.ticket)
            if refused is None:
                raise
            delivered = refused  # whose problems say why it is no answer
        self._note(row, sent, delivered)
        return delivered

    def _note(self, row: ServiceRequest, sent: Sent, delivered: Delivered) -> None:
        counter = sent.request_id.rpartition(":")[2]
        self._trace.message("DCC", f"{row.srv} {counter} response", delivered.xml, "application/xml")

    def _answered(self, row: ServiceRequest, sent: Sent, elapsed: timedelta) -> ServiceResponse:
        """The answer on the same connection was the last word."""
        message = telling.read(sent.answer) if sent.status == 200 else None
        code = message.code if message else f"HTTP {sent.status}"
        return ServiceResponse(
            request_id=sent.request_id,
            srv=row.srv,
            acknowledgement=code,
            code=code,
            device_id="",
            success=code.startswith("I") and not sent.problems,
            payload=message.content if message else Payload(),
            debug=(),
            timestamp=None,
            elapsed=elapsed,
            problems=sent.problems,
            xml=sent.answer,
            sent=sent.request,
        )

    def _responded(
        self, row: ServiceRequest, sent: Sent, delivered: Delivered, elapsed: timedelta
    ) -> ServiceResponse:
        message = telling.read(delivered.xml)
        smets1 = message.smets1 if message else None
        problems = (*sent.problems, *delivered.problems)
        if message is not None:
            problems += tuple(telling.correlation(message, RequestId.parse(sent.request_id), row))
        return ServiceResponse(
            request_id=sent.request_id,
            srv=row.srv,
            acknowledgement="I99",
            code=delivered.code,
            device_id=smets1.originator if smets1 else "",
            success=(smets1 is None or smets1.success is True) and delivered.code == "I0" and not problems,
            payload=smets1.payload if smets1 else (message.content if message else Payload()),
            debug=smets1.debug if smets1 else (),
            timestamp=smets1.timestamp if smets1 else None,
            elapsed=elapsed,
            problems=problems,
            xml=delivered.xml,
            sent=sent.request,
        )


class _Sent:
    """Implements :class:`~harness.domain.instruments.Pending`."""

    def __init__(self, user: RigUser, row: ServiceRequest, sent: Sent, begun: datetime) -> None:
        self._user, self._row, self._sent, self._begun = user, row, sent, begun
        self._come: ServiceResponse | None = None

    @property
    def request_id(self) -> str:
        return self._sent.request_id

    @property
    def accepted(self) -> bool:
        return self._sent.awaited

    def response(self) -> ServiceResponse | None:
        self._user._clock.sleep(timedelta())  # lets what is on its way arrive first
        return self._look()

    def wait(self, within: timedelta) -> ServiceResponse:
        what = f"response to {self._row.srv} {self._row.name} ({self.request_id})"
        return self._user._clock.until(self._look, within=within, what=what)

    def abandon(self) -> None:
        self._user._link.abandon(self._sent.ticket)

    def _look(self) -> ServiceResponse | None:
        if self._come is None:
            elapsed = self._user._clock.now() - self._begun
            if not self._sent.awaited:
                self._come = self._user._answered(self._row, self._sent, elapsed)
            elif delivered := self._user._link.response(self._sent.ticket):
                self._user._note(self._row, self._sent, delivered)
                self._come = self._user._responded(self._row, self._sent, delivered, elapsed)
        return self._come
