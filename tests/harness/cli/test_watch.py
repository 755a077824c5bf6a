"""``harness rigs --watch``: true while runs begin and end, on any terminal, whatever happens to the store."""

from __future__ import annotations

import json
import re
import signal
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console

from harness.cli.overview import Observer, Overview, RigSeen, RunSeen
from harness.cli.picture import Picture
from harness.config import load_lab
from harness.domain.lab import Lab
from harness.records.follow import InHand
from harness.rigs.health_words import Health, HealthState
from harness.rigs.lease_words import Holder, RigState, RigStatus, Waiting
from harness.rigs.pool import Pool
from tests.harness.cli.physical import CONFIG
from tests.harness.cli.running import Running
from tests.harness.cli.shown import Shown


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    monkeypatch.setenv("HARNESS_STATE", str(tmp_path / "state"))
    return load_lab(CONFIG / "simulated.yaml")


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return tmp_path / "runs"


@pytest.fixture
def start(lab: Lab, runs: Path) -> Iterator[Callable[[str], Running]]:
    """A run of the simulated lab begins."""
    begun: list[Running] = []

    def begin(run_id: str) -> Running:
        begun.append(Running(lab, runs, run_id))
        return begun[-1]

    yield begin
    for run in begun:
        run.close()


@pytest.fixture
def observer(lab: Lab, runs: Path) -> Iterator[Observer]:
    observer = Observer(lab, runs, "ann")
    yield observer
    observer.close()


def seen_of(overview: Overview, rig: str) -> RigSeen:
    return next(each for each in overview.rigs if each.status.rig == rig)


# -- what is seen ----------------------------------------------------------------------------------


def test_runs_that_begin_and_end_are_seen_with_what_their_rigs_are_at(
    start: Callable[[str], Running], observer: Observer
) -> None:
    assert observer.look().runs == ()
    run = start("run-1")
    run.take("ioc-1")
    tests = run.tests("ioc-alderwick")
    run.begin("ioc-1", tests[0])
    run.end("ioc-1", "failed")
    run.begin("ioc-1", tests[1], 2)
    seen = observer.look()
    rig = seen_of(seen, "ioc-1")
    assert rig.run == "run-1"
    assert rig.in_hand is not None
    assert (rig.in_hand.test, rig.in_hand.number) == (tests[1].id, 2)
    assert seen.runs[0].counts["failed"] == 1
    other = start("run-2")
    other.take("moc-1")
    run.end("ioc-1", "passed")
    run.close()
    seen = observer.look()
    assert [(each.id, each.over) for each in seen.runs] == [("run-1", "completed"), ("run-2", "")]
    assert seen_of(seen, "ioc-1").status.holder is None
    assert seen_of(seen, "moc-1").run == "run-2"


def test_who_is_no_run_is_seen_by_its_purpose(lab: Lab, observer: Observer) -> None:
    with Pool(lab, "ann") as pool, pool.take("ioc-1", "harness device ioc-1 ESME", lambda _: ()):
        seen = observer.look()
    rig = seen_of(seen, "ioc-1")
    assert (rig.run, rig.in_hand, seen.runs) == ("", None, ())
    assert "harness device ioc-1 ESME" in drawn(seen)


def test_a_run_folder_that_is_cleared_away_is_survived(
    start: Callable[[str], Running], observer: Observer
) -> None:
    run = start("run-1")
    run.take("ioc-1")
    observer.look()
    for journal in (run.folder / "journal").iterdir():
        journal.unlink()
        journal.symlink_to("nowhere")  # as one that goes between the two looks at it
    assert observer.look().runs[0].id == "run-1"


