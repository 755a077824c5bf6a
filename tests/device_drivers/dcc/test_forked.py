"""A fork that stands for a process of its own: in a process of one thread, as it is made there."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

from device_drivers.dcc.forked import may_fork

SCRIPT = """
import os, subprocess, sys, time
from device_drivers.dcc.forked import Forked
{program}
with open({errors!r}, "wb") as errors, open(os.devnull) as ours:
    forked = Forked(program, errors.fileno())
    {then}
"""


def run(tmp_path: Path, program: str, then: str) -> str:
    errors = tmp_path / "errors"
    script = SCRIPT.format(program=program, then=then.replace("\n", "\n    "), errors=str(errors))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout + errors.read_text()


def test_it_is_talked_to_over_its_standard_streams_and_ends_with_them(tmp_path: Path) -> None:
    program = (
        "def program():\n    print(sys.stdin.readline().strip()[::-1], flush=True)\n    sys.stdin.read()"
    )
    then = (
        "forked.stdin.write(b'abc\\n'); forked.stdin.flush()\n"
        "print(forked.stdout.readline(), forked.poll())\n"
        "forked.stdin.close(); print(forked.wait(10), forked.poll())"
    )
    assert run(tmp_path, program, then) == "b'cba\\n' None\n0 0\n"


def test_it_has_a_session_of_its_own_and_none_of_our_files(tmp_path: Path) -> None:
    program = (
        "def program():\n    print(os.getsid(0) == os.getpid(), os.listdir('/proc/self/fd')[:3], flush=True)"
    )
    then = "print(forked.stdout.read().decode()); forked.wait(10)"
    assert run(tmp_path, program, then).startswith("True ['0', '1', '2']")


def test_what_it_dies_of_is_told_to_its_errors_and_is_its_status(tmp_path: Path) -> None:
    said = run(tmp_path, "def program():\n    raise ValueError('no such lab')", "print(forked.wait(10))")
    assert said.startswith("1\n")
    assert "ValueError: no such lab" in said


def test_one_that_goes_on_is_waited_for_as_long_as_asked_and_can_be_killed(tmp_path: Path) -> None:
    then = (
        "try:\n    forked.wait(0.1)\nexcept subprocess.TimeoutExpired:\n    print('still there')\n"
        "forked.kill(); print(forked.wait(10))"
    )
    assert run(tmp_path, "def program():\n    sys.stdin.read()", then) == "still there\n-9\n"


def test_nothing_is_forked_beside_threads_or_without_the_programs_module() -> None:
    assert not may_fork("no.such.module")
    waiting = threading.Event()
    thread = threading.Thread(target=waiting.wait)
    thread.start()
    try:
        assert not may_fork("os")
    finally:
        waiting.set()
        thread.join()
    assert hasattr(os, "pidfd_open")
