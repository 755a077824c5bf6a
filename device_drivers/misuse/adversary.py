"""The built-in adversary, :class:`harness.domain.misuse.Adversary`, for any lab; more for a simulated one."""

from __future__ import annotations

import base64
import hashlib
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any, Final

from device_drivers.dcc.calls import CallClient
from device_drivers.dcc.loopback import LinkClient
from device_drivers.dcc.orders import Order
from device_drivers.dcc.tree import body_element, fragment
from device_drivers.dlms.counters import FileCounters
from device_drivers.dlms.refs import AttributeRef
from device_drivers.dlms.security import Credentials
from device_drivers.doors.apdu_trace import apdu_tracer
from device_drivers.doors.opening import credentials_of, open_transport
from device_drivers.misuse import incoming
from device_drivers.misuse.doors import Doors, trap
from device_drivers.misuse.knocking import READER, Knocker, asking, setting
from device_drivers.named.objects import TABLES
from device_drivers.rigs.assembly import reached
from device_drivers.utrn import wrong_utrns
from harness.domain.errors import BeyondLab, LinkLost, UsageError
from harness.domain.instruments import Body, Device, Forgery, RigInHand
from harness.domain.lab import Door, Lab, RigDevice
from harness.domain.misuse import KNOCKS, HttpAnswer, Knock, Trap
from harness.domain.words import UserRole
from harness.hooks import Fence, Trace

_XML: Final = "application/xml"


