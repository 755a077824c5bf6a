"""Whole runs whose tests ask the engineer something: at a terminal, from a file, and where nobody is."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from fcntl import ioctl
from pathlib import Path
from termios import TIOCSCTTY, TIOCSWINSZ

import pytest

from harness.domain.words import AttemptResult
from harness.records.evidence import evidence_folder, read_steps
from harness.records.run import read_run
from tests.harness.execution.conftest import surroundings

MOVES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")
HARNESS = (sys.executable, "-m", "harness", "run", "pack-ioc", "--lab=lab.yaml")
PYTEST = (sys.executable, "-m", "pytest", "--lab=lab.yaml", "--pack=pack-ioc", "-p", "no:cacheprovider")

BOTH = """
def when_both_rigs_are_there(rig):
    Path(rig.rig.id).touch()
    for _ in range(2000):
        if len(list(Path().glob("ioc-*"))) == 2:
            return
        time.sleep(0.01)
    raise AssertionError("the other rig never came")
"""
ASKS = (
    BOTH
    + """
@planned
def test_asks(rig, operator, evidence):
    if "PYTEST_XDIST_WORKER" in os.environ:
        when_both_rigs_are_there(rig)
    print("captured, and never on the terminal")
    serial = operator.ask("serial number?")
    evidence.expect("serial number", found=serial, expected=f"of {rig.rig.id}")
"""
)


class Seat:
    """A terminal with a harness or pytest of its own on it, and who sits there."""

    def __init__(self, bench, command: tuple[str, ...]) -> None:
        self._ours, theirs = pty.openpty()
        ioctl(theirs, TIOCSWINSZ, struct.pack("HHHH", 24, 200, 0, 0))
        self.seen = ""
        self.process = subprocess.Popen(
            command,
            cwd=bench.folder,
            env={**surroundings(), "PYTHONPATH": str(Path(__file__).parent), "TERM": "xterm",
                 "HARNESS_STATE": str(bench.folder / "state"), **bench.environment},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=lambda: ioctl(0, TIOCSCTTY, 0),  # so that Ctrl-C reaches it
        )  # fmt: skip
        os.close(theirs)

    def _reads(self, seconds: float) -> bool:
        ready, _, _ = select.select([self._ours], [], [], max(0.0, seconds))
        assert ready, f"nothing more came after {self.seen!r}"
        try:
            chunk = os.read(self._ours, 65536)
        except OSError:  # how Linux says that nobody holds the other end any more
            return False
        self.seen += MOVES.sub("", chunk.decode(errors="replace"))
        return bool(chunk)

    def sees(self, text: str) -> str:
        """Wait until the text is shown; all that was shown since the last time, up to its end."""
        deadline = time.monotonic() + 40
        while text not in self.seen:
            assert self._reads(deadline - time.monotonic()), f"it ended: {self.seen!r}"
        before, _, self.seen = self.seen.partition(text)
        return before + text

    def types(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def ends(self) -> tuple[int, str]:
        """Exit code, and what was shown since the last time."""
        deadline = time.monotonic() + 40
        while self._reads(deadline - time.monotonic()):
            pass
        return self.process.wait(10), self.seen

    def leave(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        os.close(self._ours)


@pytest.fixture
def seated(bench) -> Iterator[Callable[..., Seat]]:
    seats = []

    def sit(*command: str) -> Seat:
        seats.append(Seat(bench, command))
        return seats[-1]

    yield sit
    for seat in seats:
        seat.leave()


def manual_steps(bench) -> list[dict]:
    """What the evidence has of every question, over all attempts."""
    run = read_run((bench.folder / "runs" / "latest").resolve())
    return [
        step["detail"] | {"rig": attempt.rig, "result": attempt.result}
        for test, attempts in run.attempts.items()
        for attempt in attempts
        for step in read_steps(evidence_folder(run.folder, test, attempt.number))
        if step["title"].startswith("operator: ")
    ]


def test_two_rigs_ask_at_one_terminal_one_after_the_other(bench, seated) -> None:
    bench.write_tests(ASKS)
    seat = seated(*HARNESS, "--operator=Alice", "--record-answers=given.jsonl")
    for number in range(2):
        shown = seat.sees("'cannot: REASON'\n> ")
        rig = re.search(r"--- rig (ioc-\d) asks", shown)[1]
        assert "TELL: serial number?" in shown
        assert "test_subject::test_asks[pack-ioc" in shown
        assert shown.count("--- rig") == 1
        assert "captured" not in shown
        time.sleep(0.3)  # the display would have moved on twice in that time
        seat.types(f"of {rig}\n")
        if number == 0:
            first = rig
    code, shown = seat.ends()
    assert code == 0, shown
    assert first != rig
    steps = manual_steps(bench)
    assert {(step["answered"], step["by"]) for step in steps} == {
        ("of ioc-1", "Alice"),
        ("of ioc-2", "Alice"),
    }
    assert all(step["answered"] == f"of {step['rig']}" for step in steps)
    assert len((bench.folder / "given.jsonl").read_text().splitlines()) == 2

    code, output = bench.run("--answers=given.jsonl", program=("harness",))  # another day, and nobody there
    assert code == 0, output
    again = [step for step in manual_steps(bench) if step["result"] is AttemptResult.PASSED]
    assert {step["answered"] for step in again} == {"of ioc-1", "of ioc-2"}
    assert all(re.fullmatch(r"given\.jsonl:[12] \(given by Alice 20\S+\)", step["by"]) for step in again)


def test_while_a_question_is_there_nothing_else_is_shown(bench, seated) -> None:
    bench.write_tests(
        BOTH
        + """
