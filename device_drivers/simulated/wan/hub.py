"""The hub's end of its WAN connection."""

from __future__ import annotations

import socket
import threading
from collections import deque
from collections.abc import Callable
from datetime import datetime
from itertools import count
from typing import Protocol

from device_drivers.simulated.wan.frames import (
    ANSWER_SECONDS,
    HELLO_SECONDS,
    Frame,
    Line,
    read_bytes,
    read_moment,
)
from device_drivers.simulated.wan.head import HubUnreachable
from harness.domain.errors import HarnessError, LinkLost, ProtocolViolation


class Hub(Protocol):
    """What :class:`HubWan` asks of the hub behind it. The hub takes the rig's lock itself."""

    @property
    def device_id(self) -> str:
        """The hub's own id."""

    def han(self) -> tuple[str, ...]:
        """Device ids that it can pass messages to, its own among them."""

    def relay(self, device_id: str, apdu: bytes, client_sap: int) -> tuple[bytes, ...]:
        """One APDU to a device and those of its answer; :class:`HubUnreachable` or :class:`DeviceSilent`."""

    def now(self) -> datetime:
        """The rig's lab time."""

    def hold(self, seconds: float) -> None:
        """Let lab time pass."""

    def ring(self, moment: datetime, due: Callable[[], None]) -> None:
        """Call ``due`` when the rig's lab time has come to ``moment``."""