class LabAdversary:
    """Implements :class:`~harness.domain.misuse.Adversary` for the rig in hand.

    Life cycle: made when a test asks for it; :meth:`close` after the test.
    """

    def __init__(
        self, lab: Lab, rig: RigInHand, services: Mapping[str, Any], trace: Trace, fence: Fence
    ) -> None:
        if "link" not in services:
            raise LinkLost("no DCC link was started for this rig", remedy="run it in a pack")
        self._lab = lab
        self._rig = rig
        self._services = services
        self._trace = trace
        self._fence = fence
        self._link = LinkClient(services["link"], services["token"])
        gateway = services.get("gateway", lab.dcc.gateway)
        self._doors = Doors(lab, gateway, services["receive"])

    def close(self) -> None:
        """Let go of the link."""
        self._link.close()

    # The gateway

    def post(
        self,
        content: bytes,
        *,
        path: str = "/api/v1/serviceS",
        method: str = "POST",
        headers: Mapping[str, str] | None = None,
    ) -> HttpAnswer:
        answer = self._doors.post("gateway", path, content, method=method, headers=headers or {})
        self._link.note_forged(content[:65_536], path, answer.status, answer.content)
        self._told("DCC", f"{method} {path}", status=answer.status, headers=dict(headers or {}))
        return answer

    def talk(self, content: bytes) -> bytes:
        answer = self._doors.talk(content)
        self._link.note_forged(content[:65_536], "", 0, b"")
        self._told("DCC", "bytes", sent=len(content), answer=answer[:200].decode("latin-1"))
        return answer

    def loiter(self, content: bytes, connections: int) -> AbstractContextManager[None]:
        self._told("DCC", f"{connections} connections that go no further")
        return self._doors.loiter(content, connections)

    def shake_hands(
        self, door: str, *, certificate: str = "own", version: str = "", ciphers: str = ""
    ) -> str:
        why = self._doors.shake_hands(door, certificate, version, ciphers)
        self._told(
            "DCC", f"TLS with the {door}", certificate=certificate, offered=version or ciphers, why=why
        )
        return why

    def pose_as_gateway(self, certificate: str) -> str:
        why = self._doors.pose_as_gateway(certificate)
        self._told("DCC", "a gateway that is none", certificate=certificate, why=why)
        return why

    @contextmanager
    def trap(self, bait: str) -> Iterator[Trap]:
        with trap(bait) as laid:
            yield laid
        self._told("DCC", "a trap", visits=laid.visits)

    # Our own receive address

    def deliver(self, message: bytes, *, certificate: str = "own") -> HttpAnswer:
        self._link.expect_forged(hashlib.sha256(message).hexdigest())
        answer = self._doors.post(
            "receive", self._lab.dcc.receive_path, message, method="POST", headers={}, tls=certificate
        )
        self._trace.message("DCC", f"delivered to ourselves, HTTP {answer.status}", message, _XML)
        return answer

    def forge(self, message: bytes, how: str) -> bytes:
        return incoming.forged(message, how, self._lab)

    # A device's own port

    def knock(self, device: Device, how: str, item: str = "", value: Any = None) -> Knock:
        if how not in KNOCKS:
            raise UsageError(f"no knock is called {how!r}", remedy=f"say one of {', '.join(KNOCKS)}")
        self._fence()
        found = TABLES[device.device_type].items[item or "serial_number"]
        ref = AttributeRef(found.class_id, found.obis, found.attribute)
        if value is None:
            request = undo = asking(ref)
        else:
            request = setting(ref, found.form.encode(value))
            undo = setting(ref, found.form.encode(device.read(item)))
        knock = self._knocker(device).knock(how, request, undo)
        self._told(device.device_type, f"knocked: {how}", item=item, done=knock.done, told=knock.told)
        return knock

    def babble(self, device: Device, pieces: Sequence[bytes]) -> int:
        self._fence()
        answered = self._knocker(device).babble(tuple(pieces))
        self._told(device.device_type, "babbled", pieces=len(pieces), answered=answered)
        return answered

    def _knocker(self, device: Device) -> Knocker:
        known = self._rig.rig.devices[device.device_type]
        door = self._second_door(known)
        return Knocker(
            lambda: open_transport(door, self._lab, self._trace, known.type, self._fence),
            self._own(known),
            FileCounters(self._lab.state / "invocation-counters"),
            self._reading(known),
            apdu_tracer(self._trace, known.type),
        )

    def _second_door(self, device: RigDevice) -> Door:
        """The device's door, which has to be one that a second client can knock at."""
        door = reached(device.door, self._rig.controller)
        if door is None or door.transport != "tcp" or door.hdlc is not None or door.optical is not None:
            raise BeyondLab(
                f"the {device.type} of rig {self._rig.rig.id} has one port, and the lab's driver is at it",
                remedy="misuse of a device's port takes a door over TCP",
            )
        return door

    def _own(self, device: RigDevice) -> Credentials:
        own = credentials_of(device.security, self._lab)
        if own.mechanism != "hls-gmac":
            raise BeyondLab(
                f"the lab reaches the {device.type} by {own.mechanism}: there is no security to lower",
                remedy="give the lab's client keys",
            )
        return own

    def _reading(self, device: RigDevice) -> Credentials | None:
        if self._rig.rig.simulation is None:
            return None
        from device_drivers.simulated.keys import key_ring

        return key_ring(self._lab).credentials(device.device_id, READER)

    # The S1SP

    def pass_by_the_gateway(
        self,
        device: Device,
        srv: str,
        body: Body = None,
        *,
        role: UserRole,
        how: str = "rightly",
        forgery: Forgery | None = None,
    ) -> Knock:
        if "settle" not in self._services:
            raise BeyondLab("the lab's S1SP is not simulated", remedy="take a lab of twins")
        row = self._lab.catalogue[srv]
        content = fragment(body_element(row.body_element, body))
        order = Order(
            srv=srv, role=role, target=device.device_id, body_xml=content, forgery=forgery or Forgery()
        )
        xml = self._link.compose(order)
        control = CallClient(self._services["settle"], self._services["settle_token"], "the simulated DCC")
        try:
            told = control("back_door", xml=base64.b64encode(xml).decode(), how=how)
        finally:
            control.close()
        self._link.note_forged(xml, "s1sp", 0, b"")
        self._told("DCC", f"SRV {srv} past the gateway, countersigned {how}", **told)
        return Knock(done=bool(told["done"]), told=str(told["told"]))

    # What is behind the hub

    def join(self, device_id: str) -> bool:
        site = getattr(self._rig, "site", None)
        if site is None:
            raise BeyondLab(
                f"rig {self._rig.rig.id} has no twins: no device can be told to join",
                remedy="take a lab of twins",
            )
        joined = bool(site.twins.hub.join(device_id))
        self._told("CH", f"{device_id} asked to join", joined=joined)
        return joined

    def pose_as_hub(self, hub: Device) -> str:
        if "wan" not in self._services:
            raise BeyondLab("the lab's WAN is not simulated", remedy="take a lab of twins")
        why = _hello_without_key(self._services["wan"], hub.device_id)
        self._told("CH", f"somebody said hello as {hub.device_id}", why=why)
        return why

    def utrns(self, meter: Device, pence: int, count: int) -> tuple[str, ...]:
        return wrong_utrns(meter.device_id, pence, count)

    def _told(self, source: str, what: str, **detail: Any) -> None:
        self._trace.event(str(source), f"misuse: {what}", **detail)


def _hello_without_key(address: str, hub: str) -> str:
    """What the DCC's side says to a hello whose proof is made up: why it is not believed, or nothing."""
    from device_drivers.simulated.wan.frames import HELLO_SECONDS, Line

    host, _, port = address.rpartition(":")
    try:
        line = Line(socket.create_connection((host, int(port)), HELLO_SECONDS))
    except (OSError, ValueError) as error:
        raise LinkLost(f"nobody listens at the WAN's head, {address}: {error}") from error
    try:
        line.send({"kind": "hello", "id": 1, "hub": hub, "devices": [hub]})
        answer = line.receive(HELLO_SECONDS)
        if answer is not None and answer["kind"] == "prove":
            with suppress(OSError):
                line.send({"kind": "proof", "proof": "00" * 32})
            answer = line.receive(HELLO_SECONDS)
        if answer is None:
            return "it hung up"
        return str(answer.get("problem") or "")
    finally:
        line.close()
