"""A manual step: who is asked, in which order, what is kept, and what becomes of it without an answer."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import pty
import select
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.config.answers import load_answers
from harness.domain.errors import ConfigurationError, OperatorAbsent
from harness.domain.operator import PreparedAnswer
from harness.domain.words import DeviceType
from harness.execution.desk import Desk
from harness.execution.operator import OperatorAtRig
from harness.execution.terminal import Terminal
from harness.records.answers import AnswerRecord

TEST = "test_display::test_it_shows[pack-ioc,ioc-active,ESME]"
SECOND = timedelta(seconds=1)


@dataclass
class Notes:
    """An evidence log that remembers."""

    notes: list[tuple[str, dict]] = field(default_factory=list)

    def note(self, title: str, detail: dict) -> None:
        self.notes.append((title, detail))


def at_rig(rig: str = "ioc-1", *, answers=(), desk: str = "", shows: str | None = None, notes=None):
    in_hand = SimpleNamespace(rig=SimpleNamespace(id=rig), display=lambda _: shows)
    return OperatorAtRig(in_hand, TEST, notes or Notes(), answers, desk)


def prepared(question: str, text: str, **more) -> PreparedAnswer:
    return PreparedAnswer(question=question, text=text, place="answers.yaml:7", **more)


class Person:
    """Who sits at the terminal: sees what it shows, and types."""

    def __init__(self) -> None:
        self.ours, self.theirs = pty.openpty()
        self.seen = ""

    def sees(self, text: str, seconds: float = 10) -> str:
        """Wait until the text is shown; what was shown up to its end since the last time."""
        deadline = time.monotonic() + seconds
        while text not in self.seen:
            ready, _, _ = select.select([self.ours], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"{text!r} never came, but {self.seen!r}"
            self.seen += os.read(self.ours, 65536).decode().replace("\r\n", "\n")
        before, _, self.seen = self.seen.partition(text)
        return before + text

    def types(self, line: str) -> None:
        os.write(self.ours, line.encode() + b"\n")

    def leaves(self) -> None:
        os.close(self.ours)
        self.ours = -1


@pytest.fixture
def person() -> Iterator[Person]:
    person = Person()
    yield person
    for descriptor in (person.ours, person.theirs):
        if descriptor >= 0:
            os.close(descriptor)


@pytest.fixture
def desk(person: Person) -> Iterator[Desk]:
    terminal = Terminal(os.dup(person.theirs), "alice")
    desk = Desk(terminal)
    desk.start()
    yield desk
    desk.close()
    terminal.close()


@pytest.fixture
def asking() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def why(future: Future) -> str:
    with pytest.raises(OperatorAbsent) as caught:
        future.result(10)
    return caught.value.message


# -- without a person ---------------------------------------------------------------------------------


def test_a_display_that_the_lab_can_see_is_read_from_the_rig_itself() -> None:
    notes = Notes()
    operator = at_rig(shows="12 Mar 2026\n000123", answers=[prepared("read the display of the ESME", "x")],
                      notes=notes)  # fmt: skip
    assert operator.read_display(DeviceType.ESME) == "12 Mar 2026\n000123"
    ((title, detail),) = notes.notes
    assert title == "operator: read the display of the ESME"
    assert (detail["answered"], detail["by"]) == ("12 Mar 2026\n000123", "rig ioc-1")
    assert detail["asked"] <= detail["at"]


def test_an_answers_file_answers_as_often_as_it_is_asked() -> None:
    notes = Notes()
    answers = [
        prepared("fit the battery", "done"),
        prepared("is it green?", "no"),
        prepared("read the display of the GSME", "00042"),
        prepared("which serial number?", "E1"),
    ]
    operator = at_rig(answers=answers, notes=notes)
    for _ in range(2):
        operator.do("fit  the\nbattery")  # as an f-string over two lines may have it
    assert operator.confirm("is it green?") is False
    assert operator.read_display(DeviceType.GSME) == "00042"
    assert operator.ask("which serial number?") == "E1"
    assert {detail["by"] for _, detail in notes.notes} == {"answers.yaml:7"}


def test_the_answer_that_says_most_of_where_it_belongs_counts() -> None:
    def told(*answers: PreparedAnswer, rig: str = "ioc-1") -> str:
        return at_rig(rig, answers=answers).ask("q")

    anywhere, here = prepared("q", "anywhere"), prepared("q", "here", rig="ioc-1")
    both = prepared("q", "both", rig="ioc-1", test="test_it_shows")
    assert told(anywhere, here, both) == "both"
    assert told(both, here, anywhere, rig="ioc-2") == "anywhere"
    for name in (TEST, "test_display::test_it_shows", "test_it_shows"):
        assert told(anywhere, prepared("q", "in that test", test=name)) == "in that test"
    assert told(anywhere, prepared("q", "elsewhere", test="test_it_shows_not")) == "anywhere"


def test_of_several_equal_answers_each_is_for_one_time_and_the_last_for_all_that_follow() -> None:
    operator = at_rig(answers=[prepared("reading?", "100"), prepared("reading?", "130")])
    assert [operator.ask("reading?") for _ in range(3)] == ["100", "130", "130"]


def test_where_nobody_can_answer_the_test_is_blocked_at_once() -> None:
    notes = Notes()
    with pytest.raises(OperatorAbsent, match="nobody answered 'fit the battery'") as caught:
        at_rig(notes=notes).do("fit the battery", within=timedelta(hours=8))  # which nobody waits for
    assert "--answers FILE" in caught.value.remedy
    assert "no terminal" in notes.notes[0][1]["nobody"]


def test_a_refusal_in_a_file_blocks_and_is_kept() -> None:
    notes = Notes()
    answers = [prepared("break the seal", "it is not ours", refused=True)]
    with pytest.raises(OperatorAbsent, match="it is not ours"):
        at_rig(answers=answers, notes=notes).do("break the seal")
    assert notes.notes[0][1]["refused"] == "it is not ours"


def test_a_prepared_answer_that_is_none_names_its_place() -> None:
    with pytest.raises(ConfigurationError, match=r"answers.yaml:7: 'perhaps' .*write yes or no"):
        at_rig(answers=[prepared("is it green?", "perhaps")]).confirm("is it green?")


# -- at the terminal ----------------------------------------------------------------------------------


def test_the_terminal_shows_rig_test_step_and_deadline_and_takes_the_answer(desk, person, asking) -> None:
    notes = Notes()
    operator = at_rig(desk=desk.address, notes=notes)
    done = asking.submit(operator.do, "fit the battery")
    shown = person.sees("> ")
    for part in ("rig ioc-1 asks", TEST, "DO: fit the battery", "in 300 s", "'done' when it is"):
        assert part in shown
    person.types("in a minute")
    person.sees("please, 'done' when it is")
    person.types("Done")
    assert done.result(10) is None
    ((_, detail),) = notes.notes
    assert (detail["answered"], detail["by"], detail["kind"]) == ("done", "alice", "do")
    assert detail["asked"] < detail["at"]


def test_each_kind_of_question_takes_its_own_answers(desk, person, asking) -> None:
    operator = at_rig(desk=desk.address)
    told = asking.submit(operator.ask, "what does the sticker say?")
    person.sees("> ")
    person.types("")
    person.sees("please, the answer")
    person.types("  caf\N{LATIN SMALL LETTER E WITH ACUTE} \x1b[A 7 ")
    assert told.result(10) == "caf\N{LATIN SMALL LETTER E WITH ACUTE} [A 7"  # nothing that cannot be printed
    agreed = asking.submit(operator.confirm, "the lamp blinks")
    person.sees("'yes' or 'no'")
    person.types("N")
    assert agreed.result(10) is False
    display = asking.submit(operator.read_display, DeviceType.ESME)
    person.sees("READ: read the display of the ESME")
    for line in ("12 Mar 2026", "000123 kWh", ""):
        person.sees("> ")
        person.types(line)
    assert display.result(10) == "12 Mar 2026\n000123 kWh"


def test_who_cannot_do_it_says_why_and_the_test_is_blocked(desk, person, asking) -> None:
    notes = Notes()
    refused = asking.submit(at_rig(desk=desk.address, notes=notes).do, "fit the battery")
    person.sees("> ")
    person.types("cannot:")
    person.sees("say why")
    person.types("CANNOT: there is none left")
    assert "alice says that it cannot be done: 'fit the battery': there is none left" in why(refused)
    assert notes.notes[0][1]["refused"] == "there is none left"


def test_questions_of_several_rigs_queue_up_one_at_a_time(desk, person, asking) -> None:
    futures = {}
    for rig in ("ioc-1", "ioc-2", "ioc-3"):
        futures[rig] = asking.submit(at_rig(rig, desk=desk.address).ask, f"serial number at {rig}?")
        if rig == "ioc-1":
            person.sees("> ")
    for _ in range(2):
        person.types("for the first")
        assert futures.pop("ioc-1").result(10) == "for the first"
        rig = "ioc-2" if "at ioc-2?" in person.sees("> ") else "ioc-3"
        futures["ioc-1"] = futures.pop(rig)
    person.types("for the first")
    assert futures.pop("ioc-1").result(10) == "for the first"
    assert not futures


def test_a_deadline_that_passes_withdraws_the_question_and_what_is_typed_late_answers_no_other(
    desk, person, asking
) -> None:
    late = asking.submit(at_rig(desk=desk.address).ask, "first?", within=0.3 * SECOND)
    person.sees("> ")
    os.write(person.ours, b"half an ans")
    assert "no answer within 0.3 s" in why(late)
    person.sees("too late")
    person.types("wer")  # nobody asks
    person.sees("wer")  # the terminal's own echo
    second = asking.submit(at_rig(desk=desk.address).ask, "second?")
    person.sees("> ")
    person.types("the second")
    assert second.result(10) == "the second"


def test_a_question_that_never_came_to_the_terminal_says_so_when_it_is_late(desk, person, asking) -> None:
    first = asking.submit(at_rig("ioc-1", desk=desk.address).do, "slow step")
    person.sees("> ")
    second = asking.submit(at_rig("ioc-2", desk=desk.address).do, "other step", within=0.2 * SECOND)
    assert "other questions were on the terminal" in why(second)
    person.types("done")
    first.result(10)


def test_a_question_whose_asker_died_is_taken_back_and_the_next_one_comes(desk, person, asking) -> None:
    question = {"asking": "do", "text": "fit it", "rig": "ioc-1", "test": TEST, "seconds": 300}
    with socket.socket(socket.AF_UNIX) as dying:
        dying.connect(desk.address)
        dying.sendall(json.dumps(question).encode() + b"\n")
        person.sees("> ")
        waiting = asking.submit(at_rig("ioc-2", desk=desk.address).do, "the other")
    assert "taken back" in person.sees("DO: the other")
    person.sees("> ")
    person.types("done")
    waiting.result(10)


@pytest.mark.parametrize("nonsense", [b"\xff\xfe\n", b"[]\n", b'{"asking": "fly"}\n', b"{}\n", b"x" * 70_000])
def test_nonsense_at_the_desk_disturbs_nobody(desk, person, asking, nonsense: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.connect(desk.address)
        stranger.sendall(nonsense)
        stranger.settimeout(10)
        with contextlib.suppress(ConnectionResetError):  # with some of the nonsense unread
            assert stranger.recv(1) == b""  # hung up on
    done = asking.submit(at_rig(desk=desk.address).do, "fit it")
    person.sees("> ")
    person.types("done")
    done.result(10)


def test_a_terminal_that_goes_away_blocks_at_once(desk, person, asking) -> None:
    futures = [asking.submit(at_rig(desk=desk.address).do, f"step {number}") for number in range(3)]
    person.sees("> ")
    person.leaves()
    assert all("the terminal was closed" in why(future) for future in futures)


def test_ctrl_d_leaves_one_question_unanswered(desk, person, asking) -> None:
    first = asking.submit(at_rig(desk=desk.address).do, "step")
    person.sees("> ")
    os.write(person.ours, b"\x04")
    assert "closed" in why(first)
    second = asking.submit(at_rig(desk=desk.address).do, "another step")
    person.sees("another step")
    person.sees("> ")
    person.types("done")
    second.result(10)


def test_who_waits_when_the_run_ends_is_told(desk, person, asking) -> None:
    futures = [asking.submit(at_rig(desk=desk.address).do, f"step {number}") for number in range(2)]
    person.sees("> ")
    desk.stop()
    reasons = [why(future) for future in futures]
    told = [reason for reason in reasons if "the run was ended" in reason]
    assert told  # who was shown; the other may have been late to ask
    assert all("not there any more" in reason for reason in reasons if reason not in told)
    after = asking.submit(at_rig(desk=desk.address).do, "step", within=0.1 * SECOND)
    desk.close()
    assert "nobody answered" in why(after)
    assert "not there any more" in why(asking.submit(at_rig(desk=desk.address).do, "step"))


def test_a_desk_leaves_no_thread_descriptor_or_file_behind(person) -> None:
    def held() -> set[object]:
        return {*Path("/proc/self/fd").iterdir(), *threading.enumerate()}

    gc.collect()  # what earlier tests let lie
    before = held()
    terminal = Terminal(os.dup(person.theirs), "alice")
    desk = Desk(terminal)
    folder = Path(desk.address).parent
    assert folder.stat().st_mode & 0o077 == 0
    desk.start()
    with pytest.raises(OperatorAbsent):
        at_rig(desk=desk.address).do("step", within=0.1 * SECOND)
    desk.close()
    desk.close()
    terminal.close()
    assert held() <= before
    assert not folder.exists()


def test_what_was_answered_at_the_terminal_can_be_given_as_answers_another_time(
    person, asking, tmp_path: Path
) -> None:
    terminal = Terminal(os.dup(person.theirs), "alice")
    path = tmp_path / "answers.jsonl"
    desk = Desk(terminal, AnswerRecord(path))
    desk.start()
    operator = at_rig(desk=desk.address)
    readings = [("reading?", "100"), ("reading?", "130")]
    for question, typed in readings:
        told = asking.submit(operator.ask, question)
        person.sees("> ")
        person.types(typed)
        assert told.result(10) == typed
    refused = asking.submit(operator.do, "break the seal")
    person.sees("> ")
    person.types("cannot: not ours")
    why(refused)
    desk.close()
    terminal.close()

    notes = Notes()
    again = at_rig(answers=load_answers([path]), notes=notes)
    assert [again.ask("reading?") for _ in range(2)] == ["100", "130"]
    with pytest.raises(OperatorAbsent, match="not ours"):
        again.do("break the seal")
    assert "answers.jsonl:1 (given by alice 20" in notes.notes[0][1]["by"]
    with pytest.raises(OperatorAbsent):
        at_rig("ioc-2", answers=load_answers([path])).ask(
            "reading?"
        )  # another rig's display is not this one's
    with pytest.raises(ConfigurationError, match="is there already"):
        AnswerRecord(path)
    with pytest.raises(ConfigurationError, match="jsonl"):
        AnswerRecord(tmp_path / "answers.yaml")
