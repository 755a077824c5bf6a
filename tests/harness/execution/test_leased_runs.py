"""Runs and people share a lab: a rig is waited for, given back when it is wanted, and taken up again."""

from __future__ import annotations

import signal
import sqlite3
import time
from contextlib import closing

import pytest

MANY = """
@planned
@pytest.mark.parametrize("number", range({count}))
def test_one_of_many(rig, number):
    with Path("shared-log").open("a") as log:
        log.write(rig.rig.id + chr(10))
    time.sleep({seconds})
"""


def rigs_of(bench) -> list[str]:
    log = bench.folder / "shared-log"
    return log.read_text().splitlines() if log.exists() else []


def until(condition, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.02)


def never(lease) -> None:
    raise AssertionError("it is not dirty")


def test_a_rig_that_a_colleague_holds_is_waited_for_while_the_other_works(bench) -> None:
    bench.write_tests(MANY.format(count=10, seconds=0.2))
    with bench.pool("ann") as pool:
        lease = pool.take("ioc-1", "bench work", never)
        run = bench.start("-n", "rigs")
        until(lambda: rigs_of(bench).count("ioc-2") >= 3)
        assert "ioc-1" not in rigs_of(bench)
        lease.release()
        output, _ = run.communicate(timeout=60)
    assert run.returncode == 0, output
    assert "ioc-1" in rigs_of(bench)  # it joined late, and got work
    assert len(rigs_of(bench)) == 20  # and no test was tried twice for it
    assert "ioc-1 waits: ioc-1 is held by ann (bench work; process" in output


def test_a_run_that_will_not_wait_goes_on_without_the_rig_and_says_who_has_it(bench) -> None:
    bench.write_tests(MANY.format(count=6, seconds=0.05))
    with bench.pool("ann") as pool, pool.take("ioc-1", "bench work", never):
        code, output = bench.run("-n", "rigs", "--wait=0")
    assert code == 0, output
    assert set(rigs_of(bench)) == {"ioc-2"}
    blocked = [a for each in bench.record().attempts.values() for a in each if a.result == "blocked"]
    assert [attempt.rig for attempt in blocked] == ["ioc-1"]
    assert "held by ann (bench work; process" in blocked[0].message


@pytest.mark.parametrize("how", ["maintenance", "reservation"])
def test_a_run_that_waits_for_a_while_ends_where_no_rig_is_to_be_had_by_then(bench, how: str) -> None:
    from datetime import UTC, datetime, timedelta

    bench.write_tests(MANY.format(count=2, seconds=0))
    with bench.pool("ann") as pool:
        for rig in ("ioc-1", "ioc-2"):
            if how == "maintenance":
                pool.leases.maintain(rig, "a new probe")
            else:
                now = datetime.now(UTC)
                pool.leases.reserve(rig, now, now + timedelta(hours=1), "a new probe")
        code, output = bench.run("-n", "rigs", "--wait=1")
    assert code != 0, output
    assert set(bench.outcomes().values()) <= {"blocked", "not_run"}
    messages = {a.message for each in bench.record().attempts.values() for a in each}
    assert messages
    assert all("waited 1 s" in message and "a new probe" in message for message in messages)


@pytest.mark.parametrize("how", ["maintenance", "reservation"])
def test_a_rig_that_a_person_wants_is_given_back_after_the_test_in_hand(bench, how: str) -> None:
    from datetime import UTC, datetime, timedelta

    bench.write_tests(MANY.format(count=20, seconds=0.25))
    run = bench.start("-n", "rigs")
    until(lambda: {"ioc-1", "ioc-2"} <= set(rigs_of(bench)))
    with bench.pool("ann") as pool:
        if how == "maintenance":
            pool.leases.maintain("ioc-1", "a new probe")
        else:
            now = datetime.now(UTC)
            reserved = pool.leases.reserve("ioc-1", now, now + timedelta(hours=1), "a demonstration")
        until(lambda: pool.leases.rigs()[0].holder is None)
        before = rigs_of(bench).count("ioc-1")
        until(lambda: len(rigs_of(bench)) >= before + 12)
        assert rigs_of(bench).count("ioc-1") == before
        if how == "maintenance":
            pool.leases.back_in_service("ioc-1")
        else:
            pool.leases.unreserve(reserved)
    output, _ = run.communicate(timeout=60)
    assert run.returncode == 0, output
    assert rigs_of(bench).count("ioc-1") > before
    assert {attempt.number for each in bench.record().attempts.values() for attempt in each} == {1}


