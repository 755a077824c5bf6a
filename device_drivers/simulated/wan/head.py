"""The S1SP's end of the hubs' WAN: :class:`WanHead`. The hub's end is in :mod:`.hub`.

One TCP connection a hub (frames: :mod:`.frames`). The hub reports (hello, alert, due) and is told "ack"
when the head's callback has returned; the head asks (exchange, now, hold, ring) and gets an "answer".
Nothing here knows DLMS: an APDU is bytes.

>>> head = WanHead()
>>> head.hubs()
()
>>> head.close()
"""

from __future__ import annotations

import hmac
import logging
import queue
import secrets
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from typing import Any, Final

from device_drivers.simulated.wan.frames import (
    ANSWER_SECONDS,
    HELLO_SECONDS,
    Frame,
    Line,
    read_bytes,
    read_list,
    read_moment,
)
from harness.domain.errors import DeviceFault, ProtocolViolation

_log: Final = logging.getLogger(__name__)


class HubUnreachable(DeviceFault):
    """The S1SP has no way to the hub: not connected, without power, or its WAN is down."""


class DeviceSilent(DeviceFault):
    """The hub passed a message on, and the device behind it did not answer."""


@dataclass(frozen=True, slots=True)
class HubAlert:
    """An alert as it arrives at the S1SP."""

    ch_id: str
    device_id: str  # who raised it
    code: int  # of harness.domain.events.Event, where it is one that we know
    description: str
    timestamp: datetime  # the device's own clock, aware UTC


