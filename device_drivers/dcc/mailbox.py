"""What has come from the DCC in a run: for whom, in which order, and what nobody waited for."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Final

_REMEMBERED: Final = 10_000  # alerts


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
    authentic: bool = True  # its signatures are the DCC's and the S1SP's, as far as they are due
    schedule: int | None = None  # of the DCC, that brought it
    number: int = 0  # in order of arrival, from 1; given by the mailbox
    stray: str = ""  # why nobody waits for it


@dataclass(slots=True)
class _Expectation:
    request_id: str
    answer: Received | None = None
    refused: Received | None = None  # what would have been the answer, but is not signed as it must be
    over: str = ""  # why nobody waits any more


class Mailbox:
    """Responses by the request that waits for them, alerts by device, and strays. Safe for threads.

    What is not authentic is a stray: it never takes the place of the DCC's own. ``earlier`` has the
    ResponseIDs of alerts that came in earlier runs, which do not come again.
    """

    def __init__(self, earlier: Collection[str] = ()) -> None:
        self._lock = threading.Lock()
        self._tickets = count(1)
        self._expected: dict[int, _Expectation] = {}
        self._by_request: dict[str, list[_Expectation]] = {}
        self._alert_ids: set[str] = set(earlier)
        self._schedules: dict[int, str] = {}  # id → device, of those that the DCC is to carry out
        self._scheduled_ids: set[str] = set()
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

    def expect_schedule(self, schedule: int, device: str) -> None:
        """The DCC has taken on a schedule for a device: what it brings is no stray."""
        with self._lock:
            self._schedules[schedule] = device.upper()

    def stop_schedules(self, schedule: int | None, device: str) -> None:
        """A schedule, or all of a device, is to end: what it still brings is a stray."""
        with self._lock:
            for known, of in list(self._schedules.items()):
                if known == schedule or of == device.upper():
                    del self._schedules[known]

    def put(self, received: Received) -> Received:
        """Keep a message; returns it as kept, numbered and with the reason if it is a stray."""
        with self._lock:
            stray = self._why_stray(received)
            kept = replace(received, number=len(self._all) + 1, stray=stray)
            self._all.append(kept)
            if not kept.authentic and (waiting := self._waiting(kept.request_id)):
                waiting[0].refused = kept
            if not kept.is_alert and kept.schedule is None and not stray:
                self._waiting(kept.request_id)[0].answer = kept
            return kept

    def response(self, ticket: int) -> Received | None:
        """The response for the ticket, if it is there."""
        with self._lock:
            return self._expected[ticket].answer

    def refused(self, ticket: int) -> Received | None:
        """What was refused in the place of the response for the ticket, if anything was."""
        with self._lock:
            return self._expected[ticket].refused

    def mark(self) -> int:
        """The number of the last message so far."""
        with self._lock:
            return len(self._all)

    def alerts(self, devices: Collection[str], after: int) -> tuple[Received, ...]:
        """Alerts about any of the devices, in order of arrival, after a mark; each once."""
        return tuple(each for each in self._about(devices, after) if each.is_alert and not each.stray)

    def scheduled(self, devices: Collection[str], after: int) -> tuple[Received, ...]:
        """What schedules have brought of any of the devices, after a mark; each once."""
        about = self._about(devices, after)
        return tuple(each for each in about if each.schedule is not None and not each.stray)

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

    def _why_stray_scheduled(self, received: Received) -> str:
        if received.response_id in self._scheduled_ids:
            return "a scheduled response that has come before"
        self._scheduled_ids.add(received.response_id)
        if received.schedule not in self._schedules:
            return f"of schedule {received.schedule}, which this run has not got"
        return ""

    def _why_stray(self, received: Received) -> str:
        if not received.authentic and received.response_id:
            return "is not signed as it must be: nobody is given it"
        if received.is_alert:
            return self._why_stray_alert(received)
        if received.schedule is not None:
            return self._why_stray_scheduled(received)
        if not received.request_id:
            return "cannot be read, or answers nothing"
        expected = self._by_request.get(received.request_id, [])
        if not expected:
            return "answers no request of this run"
        if self._waiting(received.request_id):
            return ""
        unanswered = [each.over for each in expected if each.answer is None]
        return unanswered[-1] if unanswered else "answers a request that has been answered"


class AlertsSeen:
    """A file with the ResponseIDs of the alerts that a lab has taken: none is taken in a later run."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
        self.earlier = frozenset(lines[-_REMEMBERED:])
        if len(lines) > 2 * _REMEMBERED:
            shorter = path.with_suffix(".shorter")
            shorter.write_text("".join(f"{line}\n" for line in lines[-_REMEMBERED:]), encoding="utf-8")
            shorter.replace(path)

    def add(self, response_id: str) -> None:
        """Remember one."""
        with self._lock, self._path.open("a", encoding="utf-8") as file:
            file.write(f"{response_id}\n")
