"""The process that workers are forked from, before anybody asks it for one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from subprocess import PIPE

import pytest

from harness.execution import fork_ahead
from harness.execution.fork_ahead import SWITCH, Begun

OURS, OTHERS = ["-n", "rigs", "--pack=a"], ["-n", "rigs", "--pack=b"]
SOON = 30.0


@pytest.fixture
def taken() -> Iterator[list[Begun]]:
    """What a test has taken; it is ended."""
    taken: list[Begun] = []
    yield taken
    for begun in taken:
        begun.link.close()
        begun.process.kill()
        begun.process.wait()


def test_a_session_takes_what_was_begun_for_its_arguments_and_once(taken) -> None:
    fork_ahead.begin(OURS)
    (ahead,) = fork_ahead._ahead
    taken += [fork_ahead.begun(OURS), fork_ahead.begun(OURS)]
    assert taken[0] is ahead
    assert taken[1].process.pid != ahead.process.pid


def test_what_was_begun_for_other_arguments_ends(taken) -> None:
    fork_ahead.begin(OTHERS)
    (other,) = fork_ahead._ahead
    taken.append(fork_ahead.begun(OURS))
    assert taken[0].arguments == tuple(OURS)
    assert other.process.wait(SOON) == 0
    assert not fork_ahead._ahead


def test_it_ends_when_nobody_is_there_any_more(taken) -> None:
    taken.append(fork_ahead.begun(["--collect-only"]))
    taken[0].link.close()
    assert taken[0].process.wait(SOON) == 0


def test_it_is_begun_once_for_the_same_arguments(taken) -> None:
    fork_ahead.begin(OURS)
    fork_ahead.begin(OURS)
    (ahead,) = fork_ahead._ahead
    taken.append(fork_ahead.begun(OURS))
    assert taken[0] is ahead


def test_what_was_begun_before_there_were_arguments_is_taken_for_the_first(taken) -> None:
    fork_ahead.prepare()
    ((process, _),) = fork_ahead._untold
    fork_ahead.begin(OURS)
    assert not fork_ahead._untold
    taken += [fork_ahead.begun(OURS), fork_ahead.begun(OTHERS)]
    assert taken[0].process is process
    assert taken[1].process is not process


def test_what_is_told_nothing_ends_with_who_has_begun_it() -> None:
    program = "from harness.execution import fork_ahead as a; a.prepare(); print(a._untold[0][0].pid)"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=SOON)
    assert (ended.returncode, ended.stderr) == (0, "")
    with pytest.raises(ProcessLookupError):
        os.kill(int(ended.stdout), 0)


def test_what_is_told_nothing_ends_when_who_has_begun_it_is_killed() -> None:
    program = "from harness.execution import fork_ahead as a; a.prepare(); print(flush=True); input()"
    process = subprocess.Popen([sys.executable, "-c", program], stdin=PIPE, stdout=PIPE, stderr=PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    process.kill()
    _, told = process.communicate(timeout=SOON)  # until nobody has that end of the pipe any more
    assert told == b""


def test_the_switch_keeps_it_from_being_begun(monkeypatch) -> None:
    monkeypatch.setenv(SWITCH, "0")
    fork_ahead.begin(OURS)
    assert not fork_ahead._ahead