@planned
def test_asks(rig, operator):
    when_both_rigs_are_there(rig)
    if rig.rig.id == "ioc-1":
        operator.do("turn the key")
    else:
        for _ in range(1000):
            if Path("asked").exists():
                raise LabFault("its probe was pulled")
            time.sleep(0.01)
"""
    )
    seat = seated(*HARNESS)
    seat.sees("> ")
    (bench.folder / "asked").touch()
    deadline = time.monotonic() + 30
    journal = re.compile(r'"result":"blocked"')
    while not any(journal.search(path.read_text()) for path in bench.folder.glob("runs/*/journal/*ioc-2*")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(0.3)
    seat.types("done\n")
    answered = seat.sees("done")  # the echo: nothing stood before it
    assert answered == "done"
    assert "its probe was pulled" in seat.sees("pulled")  # what happened meanwhile is told afterwards
    seat.sees("> ")  # the other rig's test has come to this one
    seat.types("done\n")
    code, shown = seat.ends()
    assert code == 0, shown


def test_without_workers_and_in_plain_pytest_the_same_terminal_is_asked(bench, seated) -> None:
    bench.write_tests(ASKS)
    for command in ((*HARNESS, "--one-process"), PYTEST, (*PYTEST, "-n", "rigs")):
        seat = seated(*command)
        for _ in range(2):
            rig = re.search(r"--- rig (ioc-\d) asks", seat.sees("'cannot: REASON'\n> "))[1]
            seat.types(f"of {rig}\n")
        code, shown = seat.ends()
        assert code == 0, shown
        assert "captured" not in shown


def test_ctrl_c_at_a_question_ends_the_run(bench, seated) -> None:
    bench.write_tests(ASKS)
    for command in (HARNESS, (*HARNESS, "--one-process")):
        seat = seated(*command)
        seat.sees("> ")
        seat.types("\x03")
        code, shown = seat.ends()
        assert code == 4, shown


def test_a_worker_that_dies_takes_its_question_with_it(bench, seated) -> None:
    bench.environment["RIGS_DIE"] = "yes"
    bench.write_tests(
        BOTH
        + """
@planned
def test_asks(rig, operator):
    when_both_rigs_are_there(rig)
    if rig.rig.id == "ioc-1":
        Path("pid").write_text(str(os.getpid()))
        operator.do("turn the key")
"""
    )
    seat = seated(*HARNESS)
    seat.sees("> ")
    os.kill(int((bench.folder / "pid").read_text()), signal.SIGKILL)
    seat.sees("(taken back: who asked is gone)")
    code, shown = seat.ends()  # the other rig takes the test, and has nothing to ask
    assert code == 0, shown


def test_answers_from_a_file_need_no_terminal(bench) -> None:
    bench.write_tests(ASKS)
    (bench.folder / "answers.yaml").write_text(
        "- {question: serial number?, rig: ioc-1, answer: of ioc-1}\n"
        "- {question: serial number?, rig: ioc-2, answer: of ioc-2}\n"
    )
    code, output = bench.run("-n", "rigs", "--answers=answers.yaml")
    assert code == 0, output
    assert {step["by"] for step in manual_steps(bench)} == {"answers.yaml:1", "answers.yaml:2"}


def test_in_ci_an_unanswered_question_blocks_the_test_and_holds_nobody_up(bench) -> None:
    bench.write_tests("""
    from datetime import timedelta
    @planned
    def test_asks(operator):
        operator.do("turn the key", within=timedelta(hours=1))
    """)
    process = bench.start(program=("harness",))
    output, _ = process.communicate(timeout=50)
    assert process.returncode == 3, output
    steps = manual_steps(bench)
    assert steps
    assert all("no terminal" in step["nobody"] for step in steps)
    assert all(step["result"] is AttemptResult.BLOCKED for step in steps)


def test_a_wrong_answers_file_is_told_before_anything_runs(bench) -> None:
    bench.write_tests(ASKS)
    (bench.folder / "answers.yaml").write_text("- {question: serial number?, anser: x}\n")
    code, output = bench.run("--answers=answers.yaml", program=("harness",))
    assert code == 2
    assert "answers.yaml:1: unknown key 'anser' (did you mean 'answer'?)" in output
    assert not list(bench.folder.glob("runs/*"))
