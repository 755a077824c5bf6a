"""Each response reaches whoever waits for it; what nobody waits for is kept with its reason."""

from __future__ import annotations

from typing import Any

from device_drivers.dcc.mailbox import Mailbox, Received


def message(request_id: str = "", **about: Any) -> Received:
    known: dict[str, Any] = {
        "request_id": request_id,
        "response_id": "",
        "devices": frozenset({"meter"}),
        "code": "I0",
        "moment": None,
        "is_alert": False,
        "problems": (),
        "xml": b"",
    }
    return Received(**known | about)


def reasons(mailbox: Mailbox) -> list[str]:
    return [stray.stray for stray in mailbox.strays(["meter"], 0)]


def test_a_response_goes_to_the_request_that_it_answers() -> None:
    mailbox = Mailbox()
    first, second = mailbox.expect("a"), mailbox.expect("b")
    mailbox.put(message("b"))
    assert mailbox.response(first) is None
    answer = mailbox.response(second)
    assert answer is not None
    assert (answer.request_id, answer.stray) == ("b", "")


def test_a_second_response_is_kept_as_a_stray() -> None:
    mailbox = Mailbox()
    ticket = mailbox.expect("a")
    mailbox.put(message("a", code="I0"))
    mailbox.put(message("a", code="E21"))
    answer = mailbox.response(ticket)
    assert answer is not None
    assert answer.code == "I0"
    assert reasons(mailbox) == ["answers a request that has been answered"]


def test_a_late_response_is_kept_as_a_stray() -> None:
    mailbox = Mailbox()
    ticket = mailbox.expect("a")
    mailbox.stop_expecting(ticket, "too late")
    mailbox.put(message("a"))
    assert mailbox.response(ticket) is None
    assert reasons(mailbox) == ["too late"]


def test_a_response_to_nothing_is_kept_as_a_stray() -> None:
    mailbox = Mailbox()
    mailbox.put(message("z"))
    assert reasons(mailbox) == ["answers no request of this run"]


def test_a_replay_that_is_answered_gets_its_own_response() -> None:
    mailbox = Mailbox()
    first = mailbox.expect("a")
    mailbox.put(message("a", code="I0"))
    again = mailbox.expect("a")
    mailbox.put(message("a", code="E21"))
    answers = [mailbox.response(ticket) for ticket in (first, again)]
    assert [answer and answer.code for answer in answers] == ["I0", "E21"]
    assert reasons(mailbox) == []


def test_an_alert_is_told_once_and_its_repeat_is_a_stray() -> None:
    mailbox = Mailbox()
    for _ in range(2):
        mailbox.put(message(is_alert=True, response_id="meter:user:1"))
    mailbox.put(message(is_alert=True, response_id="meter:user:2"))
    assert [alert.response_id for alert in mailbox.alerts(["meter"], 0)] == ["meter:user:1", "meter:user:2"]
    assert reasons(mailbox) == ["an alert that has come before"]


def test_a_session_sees_what_came_since_it_began_and_only_its_own_devices() -> None:
    mailbox = Mailbox()
    mailbox.put(message(is_alert=True, response_id="old"))
    begun = mailbox.mark()
    mailbox.put(message(is_alert=True, response_id="new"))
    mailbox.put(message(is_alert=True, response_id="other", devices=frozenset({"another meter"})))
    assert [alert.response_id for alert in mailbox.alerts(["meter"], begun)] == ["new"]


def test_a_response_about_another_device_is_seen_by_both() -> None:
    mailbox = Mailbox()
    mailbox.put(message("a", devices=frozenset({"meter", "another meter"})))
    assert len(mailbox.strays(["another meter"], 0)) == 1
    assert reasons(mailbox) == ["answers no request of this run"]
