"""What happens to a run: each case starts one, strikes at a seeded moment, and sees it end.

It gives the runs that are then resumed and counted (:mod:`tests.chaos.counting`).
"""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from .labs import HERE, lab_of_twins
from .processes import PATIENCE, Run, TooLate
from .rounds import EXPIRY, Round
from .twins import Twins

Case = Callable[[Round], list[Run]]
ALL_RIGS = ("ioc-1", "ioc-2", "moc-1", "moc-2")


class CannotBeDone(Exception):
    """This machine lacks what the case needs; the message says what."""


def worker_killed(around: Round) -> list[Run]:
    """One or two workers die of SIGKILL, in a test or at its very end; the run goes on by itself."""
    run = around.run()
    for _ in range(around.random.choice((1, 2))):
        rig = around.a_moment(run)
        if not rig and (test := around.a_test_in_hand(run)):
            rig = test["rig"]
        if pid := around.worker_of(rig, run):
            around.story.append(f"kill the worker of {rig}")
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    run.ended()
    return [run]


def controller_killed(around: Round) -> list[Run]:
    """Its workers notice, and put their rigs down."""
    run = around.run()
    around.a_moment(run)
    run.process.kill()
    around.gives_back = True
    return [run]


def group_killed(around: Round) -> list[Run]:
    """Everything of the run at once; every other time the guards of the benches too, as a power cut does."""
    run = around.run()
    around.a_moment(run)
    around.puts_down = around.random.random() < 0.5
    around.story.append("kill all but the guards" if around.puts_down else "kill all, guards too")
    around.signal_all(run, signal.SIGSTOP)  # first, so that nobody acts upon another's death
    around.kill(run, guards=not around.puts_down)
    around.signal_all(run, signal.SIGCONT)
    return [run]


def controller_stopped(around: Round) -> list[Run]:
    """For longer than a lease lasts without a heartbeat."""
    run = around.run()
    around.a_moment(run)
    run.process.send_signal(signal.SIGSTOP)
    time.sleep(EXPIRY * (1.2 + around.random.random()))
    run.process.send_signal(signal.SIGCONT)
    run.ended()
    around.gives_back = True
    return [run]


def run_stopped(around: Round) -> list[Run]:
    """All of it, until another host's run has its rigs; then it goes on, or dies, and may touch nothing."""
    around.share_the_store()
    if around.seed % 2 == 0:
        around.keep_in_postgresql()
    run = around.run()
    around.a_moment(run)
    rigs = {test["rig"] for test in around.in_hand(run).values()}
    around.signal_all(run, signal.SIGSTOP)
    rival = around.run("rival", HARNESS_STATE=str(around.folder / "state-of-the-rival"))
    around.until(
        lambda: (
            {test["rig"] for test in around.of("begun", rival)} >= rigs
            or rival.over
            or _finds_the_store_locked(rival)
        ),
        "the rival has the rigs",
    )
    time.sleep(around.random.random() * around.seconds)
    if around.random.random() < 0.3:
        around.story.append("of the late run only its guards wake up")
        around.kill(run, guards=False)
    around.signal_all(run, signal.SIGCONT)
    run.ended()
    rival.ended()
    around.resume_blocked = True
    return [run, rival]


def _finds_the_store_locked(rival: Run) -> bool:
    """Whoever is stopped in the midst of a write to SQLite locks everybody out, and is named to them."""
    return any("is locked by process" in line for line in list(rival.lines))


def bench_silent(around: Round) -> list[Run]:
    """A bench takes requests and answers none; sooner or later it speaks again."""
    run = around.run()
    around.a_moment(run)
    test = around.a_test_in_hand(run)
    around.resume_blocked = True
    if test is not None:
        seconds = around.random.choice((1.0, 3.0, 60.0))
        around.story.append(f"silence the bench of {test['rig']} for {seconds:g} s, or until the run ends")
        around.order("silence", test["rig"])
        around.puts_down = False  # nobody can
        with suppress(TooLate):
            around.until(lambda: run.over, "the run ends", seconds)
        around.order("speak", test["rig"])
    run.ended()
    return [run]


def twin_killed(around: Round) -> list[Run]:
    """The devices of a rig, a process behind TCP doors, die in a test; the rig's health shows it."""
    around.environment["CHAOS_HAS"] = "devices"
    around.packs, around.resume_blocked = ("chaos-ioc",), True
    around.rigs = around.rigs[:2]  # of one DMC
    twins = Twins(around)
    run = around.run()
    around.a_moment(run)
    if test := around.a_test_in_hand(run):
        around.story.append(f"kill the devices of {test['rig']}")
        twins.kill(test["rig"])
        run.ended()
        if around.health(test["rig"]) == "good":
            around.wrong.append(f"rig {test['rig']} is said to be good, and its devices are gone")
        twins.stand_up(test["rig"])
    run.ended()
    return [run]


def gateway_silent(around: Round) -> list[Run]:
    """The DCC's side stops: for a while, or until it is killed; at times for longer than anybody waits."""
    around.environment["CHAOS_HAS"] = "devices and DCC"
    around.packs, around.resume_blocked = ("chaos-ioc",), True
    around.lab = lab_of_twins(around.folder, around.rigs[:2])  # of one DMC
    run = around.run()
    around.a_moment(run)
    seconds, number = 1 + 4 * around.random.random(), around.random.choice((signal.SIGKILL, signal.SIGCONT))
    if around.seed % 10 == 0:
        seconds = PATIENCE * 3 / 4
    around.story.append(f"stop the DCC's side for {seconds:.1f} s, then {number.name}")
    sides = [each.pid for each in around.processes(run.name) if "dcc_side" in each.command]
    for pid in sides:
        os.kill(pid, signal.SIGSTOP)
    with suppress(TooLate):
        around.until(lambda: run.over, "the run ends", seconds)
    for pid in sides:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
    run.ended()
    return [run]