def test_the_slowest_dmc_decides_when_a_run_ends(start: Callable[[str], Running], observer: Observer) -> None:
    run = start("run-1")
    for rig in ("ioc-1", "ioc-2", "moc-1"):
        run.take(rig)
    found = observer.look().runs[0].estimate
    assert found is not None
    assert (found.seconds, found.rigs) == (None, 0)  # nobody serves the others
    foc = [test for test in run.plan.tests if test.dmc.startswith("foc")]
    for test in foc:
        run.controller.write("not_run", test=test.id, reason="no rig of its DMC")
    ioc, moc = run.tests("ioc-alderwick"), run.tests("moc-birchfell")
    run.pool.durations.keep({test.id: 60.0 for test in ioc} | {test.id: 50.0 for test in moc[:10]})
    fresh = Observer(run.pool.lab, run.folder.parent, "bob")  # the other asks the store again in a minute
    seen = fresh.look().runs[0]
    fresh.close()
    assert seen.estimate is not None
    assert (seen.estimate.dmc, seen.estimate.rigs) == max(
        (len(ioc) * 60.0 / 2, ("ioc-alderwick", 2)), (len(moc) * 50.0, ("moc-birchfell", 1))
    )[1]
    assert seen.estimate.seconds == max(len(ioc) * 60.0 / 2, len(moc) * 50.0)
    assert seen.ends is not None
    assert seen.ends > datetime.now(UTC) + timedelta(minutes=5)


# -- how it is drawn -------------------------------------------------------------------------------

NOW = datetime.now(UTC)
RUN = RunSeen(
    id="20260302-091500-3fa2",
    counts={"planned": 400, "passed": 120, "failed": 10, "blocked": 5, "left": 265},
    rate=4.2,
    estimate=None,
    started=NOW,
)


def busy(name: str, health: HealthState = HealthState.GOOD) -> RigSeen:
    holder = Holder("ann", "host", 7, f"run {RUN.id}", f"{NOW:%FT%TZ}")
    status = RigStatus(name, "dmc", RigState.HELD, 3, holder, 12.0)
    attempt = InHand("a/1", "test_meter::test_reads[pack,ioc-alderwick,ESME]", 2, name, NOW, "host", 7)
    return RigSeen(status, Health(name, state=health), RUN.id, attempt)


def free(name: str) -> RigSeen:
    return RigSeen(RigStatus(name, "dmc", RigState.FREE, 3), Health(name, state=HealthState.GOOD))


def drawn(seen: Overview, columns: int = 80, lines: int = 24, problem: str = "") -> str:
    console = Console(width=columns, height=lines, color_system=None)
    with console.capture() as captured:
        console.print(Picture("benches", seen, problem))
    shown = captured.get()
    assert len(shown.splitlines()) <= lines
    assert all(len(line.rstrip()) <= columns for line in shown.splitlines())
    return shown


def test_a_rig_at_work_has_a_line_with_its_test_attempt_and_health() -> None:
    shown = drawn(Overview(NOW, (busy("bench-a"), free("bench-b")), (RUN,)))
    assert "#1 run 20260302-091500-3fa2: 120 passed, 10 failed, 5 blocked, 265 of 400 left" in shown
    assert "4.2 tests/min" in shown
    at = rf"bench-a #1 +({NOW:%R}|{NOW:%m-%d}) 12s +test_reads\[ioc-alderwick,ESME\] +\d+[sm] +2 good"
    assert re.search(at, shown)
    assert re.search(r"bench-b +free +good", shown)


def test_on_a_wide_terminal_the_holder_is_named_in_full() -> None:
    assert "#1 20260302-091500-3fa2 of ann" in drawn(Overview(NOW, (busy("bench-a"),), (RUN,)), columns=150)


@pytest.mark.parametrize(("columns", "lines"), [(80, 24), (60, 12), (160, 50), (40, 8)])
def test_of_more_rigs_than_lines_those_in_trouble_come_first(columns: int, lines: int) -> None:
    rigs = (*map(free, (f"f{n}" for n in range(21))), *map(busy, (f"w{n}" for n in range(42))))
    seen = Overview(NOW, (*rigs, busy("broken", HealthState.BAD)), (RUN,))
    shown = drawn(seen, columns, lines)
    table = shown[shown.index("health") :].splitlines()
    assert table[1].startswith("broken")
    assert re.search(r"and \d+ more rigs: (\d+ at work, )?\d+ free", shown)
    assert "1 in trouble, 42 at work" in shown


def test_many_runs_and_requests_leave_room_for_rigs() -> None:
    holder = Holder("bob", "host", 7, "firmware", f"{NOW:%FT%TZ}")
    waiting = tuple(Waiting(holder, f"bench-{number}", number, 60.0) for number in range(9))
    runs = tuple(replace(RUN, id=f"run-{number}") for number in range(9))
    shown = drawn(Overview(NOW, (busy("bench-a"), free("bench-b")), runs, waiting))
    assert "bench-a" in shown
    assert "#9 run run-8" in shown
    assert re.search(r"firmware of bob waits for bench-1 \(\d+[sm], priority 1\)", shown)
    assert "and 6 more wait" in shown


