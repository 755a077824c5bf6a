"""What has come from the DCC in a run: for whom, in which order, and what nobody waited for."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import count


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One message as it came in."""

    request_id: str  # of the request that it answers; empty for an alert
    response_id: str
    devices: frozenset[str]  # whom it is about: the request's target, the device that answers
    code: str
    moment: datetime | None  # the DCC's ResponseDateTime
    is_alert: bool
    problems: tuple[str, ...]
    xml: bytes = field(repr=False)
    number: int = 0  # in order of arrival, from 1; given by the mailbox
    stray: str = ""  # why nobody waits for it


@dataclass(slots=True)
class _Expectation:
    request_id: str
    answer: Received | None = None
    over: str = ""  # why nobody waits any more


class Mailbox:
    """Responses by the request that waits for them, alerts by device, and strays. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tickets = count(1)
        self._expected: dict[int, _Expectation] = {}
        self._by_request: dict[str, list[_Expectation]] = {}
        self._alert_ids: set[str] = set()
        self._all: list[Received] = []

    def expect(self, request_id: str) -> int:
        """A ticket for the response to a request that is about to be sent."""
        with self._lock:
            ticket = next(self._tickets)
            self._expected[ticket] = expectation = _Expectation(request_id)
            self._by_request.setdefault(request_id, []).append(expectation)
            return ticket

    def stop_expecting(self, ticket: int, why: str) -> None:
        """What comes for this ticket from now on is a stray, and ``why`` it is one."""
        with self._lock:
            self._expected[ticket].over = why

    def put(self, received: Received) -> Received:
        """Keep a message; returns it as kept, numbered and with the reason if it is a stray."""
        with self._lock:
            stray = self._why_stray_alert(received) if received.is_alert else self._why_stray(received)
            kept = replace(received, number=len(self._all) + 1, stray=stray)
            self._all.append(kept)
            if not kept.is_alert and not stray:
                self._waiting(kept.request_id)[0].answer = kept
            return kept

    def response(self, ticket: int) -> Received | None:
        """The response for the ticket, if it is there."""
        with self._lock:
            return self._expected[ticket].answer

    def mark(self) -> int:
        """The number of the last message so far."""
        with self._lock:
            return len(self._all)

    def alerts(self, devices: Collection[str], after: int) -> tuple[Received, ...]:
        """Alerts about any of the devices, in order of arrival, after a mark; each once."""
        return tuple(each for each in self._about(devices, after) if each.is_alert and not each.stray)

    def strays(self, devices: Collection[str], after: int) -> tuple[Received, ...]:
        """Messages about any of the devices that nobody waited for, after a mark."""
        return tuple(message for message in self._about(devices, after) if message.stray)

    def _about(self, devices: Collection[str], after: int) -> Iterable[Received]:
        with self._lock:
            messages = self._all[after:]
        return (message for message in messages if not message.devices.isdisjoint(devices))

    def _why_stray_alert(self, received: Received) -> str:
        if received.response_id and received.response_id in self._alert_ids:
            return "an alert that has come before"
        self._alert_ids.add(received.response_id)
        return ""

    def _waiting(self, request_id: str) -> list[_Expectation]:
        expected = self._by_request.get(request_id, [])
        return [each for each in expected if each.answer is None and not each.over]

    def _why_stray(self, received: Received) -> str:
        if not received.request_id:
            return "cannot be read, or answers nothing"
        expected = self._by_request.get(received.request_id, [])
        if not expected:
            return "answers no request of this run"
        if self._waiting(received.request_id):
            return ""
        unanswered = [each.over for each in expected if each.answer is None]
        return unanswered[-1] if unanswered else "answers a request that has been answered"
