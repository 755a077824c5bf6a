"""A rig is one process's at a time, and its lease dies with its holder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.rigs.lease import RigInUse, holder, take

HOLD = """
import sys
from pathlib import Path
from harness.rigs.lease import take
lease = take(Path(sys.argv[1]), "rig-1", "a bench session")
print("held", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Another process that holds the rig until it is killed or spoken to."""
    started = []

    def start() -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(tmp_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_a_free_rig_has_no_holder(tmp_path: Path) -> None:
    assert holder(tmp_path, "rig-1") is None
    take(tmp_path, "rig-1", "a run").release()
    assert holder(tmp_path, "rig-1") is None


def test_a_held_rig_says_who_holds_it_and_for_what(tmp_path: Path) -> None:
    lease = take(tmp_path, "rig-1", "run 7")
    told = holder(tmp_path, "rig-1")
    assert told is not None
    assert (told["purpose"], told["pid"]) == ("run 7", os.getpid())
    assert told.keys() == {"purpose", "host", "pid", "since"}
    lease.release()


def test_two_rigs_are_two_leases(tmp_path: Path) -> None:
    first, second = take(tmp_path, "rig-1", "a run"), take(tmp_path, "rig-2", "a run")
    first.release()
    assert holder(tmp_path, "rig-2") is not None
    second.release()


def test_another_process_cannot_take_a_held_rig_and_is_told_who_has_it(tmp_path: Path, other) -> None:
    process = other()
    with pytest.raises(RigInUse, match=rf"rig-1 is in use: purpose a bench session.*pid {process.pid}"):
        take(tmp_path, "rig-1", "a run")
    told = holder(tmp_path, "rig-1")
    assert told is not None
    assert told["pid"] == process.pid  # and asking did not disturb the lease
    with pytest.raises(RigInUse):
        take(tmp_path, "rig-1", "a run")


def test_the_lease_of_a_killed_holder_is_free_at_once(tmp_path: Path, other) -> None:
    process = other()
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert holder(tmp_path, "rig-1") is None
    lease = take(tmp_path, "rig-1", "the next run")
    assert json.loads((tmp_path / "leases" / "rig-1.json").read_text())["purpose"] == "the next run"
    lease.release()


def test_looking_at_a_lease_never_keeps_anybody_from_taking_it(tmp_path: Path) -> None:
    take(tmp_path, "rig-1", "a run").release()
    look = "import sys\nfrom pathlib import Path\nfrom harness.rigs.lease import holder\nprint(flush=True)\n"
    look += "while True: holder(Path(sys.argv[1]), 'rig-1')"
    onlooker = subprocess.Popen([sys.executable, "-c", look, str(tmp_path)], stdout=subprocess.PIPE)
    try:
        assert onlooker.stdout is not None
        onlooker.stdout.readline()
        for _ in range(2000):
            take(tmp_path, "rig-1", "a run").release()
    finally:
        onlooker.kill()
        onlooker.communicate()


def test_in_one_process_too_a_rig_is_taken_once(tmp_path: Path) -> None:
    lease = take(tmp_path, "rig-1", "a run")
    with pytest.raises(RigInUse):
        take(tmp_path, "rig-1", "another")
    lease.release()
    lease.release()  # twice is fine
    take(tmp_path, "rig-1", "another").release()