class _Connection:
    """One hub as the head sees it: questions that wait for answers, and reports to deliver in order."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.ch_id = ""
        self.devices: tuple[str, ...] = ()
        self.reports: queue.SimpleQueue[Frame | None] = queue.SimpleQueue()
        self._numbers = count(1)
        self._waiting: dict[int, Future[Frame]] = {}
        self._lock = threading.Lock()
        self._lost = False

    def ask(self, kind: str, timeout: float, **fields: Any) -> Frame:
        future: Future[Frame] = Future()
        with self._lock:
            if self._lost:
                raise HubUnreachable(f"hub {self.ch_id} has lost its WAN connection")
            number = next(self._numbers)
            self._waiting[number] = future
        try:
            self.line.send({"kind": kind, "id": number, **fields})
            return future.result(timeout)
        except TimeoutError:
            raise DeviceSilent(f"hub {self.ch_id} gave no answer to {kind} within {timeout:g} s") from None
        except OSError as error:
            raise HubUnreachable(f"hub {self.ch_id} has lost its WAN connection: {error}") from error
        finally:
            with self._lock:
                self._waiting.pop(number, None)

    def answered(self, frame: Frame) -> None:
        with self._lock:
            future = self._waiting.get(frame.get("id", 0))
        if future is not None and not future.done():
            future.set_result(frame)

    def lose(self) -> None:
        """Give up the connection; whoever waits for an answer is told."""
        self.line.close()
        self.reports.put(None)
        with self._lock:
            self._lost = True
            waiting = list(self._waiting.values())
        for future in waiting:
            if not future.done():
                future.set_exception(HubUnreachable(f"hub {self.ch_id} lost its WAN connection meanwhile"))


class WanHead:
    """The S1SP's end: listens from the moment it is made, and knows every hub that has said hello.

    ``on_alert``, ``on_hello`` and ``on_due`` may be set at any time. They run on a thread of the hub's
    connection, one at a time and in order, and may call back into the head; a hub's report is acknowledged
    when they have returned. A hub that connects again takes the place of its older connection.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        on_alert: Callable[[HubAlert], None] | None = None,
        on_hello: Callable[[str, tuple[str, ...]], None] | None = None,
        on_due: Callable[[str], None] | None = None,
        proof: Callable[[str, str], str] | None = None,
        refusal: Callable[[str, str], str] | None = None,
    ) -> None:
        self.on_alert = on_alert
        self.on_hello = on_hello
        self.on_due = on_due
        self._proof = proof
        self._refusal = refusal or (lambda hub, why: why)  # noqa: ARG005 - it is about that hub
        self._hubs: dict[str, _Connection] = {}
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._connections: set[_Connection] = set()
        self._closed = False
        self._listener = socket.create_server((host, port))
        self._spawn("wan-head", self._accept)

    @property
    def address(self) -> str:
        """``host:port``, as a hub is told it."""
        host, port = self._listener.getsockname()[:2]
        return f"{host}:{port}"

    def hubs(self) -> tuple[str, ...]:
        """Ids of the hubs that are connected."""
        with self._lock:
            return tuple(self._hubs)

    def devices(self, ch_id: str) -> tuple[str, ...]:
        """Ids of the devices that the hub can reach, its own among them."""
        return self._hub(ch_id).devices

    def exchange(
        self, ch_id: str, device_id: str, apdu: bytes, client_sap: int, timeout: float = ANSWER_SECONDS
    ) -> tuple[bytes, ...]:
        """One APDU to a device behind the hub, and those of its answer. ``timeout`` is in real seconds.

        Raises :class:`HubUnreachable` where the hub cannot be reached, :class:`DeviceSilent` where the
        device behind it does not answer.
        """
        hub = self._hub(ch_id)
        answer = hub.ask("exchange", timeout, device=device_id, client=client_sap, apdu=apdu.hex())
        match answer.get("refusal"):
            case None:
                return tuple(read_bytes(apdu) for apdu in read_list(answer.get("apdus")))
            case "unreachable":
                raise HubUnreachable(str(answer.get("message")))
            case _:
                raise DeviceSilent(str(answer.get("message")))

    def now(self, ch_id: str) -> datetime:
        """The lab time of the hub's rig."""
        return read_moment(self._hub(ch_id).ask("now", ANSWER_SECONDS).get("now"))

    def hold(self, ch_id: str, seconds: float) -> None:
        """Let lab time pass on the hub's rig; returns when it has."""
        self._hub(ch_id).ask("hold", ANSWER_SECONDS, seconds=seconds)

    def ring(self, ch_id: str, moment: datetime) -> None:
        """Have ``on_due`` called with the hub's id when the lab time of its rig has come to ``moment``."""
        self._hub(ch_id).ask("ring", ANSWER_SECONDS, at=moment.isoformat())

    def close(self) -> None:
        """Stop listening, drop every hub, and wait for the head's threads to end."""
        with self._lock:
            self._closed = True
            connections = list(self._connections)
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in connections:
            connection.lose()
        for thread in self._threads:
            thread.join()

    def _hub(self, ch_id: str) -> _Connection:
        with self._lock:
            connection = self._hubs.get(ch_id)
        if connection is None:
            raise HubUnreachable(f"hub {ch_id} is not connected")
        return connection

    def _spawn(self, name: str, run: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=run, args=arguments, name=name, daemon=True)
        self._threads = [old for old in self._threads if old.is_alive() or old.ident is None]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                accepted, _ = self._listener.accept()
            except OSError:
                return
            connection = _Connection(Line(accepted))
            with self._lock:
                if self._closed:
                    accepted.close()
                    return
                self._connections.add(connection)
                self._spawn("wan-head-receive", self._receive, connection)
                self._spawn("wan-head-report", self._deliver, connection)

    def _receive(self, connection: _Connection) -> None:
        try:
            hello = connection.line.receive(HELLO_SECONDS)
            if hello is None or hello["kind"] != "hello" or not self._believed(connection, hello):
                return
            connection.reports.put(hello)
            while (frame := connection.line.receive()) is not None:
                if frame["kind"] == "answer":
                    connection.answered(frame)
                else:
                    connection.reports.put(frame)
        except ProtocolViolation:
            return  # who speaks another language is hung up on
        finally:
            self._forget(connection)

    def _believed(self, connection: _Connection, hello: Frame) -> bool:
        """Whether it is the hub that it says it is: it proves that it has the hub's key."""
        if self._proof is None:
            return True
        hub, nonce = str(hello.get("hub")), secrets.token_hex(16)
        connection.line.send({"kind": "prove", "nonce": nonce})
        answer = connection.line.receive(HELLO_SECONDS)
        given = str(answer.get("proof")) if answer is not None and answer["kind"] == "proof" else ""
        right = hmac.compare_digest(given.encode(), self._proof(hub, nonce).encode())
        if right or not self._refusal(hub, "the proof is not the hub's"):
            return True
        _log.warning("somebody who is not hub %s has said hello in its name", hub)
        return False

    def _deliver(self, connection: _Connection) -> None:
        while (report := connection.reports.get()) is not None:
            problem = ""
            try:
                self._report(connection, report)
            except Exception as error:  # the hub's rig has to hear of whatever it is, or its clock waits
                problem = f"{type(error).__name__}: {error}"
            with suppress(OSError):
                connection.line.send({"kind": "ack", "id": report.get("id"), "problem": problem})

    def _report(self, connection: _Connection, report: Frame) -> None:
        if report["kind"] == "hello":
            self._welcome(connection, str(report["hub"]), tuple(map(str, report["devices"])))
        elif report["kind"] == "due":
            if self.on_due is not None:
                self.on_due(connection.ch_id)
        elif report["kind"] == "alert" and self.on_alert is not None:
            self.on_alert(
                HubAlert(
                    connection.ch_id,
                    str(report["device"]),
                    int(report["code"]),
                    str(report["description"]),
                    read_moment(report["timestamp"]),
                )
            )

    def _welcome(self, connection: _Connection, ch_id: str, devices: tuple[str, ...]) -> None:
        if connection.ch_id not in ("", ch_id):
            raise ProtocolViolation(f"hub {connection.ch_id} says hello in the name of {ch_id}")
        with self._lock:
            older = self._hubs.get(ch_id)
            connection.ch_id, connection.devices = ch_id, devices
            self._hubs[ch_id] = connection
        if older is not None and older is not connection:
            older.lose()
        if self.on_hello is not None:
            self.on_hello(ch_id, devices)

    def _forget(self, connection: _Connection) -> None:
        connection.lose()
        with self._lock:
            self._connections.discard(connection)
            if self._hubs.get(connection.ch_id) is connection:
                del self._hubs[connection.ch_id]
