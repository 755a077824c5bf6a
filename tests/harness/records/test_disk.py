"""Files are on the disk when it matters, soon otherwise, and closed when they are whole and there."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import IO

import pytest

from harness.records import disk as module
from harness.records.disk import Disk, onto_disk
from harness.records.recording import RecordFault


class Syncs:
    """Looks on as the system's calls are made: the sizes of files when they were on the disk, in order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.files: list[tuple[str, int]] = []
        self.whole = 0  # times that a whole file system was
        self._sync, self._whole = os.fdatasync, module._whole_file_system
        self.before_whole: Callable[[], object] = lambda: None
        monkeypatch.setattr(os, "fdatasync", self._one)
        monkeypatch.setattr(module, "_whole_file_system", self._all)

    def _one(self, number: int) -> None:
        self._sync(number)
        self.files.append((Path(f"/proc/self/fd/{number}").readlink().name, os.fstat(number).st_size))

    def _all(self, file: IO[bytes]) -> bool:
        self.before_whole()
        done = self._whole(file)
        self.whole += done
        return done


@pytest.fixture
def syncs(monkeypatch: pytest.MonkeyPatch) -> Syncs:
    return Syncs(monkeypatch)


@pytest.fixture
def disk() -> Iterator[Disk]:
    with closing(Disk()) as disk:
        yield disk


@pytest.fixture
def late(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread waits for as long as a test lasts."""
    monkeypatch.setattr(module, "SOON", 60)


def file(folder: Path, name: str, content: bytes = b"x") -> IO[bytes]:
    opened = (folder / name).open("wb", buffering=0)
    opened.write(content)
    return opened


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.01)


@pytest.mark.usefixtures("late")
def test_what_was_given_is_on_the_disk_when_it_has_settled_in_the_order_in_which_it_was(
    tmp_path: Path, disk: Disk, syncs: Syncs
) -> None:
    with file(tmp_path, "journal") as journal, file(tmp_path, "steps") as steps:
        disk.soon(journal)
        disk.soon(steps)
        journal.write(b"y")
        disk.soon(journal)  # it tells of the steps, so it comes after them
        assert syncs.files == []
        disk.settle()
        assert syncs.files == [("steps", 1), ("journal", 2)]
        disk.settle()
    assert len(syncs.files) == 2  # nothing was new


@pytest.mark.usefixtures("late")
def test_now_is_when_it_returns_and_brings_what_waited_with_it(
    tmp_path: Path, disk: Disk, syncs: Syncs
) -> None:
    with file(tmp_path, "journal") as journal:
        disk.last(file(tmp_path, "steps"))
        disk.now(journal)
    assert syncs.files == [("steps", 1), ("journal", 1)]


def test_what_many_tests_have_written_gets_there_by_one_call_without_anybody_waiting(
    tmp_path: Path, disk: Disk, syncs: Syncs
) -> None:
    with file(tmp_path, "journal") as journal:
        steps = [file(tmp_path, f"steps-{number}") for number in range(20)]
        for each in steps:
            disk.last(each)
            disk.soon(journal)
        until(lambda: all(each.closed for each in steps))
        assert syncs.whole in {1, 2}  # two where this machine was busy just then
        assert syncs.files == []
        assert not journal.closed


def test_who_must_know_does_not_wait_for_what_others_write_to_the_same_disk(
    tmp_path: Path, disk: Disk, syncs: Syncs
) -> None:
    began, may_end = threading.Event(), threading.Event()
    syncs.before_whole = lambda: (began.set(), may_end.wait(30))
    with file(tmp_path, "journal") as journal:
        disk.soon(journal)
        assert began.wait(30)
        disk.settle()
        assert syncs.files == [("journal", 1)]
        whole = file(tmp_path, "steps")
        disk.last(whole)  # given meanwhile, so not among what the call was for
        may_end.set()
        until(lambda: whole.closed)


def test_what_is_written_while_the_call_is_made_needs_another(
    tmp_path: Path, disk: Disk, syncs: Syncs
) -> None:
    began, may_end = threading.Event(), threading.Event()
    syncs.before_whole = lambda: (began.set(), may_end.wait(30))
    with file(tmp_path, "journal") as journal:
        disk.soon(journal)
        assert began.wait(30)
        journal.write(b"y")
        disk.soon(journal)
        may_end.set()
        until(lambda: syncs.whole == 2)


def test_without_a_call_for_the_whole_file_system_each_file_is_seen_to(
    tmp_path: Path, disk: Disk, syncs: Syncs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_whole_file_system", lambda _: False)
    with file(tmp_path, "journal") as journal:
        steps = file(tmp_path, "steps")
        disk.last(steps)
        disk.soon(journal)
        until(lambda: len(syncs.files) == 2)
    assert syncs.files == [("steps", 1), ("journal", 1)]
    assert steps.closed


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[IO[bytes]]:
    """What no system brings onto a disk."""
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "pipe").open("r+b", buffering=0) as opened:
        yield opened


@pytest.mark.usefixtures("late")
def test_a_disk_that_failed_once_is_not_believed_again(tmp_path: Path, disk: Disk, pipe: IO[bytes]) -> None:
    with file(tmp_path, "journal") as journal:
        with pytest.raises(RecordFault, match=r"cannot be written: .* \(make room, then resume the run\)"):
            disk.now(pipe)
        with pytest.raises(RecordFault):
            disk.settle()
        with pytest.raises(RecordFault):
            disk.soon(journal)
        steps = file(tmp_path, "steps")
        with pytest.raises(RecordFault):
            disk.last(steps)
        assert steps.closed


def test_a_failure_that_nobody_waited_for_is_told_to_who_comes_next(
    tmp_path: Path, disk: Disk, pipe: IO[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_whole_file_system", lambda _: False)
    disk.soon(pipe)
    until(lambda: disk._fault is not None)
    with file(tmp_path, "journal") as journal, pytest.raises(RecordFault):
        disk.soon(journal)


def test_closing_sees_to_what_is_left_and_ends_the_thread(tmp_path: Path, syncs: Syncs) -> None:
    before = threading.active_count()
    disk = Disk()
    with file(tmp_path, "journal") as journal:
        disk.soon(journal)
        disk.close()
        assert syncs.whole or syncs.files
        assert threading.active_count() == before
        disk.close()


def test_a_disk_that_is_given_nothing_needs_no_thread() -> None:
    before = threading.active_count()
    with closing(Disk()) as disk:
        disk.settle()
        assert threading.active_count() == before


def test_one_file_alone_is_there_when_the_call_returns(tmp_path: Path, syncs: Syncs) -> None:
    with file(tmp_path, "steps") as steps:
        onto_disk(steps)
    assert syncs.files == [("steps", 1)]
