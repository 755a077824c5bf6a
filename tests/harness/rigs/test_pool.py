"""The room of rigs: who claims one gets it clean, in turn, or is told why not; the same on both databases."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import event

from harness.config import load_lab
from harness.domain.errors import (
    BenchFault,
    ConfigurationError,
    DeviceTimeout,
    HarnessError,
    LabFault,
    LinkLost,
)
from harness.domain.findings import BAD, GOOD, Finding
from harness.domain.lab import Lab
from harness.rigs.health_words import HealthState
from harness.rigs.lease_words import NoSuchRig, RigState, RigTaken, StaleLease
from harness.rigs.leases import Lease, of_dmc
from harness.rigs.pool import Latch, Pool, store_url
from harness.rigs.store import StoreAway, StoreBusy
from tests.harness.rigs.conftest import LONG
from tests.harness.rigs.room import no_check

REPO = Path(__file__).parents[3]
RIGS = ("foc-1", "foc-2", "ioc-1", "ioc-2", "ioc-3", "moc-1", "moc-2")  # of the shipped lab


@pytest.fixture(scope="module")
def shipped() -> Lab:
    return load_lab(REPO / "lab_config" / "simulated.yaml")


@pytest.fixture
def lab(shipped: Lab, url: str, tmp_path: Path) -> Lab:
    """The shipped lab with a store of its own, as the lab file names either kind."""
    return replace(shipped, state=tmp_path, database="" if url.startswith("sqlite") else url)


@pytest.fixture
def pool(lab: Lab) -> Iterator[Callable[..., Pool]]:
    """A pool for an owner, as each process makes one."""
    opened: list[Pool] = []

    def make(owner: str = "run-7", *, of: Lab = lab, expiry: float = LONG) -> Pool:
        opened.append(Pool(of, owner, expiry=expiry))
        return opened[-1]

    yield make
    for each in opened:
        each.close()


class Cleaning:
    """A check of a dirty rig: what it does can be set, and what it was given is kept."""

    def __init__(self, *does: Exception | Finding) -> None:
        self.does = does
        self.leases: list[Lease] = []

    def __call__(self, lease: Lease) -> list[Finding]:
        self.leases.append(lease)
        for each in self.does:
            if isinstance(each, Exception):
                raise each
        return [each for each in self.does if isinstance(each, Finding)]


def soil(pool: Pool, rig: str) -> None:
    """Leave it as one whose bench is not known to be safe."""
    pool.take(rig, "a run", Cleaning()).release(dirty="its bench did not answer")


def standing(pool: Pool, rig: str) -> str:
    return str(next(each for each in pool.leases.rigs() if each.rig == rig))


# Claims


def test_a_clean_rig_is_given_at_once_and_not_checked(pool: Callable[..., Pool]) -> None:
    ours, check = pool(), Cleaning()
    lease = ours.claim("ioc-1", "run run-7", check).poll()
    assert lease is not None
    lease.check()
    assert (lease.tokens, check.leases) == ({"ioc-1": 1}, [])
    assert "ioc-1 is held by run-7 (run run-7; process" in standing(ours, "ioc-1")


def test_who_claims_a_rig_that_is_held_stands_in_its_queue_and_is_served_in_turn(
    pool: Callable[..., Pool],
) -> None:
    first, second, third = pool("run-7"), pool("run-8"), pool("ann")
    lease = first.take("ioc-1", "run run-7", Cleaning())
    claims = [each.claim("ioc-1", "work", Cleaning()) for each in (second, third)]
    assert [claim.poll() for claim in claims] == [None, None]
    assert "ioc-1 is held by run-7" in claims[0].waits_for()
    waiting = first.leases.waiting()
    assert [(each.holder.owner, each.wanted, each.priority) for each in waiting] == [
        ("run-8", "ioc-1", 0),
        ("ann", "ioc-1", 0),
    ]
    here = rf"run-8 \(work; process {os.getpid()} on \S+, since 20\S+Z\) waits for ioc-1"
    assert re.fullmatch(here, str(waiting[0]))
    lease.release()
    assert claims[1].poll() is None
    assert claims[0].poll() is not None
    claims[1].withdraw()
    claims[1].withdraw()
    assert first.leases.waiting() == ()


def test_a_dirty_rig_is_cleaned_by_who_claims_it_first_and_only_then_given(
    pool: Callable[..., Pool],
) -> None:
    ours = pool()
    soil(ours, "ioc-1")
    seen: list[str] = []
    check = Cleaning()

    def look(lease: Lease) -> None:
        check(lease)
        lease.check()
        seen.append(standing(ours, "ioc-1"))

    lease = ours.claim("ioc-1", "run run-7", look).poll()
    assert lease is not None
    assert "ioc-1 is dirty: its bench did not answer, being cleaned by run-7" in seen[0]
    assert (check.leases[0].tokens, lease.tokens) == ({"ioc-1": 2}, {"ioc-1": 3})
    with pytest.raises(StaleLease):
        check.leases[0].check()
    assert ours.health.of("ioc-1").state is HealthState.GOOD


def test_nobody_else_gets_or_cleans_a_rig_while_it_is_cleaned(pool: Callable[..., Pool]) -> None:
    ours, others, theirs = pool("run-7"), pool("run-8"), Cleaning()
    soil(ours, "ioc-1")
    claim = others.claim("ioc-1", "run run-8", theirs)
    seen: list[Lease | None] = []
    lease = ours.take("ioc-1", "run run-7", lambda _: seen.append(claim.poll()))
    assert (seen, theirs.leases) == ([None], [])
    assert lease.tokens == {"ioc-1": 3}


def test_who_came_first_gets_a_rig_that_another_has_cleaned(pool: Callable[..., Pool]) -> None:
    ours, others = pool("run-7"), pool("run-8")
    held = ours.take("ioc-1", "a run", Cleaning())
    first, second = (each.claim("ioc-1", "work", Cleaning()) for each in (others, ours))
    assert (first.poll(), second.poll()) == (None, None)
    held.release(dirty="in doubt")
    assert second.poll() is None
    assert "is kept for run-8" in second.waits_for()
    assert first.poll() is not None


@pytest.mark.parametrize(
    "wrong", [BenchFault("load.on stays on", remedy="look at it"), DeviceTimeout("nothing came")]
)
def test_a_check_that_fails_leaves_the_rig_dirty_and_makes_it_bad(
    pool: Callable[..., Pool], wrong: HarnessError
) -> None:
    ours = pool()
    soil(ours, "ioc-1")
    with pytest.raises(type(wrong), match=wrong.message):
        ours.take("ioc-1", "run run-7", Cleaning(wrong))
    assert standing(ours, "ioc-1") == f"ioc-1 is dirty: {type(wrong).__name__}: {wrong}"
    found = ours.health.of("ioc-1")
    assert (found.state, found.reason, found.by) == (HealthState.BAD, wrong.message, "run run-7")
    assert ours.leases.waiting() == ()
    ours.take("ioc-1", "run run-8", Cleaning()).release()
    assert ours.health.of("ioc-1").state is HealthState.GOOD


def test_a_bad_finding_of_the_check_leaves_the_rig_dirty_too(pool: Callable[..., Pool]) -> None:
    ours = pool()
    soil(ours, "ioc-1")
    firmware = Finding(
        "ioc-1", "ESME", BAD, "read identity", "it has other firmware", "bring it back", "LabFault"
    )
    well = Finding("ioc-1", "bench", GOOD, "open", "in its safe state")
    with pytest.raises(LabFault, match="cannot be cleaned: it has other firmware") as refused:
        ours.take("ioc-1", "run run-7", Cleaning(well, firmware))
    assert refused.value.remedy == "bring it back"
    assert "ioc-1 is dirty" in standing(ours, "ioc-1")
    states = {part: each.state for part, each in ours.health.all_of("ioc-1").items()}
    assert states == {"": HealthState.BAD, "ESME": HealthState.BAD, "bench": HealthState.GOOD}


@pytest.mark.parametrize(
    "wrong",
    [
        LinkLost("the gateway is away"),
        BenchFault("it has no such relay", suspect=False),
        KeyboardInterrupt(),
        ZeroDivisionError(),
    ],
)
def test_a_check_that_ends_for_other_reasons_leaves_the_rig_dirty_and_its_health_alone(
    pool: Callable[..., Pool], wrong: Exception
) -> None:
    ours = pool()
    soil(ours, "ioc-1")

    def check(_: Lease) -> None:
        raise wrong

    with pytest.raises(type(wrong)):
        ours.take("ioc-1", "run run-7", check)
    assert "ioc-1 is dirty" in standing(ours, "ioc-1")
    assert ours.health.of("ioc-1").state is HealthState.UNKNOWN


def test_who_took_too_long_to_clean_a_rig_has_cleaned_nothing(pool: Callable[..., Pool]) -> None:
    ours, others = pool("run-7", expiry=0.5), pool("run-8")
    soil(ours, "ioc-1")
    ours.leases.close()  # its heart beats no more

    def sleep_through_it(lease: Lease) -> None:
        while "being cleaned" in standing(others, "ioc-1"):
            time.sleep(0.02)
        others.take("ioc-1", "run run-8", Cleaning())

    with pytest.raises(StaleLease):
        ours.claim("ioc-1", "run run-7", sleep_through_it).poll()
    assert "ioc-1 is held by run-8" in standing(others, "ioc-1")


def test_a_rig_in_maintenance_is_taken_and_cleaned_only_by_who_maintains_it(
    pool: Callable[..., Pool],
) -> None:
    run, bob, check = pool("run-7"), pool("bob"), Cleaning()
    soil(run, "ioc-1")
    bob.leases.maintain("ioc-1", "a new relay")
    with pytest.raises(RigTaken, match="ioc-1 is in maintenance by bob: a new relay"):
        run.take("ioc-1", "run run-7", check)
    claim = run.claim("ioc-1", "run run-7", check)
    assert (claim.poll(), check.leases) == (None, [])
    claim.withdraw()
    bob.take("ioc-1", "harness lab check", check).release()
    assert len(check.leases) == 1
    bob.leases.back_in_service("ioc-1")
    run.take("ioc-1", "run run-7", check).release()
    assert len(check.leases) == 2


# Taking within a time


def test_who_does_not_wait_is_told_at_once_who_has_the_rig_and_leaves_no_trace_in_the_queue(
    pool: Callable[..., Pool],
) -> None:
    ours, others = pool("run-7"), pool("ann")
    ours.take("ioc-1", "a run of Tuesday's", Cleaning())
    with pytest.raises(RigTaken, match=r"ioc-1 is held by run-7 \(a run of Tuesday's; process") as refused:
        others.take("ioc-1", "a look", Cleaning())
    assert refused.value.remedy == "wait for it, or use another rig"
    assert ours.leases.waiting() == ()


def test_who_waits_hears_for_whom_and_is_served_when_it_is_over(pool: Callable[..., Pool]) -> None:
    ours, others = pool("run-7"), pool("ann")
    lease, heard = ours.take("ioc-1", "a run", Cleaning()), threading.Event()

    def told(_: str) -> None:
        heard.set()

    def give_back() -> None:
        assert heard.wait(LONG)
        lease.release(dirty="in doubt")

    giver = threading.Thread(target=give_back)
    giver.start()
    check = Cleaning()
    served = others.take("ioc-1", "a look", check, wait=LONG, told=told)
    giver.join()
    assert (served.tokens, len(check.leases)) == ({"ioc-1": 3}, 1)


def test_who_waited_in_vain_is_told_for_how_long(pool: Callable[..., Pool]) -> None:
    ours, others = pool("run-7"), pool("ann")
    ours.take("ioc-1", "a run", Cleaning())
    with pytest.raises(RigTaken, match=r"not served in 0\.2 s: .*held by run-7"):
        others.take("ioc-1", "a look", Cleaning(), wait=0.2)
    assert ours.leases.waiting() == ()


def test_a_rig_that_the_lab_does_not_have_is_refused_at_once(pool: Callable[..., Pool]) -> None:
    with pytest.raises(NoSuchRig):
        pool().take("ioc-9", "a look", Cleaning(), wait=LONG)


# Wanted back


def test_a_rig_that_nobody_wants_is_not_wanted_back_and_one_query_says_so(
    pool: Callable[..., Pool],
) -> None:
    ours = pool()
    lease = ours.take("ioc-1", "a run", Cleaning())
    asked: list[str] = []
    event.listen(ours.leases.store._engine, "before_cursor_execute", lambda *call: asked.append(call[2]))
    assert lease.wanted_back() == ""
    assert len(asked) == 2  # SQLite begins first, and PostgreSQL is asked for the time
    assert "FROM rig" in asked[-1]


def test_maintenance_reservations_and_higher_priority_want_a_rig_back(pool: Callable[..., Pool]) -> None:
    run, ann, bob = pool("run-7"), pool("ann"), pool("bob")
    leases = {rig: run.take(rig, "a run", Cleaning()) for rig in ("ioc-1", "ioc-2", "moc-1")}
    now = datetime.now(UTC)
    bob.leases.maintain("ioc-1", "a new relay")
    ann.leases.reserve("ioc-2", now - timedelta(hours=1), now + timedelta(hours=1), "an audit")
    bob.leases.reserve("moc-1", now + timedelta(hours=1), now + timedelta(hours=2), "later")
    assert leases["ioc-1"].wanted_back() == "ioc-1 is to be maintained by bob: a new relay"
    assert leases["ioc-2"].wanted_back().startswith("ioc-2 is reserved for ann from ")
    assert leases["moc-1"].wanted_back() == ""
    equal = bob.leases.request("moc-1", purpose="a look")
    assert equal.poll() is None
    assert leases["moc-1"].wanted_back() == ""
    urgent = ann.leases.request("moc-1", purpose="a look", priority=1)
    assert urgent.poll() is None
    assert leases["moc-1"].wanted_back() == "moc-1 is waited for by ann, of priority 1"
    urgent.withdraw()
    assert leases["moc-1"].wanted_back() == ""
    run.leases.evict("moc-1", "it must go")
    assert leases["moc-1"].wanted_back() == "moc-1 is taken away by run-7: it must go"


def test_one_who_waits_for_any_rig_of_a_dmc_wants_one_back_and_not_all(
    pool: Callable[..., Pool], lab: Lab
) -> None:
    run, ann = pool("run-7"), pool("ann")
    rigs = ("ioc-1", "ioc-2", "ioc-3")
    leases = [run.take(rig, "a run", Cleaning()) for rig in rigs]
    assert ann.leases.request(of_dmc(lab.rig("ioc-1").dmc.id), purpose="a look", priority=1).poll() is None
    assert [bool(lease.wanted_back()) for lease in leases] == [True, False, False]


def test_a_lease_for_cleaning_is_wanted_back_by_who_is_of_a_higher_priority(
    pool: Callable[..., Pool],
) -> None:
    run, ann = pool("run-7"), pool("ann")
    soil(run, "ioc-1")
    lease = run.leases.take_dirty("ioc-1")
    assert ann.leases.request("ioc-1", purpose="a look", priority=1).poll() is None
    assert lease.wanted_back() == ""  # it will be there as soon as it is clean


# The lab's rigs


def enrolled(pool: Pool) -> list[str]:
    return [each.rig for each in pool.leases.rigs()]


@pytest.fixture
def fewer(lab: Lab) -> Lab:
    """A lab file with less in it, for the same store."""
    return replace(lab, rigs=tuple(rig for rig in lab.rigs if rig.id.startswith("foc")))


def test_rigs_that_are_held_or_waited_for_are_not_retired_by_who_has_another_lab_file(
    pool: Callable[..., Pool], fewer: Lab
) -> None:
    run, others = pool(), pool("run-8", of=fewer)
    lease = run.take("ioc-1", "run run-7", Cleaning())
    run.take("moc-1", "run run-7", Cleaning())
    waits = run.claim("moc-1", "run run-7", Cleaning())
    assert waits.poll() is None
    others.take("foc-1", "run run-8", Cleaning()).release()
    assert enrolled(run) == ["foc-1", "foc-2", "ioc-1", "moc-1"]
    lease.release()
    others.take("foc-1", "run run-8", Cleaning()).release()
    assert enrolled(run) == ["foc-1", "foc-2", "moc-1"]


def test_the_rigs_of_the_lab_file_are_enrolled_and_those_that_left_it_retired_by_who_claims_one(
    pool: Callable[..., Pool], fewer: Lab
) -> None:
    assert enrolled(pool()) == list(RIGS)
    soil(pool(), "ioc-2")
    theirs = pool(of=fewer)
    assert enrolled(theirs) == list(RIGS)  # to look changes nothing
    theirs.take("foc-1", "run run-8", Cleaning()).release()
    assert enrolled(theirs) == ["foc-1", "foc-2"]
    again = pool()
    assert [each.rig for each in again.leases.rigs()] == list(RIGS)
    status = again.leases.rigs()[3]
    assert (status.rig, status.state, status.token) == ("ioc-2", RigState.DIRTY, 1)


def test_a_pool_of_rigs_that_are_known_writes_nothing(pool: Callable[..., Pool], locked) -> None:
    pool()
    if pool().leases.store.is_sqlite:
        with locked():
            pool()
    seen: list[int] = [each.leases.changes() for each in (pool(), pool())]
    assert seen[0] == seen[1]


ENTER = """
import os, sys
from pathlib import Path
from types import SimpleNamespace as Named
import harness.rigs.leases
from harness.rigs.pool import Pool

