"""The outcome of a planned test, computed in one place by one rule."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from harness.domain.lab import Lab
from harness.domain.words import AttemptResult, Cause, Outcome
from harness.records.journal import Journal
from harness.records.plan import Plan
from harness.records.run import RunRecord, read_run


class Bench:
    """A run folder with one journal, to which a test adds event by event."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.plan, self.folder = plan, folder
        self.test = plan.tests[0].id
        self.journals: list[Journal] = []
        plan.write(folder)
        self.journal = self.process("gw0")

    def process(self, name: str, plan_digest: str = "") -> Journal:
        digest = plan_digest or self.plan.digest
        journal = Journal.begin(self.folder, run_id=self.plan.run_id, plan_digest=digest, process=name)
        self.journals.append(journal)
        return journal

    def close(self) -> None:
        for journal in self.journals:
            journal.close()

    def start(self, number: int, journal: Journal | None = None, rig: str = "alderwick-1") -> str:
        id_ = f"{self.test}#{number}"
        (journal or self.journal).write(
            "attempt_started", attempt=id_, test=self.test, number=number, rig=rig, worker="gw0"
        )
        return id_

    def finish(self, attempt: str, result: str, journal: Journal | None = None, **fields: object) -> None:
        (journal or self.journal).write(
            "attempt_finished", attempt=attempt, test=self.test, result=result, **fields
        )

    def read(self) -> RunRecord:
        return read_run(self.folder)