def test_what_cannot_be_read_is_said_above_what_was_read_before() -> None:
    old = Overview(datetime.now(UTC) - timedelta(seconds=75), (free("bench-a"),))
    shown = drawn(old, columns=120, problem="the server is away")
    assert "the store cannot be read, this is 1m old: the server is away" in shown
    assert "bench-a" in shown


# -- the command -----------------------------------------------------------------------------------


@pytest.fixture
def watch(lab: Lab, runs: Path) -> Iterator[Callable[..., Shown]]:
    """``harness rigs --watch``, as a process of its own."""
    watching: list[Shown] = []

    def begin(*options: str, terminal: bool = False) -> Shown:
        command = ("rigs", "--watch", "--every", "0.2", "--runs", str(runs), *options)
        watching.append(Shown(*command, terminal=terminal))
        return watching[-1]

    yield begin
    for each in watching:
        each.close()


def test_elsewhere_than_on_a_terminal_it_tells_news_in_plain_lines_until_ctrl_c(
    watch: Callable[..., Shown], start: Callable[[str], Running]
) -> None:
    watching = watch()
    shown = watching.until("foc-2 is free")
    run = start("run-1")
    run.take("ioc-1")
    test = run.tests("ioc-alderwick")[0]
    run.begin("ioc-1", test)
    shown += watching.until(rf"ioc-1 is held by ann \(run run-1;.*attempt 1 at {re.escape(test.id)} since")
    run.end("ioc-1", "failed")
    shown += watching.until(r"run run-1: 1 failed, \d+ of \d+ left")
    run.close()
    shown += watching.until(r"ended: completed")
    assert watching.stop() == 0
    shown += watching.shown
    assert shown.count("foc-2 is free") == 1  # it is as it was
    assert shown.count("ended: completed") == 1
    assert "Traceback" not in shown


def test_elsewhere_than_on_a_terminal_it_tells_reservations(watch: Callable[..., Shown], lab: Lab) -> None:
    with Pool(lab, "ann") as pool:
        now = datetime.now(UTC)
        pool.leases.reserve("ioc-1", now, now + timedelta(hours=1), "an audit")
    watching = watch()
    watching.until(r"ioc-1 is reserved for ann from .* UTC: an audit")
    assert watching.stop() == 0


def test_for_a_program_it_tells_an_object_a_line(watch: Callable[..., Shown]) -> None:
    watching = watch("--json")
    first = json.loads(watching.until("\n").splitlines()[0])
    assert first["rigs"][0]["rig"] == "ioc-1"
    assert first["problem"] == ""
    assert watching.stop() == 0


def test_on_a_terminal_it_is_drawn_in_place_follows_its_size_and_gives_it_back(
    watch: Callable[..., Shown], start: Callable[[str], Running]
) -> None:
    run = start("run-1")
    run.take("ioc-1")
    run.begin("ioc-1", run.tests("ioc-alderwick")[0])
    watching = watch(terminal=True)
    watching.until(r"ioc-1 #1")
    watching.resize(150, 40)
    watching.until(r"ioc-1 #1 run-1 of ann")  # there is room for the holder's name
    assert watching.stop(signal.SIGTERM) == 0
    assert watching.shown.endswith(("\x1b[?1049l\x1b[?25h", "\x1b[?25h\x1b[?1049l", "\x1b[?1049l"))


def test_a_store_that_is_locked_for_a_while_is_said_to_be_and_waited_for(
    watch: Callable[..., Shown], lab: Lab
) -> None:
    with Pool(lab, "ann"):
        pass
    locker = sqlite3.connect(lab.state / "lab.sqlite", isolation_level=None)
    locker.execute("PRAGMA locking_mode = EXCLUSIVE")
    locker.execute("BEGIN IMMEDIATE")
    watching = watch()
    watching.until("the store cannot be read: .*locked")
    locker.close()
    watching.until("the store can be read again\n(.*\n)*.* ioc-1 is free")
    assert watching.stop() == 0
