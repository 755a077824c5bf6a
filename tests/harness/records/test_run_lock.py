"""The lock on a run folder: real files, and real processes where the kernel has to let go."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

from harness.domain.errors import ConfigurationError
from harness.records.manifest import files_of
from harness.records.run_lock import LOCK, RunInUse, RunLock, work_on


def test_a_run_is_one_controllers_who_is_named_to_the_next(tmp_path: Path) -> None:
    lock = RunLock.take(tmp_path)
    with pytest.raises(RunInUse, match=rf"run {tmp_path.name} is in use: host .*, pid {os.getpid()}, since "):
        RunLock.take(tmp_path)
    lock.release()
    lock.release()
    RunLock.take(tmp_path).release()
    assert not list(tmp_path.iterdir())


def test_a_dead_owners_lock_is_free_and_no_part_of_the_record(tmp_path: Path) -> None:
    source = (
        "import os, sys, pathlib\n"
        "from harness.records.run_lock import RunLock, work_on\n"
        "lock, work = RunLock.take(folder := pathlib.Path(sys.argv[1])), work_on(folder)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", source, tmp_path], check=False, timeout=30)
    assert (tmp_path / LOCK).exists()
    assert not list(files_of(tmp_path))
    RunLock.take(tmp_path).release()
    assert not list(tmp_path.iterdir())


def test_a_lock_file_that_its_holder_takes_away_at_that_moment_is_not_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, lock = RunLock.take(tmp_path), fcntl.flock

    def after_it_has_ended(file: IO[str], how: int) -> None:
        first.release()
        lock(file, how)

    monkeypatch.setattr(fcntl, "flock", after_it_has_ended)
    second = RunLock.take(tmp_path)
    monkeypatch.undo()
    with pytest.raises(RunInUse):
        RunLock.take(tmp_path)
    second.release()


def test_workers_that_outlive_their_controller_are_waited_for(tmp_path: Path) -> None:
    source = (
        "import sys, pathlib\n"
        "from harness.records.run_lock import RunLock\n"
        "print('waits', flush=True)\n"
        "RunLock.take(pathlib.Path(sys.argv[1])).release()\n"
        "print('has it', flush=True)\n"
    )
    with work_on(tmp_path), work_on(tmp_path):
        taker = subprocess.Popen([sys.executable, "-c", source, tmp_path], stdout=subprocess.PIPE, text=True)
        assert taker.stdout is not None
        assert taker.stdout.readline() == "waits\n"
        with pytest.raises(subprocess.TimeoutExpired):
            taker.wait(0.5)
    output, _ = taker.communicate(timeout=30)
    assert output == "has it\n"


def test_a_folder_that_cannot_be_written_is_said_to_be_so(tmp_path: Path) -> None:
    (tmp_path / LOCK).mkdir()
    with pytest.raises(ConfigurationError, match=r"\.lock cannot be written: Is a directory"):
        RunLock.take(tmp_path)
