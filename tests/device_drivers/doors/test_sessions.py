"""A session that is opened anew where the meter has ended it, and at no other time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from device_drivers.doors.sessions import Session
from harness.domain.errors import AccessRefused, ProtocolViolation, TransportLost

REF: Any = object()


@dataclass
class Line:
    """Associations that are opened one after another, and what became of each."""

    said: list[str] = field(default_factory=list)
    trouble: Exception | None = None
    now: float = 0.0

    def open(self) -> Any:
        if self.trouble:
            raise self.trouble
        self.said.append("open")
        return self

    def get(self, ref: Any, selector: Any = None) -> Any:
        self.said.append("get")
        if self.trouble:
            raise self.trouble
        return 7

    def close(self) -> None:
        self.said.append("close")

    def abandon(self) -> None:
        self.said.append("abandon")

    def event(self, source: str, what: str, **detail: Any) -> None:
        self.said.append(f"{source}: {what}: {detail['why']}")

    def message(self, source: str, name: str, content: bytes, media_type: str) -> None:
        """Nothing comes whole here."""

    def session(self) -> Session:
        return Session(self.open, 90.0, self, "ESME", now=lambda: self.now)


def test_requests_without_a_rest_share_one_association() -> None:
    line = Line()
    session = line.session()
    for _ in range(2):
        line.now += 89
        assert session.get(REF) == 7
    assert line.said == ["open", "get", "get"]


def test_one_that_rested_is_released_and_opened_anew_before_the_request() -> None:
    line = Line()
    session = line.session()
    line.now += 91
    session.get(REF)
    assert line.said == ["open", "ESME: session opened anew: it rested for 91 s", "close", "open", "get"]


def test_one_whose_meter_lost_its_supply_is_left_without_a_word_and_opened_anew_once() -> None:
    line = Line()
    session = line.session()
    session.renew()
    session.get(REF)
    session.get(REF)
    assert line.said == [
        "open", "ESME: session opened anew: its supply was cut", "abandon", "open", "get", "get",
    ]  # fmt: skip


def test_nothing_is_asked_again_after_a_failure_and_later_calls_say_what_it_was() -> None:
    line = Line()
    session = line.session()
    line.trouble = ProtocolViolation("nonsense came")
    with pytest.raises(ProtocolViolation):
        session.get(REF)
    line.trouble = None
    with pytest.raises(TransportLost, match="the session is over: nonsense came"):
        session.get(REF)
    assert line.said == ["open", "get"]


def test_a_refusal_is_not_the_end() -> None:
    line = Line()
    session = line.session()
    line.trouble = AccessRefused("not you", result="read-write-denied")
    with pytest.raises(AccessRefused):
        session.get(REF)
    line.trouble = None
    assert session.get(REF) == 7


def test_one_that_cannot_be_opened_anew_is_over() -> None:
    line = Line()
    session = line.session()
    session.renew()
    line.trouble = TransportLost("the probe is gone")
    with pytest.raises(TransportLost, match="the probe is gone"):
        session.get(REF)
    line.trouble = None
    with pytest.raises(TransportLost, match="could not be opened anew: the probe is gone"):
        session.get(REF)


def test_closing_after_a_cut_says_nothing_to_the_meter() -> None:
    line = Line()
    session = line.session()
    session.renew()
    session.close()
    assert line.said == ["open", "abandon"]


def test_a_session_that_is_abandoned_ends_without_a_word() -> None:
    line = Line()
    session = line.session()
    session.abandon()
    assert line.said == ["open", "abandon"]
    with pytest.raises(TransportLost, match="the session is over: abandoned"):
        session.get(REF)
