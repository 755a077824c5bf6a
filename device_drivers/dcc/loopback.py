"""The link as the run's workers reach it: a door in the controller, and a client for each worker."""

from __future__ import annotations

import base64
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from device_drivers.dcc.calls import CallClient, CallServer
from device_drivers.dcc.orders import Order, Sent
from harness.domain.instruments import Forgery
from harness.domain.words import UserRole

if TYPE_CHECKING:
    from device_drivers.dcc.link import Link  # the controller's: it brings servers that no worker needs
    from device_drivers.dcc.mailbox import Received


class LinkDoor:
    """Lets workers use a link. ``address`` and ``token`` are what a worker needs."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._server = CallServer(
            {
                "session": lambda _: link.mailbox.mark(),
                "send": self._send,
                "response": lambda call: _told(link.mailbox.response(call["ticket"])),
                "refused": lambda call: _told(link.mailbox.refused(call["ticket"])),
                "abandon": self._abandon,
                "compose": lambda call: base64.b64encode(link.compose(_order(call))).decode(),
                "note_forged": lambda call: link.note_forged(
                    base64.b64decode(call["content"]),
                    call["path"],
                    call["status"],
                    base64.b64decode(call["answer"]),
                ),
                "expect_forged": lambda call: link.expect_forged(call["digest"]),
                "alerts": lambda call: [
                    _told(m) for m in link.mailbox.alerts(call["devices"], call["after"])
                ],
                "scheduled": lambda call: [
                    _told(m) for m in link.mailbox.scheduled(call["devices"], call["after"])
                ],
                "strays": lambda call: [
                    _stray(m) for m in link.mailbox.strays(call["devices"], call["after"])
                ],
                "utrn_serial": lambda _: link.utrn_serial(),
            }
        )
        self.address, self.token = self._server.address, self._server.token

    def close(self) -> None:
        """Shut the door; the link itself stays."""
        self._server.close()

    def _send(self, call: Mapping[str, Any]) -> dict[str, Any]:
        told = asdict(self._link.send(_order(call)))
        return told | {name: base64.b64encode(told[name]).decode() for name in ("request", "answer")}

    def _abandon(self, call: Mapping[str, Any]) -> None:
        self._link.mailbox.stop_expecting(call["ticket"], "came after its test had stopped waiting")


def _order(call: Mapping[str, Any]) -> Order:
    return Order(
        srv=call["srv"],
        role=UserRole(call["role"]),
        target=call["target"],
        body_xml=base64.b64decode(call["body_xml"]),
        forgery=Forgery(**call["forgery"]),
    )


def _told(message: Received | None) -> dict[str, Any] | None:
    if message is None:
        return None
    return {
        "number": message.number,
        "code": message.code,
        "moment": message.moment.isoformat() if message.moment else None,
        "problems": message.problems,
        "authentic": message.authentic,
        "xml": base64.b64encode(message.xml).decode(),
    }


def _stray(message: Received) -> dict[str, Any]:
    kind = "alert" if message.is_alert else f"response {message.code} to {message.request_id}"
    return {
        "moment": message.moment.isoformat() if message.moment else None,
        "told": f"message {message.number}, {kind}: {message.stray}",
    }


def _moment(told: str | None) -> datetime | None:
    return datetime.fromisoformat(told) if told else None


@dataclass(frozen=True, slots=True)
class Delivered:
    """A message from the DCC as a worker gets it."""

    number: int  # of arrival, in the run
    code: str
    moment: datetime | None  # the DCC's ResponseDateTime
    problems: tuple[str, ...]
    xml: bytes = field(repr=False)
    authentic: bool = True

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Delivered:
        """As the door told it."""
        return cls(
            told["number"],
            told["code"],
            _moment(told["moment"]),
            tuple(told["problems"]),
            base64.b64decode(told["xml"]),
            told["authentic"],
        )


@dataclass(frozen=True, slots=True)
class Stray:
    """A message that nobody waited for, as a worker is told of it."""

    moment: datetime | None  # the DCC's ResponseDateTime
    told: str  # in a line


class LinkClient:
    """A worker's end. It sees alerts and strays from its session's beginning on."""

    def __init__(self, address: str, token: str) -> None:
        self._call = CallClient(address, token, "the run's DCC link")
        self._after: int = self._call("session")
        self._fetched: dict[tuple[str, str], list[Delivered]] = {}

    def send(self, order: Order) -> Sent:
        """As :meth:`Link.send`."""
        body_xml = base64.b64encode(order.body_xml).decode()
        told = self._call("send", **asdict(order) | {"body_xml": body_xml})
        content = {name: base64.b64decode(told[name]) for name in ("request", "answer")}
        return Sent(**told | content | {"problems": tuple(told["problems"])})

    def response(self, ticket: int) -> Delivered | None:
        """The response for a ticket, if it is there."""
        told = self._call("response", ticket=ticket)
        return Delivered.of(told) if told else None

    def refused(self, ticket: int) -> Delivered | None:
        """What was refused in the place of the response for a ticket, if anything was."""
        told = self._call("refused", ticket=ticket)
        return Delivered.of(told) if told else None

    def compose(self, order: Order) -> bytes:
        """As :meth:`Link.compose`."""
        coded = asdict(order) | {"body_xml": base64.b64encode(order.body_xml).decode()}
        return base64.b64decode(self._call("compose", **coded))

    def note_forged(self, content: bytes, path: str, status: int, answer: bytes) -> None:
        """As :meth:`Link.note_forged`."""
        coded = {"content": base64.b64encode(content).decode(), "answer": base64.b64encode(answer).decode()}
        self._call("note_forged", path=path, status=status, **coded)

    def expect_forged(self, digest: str) -> None:
        """As :meth:`Link.expect_forged`."""
        self._call("expect_forged", digest=digest)

    def abandon(self, ticket: int) -> None:
        """Stop waiting: a response that comes now is a stray."""
        self._call("abandon", ticket=ticket)

    def alerts(self, device: str) -> tuple[Delivered, ...]:
        """Alerts about a device in order of arrival; each is fetched once."""
        return self._each_once("alerts", device)

    def scheduled(self, device: str) -> tuple[Delivered, ...]:
        """What schedules have brought of a device, in order of arrival; each is fetched once."""
        return self._each_once("scheduled", device)

    def _each_once(self, what: str, device: str) -> tuple[Delivered, ...]:
        known = self._fetched.setdefault((what, device), [])
        after = known[-1].number if known else self._after
        known += (Delivered.of(told) for told in self._call(what, devices=[device], after=after))
        return tuple(known)

    def strays(self, devices: Collection[str]) -> tuple[Stray, ...]:
        """What nobody waited for, in order of arrival."""
        found = self._call("strays", devices=list(devices), after=self._after)
        return tuple(Stray(_moment(told["moment"]), told["told"]) for told in found)

    def utrn_serial(self) -> int:
        """A serial number for a top-up code, never given twice."""
        return int(self._call("utrn_serial"))

    def close(self) -> None:
        """Let go of the connection."""
        self._call.close()
