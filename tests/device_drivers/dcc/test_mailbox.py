"""Each response reaches whoever waits for it; what nobody waits for is kept with its reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from device_drivers.dcc.mailbox import AlertsSeen, Mailbox, Received


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


def test_a_forged_response_does_not_take_the_place_of_the_right_one() -> None:
    mailbox = Mailbox()
    ticket = mailbox.expect("a")
    mailbox.put(message("a", response_id="r", authentic=False, problems=("signature of the DCC: broken",)))
    assert mailbox.response(ticket) is None
    refused = mailbox.refused(ticket)
    assert refused is not None
    assert refused.problems == ("signature of the DCC: broken",)
    mailbox.put(message("a", response_id="r", code="E21"))
    answer = mailbox.response(ticket)
    assert answer is not None
    assert answer.code == "E21"
    assert reasons(mailbox) == ["is not signed as it must be: nobody is given it"]


def test_a_forged_alert_alarms_nobody_and_does_not_hide_the_right_one() -> None:
    mailbox = Mailbox()
    mailbox.put(message(response_id="r", is_alert=True, authentic=False))
    assert mailbox.alerts(["meter"], 0) == ()
    mailbox.put(message(response_id="r", is_alert=True))
    assert len(mailbox.alerts(["meter"], 0)) == 1


def test_an_alert_of_an_earlier_run_does_not_come_again(tmp_path: Path) -> None:
    AlertsSeen(tmp_path / "seen").add("r")
    mailbox = Mailbox(AlertsSeen(tmp_path / "seen").earlier)
    mailbox.put(message(response_id="r", is_alert=True))
    assert mailbox.alerts(["meter"], 0) == ()
    assert reasons(mailbox) == ["an alert that has come before"]


def test_only_the_last_alerts_of_earlier_runs_are_remembered(tmp_path: Path) -> None:
    path = tmp_path / "seen"
    path.write_text("".join(f"{number}\n" for number in range(25_000)))
    earlier = AlertsSeen(path).earlier
    assert (len(earlier), "24999" in earlier, "0" in earlier) == (10_000, True, False)
    assert len(path.read_text().splitlines()) == 10_000


def test_what_a_schedule_brings_goes_to_who_has_it_and_each_once() -> None:
    mailbox = Mailbox()
    mailbox.expect_schedule(7, "meter")
    mailbox.put(message(response_id="x:1", schedule=7))
    mailbox.put(message(response_id="x:1", schedule=7))
    assert [each.response_id for each in mailbox.scheduled(["meter"], 0)] == ["x:1"]
    assert reasons(mailbox) == ["a scheduled response that has come before"]


def test_what_comes_of_a_schedule_that_nobody_has_is_a_stray() -> None:
    mailbox = Mailbox()
    for number in (1, 2):
        mailbox.expect_schedule(number, "meter")
    mailbox.stop_schedules(1, "")
    mailbox.put(message(response_id="x:1", schedule=1))
    mailbox.put(message(response_id="x:2", schedule=2))
    mailbox.stop_schedules(None, "meter")
    mailbox.put(message(response_id="x:3", schedule=2))
    assert [each.response_id for each in mailbox.scheduled(["meter"], 0)] == ["x:2"]
    assert reasons(mailbox) == [
        "of schedule 1, which this run has not got",
        "of schedule 2, which this run has not got",
    ]