def disk_full(around: Round) -> list[Run]:
    """The disk of the runs is small, and full at once; there is room again when the run has ended."""
    return _full(around, around.folder / "runs")


def state_disk_full(around: Round) -> list[Run]:
    """The disk of the lab's store is small, and full at once, for some expiries: whoever likes may wait."""
    around.puts_down = False  # who cannot tell whether a rig is still his must leave it alone
    return _full(around, around.folder / "state", EXPIRY * (1 + 3 * around.random.random()))


def _full(around: Round, disk: Path, seconds: float = 0.0) -> list[Run]:
    disk.mkdir()
    mounted = ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(disk)]
    done = subprocess.run(mounted, check=False, capture_output=True, text=True)
    if done.returncode:
        raise CannotBeDone(f"no small disk can be mounted: {done.stderr.strip()}")
    around.at_the_end(lambda: subprocess.run(["umount", "-l", disk], check=True))
    run = around.run()
    around.a_moment(run)
    ballast = disk / "ballast"

    def stay_full() -> bool:
        _fill(ballast)
        return run.over

    if seconds:
        around.story.append(f"full for {seconds:.1f} s")
        with suppress(TooLate):
            around.until(stay_full, "the run ends on a full disk", seconds)
    else:
        around.until(stay_full, "the run ends on a full disk")
    ballast.unlink()
    run.ended()
    around.resume_blocked = True
    return [run]


def _fill(ballast: Path) -> None:
    """Down to the last byte."""
    with ballast.open("ab", buffering=0) as file, suppress(OSError):
        for size in (65_536, 4_096, 1):
            with suppress(OSError):
                while file.write(bytes(size)) == size:
                    pass


def clock_back(around: Round) -> list[Run]:
    """The wall clock is set back by an hour, or ahead; the clocks that nobody can set go on."""
    library = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
    if library is None:
        raise CannotBeDone("the library of Debian's faketime is not installed")
    offset = around.folder / "offset"
    offset.write_text("+0")
    around.environment |= {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "PYTHONPATH": os.pathsep.join((str(HERE / "under_faketime"), around.path)),
    }
    run = around.run()
    around.a_moment(run)
    new = around.folder / "offset.new"
    new.write_text("-3600")
    new.replace(offset)
    run.ended()
    around.gives_back = True
    return [run]


def database_locked(around: Round) -> list[Run]:
    """Another client is in the midst of a write to the lab's store for longer than a lease lasts."""
    around.puts_down = False  # as above
    if around.seed % 4 == 2:
        around.keep_in_postgresql()
    run = around.run()
    around.a_moment(run)
    seconds = EXPIRY * (1 + 3 * around.random.random())
    around.story.append(f"locked for {seconds:.1f} s")
    with _locked(around), suppress(TooLate):
        around.until(lambda: run.over, "the run ends", seconds)
    run.ended()
    around.resume_blocked = True
    return [run]


@contextmanager
def _locked(around: Round) -> Iterator[None]:
    if around.store_file is not None:
        with closing(sqlite3.connect(around.store_file, isolation_level=None)) as database:
            database.execute("BEGIN IMMEDIATE")
            yield
        return
    import psycopg

    with psycopg.connect(around.store) as server:
        server.execute("SELECT 1 FROM lab_store FOR UPDATE")
        yield


def ctrl_c(around: Round) -> list[Run]:
    """Once, to the whole group, as a terminal does."""
    run = around.run()
    around.a_moment(run)
    _press(run)
    run.ended()
    around.gives_back = True
    return [run]


def double_ctrl_c(around: Round) -> list[Run]:
    """Twice within half a second."""
    run = around.run()
    around.a_moment(run)
    _press(run)
    time.sleep(0.05 + 0.45 * around.random.random())
    _press(run)
    run.ended()
    around.gives_back = True
    return [run]


def _press(run: Run) -> None:
    with suppress(ProcessLookupError):
        os.killpg(run.pid, signal.SIGINT)


def hung_test(around: Round) -> list[Run]:
    """It sleeps, it spins, it waits in a library, or it is deaf to its deadline."""
    kinds = ["asleep", "busy", "in a library", "deaf"]
    kind = kinds[around.seed % len(kinds)]
    around.story.append(kind)
    around.hangs.write_text(kind)
    run = around.run(CHAOS_DEADLINE="2")
    run.ended()
    around.hangs.unlink()
    if kind != "deaf":  # which is set aside, and runs well when it is resumed
        around.truth |= {test: "failed" for test in (shown.test for shown in run.shown) if "may_hang" in test}
    return [run]


CASES: dict[str, Case] = {
    "worker killed": worker_killed,
    "controller killed": controller_killed,
    "group killed": group_killed,
    "controller stopped": controller_stopped,
    "run stopped": run_stopped,
    "bench silent": bench_silent,
    "twin killed": twin_killed,
    "gateway silent": gateway_silent,
    "disk full": disk_full,
    "state disk full": state_disk_full,
    "clock back": clock_back,
    "database locked": database_locked,
    "Ctrl-C": ctrl_c,
    "double Ctrl-C": double_ctrl_c,
    "hung test": hung_test,
}
