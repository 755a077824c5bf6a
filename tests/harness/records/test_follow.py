"""A run is followed while it goes on: only what is new is read, and whatever is on disk is made sense of."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from harness.records.follow import RunFollower, follow
from harness.records.journal import Journal
from harness.records.plan import Plan

HERE = (socket.gethostname(), os.getpid())


class Going:
    """A run of three tests that goes on."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.plan = replace(plan, tests=plan.tests[:3])
        self.folder = folder
        self.tests = [test.id for test in self.plan.tests]
        self.journals: list[Journal] = []
        self.plan.write(folder)
        self.controller = self.process("controller")
        self.worker = self.process("rig-a")

    def process(self, name: str) -> Journal:
        run = {"run_id": self.plan.run_id, "plan_digest": self.plan.digest}
        self.journals.append(Journal.begin(self.folder, process=name, **run))
        return self.journals[-1]

    def start(self, at: int, number: int = 1, worker: Journal | None = None, rig: str = "rig-a") -> None:
        told = {"attempt": f"test-{at}/{number}", "test": self.tests[at], "number": number}
        (worker or self.worker).write("attempt_started", rig=rig, worker=rig, **told)

    def finish(self, at: int, result: str, number: int = 1, worker: Journal | None = None) -> None:
        told = {"attempt": f"test-{at}/{number}", "test": self.tests[at], "result": result}
        (worker or self.worker).write("attempt_finished", seconds=2.5, **told)


@pytest.fixture
def run(fabricated_plan: Plan, tmp_path: Path) -> Iterator[Going]:
    run = Going(fabricated_plan, tmp_path / "run")
    yield run
    for journal in run.journals:
        journal.close()


@pytest.fixture
def follower(run: Going) -> RunFollower:
    follower = follow(run.folder)
    assert follower is not None
    return follower


def test_a_folder_without_a_plan_is_no_run_yet(tmp_path: Path) -> None:
    assert follow(tmp_path / "nowhere") is None
    (tmp_path / "plan.json").write_text("{")
    assert follow(tmp_path) is None


def test_what_a_process_is_at_is_known_from_its_start_to_its_end(run: Going, follower: RunFollower) -> None:
    assert follower.in_hand("rig-a", *HERE) is None
    run.start(0)
    follower.look()
    attempt = follower.in_hand("rig-a", *HERE)
    assert attempt is not None
    assert (attempt.test, attempt.number) == (run.tests[0], 1)
    assert datetime.now(UTC) - attempt.since < timedelta(minutes=1)
    assert follower.in_hand("rig-a", HERE[0], 1) is None  # another process, as after a crash
    assert follower.in_hand("rig-b", *HERE) is None
    run.finish(0, "passed")
    follower.look()
    assert follower.in_hand("rig-a", *HERE) is None


def test_counts_follow_the_latest_attempt_at_each_test(run: Going, follower: RunFollower) -> None:
    run.start(0)
    run.finish(0, "blocked")
    run.start(1)
    run.finish(1, "failed")
    follower.look()
    counts = {"planned": 3, "passed": 0, "failed": 1, "blocked": 1, "left": 1}
    assert follower.counts() == counts
    run.start(0, 2)  # another rig takes it
    follower.look()
    assert follower.counts() == counts | {"blocked": 0, "left": 2}
    run.finish(0, "passed", 2)
    follower.look()
    assert follower.counts() == counts | {"blocked": 0, "passed": 1}
    assert follower.seconds == {run.tests[0]: 2.5, run.tests[1]: 2.5}
    assert follower.ended_since(datetime.now(UTC) - timedelta(minutes=1)) == 3
    assert follower.ended_since(datetime.now(UTC) + timedelta(minutes=1)) == 0


def test_an_attempt_that_its_workers_death_ended_leaves_its_test_to_do(
    run: Going, follower: RunFollower
) -> None:
    run.start(0)
    other = run.process("rig-a")  # the replacement
    run.start(1, worker=other)
    run.finish(1, "passed", worker=other)
    follower.look()
    assert [test.id for test in follower.left()] == [run.tests[0], run.tests[2]]


def test_the_order_in_which_journals_are_read_does_not_matter(run: Going, follower: RunFollower) -> None:
    first = run.process("rig-b")  # of which the retry is read before the first attempt
    second = run.process("rig-0")
    run.start(0, 1, first)
    run.finish(0, "blocked", 1, first)
    run.start(0, 2, second)
    run.finish(0, "passed", 2, second)
    follower.look()
    assert follower.results == {run.tests[0]: "passed"}


def test_what_was_set_aside_is_not_left_until_another_controller_resumes_the_run(
    run: Going, follower: RunFollower
) -> None:
    run.controller.write("not_run", test=run.tests[2], reason="every rig of its DMC is gone")
    run.controller.write("run_ended", reason="completed")
    follower.look()
    assert [test.id for test in follower.left()] == run.tests[:2]
    assert follower.ended == "completed"
    assert follower.ended_at is not None
    run.process("controller")  # controller-2
    follower.look()
    assert follower.ended is None
    assert [test.id for test in follower.left()] == run.tests


def test_a_line_is_taken_once_it_is_whole(run: Going, follower: RunFollower) -> None:
    run.start(0)
    run.finish(0, "passed")
    path = run.worker.path
    whole = path.read_bytes()
    for cut in (1, 40, len(whole.splitlines(keepends=True)[-1]) - 1):
        path.write_bytes(whole[:-cut])
        torn = RunFollower(run.folder)
        torn.look()
        assert torn.results == {}
        path.write_bytes(whole)
        torn.look()
        torn.look()
        assert torn.results == {run.tests[0]: "passed"}
        assert torn.ended_since(datetime.min.replace(tzinfo=UTC)) == 1


def test_a_damaged_line_costs_that_line_alone(run: Going) -> None:
    run.start(0)
    run.finish(0, "passed")
    run.start(1)
    run.finish(1, "failed")
    lines = run.worker.path.read_bytes().splitlines(keepends=True)
    lines[2] = b'{"event":"attempt_finished","at":\n'
    run.worker.path.write_bytes(b"".join([*lines[:3], b"\x00\xff not JSON\n", b"[]\n", *lines[3:]]))
    follower = RunFollower(run.folder)
    follower.look()
    assert follower.results == {run.tests[1]: "failed"}


def test_what_was_read_is_not_read_again(run: Going, follower: RunFollower) -> None:
    run.start(0)
    run.finish(0, "passed")
    follower.look()
    with run.worker.path.open("r+b") as file:  # whoever reads from the beginning finds nothing
        file.write(b" " * (run.worker.path.stat().st_size - 1))
    run.start(1)
    run.finish(1, "failed")
    follower.look()
    assert follower.results == {run.tests[0]: "passed", run.tests[1]: "failed"}