class HubWan:
    """The hub's end: answers what the head asks, and keeps reports in an outbox until acknowledged.

    Life cycle: :meth:`connect` returns when the head has welcomed the hub; one connection, never renewed
    by itself; :meth:`close` lets go of socket and threads. :meth:`post` never waits for the network.
    """

    def __init__(self, address: str, hub: Hub, proof: Callable[[str], str] | None = None) -> None:
        self._proof = proof  # what the hub answers to a nonce
        self._address = address
        self._hub = hub
        self._line: Line | None = None
        self._threads: list[threading.Thread] = []
        self._numbers = count(1)
        self._outbox: deque[Frame] = deque()
        self._under_way: int | None = None  # number of the report that the head has not acknowledged
        self._carries = True
        self._problem = ""  # what went wrong with a report; told once
        self._lost = ""  # why the connection has ended, if nobody closed it
        self._changed = threading.Condition()

    def connect(self) -> None:
        """Reach the head and say hello; :class:`LinkLost` where it is not there or refuses."""
        host, _, port = self._address.rpartition(":")
        try:
            connection = socket.create_connection((host, int(port)), timeout=HELLO_SECONDS)
        except OSError as error:
            raise LinkLost(
                f"the S1SP's WAN head at {self._address} cannot be reached: {error}",
                remedy="is the run's DCC-side process alive?",
            ) from error
        self._line = Line(connection)
        self._line.send(self._hello())
        welcome = self._line.receive(HELLO_SECONDS)
        if welcome is not None and welcome["kind"] == "prove":
            proof = self._proof(str(welcome.get("nonce"))) if self._proof else ""
            self._line.send({"kind": "proof", "proof": proof})
            welcome = self._line.receive(HELLO_SECONDS)
        problem = "it hung up" if welcome is None else str(welcome.get("problem", ""))
        if problem:
            self._line.close()
            raise LinkLost(f"the S1SP did not welcome hub {self._hub.device_id}: {problem}")
        for name, run in (("hub-wan-receive", self._receive), ("hub-wan-send", self._send)):
            thread = threading.Thread(target=run, args=(self._line,), name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def post(self, device_id: str, code: int, description: str, timestamp: datetime) -> None:
        """Put an alert in the outbox; it goes when the WAN carries."""
        self._put(
            {
                "kind": "alert",
                "id": next(self._numbers),
                "device": device_id,
                "code": code,
                "description": description,
                "timestamp": timestamp.isoformat(),
            }
        )

    def due(self) -> None:
        """Tell the head that a moment has come at which it wanted to be rung."""
        self._put({"kind": "due", "id": next(self._numbers), "hub": self._hub.device_id})

    def announce(self) -> None:
        """Tell the head that the devices behind the hub have changed."""
        self._put(self._hello())

    def carry(self, up: bool) -> None:
        """WAN up or down: while it is down the outbox waits."""
        with self._changed:
            self._carries = up
            self._changed.notify_all()

    def waiting(self) -> int:
        """Reports that have not been acknowledged."""
        with self._changed:
            return len(self._outbox)

    def drained(self, timeout: float = ANSWER_SECONDS) -> None:
        """Return when nothing is under way; what waits for a WAN that is down is not under way.

        Raises :class:`LinkLost` where the head has gone or could not deliver a report.
        """
        with self._changed:
            settled = self._changed.wait_for(self._is_settled, timeout)
            problem, self._problem = self._problem, ""
            problem = problem or self._lost
        if problem or not settled:
            raise LinkLost(
                f"hub {self._hub.device_id}: {problem or f'a report was not delivered within {timeout:g} s'}",
                remedy="look at the log of the run's DCC-side process",
            )

    def close(self) -> None:
        """Hang up; reports that have not gone are lost with the hub."""
        line = self._line
        self._end()
        if line is not None:
            line.close()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join()
        self._threads.clear()

    def _hello(self) -> Frame:
        devices = list(self._hub.han())
        return {
            "kind": "hello",
            "id": next(self._numbers),
            "hub": self._hub.device_id,
            "devices": devices,
        }

    def _put(self, report: Frame) -> None:
        with self._changed:
            self._outbox.append(report)
            self._changed.notify_all()

    def _is_settled(self) -> bool:
        if self._line is None or self._problem:
            return True
        return self._under_way is None and self._next() is None

    def _send(self, line: Line) -> None:
        """Send one report after another, each when the one before has been acknowledged."""
        while True:
            with self._changed:
                self._changed.wait_for(self._may_send)
                if self._line is None:
                    return
                report = self._next()
                assert report is not None  # by _may_send
                self._under_way = report["id"]
            try:
                line.send(report)
            except OSError as error:
                self._end(f"the connection to the S1SP is lost: {error}")
                return

    def _may_send(self) -> bool:
        return self._line is None or (self._under_way is None and self._next() is not None)

    def _next(self) -> Frame | None:
        """The report that goes next; that a moment has come is the lab's word, and needs no WAN."""
        return next((report for report in self._outbox if self._carries or report["kind"] == "due"), None)

    def _receive(self, line: Line) -> None:
        end = "the hub twin itself broke while it answered the S1SP"
        try:
            while (frame := line.receive()) is not None:
                if frame["kind"] == "ack":
                    self._acknowledged(frame)
                else:
                    line.send({"kind": "answer", "id": frame.get("id"), **self._answer(frame)})
            end = "the S1SP has hung up"
        except (OSError, ProtocolViolation) as error:
            end = f"the connection to the S1SP is lost: {error}"
        finally:
            self._end(end)
            line.close()

    def _acknowledged(self, frame: Frame) -> None:
        with self._changed:
            if frame.get("id") == self._under_way:
                self._outbox = deque(each for each in self._outbox if each["id"] != self._under_way)
                self._under_way = None
                self._problem = self._problem or str(frame.get("problem") or "")
            self._changed.notify_all()

    def _answer(self, frame: Frame) -> Frame:
        try:
            match frame["kind"]:
                case "exchange":
                    answer = self._hub.relay(
                        str(frame["device"]), read_bytes(frame["apdu"]), int(frame["client"])
                    )
                    return {"apdus": [apdu.hex() for apdu in answer]}
                case "hold":
                    self._hub.hold(float(frame["seconds"]))
                case "ring":
                    self._hub.ring(read_moment(frame["at"]), self.due)
                case "now":
                    pass
                case kind:
                    return {"refusal": "unknown", "message": f"a hub knows no {kind}"}
        except HubUnreachable as error:
            return {"refusal": "unreachable", "message": error.message}
        except HarnessError as error:
            return {"refusal": "silent", "message": error.message}
        return {"now": self._hub.now().isoformat()}

    def _end(self, why: str = "") -> None:
        with self._changed:
            if self._line is not None:
                self._lost = why
            self._line = None
            self._under_way = None
            self._changed.notify_all()
