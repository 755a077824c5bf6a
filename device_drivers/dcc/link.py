"""The DCC link: the one place of a run that signs, sends, receives and counts (design, section 8).

It lives in the controller process; workers reach it through :mod:`device_drivers.dcc.loopback`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Final

from starlette.applications import Starlette

from device_drivers.dcc.book import MessageBook
from device_drivers.dcc.compose import write_request
from device_drivers.dcc.counters import DurableCounter, Held, originator_counter
from device_drivers.dcc.duis import SERVICE_OF, RequestId, RequestMessage, ResponseMessage
from device_drivers.dcc.http import PLAIN, XML, HttpClient, HttpServer, xml_route
from device_drivers.dcc.identities import Identities, User, stranger_signer
from device_drivers.dcc.inspection import Inspected, Inspector
from device_drivers.dcc.mailbox import AlertsSeen, Mailbox, Received
from device_drivers.dcc.orders import Order, Sent
from device_drivers.dcc.signature import Signer
from device_drivers.dcc.tree import parse
from harness.domain.errors import LinkLost, UsageError
from harness.domain.instruments import Forgery
from harness.domain.lab import Lab, ServiceRequest
from harness.domain.payload import Payload

API: Final = "/api/v1"
_LONG_AGO: Final = 86_400_000  # below the last counter: a day, as counters begin at milliseconds since 1970


class Link:
    """The lab's connection to the DCC. Life cycle: construct, :meth:`connect`, :meth:`send` …, :meth:`close`.

    The receive endpoint listens from the start. Counters are per originator, in ``state/dcc/counters``.
    """

    def __init__(self, lab: Lab, identities: Identities, folder: Path) -> None:
        self._lab = lab
        self._identities = identities
        self._inspector = Inspector(identities, lab.dcc.schemas)
        self._alerts_seen = AlertsSeen(lab.state / "dcc" / "alerts-seen")
        self.mailbox = Mailbox(self._alerts_seen.earlier)
        self._misuses = count(1)
        self._forged: set[str] = set()  # SHA-256 of messages that security tests post to ourselves
        self._gateway: HttpClient | None = None
        self._counters = {
            user.eui: originator_counter(lab.state, user.eui) for user in identities.users.values()
        }
        self._accepted = dict(self.counters())  # the last that the DCC took, as far as the lab knows
        self._utrn_serial = DurableCounter(lab.state / "dcc" / "counters" / "utrn-serial")
        self._receiver = self._serve()
        self._book = MessageBook(folder)

    @property
    def receive_url(self) -> str:
        """Where the DCC posts responses and alerts."""
        scheme = "https" if self._identities.to_receive else "http"
        return f"{scheme}://{self._receiver.host}:{self._receiver.port}{self._lab.dcc.receive_path}"

    def connect(self, gateway: str) -> None:
        """Name the gateway's base URL."""
        self._gateway = HttpClient(gateway, "the DCC gateway", tls=self._identities.to_gateway)

    def disconnect(self) -> None:
        """Hang up on the gateway, which is then free to end; responses may still come."""
        if self._gateway is not None:
            self._gateway.close()
            self._gateway = None

    def counters(self) -> Mapping[str, int]:
        """The last counter of each originator."""
        last = {}
        for eui, counter in self._counters.items():
            with counter.held() as held:
                last[eui] = held.last
        return last

    def utrn_serial(self) -> int:
        """A serial number for a top-up code, never given twice."""
        return self._utrn_serial.next()

    def send(self, order: Order) -> Sent:
        """Sign, number and post a request, and read the answer on the same connection.

        Requests of one originator go one after another, so that they reach the gateway in counter order.
        Raises :class:`LinkLost` where the gateway gives no answer that a gateway may give.
        """
        row = self._row(order.srv)
        user = self._sender(order)
        with self._counters[user.eui].held() as counter:
            number = self._number(order.forgery, user, counter)
            message = self._message(row, order, RequestId(user.eui, order.target, number))
            xml = self._signed(message, order, user)
            ticket = self.mailbox.expect(str(message.request_id))
            path = order.forgery.path or self._service(message.command_variant)
            forged = order.forgery != Forgery()
            return self._posted(ticket, message, path, xml, forged=forged)

    def _sender(self, order: Order) -> User:
        if not order.forgery.party:
            return self._identities.user(order.role)
        user = self._identities.another(order.role, order.forgery.party)
        self._counters.setdefault(user.eui, originator_counter(self._lab.state, user.eui))
        return user

    def _number(self, forgery: Forgery, user: User, counter: Held) -> int:
        accepted = self._accepted.get(user.eui, 0)
        match forgery.counter:
            case "":
                return counter.next()
            case "replayed" if accepted:
                return accepted
            case "lowered" if accepted > _LONG_AGO:
                return accepted - _LONG_AGO
            case "replayed" | "lowered" as how:  # what would go out is a good counter, or none at all
                raise UsageError(
                    f"no counter of {user.eui} can be {how}: the last that the DCC accepted is {accepted}",
                    remedy="have an honest request of that User accepted first",
                )
            case other:
                raise UsageError(f"no such forgery of a counter: {other!r}")

    def compose(self, order: Order) -> bytes:
        """A request numbered and signed as for :meth:`send`, for a security test that sends it elsewhere."""
        row = self._row(order.srv)
        user = self._sender(order)
        with self._counters[user.eui].held() as counter:
            number = self._number(order.forgery, user, counter)
        return self._signed(self._message(row, order, RequestId(user.eui, order.target, number)), order, user)

    def note_forged(self, content: bytes, path: str, status: int, answer: bytes) -> None:
        """Keep what a security test has sent to the gateway by itself; status 0: there was no answer."""
        request_id = f"misuse-{next(self._misuses)}"
        self._book.write("request", content, request_id=request_id, path=path, forged=True)
        self._book.write("answer", answer, request_id=request_id, status=status, forged=True)

    def expect_forged(self, digest: str) -> None:
        """A security test is about to post a message of that SHA-256: taken as any other, and marked."""
        self._forged.add(digest)

    def close(self) -> None:
        """Stop listening and let go of the gateway; closing twice is fine."""
        self.disconnect()
        self._receiver.close()
        self._book.close()

    def _row(self, srv: str) -> ServiceRequest:
        if srv not in self._lab.catalogue:
            raise UsageError(f"SRV {srv!r} is not in the lab's Service Request catalogue")
        return self._lab.catalogue[srv]

    def _message(self, row: ServiceRequest, order: Order, request_id: RequestId) -> RequestMessage:
        critical = self._lab.dcc.critical_command_variant
        forgery = order.forgery
        return RequestMessage(
            request_id=request_id,
            command_variant=forgery.command_variant or (critical if row.critical else row.command_variant),
            service_reference=forgery.service_reference or row.service_reference,
            srv=forgery.service_reference_variant or row.srv,
            body_element=row.body_element,
            body=Payload(),
        )

    @staticmethod
    def _service(command_variant: int) -> str:
        if command_variant not in SERVICE_OF:
            raise UsageError(f"Command Variant {command_variant} is never sent by a User")
        return SERVICE_OF[command_variant]

    def _signed(self, message: RequestMessage, order: Order, user: User) -> bytes:
        xml = write_request(message, parse(order.body_xml), self._lab.dcc.schema_version)
        forgery = order.forgery
        if forgery == Forgery():
            return user.signer.sign(xml)
        from device_drivers.misuse.forging import Draft, broken, forged

        signer = self._forger(order, user)
        if forgery.alteration:
            return forged(forgery.alteration, Draft(xml, signer, user.eui, forgery.detail))
        match forgery.signature:
            case "missing":
                return xml
            case "broken":
                return broken(signer.sign(xml))
        return signer.sign(xml)

    def _forger(self, order: Order, user: User) -> Signer:
        """Who signs a request that is to be wrong."""
        match order.forgery.signature:
            case "" | "missing" | "broken":
                return user.signer
            case "stranger":
                return stranger_signer(user.eui)
            case "another role":
                others = (other for role, other in self._identities.users.items() if role is not order.role)
                return next(others).signer
            case what:
                return self._identities.another(order.role, what).signer

    def _posted(self, ticket: int, message: RequestMessage, path: str, xml: bytes, *, forged: bool) -> Sent:
        request_id = str(message.request_id)
        self._book.write("request", xml, request_id=request_id, path=path, forged=forged)
        try:
            status, answer = self._post(path, xml, any_status=forged)
        except LinkLost:
            self.mailbox.stop_expecting(ticket, "answers a request that was never acknowledged")
            raise
        self._book.write("answer", answer, request_id=request_id, status=status)
        inspected = self._inspector.inspect(answer) if status == 200 else None
        answered = inspected.message if inspected else None
        problems = [*(inspected.problems if inspected else ())]
        if answered is not None and str(message.request_id).encode() in xml:  # unless it was forged
            problems += _answer_problems(answered, message)
            self._note_schedule(answered, xml)
        if answered is not None and not answered.code.startswith("E"):
            self._accepted[message.request_id.originator] = message.request_id.counter
        awaited = answered is not None and answered.code == "I99" and path == "serviceS"
        if not awaited:
            self.mailbox.stop_expecting(ticket, "answers a request that was not accepted")
        return Sent(
            ticket=ticket,
            request_id=request_id,
            status=status,
            request=xml,
            answer=answer,
            problems=tuple(problems),
            awaited=awaited,
        )

    def _note_schedule(self, answer: ResponseMessage, request: bytes) -> None:
        """What an answer to SRV 5.1 or 5.3 says of the schedules whose responses are to come."""
        if answer.srv == "5.1" and answer.code == "I0" and "DSPScheduleID" in answer.content:
            device = RequestMessage.read(parse(request)).body.text("DeviceID")
            self.mailbox.expect_schedule(answer.content.integer("DSPScheduleID"), device)
        elif answer.srv == "5.3" and answer.code.startswith("I"):
            body = RequestMessage.read(parse(request)).body
            named = body.integer("DSPScheduleID") if "DSPScheduleID" in body else None
            self.mailbox.stop_schedules(named, body.text("DeviceID") if "DeviceID" in body else "")

    def _post(self, path: str, xml: bytes, *, any_status: bool = False) -> tuple[int, bytes]:
        if self._gateway is None:
            raise LinkLost("the DCC link is not connected to a gateway")
        answer = self._gateway.call("POST", f"{API}/{path}", content=xml, headers={"Content-Type": XML})
        kind = answer.headers.get("Content-Type", "").partition(";")[0]
        expected = answer.status_code == 400 or (answer.status_code == 200 and kind == XML)
        if expected or (any_status and answer.status_code != 200):
            return answer.status_code, answer.content
        raise LinkLost(
            f"the gateway answered {path} with HTTP {answer.status_code} ({kind or 'no content type'}): "
            f"{answer.text[:200]}",
            remedy="look at the gateway's log",
        )

    def _serve(self) -> HttpServer:
        host, _, port = self._lab.dcc.receive.rpartition(":")
        application = Starlette(routes=[xml_route(self._lab.dcc.receive_path, self._take)])
        return HttpServer(application, host, int(port), tls=self._identities.to_receive)

    def _take(self, xml: bytes) -> tuple[int, str, bytes]:
        problems = self.receive(xml)
        return (400 if problems else 204), PLAIN, "\n".join(problems).encode()

    def receive(self, xml: bytes) -> tuple[str, ...]:
        """Take one message in; returns what is wrong with it. A wrong one is kept as well."""
        inspected = self._inspector.inspect(xml, delivered=True)
        kept = self.mailbox.put(_received(inspected, xml))
        self._book.received(kept, forged=hashlib.sha256(xml).hexdigest() in self._forged)
        if kept.is_alert and not kept.stray:
            self._alerts_seen.add(kept.response_id)
        return kept.problems


def _received(inspected: Inspected, xml: bytes) -> Received:
    message, problems = inspected.message, inspected.problems
    if message is None:
        return Received(
            request_id="",
            response_id="",
            devices=frozenset(),
            code="",
            moment=None,
            is_alert=False,
            problems=problems,
            xml=xml,
            authentic=False,
        )
    return Received(
        request_id=str(message.request_id or ""),
        response_id=str(message.response_id or ""),
        devices=message.devices,
        code=message.code,
        moment=message.moment,
        is_alert=message.is_alert,
        problems=problems,
        xml=xml,
        schedule=message.schedule,
        authentic=inspected.authentic,
    )


def _answer_problems(answer: ResponseMessage, asked: RequestMessage) -> list[str]:
    problems = []
    if answer.request_id != asked.request_id:
        problems.append(f"correlation: the answer is for {answer.request_id}, sent was {asked.request_id}")
    if answer.srv and answer.srv != asked.srv:
        problems.append(f"correlation: the answer is about SRV {answer.srv}, sent was {asked.srv}")
    return problems