@pytest.fixture
def bench(fabricated_plan: Plan, tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(replace(fabricated_plan, tests=fabricated_plan.tests[:3]), tmp_path / "run")
    yield bench
    bench.close()


def test_a_record_is_read_once_for_as_long_as_no_byte_of_it_changes(bench: Bench) -> None:
    attempt = bench.start(1)
    first = bench.read()
    assert bench.read() is first
    bench.finish(attempt, "passed")
    second = bench.read()
    assert (first.outcome(bench.test), second.outcome(bench.test)) == (Outcome.NOT_RUN, Outcome.PASSED)
    journal = bench.journal.path
    before = journal.stat()
    journal.write_bytes(journal.read_bytes().replace(b'"passed"', b'"failed"'))
    os.utime(journal, ns=(before.st_atime_ns, before.st_mtime_ns))  # as whoever hides a change would
    assert bench.read().outcome(bench.test) is Outcome.NOT_RUN
    assert len(bench.read().problems) == 1


@pytest.mark.parametrize("result", ["passed", "failed", "blocked"])
def test_a_finished_attempt_decides(bench: Bench, result: str) -> None:
    bench.finish(bench.start(1), result, cause="device failure", message="why", seconds=1.5, trace="where")
    record = bench.read()
    assert record.outcome(bench.test) == result
    assert record.reason(bench.test) == "why"
    attempt = record.latest(bench.test)
    assert attempt is not None
    assert (attempt.cause, attempt.seconds, attempt.trace) == (Cause.DEVICE, 1.5, "where")


def test_the_latest_attempt_decides_and_all_are_kept(bench: Bench) -> None:
    for number, result in enumerate(("failed", "blocked", "passed"), start=1):
        bench.finish(bench.start(number), result)
    record = bench.read()
    assert record.outcome(bench.test) is Outcome.PASSED
    assert [attempt.result for attempt in record.of(bench.test)] == ["failed", "blocked", "passed"]


def test_a_later_failure_is_not_hidden_by_an_earlier_pass(bench: Bench) -> None:
    bench.finish(bench.start(1), "passed")
    bench.finish(bench.start(2), "failed")
    assert bench.read().outcome(bench.test) is Outcome.FAILED


def test_the_number_decides_which_is_latest_whichever_journal_is_read_first(bench: Bench) -> None:
    other = bench.process("aa-read-first")
    bench.finish(bench.start(1), "failed")
    bench.finish(bench.start(2, other), "passed", other)
    assert bench.read().outcome(bench.test) is Outcome.PASSED


def test_the_number_decides_even_where_a_clock_went_back(bench: Bench) -> None:
    bench.finish(bench.start(2), "passed")
    bench.finish(bench.start(1), "failed")
    assert bench.read().outcome(bench.test) is Outcome.PASSED


def test_a_start_without_an_end_is_interrupted_and_never_passed(bench: Bench) -> None:
    bench.finish(bench.start(1), "passed")
    bench.start(2, rig="alderwick-2")
    record = bench.read()
    assert record.outcome(bench.test) is Outcome.NOT_RUN
    assert record.reason(bench.test) == (
        "interrupted: attempt 2 on alderwick-2 by gw0 started and never ended; no further attempt was made"
    )
    assert [attempt.result for attempt in record.of(bench.test)] == ["passed", "interrupted"]


def test_an_interrupted_attempt_stands_beside_the_next_one(bench: Bench) -> None:
    bench.start(1)
    bench.finish(bench.start(2), "passed")
    record = bench.read()
    assert record.outcome(bench.test) is Outcome.PASSED
    assert [attempt.result for attempt in record.of(bench.test)] == ["interrupted", "passed"]


def test_an_interrupted_test_that_was_set_aside_tells_why(bench: Bench) -> None:
    bench.start(1)
    bench.journal.write("not_run", test=bench.test, reason="set aside: its worker died twice")
    assert bench.read().reason(bench.test).endswith("; set aside: its worker died twice")


def test_a_test_without_any_event_is_not_run_because_the_run_ended(bench: Bench) -> None:
    assert bench.read().reason(bench.test) == "the run ended before it"
    bench.process("controller").write("run_ended", reason="stopped by the operator")
    record = bench.read()
    assert record.outcome(bench.test) is Outcome.NOT_RUN
    assert record.reason(bench.test) == "the run ended before it: stopped by the operator"


def test_a_reason_in_the_plan_is_the_reason(fabricated_plan: Plan, tmp_path: Path) -> None:
    test = replace(fabricated_plan.tests[0], not_run="no rig of DMC ioc-alderwick in lab fabricated")
    replace(fabricated_plan, tests=(test,)).write(tmp_path / "run")
    record = read_run(tmp_path / "run")
    assert record.outcome(test.id) is Outcome.NOT_RUN
    assert record.reason(test.id) == test.not_run
    assert record.left() == ()


def test_a_descoped_test_shows_its_approval_whatever_was_tried(bench: Bench) -> None:
    bench.finish(bench.start(1), "failed")
    bench.journal.write("descoped", test=bench.test, approval="Secretary of State letter 12/2025")
    record = bench.read()
    assert record.outcome(bench.test) is Outcome.DESCOPED
    assert record.reason(bench.test) == "Secretary of State letter 12/2025"
    assert len(record.of(bench.test)) == 1


def test_every_planned_test_is_counted_once(fabricated: tuple[Path, Lab]) -> None:
    record = read_run(fabricated[0])
    counts = record.counts()
    assert counts.pop("planned") == len(record.plan.tests) == sum(counts.values())
    assert min(counts.values()) > 0, "the fabricated run has something of everything"


def test_what_a_resumption_has_left_is_what_has_no_verdict(bench: Bench) -> None:
    bench.finish(bench.start(1), "blocked")
    assert [test.id for test in bench.read().left()] == [test.id for test in bench.plan.tests[1:]]


def test_a_result_that_was_tampered_with_falls_back_to_interrupted(bench: Bench) -> None:
    bench.finish(bench.start(1), "failed")
    path = bench.journal.path
    path.write_bytes(path.read_bytes().replace(b'"result":"failed"', b'"result":"passed"'))
    record = bench.read()
    assert record.outcome(bench.test) is Outcome.NOT_RUN
    assert [(problem.line, problem.what) for problem in record.problems] == [
        (3, "this event (attempt_finished) was changed after it was written: its digest differs")
    ]


def test_a_journal_of_another_plan_does_not_count(bench: Bench) -> None:
    stranger = bench.process("stranger", "00" * 32)
    bench.finish(bench.start(1, stranger), "passed", stranger)
    record = bench.read()
    assert record.outcome(bench.test) is Outcome.NOT_RUN
    assert "journal/stranger.jsonl line 1: this journal belongs to another plan" in str(record.problems[0])


def test_what_was_never_planned_is_a_problem_not_a_result(bench: Bench) -> None:
    bench.journal.write("not_run", test="test_of_my_own", reason="-")
    assert "journal/gw0.jsonl line 2: test_of_my_own was never planned" in str(bench.read().problems[0])


@pytest.mark.parametrize(
    ("event", "fields"),
    [
        ("attempt_finished", {"attempt": "x", "result": "brilliant"}),
        ("attempt_started", {"attempt": "x"}),
        ("run_ended", {}),
    ],
)
def test_an_event_that_cannot_be_read_is_named(bench: Bench, event: str, fields: dict[str, object]) -> None:
    bench.journal.write(event, **fields)
    assert f"journal/gw0.jsonl line 2: {event} cannot be read" in str(bench.read().problems[0])


def test_an_end_without_a_start_does_not_count(bench: Bench) -> None:
    bench.finish(f"{bench.test}#1", "passed")
    record = bench.read()
    assert record.outcome(bench.test) is Outcome.NOT_RUN
    assert "ends without a start" in str(record.problems[0])


def test_a_second_end_of_an_attempt_does_not_replace_the_first(bench: Bench) -> None:
    attempt = bench.start(1)
    bench.finish(attempt, "failed")
    bench.finish(attempt, "passed")
    record = bench.read()
    assert record.outcome(bench.test) is Outcome.FAILED
    assert "has this event twice" in str(record.problems[0])


def test_a_run_can_be_read_before_its_first_event(fabricated_plan: Plan, tmp_path: Path) -> None:
    fabricated_plan.write(tmp_path / "run")
    record = read_run(tmp_path / "run")
    assert record.counts()["not_run"] == len(fabricated_plan.tests)
    assert record.started == record.ended == fabricated_plan.created


def test_attempts_of_the_fabricated_run_are_all_there(fabricated_whole: tuple[Path, Lab]) -> None:
    record = read_run(fabricated_whole[0])
    results = {attempt.result for tries in record.attempts.values() for attempt in tries}
    assert results == set(AttemptResult)
    assert record.problems == ()


def test_a_run_that_was_resumed_tells_its_parts_in_the_order_in_which_they_began(bench: Bench) -> None:
    first = bench.process("controller")
    bench.start(1)
    heard = bench.read().ended
    for _ in range(9):
        last = bench.process("controller")  # up to controller-10, which a sort by name puts before -2
    last.write("run_ended", reason="completed")
    parts = bench.read().parts
    assert [part.process for part in parts] == ["controller", *(f"controller-{n}" for n in range(2, 11))]
    assert (parts[0].ended, parts[0].reason) == (heard, "")  # when it was last heard of
    assert parts[0].why == "it never said why: its process was killed, or its machine stopped"
    assert (parts[0].pid, parts[-1].why) == (os.getpid(), "completed")
    assert bench.read().end_reason == "completed"
    first.write("run_ended", reason="said long after")
    assert bench.read().end_reason == "completed"


def test_what_the_lab_blocked_is_left_only_where_it_is_asked_for(bench: Bench) -> None:
    bench.finish(bench.start(1), "blocked")
    others = bench.plan.tests[1:]
    assert bench.read().left() == others
    assert bench.read().left(blocked=True) == bench.plan.tests