state, database = sys.argv[1:]
if database:
    import sqlalchemy.dialects.postgresql.psycopg, psycopg  # all are quick on their way in, then
rigs = [Named(id=f"rig-{number}", dmc=Named(id="dmc-1")) for number in range(8)]
lab = Named(state=Path(state), database=database, rigs=rigs)
gate, opened = os.pipe()


def enter(rig):
    os.close(opened)
    os.read(gate, 1)
    with Pool(lab, f"run of {rig}") as pool, pool.take(rig, "a run", check=print) as lease:
        print(lease.tokens, len(pool.leases.rigs()), flush=True)


children = []
for rig in rigs:
    children.append(os.fork())
    if not children[-1]:
        enter(rig.id)
        os._exit(0)
os.close(opened)
sys.exit(sum(os.waitpid(child, 0)[1] for child in children))
"""


def test_many_processes_make_a_new_lab_at_the_same_moment(url: str, tmp_path: Path) -> None:
    state, database = tmp_path / "new" / "lab", "" if url.startswith("sqlite") else url
    done = subprocess.run(
        [sys.executable, "-c", ENTER, str(state), database], cwd=REPO, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(done.stdout.splitlines()) == [f"{{'rig-{number}': 1}} 8" for number in range(8)]


NOTHING_YET = """
import os, sys, threading
before = set(os.listdir("/proc/self/fd"))
import harness.rigs.durations, harness.rigs.health, harness.rigs.pool
light = "sqlalchemy" not in sys.modules
import harness.rigs.duration_rows, harness.rigs.health_rows, harness.rigs.leases, harness.rigs.people_rows
print(light, set(os.listdir("/proc/self/fd")) == before, threading.active_count())
"""


def test_to_import_the_pool_opens_nothing_and_loads_no_database() -> None:
    done = subprocess.run(
        [sys.executable, "-c", NOTHING_YET], cwd=REPO, capture_output=True, text=True, check=True
    )
    assert done.stdout == "True True 1\n"


def test_a_process_that_was_forked_makes_a_pool_of_its_own(pool: Callable[..., Pool], lab: Lab) -> None:
    ours = pool()
    ours.take("ioc-1", "a run", Cleaning()).release()
    ours.close()
    child = os.fork()
    if child == 0:
        with Pool(lab, "run-8") as theirs:
            tokens = theirs.take("ioc-1", "a run", Cleaning()).tokens
        os._exit(0 if tokens == {"ioc-1": 2} else 1)
    assert os.waitpid(child, 0)[1] == 0


# Where the store is


def test_a_new_lab_whose_store_is_locked_says_so_once_its_patience_has_ended(
    lab: Lab, url: str, locked
) -> None:
    with Pool(replace(lab, rigs=lab.rigs[:1]), "run-7"):
        pass
    with locked(), pytest.raises(StoreBusy) as busy:
        Pool(lab, "run-8", patience=0.1)  # the others have to be written down
    assert not busy.value.suspect
    with Pool(lab, "run-8") as pool:
        assert enrolled(pool) == list(RIGS)


def test_the_store_is_in_the_state_folder_or_where_the_lab_file_says(
    shipped: Lab, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setenv("LAB_DATABASE", "postgresql://lab:guess@db/rigs")
    (tmp_path / "url").write_text("postgresql://lab:guessed@db/rigs\n")
    told = [
        store_url(replace(shipped, state=tmp_path, database=said))
        for said in ("", "postgresql://lab@db/rigs", "env:LAB_DATABASE", f"file:{tmp_path / 'url'}")
    ]
    assert told == [
        f"sqlite:///{tmp_path}/lab.sqlite",
        "postgresql://lab@db/rigs",
        "postgresql://lab:guess@db/rigs",
        "postgresql://lab:guessed@db/rigs",
    ]
    with pytest.raises(ConfigurationError, match="env:NOBODY_SET_THIS is not set"):
        store_url(replace(shipped, database="env:NOBODY_SET_THIS"))


def test_a_database_that_is_away_is_said_without_its_password_and_blames_no_rig(
    shipped: Lab, monkeypatch
) -> None:
    monkeypatch.setenv("LAB_DATABASE", "postgresql://lab:guess@127.0.0.1:1/rigs")
    with pytest.raises(StoreAway) as away:
        Pool(replace(shipped, database="env:LAB_DATABASE"), "run-7", patience=0.1)
    assert "guess" not in str(away.value)
    assert not away.value.suspect


def test_a_fence_asks_for_the_lease_after_it_has_waited_for_the_record(pool) -> None:
    lease = pool().take("ioc-1", "run 7", no_check)
    latch = Latch(lease, lease.release)  # the disk keeps it waiting for too long
    with pytest.raises(StaleLease):
        latch()


def test_a_fence_that_refused_once_in_an_opening_stays_closed_though_the_store_is_back(pool, locked) -> None:
    mine = pool(expiry=1.0)
    mine.leases.store.patience = 0.1
    lease = mine.take("ioc-1", "run 7", no_check)
    latch = Latch(lease)
    latch()
    with locked():
        deadline = time.monotonic() + 30
        while latch.refused is None:
            assert time.monotonic() < deadline, "it never asked the store"
            with suppress(StoreBusy):
                latch()
    lease.check()  # it is ours as before
    with pytest.raises(StoreBusy):
        latch()