def test_a_rig_that_is_taken_away_from_a_run_is_not_taken_again_by_it(bench) -> None:
    bench.write_tests(MANY.format(count=15, seconds=0.25))
    run = bench.start("-n", "rigs")
    until(lambda: {"ioc-1", "ioc-2"} <= set(rigs_of(bench)))
    with bench.pool("ann") as pool:
        pool.leases.evict("ioc-1", "a demonstration")
        until(lambda: pool.leases.rigs()[0].holder is None)
        before = rigs_of(bench).count("ioc-1")
        output, _ = run.communicate(timeout=60)
    assert run.returncode == 0, output
    assert rigs_of(bench).count("ioc-1") == before
    blocked = [a for each in bench.record().attempts.values() for a in each if a.result == "blocked"]
    assert "rig ioc-1 was taken away by ann: a demonstration" in blocked[-1].message
    assert {attempt.rig for attempt in blocked} == {"ioc-1"}


def test_two_runs_at_once_share_the_rigs_and_both_come_to_their_end(bench) -> None:
    bench.write_tests(MANY.format(count=4, seconds=0.05))
    runs = [bench.start("-n", "rigs"), bench.start("-n", "rigs", "--run-id=other")]
    outputs = [run.communicate(timeout=90)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], outputs
    assert len(rigs_of(bench)) == 16


def test_a_lone_process_waits_for_a_rig_as_well(bench) -> None:
    bench.write_tests(MANY.format(count=1, seconds=0))
    with bench.pool("ann") as pool:
        lease = pool.take("ioc-1", "bench work", never)
        run = bench.start("-n", "0")
        until(lambda: pool.leases.waiting())
        lease.release()
        output, _ = run.communicate(timeout=60)
    assert run.returncode == 0, output
    assert rigs_of(bench) == ["ioc-1", "ioc-1"]


def test_a_run_waits_with_the_priority_that_it_is_given(bench) -> None:
    bench.write_tests(MANY.format(count=1, seconds=0))
    with bench.pool("ann") as pool:
        for rig in ("ioc-1", "ioc-2"):
            pool.take(rig, "bench work", never)
        run = bench.start("--priority=3", program=("harness",))
        until(lambda: len(pool.leases.waiting()) == 2)
        assert {each.priority for each in pool.leases.waiting()} == {3}
        run.send_signal(signal.SIGINT)
        run.communicate(timeout=60)


def test_rigs_are_free_again_when_a_run_has_ended(bench) -> None:
    bench.write_tests(MANY.format(count=2, seconds=0))
    code, output = bench.run("-n", "rigs")
    assert code == 0, output
    with bench.pool("ann") as pool:
        assert {str(status.state) for status in pool.leases.rigs()} == {"free"}


def test_a_run_that_waits_for_all_its_rigs_ends_at_the_first_ctrl_c(bench) -> None:
    bench.write_tests(MANY.format(count=2, seconds=0))
    with bench.pool("ann") as pool:
        for rig in ("ioc-1", "ioc-2"):
            pool.take(rig, "bench work", never)
        run = bench.start("-n", "rigs", new_group=True)
        until(lambda: len(pool.leases.waiting()) == 2)
        run.send_signal(signal.SIGINT)
        output, _ = run.communicate(timeout=60)
    assert run.returncode == 2, output
    assert set(bench.outcomes().values()) == {"not_run"}
    assert not rigs_of(bench)


def test_a_store_that_is_not_to_be_had_blocks_a_run_from_its_start(bench) -> None:
    bench.write_tests(MANY.format(count=1, seconds=0))
    with bench.pool("ann"):
        (store,) = bench.folder.glob("state/**/lab.sqlite")
    with closing(sqlite3.connect(store, isolation_level=None)) as connection:
        connection.execute("UPDATE lab_store SET boot = 'an earlier one', host = 'bench-host-2'")
    code, output = bench.run(program=("harness",))
    assert "belongs to host bench-host-2" in output
    assert "Traceback" not in output
    assert code == 3
