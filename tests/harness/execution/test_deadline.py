"""Tests that hang, in real runs over fake rigs: each is stopped at its own deadline, and nothing is lost."""

from __future__ import annotations

import json
import re

from harness.execution.deadline import STACKS
from harness.records.evidence import read_steps
from harness.records.run import Attempt

from .conftest import name


def attempts_at(bench, function: str) -> list[Attempt]:
    tried = bench.record().attempts
    return [attempt for test, attempts in tried.items() if name(test) == function for attempt in attempts]


def history(bench, rig: str) -> list[dict[str, str]]:
    """What became of the rig's health, and why."""
    return json.loads(bench.harness("rigs", "history", rig, "--lab=lab.yaml", "--json").stdout)


def test_a_hanging_test_fails_with_its_stack_and_the_rest_goes_on_on_the_same_rig(bench) -> None:
    bench.write_tests("""
    import threading

    @planned
    def test_before(rig): pass

    @pytest.fixture
    def put_right(rig):
        yield rig
        Path("put-right").touch()

    @planned
    @pytest.mark.deadline(1)
    def test_waits_for_ever(put_right):
        threading.Event().wait()

    @planned
    @pytest.mark.deadline(1)
    def test_swallows_it_once(rig):
        try:
            time.sleep(60)
        except Exception:
            Path("swallowed").touch()
            time.sleep(60)

    @planned
    def test_after(rig): pass
    """)
    code, output = bench.run("-n", "rigs", "-k", "active")
    assert code == 1, output
    assert bench.outcomes() == {
        "test_before": "passed",
        "test_waits_for_ever": "failed",
        "test_swallows_it_once": "failed",
        "test_after": "passed",
    }
    assert (bench.folder / "put-right").exists()
    assert (bench.folder / "swallowed").exists()
    for function in ("test_waits_for_ever", "test_swallows_it_once"):
        (attempt,) = attempts_at(bench, function)
        assert str(attempt.cause) == "harness error"
        assert "it did not end within its deadline of 1 s" in attempt.message
        assert function in attempt.trace
        folder = bench.record().evidence_of(attempt)
        (step,) = (step for step in read_steps(folder) if "each thread" in step["title"])
        assert f"in {function}" in (folder / step["path"]).read_text()
        assert not (folder / STACKS).exists()
    (before,), (after,) = attempts_at(bench, "test_before"), attempts_at(bench, "test_after")
    assert bench.record().parts[0].reason == "completed"
    assert {before.rig, after.rig} <= {"ioc-1", "ioc-2"}
    assert not list(
        (bench.folder / "runs/run/open").iterdir()
    )  # taken anew after each, and put down at the end
    assert bench.harness("evidence", "verify", "run").returncode == 0


def test_a_test_that_is_deaf_to_its_deadline_costs_its_worker_and_is_set_aside(bench) -> None:
    bench.environment["RIGS_DIE"] = "1"
    bench.write_tests("""
    @planned
    @pytest.mark.deadline(0.5)
    def test_deaf(rig):
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])  # as a library does that retries for ever
        while True:
            time.sleep(60)

    @planned
    def test_after(rig): pass
    """)
    code, output = bench.run("-n", "rigs", "-k", "active")
    assert code == 1, output
    assert bench.outcomes() == {"test_deaf": "not_run", "test_after": "passed"}
    both = attempts_at(bench, "test_deaf")
    assert [str(attempt.result) for attempt in both] == ["interrupted"] * 2
    for attempt in both:
        assert "in test_deaf" in (bench.record().evidence_of(attempt) / STACKS).read_text()
    died = r"its worker died on ioc-\d"
    assert re.search(f"set aside as suspected: {died}, then {died}", bench.record().reason(both[0].test))
    for attempt in both:
        told = [each["reason"] for each in history(bench, attempt.rig)]
        assert any("test_deaf" in reason for reason in told)
    assert bench.harness("evidence", "verify", "run").returncode == 0


def test_the_packs_deadline_is_for_tests_that_have_none_of_their_own(bench) -> None:
    manifest = bench.folder / "packs/manifests/pack-ioc.yaml"
    manifest.write_text(manifest.read_text() + "deadline: 1\n")
    bench.write_tests("""
    @planned
    def test_as_the_pack_says(rig):
        rig.same = True
        time.sleep(60)

    @planned
    @pytest.mark.deadline(50)
    def test_as_it_says_itself(rig):
        assert not hasattr(rig, "same")  # what hung is taken in hand anew
        time.sleep(1.5)
    """)
    bench.run("-n", "0", "-k", "active")
    assert bench.outcomes() == {"test_as_the_pack_says": "failed", "test_as_it_says_itself": "passed"}


def test_a_deadline_that_is_no_number_of_seconds_is_a_planning_error(bench) -> None:
    bench.write_tests("""
    @planned
    @pytest.mark.deadline("an hour")
    def test_words(rig): pass
    @planned
    @pytest.mark.deadline(0)
    def test_nothing(rig): pass
    """)
    code, output = bench.run("-n", "0")
    assert code == 4
    assert output.count("@pytest.mark.deadline(…) takes one number, of seconds") >= 2


def test_a_worker_that_idles_after_a_test_is_not_ended_by_its_last_resort(bench) -> None:
    (bench.folder / "packs/conftest.py").write_text("""
import time
import pytest

had = []

@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item):
    if had:
        time.sleep(5)  # the last resort of the test before was due at 4.5 s
    had.append(item)
    return (yield)
""")
    bench.write_tests("""
    @planned
    @pytest.mark.deadline(0.5)
    def test_first(rig): pass

    @planned
    @pytest.mark.deadline(0.5)
    def test_second(rig): pass

    @planned
    @pytest.mark.deadline(0.5)
    def test_on_a_rig_that_had_one(rig): pass
    """)
    code, output = bench.run("-n", "rigs", "-k", "active")
    assert code == 0, output
    tried = bench.record().attempts
    assert [len(attempts) for attempts in tried.values()] == [1, 1, 1]
