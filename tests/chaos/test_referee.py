"""The referee sees every foul: owners of benches here are processes that do what none of ours may."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from .rounds import Round, stand_up

OWNER = """
import json, socket, struct, sys
port, words = int(sys.argv[1]), sys.argv[2]
bench = socket.create_connection(("127.0.0.1", port))
told = socket.socket(socket.AF_UNIX)

def ask(pdu):
    bench.sendall(struct.pack(">HHHB", 1, 0, len(pdu) + 1, 1) + pdu)
    bench.settimeout(0.3)
    try:
        return "answered" if bench.recv(64) else "gone"
    except TimeoutError:
        return "silence"

def look():
    return ask(struct.pack(">BHH", 1, 0, 1))

def load(on):
    return ask(struct.pack(">BHH", 5, 4, 0xFF00 if on else 0))

def make_safe():
    load(False)
    ask(struct.pack(">BHH", 5, 0, 0xFF00))
    ask(struct.pack(">BHHBH", 16, 0, 1, 2, 2300))
    return ask(struct.pack(">BHHB2H", 16, 2, 2, 4, 0, 0))

def begin(attempt):
    told.connect(words)
    said = {"attempt": attempt, "rig": "ioc-1", "run": sys.argv[3]}
    told.sendall(json.dumps(said).encode() + b"\\n")
    told.recv(64)
    return "begun"

for line in sys.stdin:
    print(eval(line), flush=True)
"""


class Owner:
    """A process with a bench: each word to it is done when it is answered."""

    def __init__(self, around: Round, run: str) -> None:
        arguments = [str(around.ports["ioc-1"]), str(around.folder / "words"), run]
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", OWNER, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.does("look()")  # its connection is there

    def does(self, what: str) -> str:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{what}\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def dies(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def around(tmp_path: Path) -> Iterator[Round]:
    with stand_up("the referee", 1, tmp_path / "round", rigs=("ioc-1",), tests=1, seconds=0) as around:
        yield around


@pytest.fixture
def owner(around: Round) -> Iterator[Callable[[str], Owner]]:
    with ExitStack() as held:

        def begin(run: str) -> Owner:
            owner = Owner(around, run)
            held.callback(owner.dies)
            return owner

        yield begin


def kinds(around: Round) -> list[str]:
    return [each["kind"] for each in around.of("foul")]


def test_a_write_over_an_older_connection_than_the_last_that_wrote_is_a_foul(around, owner) -> None:
    late, new = owner("late"), owner("new")
    late.does("load(True)")
    new.does("load(False)")
    assert kinds(around) == []
    assert late.does("load(True)") == "answered"
    around.until(lambda: kinds(around) == ["two owners"], "the foul is told", 10)
    new.does("load(False)")
    late.does("load(True)")
    assert kinds(around) == ["two owners"]  # of one connection it is told once


def test_a_bench_that_is_given_live_is_a_foul(around, owner) -> None:
    owner("careless").does("begin('a/1')")
    around.until(lambda: kinds(around) == ["given live"], "the foul is told", 10)
    assert "coil 4 is 1" in around.of("foul")[0]["why"]


def test_a_late_owner_that_only_thinks_that_it_begins_commits_none(around, owner) -> None:
    late, new = owner("late"), owner("new")
    new.does("make_safe()")
    new.does("begin('a/1')")
    new.does("load(True)")
    late.does("begin('b/1')")
    around.until(lambda: len(around.of("begun")) == 2, "both begin", 10)
    assert kinds(around) == []


def test_a_silent_bench_answers_nothing_and_does_nothing(around, owner) -> None:
    patient = owner("patient")
    patient.does("make_safe()")
    around.order("silence", "ioc-1")
    around.until(lambda: patient.does("load(False)") == "silence", "it falls silent", 10)
    assert patient.does("load(True)") == "silence"
    around.order("speak", "ioc-1")
    around.until(lambda: patient.does("load(False)") == "answered", "it speaks again", 10)
    assert around.live() == {}
