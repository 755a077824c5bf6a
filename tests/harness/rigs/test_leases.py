"""A rig is one owner's at a time, for as long as its heart beats; the same on SQLite and PostgreSQL."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
from sqlalchemy import update

from harness.domain.errors import LabFault, UsageError
from harness.rigs.leases import (
    Lease,
    Leases,
    NoSuchRig,
    RigState,
    RigStatus,
    RigTaken,
    StaleLease,
    named,
    of_dmc,
)
from harness.rigs.store import StoreBusy
from harness.rigs.tables import REQUEST
from tests.harness.rigs.conftest import LONG, Door

REPO = Path(__file__).parents[3]
STEADY = 2.0  # seconds: an expiry that a slow machine's heart keeps ahead of
EXPIRY = 1.2  # seconds, where a test waits for it

OWNER = """
import sys
from harness.rigs.lease_words import StaleLease
from harness.rigs.leases import Leases
from harness.rigs.store import Store

url, expiry, *rigs = sys.argv[1:]
leases = Leases(Store(url), "the other run", expiry=float(expiry))
lease = leases.acquire(*rigs, purpose="a bench session")
print("held", *lease.tokens.values(), flush=True)
for _ in sys.stdin:
    try:
        lease.check()
        print("ours", flush=True)
    except StaleLease as fault:
        print("stale:", fault, flush=True)
"""


class Owner:
    """A process that holds rigs and says, when asked, whether it may act."""

    def __init__(self, url: str, expiry: float, *rigs: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", OWNER, url, str(expiry), *rigs],
            cwd=REPO,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        told = self._hear().split()
        assert told[0] == "held", told
        self.tokens = [int(token) for token in told[1:]]

    def check(self) -> str:
        assert self.process.stdin is not None
        self.process.stdin.write("check\n")
        self.process.stdin.flush()
        return self._hear()

    def _hear(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def signal(self, number: int) -> None:
        self.process.send_signal(number)


@pytest.fixture
def owner(url: str) -> Iterator[Callable[..., Owner]]:
    started: list[Owner] = []

    def start(expiry: float, *rigs: str) -> Owner:
        started.append(Owner(url, expiry, *rigs))
        return started[-1]

    yield start
    for each in started:
        each.process.kill()
        each.process.communicate()


def standing(leases: Leases, rig: str) -> RigStatus:
    return next(each for each in leases.rigs() if each.rig == rig)


def wait_until_dirty(leases: Leases, rig: str, within: float = 30.0) -> float:
    """And nobody cleans it. How many seconds it took."""
    began = time.monotonic()
    while (told := standing(leases, rig)).state is not RigState.DIRTY or told.holder:
        assert time.monotonic() < began + within, str(told)
        time.sleep(0.02)
    return time.monotonic() - began


# Held and given back


def test_a_free_rig_is_given_and_says_who_has_it_and_for_what(door: Door) -> None:
    leases = door("run 7")
    assert standing(leases, "a").state is RigState.FREE
    lease = leases.acquire("a", purpose="a regression")
    told = standing(door("ann"), "a")
    assert told.state is RigState.HELD
    assert told.holder is not None
    assert (told.holder.owner, told.holder.purpose, told.holder.process) == (
        "run 7",
        "a regression",
        os.getpid(),
    )
    assert told.expires_in == pytest.approx(LONG, abs=30)
    assert datetime.now(UTC) - datetime.fromisoformat(told.holder.since) < timedelta(seconds=LONG)
    lease.check()
    lease.release()
    assert standing(leases, "a").state is RigState.FREE


def test_a_held_rig_is_nobody_elses_and_its_holder_is_named(door: Door) -> None:
    door("run 7").acquire("a", purpose="a regression")
    with pytest.raises(RigTaken, match=r"a is held by run 7 \(a regression; process \d+ on ") as refused:
        door("run 8").acquire("a", purpose="another")
    assert not refused.value.suspect


def test_a_set_is_held_whole_or_not_at_all(door: Door) -> None:
    one = door("run 7").acquire("b", purpose="one")
    with pytest.raises(RigTaken, match="b is held by run 7"):
        door("run 8").acquire("a", "b", "c", purpose="all")
    assert [each.state for each in door().rigs()] == ["free", "held", "free"]
    one.release()
    everything = door("run 8").acquire("a", "b", "c", purpose="all")
    assert everything.rigs == ("a", "b", "c")
    with pytest.raises(RigTaken):
        door("run 7").acquire("c", purpose="one")
    everything.release()
    assert [each.state for each in door().rigs()] == ["free"] * 3


def test_each_lease_has_a_token_greater_than_any_before(door: Door) -> None:
    leases = door()
    tokens = []
    for _ in range(3):
        with leases.acquire("a", purpose="a run") as lease:
            tokens.append(lease.tokens["a"])
    assert tokens == [1, 2, 3]
    leases.retire("a")
    leases.enrol({"a": "dmc-9"})  # it comes back as another installation
    assert leases.acquire("a", purpose="a run").tokens == {"a": 4}


def test_releasing_again_takes_nothing_from_the_next_owner(door: Door) -> None:
    lease = door("run 7").acquire("a", purpose="a run")
    lease.release()
    door("run 8").acquire("a", purpose="the next")
    lease.release()
    holder = standing(door(), "a").holder
    assert holder is not None
    assert holder.owner == "run 8"
    with pytest.raises(StaleLease):
        lease.check()


def test_work_that_ends_in_an_error_leaves_the_rig_dirty(door: Door) -> None:
    leases = door()
    with pytest.raises(ZeroDivisionError), leases.acquire("a", purpose="a run"):
        _ = 1 / 0
    assert str(standing(leases, "a")) == "a is dirty: ZeroDivisionError: division by zero"


def test_any_rig_of_a_dmc_does_and_any_of_some(door: Door) -> None:
    leases = door()
    both = leases.acquire(of_dmc("dmc-1"), of_dmc("dmc-1"), purpose="two of one kind")
    assert sorted(both.rigs) == ["a", "b"]
    assert leases.acquire(named("a", "c"), purpose="either").rigs == ("c",)


@pytest.mark.parametrize(
    ("wanted", "missing"),
    [
        (["nowhere"], "no nowhere"),
        (["a", of_dmc("dmc-3")], "no a rig of dmc-3"),
        ([of_dmc("dmc-2"), of_dmc("dmc-2")], "not as many rigs as a rig of dmc-2, a rig of dmc-2"),
    ],
)
def test_what_can_never_be_served_fails_at_once(door: Door, wanted: list, missing: str) -> None:
    began = time.monotonic()
    with pytest.raises(NoSuchRig, match=missing):
        door().acquire(*wanted, purpose="a run", wait=LONG)
    assert time.monotonic() - began < LONG / 2


def test_nothing_cannot_be_asked_for(door: Door) -> None:
    with pytest.raises(UsageError):
        door().acquire(purpose="a run")


# Owners that die


def test_the_rig_of_a_killed_owner_is_dirty_one_expiry_later(door: Door, owner) -> None:
    other, leases = owner(STEADY, "a", "b"), door("run 8")
    other.signal(signal.SIGKILL)
    assert standing(leases, "a").state is RigState.HELD  # nobody can know yet
    wait_until_dirty(leases, "a")
    told = standing(leases, "b")
    assert "the other run (a bench session; process" in told.dirty_reason
    assert told.dirty_reason.endswith("sent no heartbeat any more")


def test_a_dirty_rig_is_given_to_nobody_until_it_is_clean(door: Door) -> None:
    gone, leases = door("run 7", expiry=0.5), door("run 8")
    gone.acquire("a", purpose="a run")
    gone.close()
    wait_until_dirty(leases, "a")
    with pytest.raises(RigTaken, match="a is dirty: run 7"):
        leases.acquire("a", purpose="a run")
    cleaning = leases.take_dirty("a")
    assert cleaning.tokens["a"] == 2
    with pytest.raises(RigTaken, match="being cleaned by run 8"):
        door("run 9").take_dirty("a")
    cleaning.check()
    cleaning.clean()
    with pytest.raises(StaleLease):
        cleaning.check()
    assert leases.acquire("a", purpose="a run").tokens["a"] == 3


def test_a_rig_that_could_not_be_cleaned_stays_dirty(door: Door) -> None:
    leases = door()
    leases.acquire("a", purpose="a run").release(dirty="relay 3 did not open")
    cleaning = leases.take_dirty("a")
    cleaning.release()
    assert standing(leases, "a").state is RigState.DIRTY
    leases.take_dirty("a").release(dirty="relay 3 did not open again")
    assert standing(leases, "a").dirty_reason == "relay 3 did not open again"


def test_a_cleaner_that_dies_leaves_the_rig_dirty_and_cannot_call_it_clean(door: Door) -> None:
    first, second = door("run 7", expiry=0.5), door("run 8")
    first.acquire("a", purpose="a run").release(dirty="unknown")
    late = first.take_dirty("a")
    first.close()  # its heart stands still
    wait_until_dirty(second, "a")
    second.take_dirty("a")
    with pytest.raises(StaleLease):
        late.clean()
    assert standing(second, "a").state is RigState.DIRTY


def test_only_dirty_rigs_are_taken_for_cleaning_and_only_cleaners_clean(door: Door) -> None:
    leases = door()
    with pytest.raises(RigTaken, match="a is free"):
        leases.take_dirty("a")
    with pytest.raises(RigTaken, match="not for cleaning"):
        leases.acquire("a", purpose="a run").clean()
    with pytest.raises(NoSuchRig):
        leases.take_dirty("nowhere")


def test_a_stopped_owner_that_wakes_after_its_expiry_may_not_act(door: Door, owner) -> None:
    other, leases = owner(EXPIRY, "a"), door("run 8")
    assert other.check() == "ours"
    other.signal(signal.SIGSTOP)
    wait_until_dirty(leases, "a")
    leases.take_dirty("a").clean()
    ours = leases.acquire("a", purpose="a run")
    other.signal(signal.SIGCONT)
    assert other.check().startswith("stale: the lease of a (token 1) for a bench session has ended")
    assert ours.tokens["a"] > other.tokens[0]
    ours.check()


def test_a_heart_that_beats_keeps_the_lease(door: Door) -> None:
    lease = door(expiry=STEADY).acquire("a", purpose="a long run")
    assert not lease.lost.wait(1.2 * STEADY)
    assert standing(door(), "a").state is RigState.HELD
    lease.check()


def test_an_owner_hears_that_it_has_lost_its_lease(door: Door) -> None:
    heard: list[Lease] = []
    lease = door("run 7", expiry=STEADY, on_lost=heard.append).acquire("a", purpose="a run")
    people = door("ann")
    people.evict("a", "it is needed for an audit")
    assert standing(people, "a").state is RigState.HELD  # it may still act until it hears, or expires
    assert lease.lost.wait(LONG)
    assert heard == [lease]
    with pytest.raises(StaleLease):
        lease.check()
    wait_until_dirty(people, "a")
    people.take_dirty("a")
    lease.release()
    assert standing(people, "a").dirty_reason.endswith("was evicted by ann: it is needed for an audit")


def test_checking_needs_no_store_while_the_lease_is_sure(door: Door, locked) -> None:
    lease = door(patience=0.0).acquire("a", purpose="a run")
    with locked():
        for _ in range(1000):
            lease.check()


def test_who_cannot_know_whether_the_lease_holds_may_not_act(door: Door, locked) -> None:
    leases = door(expiry=EXPIRY, patience=0.2)
    lease = leases.acquire("a", purpose="a run")
    with locked():
        time.sleep(EXPIRY)  # nobody can write, so no heartbeat is heard
        with pytest.raises(StoreBusy):
            lease.check()
    lease.check()  # and nobody had taken it meanwhile
    assert not lease.lost.is_set()


def test_an_absent_heartbeat_is_not_made_good_once_the_rig_was_found_dirty(door: Door) -> None:
    leases = door("run 7", expiry=0.5)
    lease = leases.acquire("a", purpose="a run")
    leases.close()
    others = door("run 8")
    wait_until_dirty(others, "a")
    others.take_dirty("a")
    with pytest.raises(StaleLease):
        lease.check()


# Waiting


def test_who_waits_is_served_when_the_rig_comes_back_and_hears_for_whom_it_waits(door: Door) -> None:
    first = door("run 7").acquire("a", purpose="a regression")
    told: list[str] = []
    asked = threading.Event()

    def hear(sentence: str) -> None:
        told.append(sentence)
        asked.set()

    def give_back() -> None:
        asked.wait(LONG)
        first.release()

    other = threading.Thread(target=give_back)
    other.start()
    lease = door("run 8").acquire("a", purpose="a run", wait=LONG, told=hear)
    other.join()
    assert lease.tokens == {"a": 2}
    assert told[0].startswith("a is held by run 7 (a regression; process")


def test_who_has_waited_long_enough_is_told_for_whom_and_waits_no_more(door: Door) -> None:
    door("run 7").acquire("a", purpose="a regression")
    leases = door("run 8")
    with pytest.raises(RigTaken, match=r"not served in 0.2 s: a is held by run 7"):
        leases.acquire("a", purpose="a run", wait=0.2)
    with pytest.raises(RigTaken, match=r"^a is held by run 7[^;]*;[^;]*$"):
        leases.acquire("a", purpose="a run")  # nobody is ahead of it any more


def test_a_rig_is_held_since_it_was_given_not_since_it_was_asked_for(door: Door) -> None:
    request = door().request("a", purpose="a run")
    request.ask = replace(request.ask, by=replace(request.ask.by, since="2020-01-01T00:00:00Z"))
    assert request.poll() is not None
    holder = standing(door(), "a").holder
    assert holder is not None
    assert not holder.since.startswith("2020")


def test_a_wait_is_broken_off_when_its_leases_are_closed(door: Door) -> None:
    door("run 7").acquire("a", purpose="a run")
    leases = door("run 8")
    asked = threading.Event()
    closing = threading.Thread(target=lambda: (asked.wait(LONG), leases.close()))
    closing.start()
    with pytest.raises(RigTaken, match="waited no longer for a: the wait was broken off"):
        leases.acquire("a", purpose="a run", wait=LONG, told=lambda _: asked.set())
    closing.join()


def test_waiting_requests_are_served_by_priority_then_age(door: Door) -> None:
    lease = door("run 7").acquire("a", purpose="a run")
    waiting = {
        name: door(name).request("a", purpose="a run", priority=priority)
        for name, priority in [("old", 0), ("new", 0), ("urgent", 5)]
    }
    assert [each.poll() for each in waiting.values()] == [None] * 3
    lease.release()
    order = []
    while waiting:
        served = {name: got for name, each in waiting.items() if (got := each.poll())}
        assert len(served) == 1
        for name, got in served.items():
            order.append(name)
            del waiting[name]
            got.release()
    assert order == ["urgent", "old", "new"]


def test_who_comes_later_does_not_overtake_who_waits(door: Door) -> None:
    lease = door("run 7").acquire("a", purpose="a run")
    waiting = door("run 8").request("a", purpose="a run")
    assert waiting.poll() is None
    lease.release()
    with pytest.raises(RigTaken, match="a is kept for run 8, who is served before"):
        door("run 9").acquire("a", purpose="a run")
    waiting.withdraw()
    waiting.withdraw()
    door("run 9").acquire("a", purpose="a run")


def test_a_set_is_not_starved_by_requests_for_single_rigs(door: Door) -> None:
    lease = door("run 7").acquire("b", purpose="a run")
    both = door("run 8").request("a", "b", purpose="a set")
    assert both.poll() is None
    with pytest.raises(RigTaken, match="a is kept for run 8"):
        door("run 9").acquire("a", purpose="a run")
    door("run 9").acquire("c", purpose="a run")  # which the set does not need
    lease.release()
    assert both.poll() is not None


def test_a_waiter_that_dies_keeps_nobody_waiting(door: Door) -> None:
    lease = door("run 7").acquire("b", purpose="a run")
    dying = door("run 8", expiry=0.5)
    assert dying.request("a", "b", purpose="a set").poll() is None
    dying.close()
    assert door("run 9").acquire("a", purpose="a run", wait=LONG).rigs == ("a",)
    lease.check()


def test_a_waiter_that_lives_keeps_its_turn_beyond_its_expiry(door: Door) -> None:
    lease = door("run 7").acquire("a", purpose="a run")
    first = door("run 8", expiry=STEADY).request("a", purpose="a run")
    assert first.poll() is None
    threading.Event().wait(1.2 * STEADY)
    lease.release()
    assert door("run 9").request("a", purpose="a run").poll() is None
    assert first.poll() is not None


def test_who_waits_for_a_rig_that_leaves_the_lab_is_told(door: Door) -> None:
    door("run 7").acquire("a", purpose="a run")
    waiting = door("run 8").request("a", purpose="a run")
    assert waiting.poll() is None
    door().retire("a")
    with pytest.raises(NoSuchRig):
        waiting.poll()


# People


def window(start: float, end: float) -> tuple[datetime, datetime]:
    """Hours from now."""
    now = datetime.now(UTC)
    return now + timedelta(hours=start), now + timedelta(hours=end)


def test_a_reserved_rig_is_given_to_its_person_alone_in_the_window(door: Door) -> None:
    ann, run = door("ann"), door("run 7")
    reservation = ann.reserve("a", *window(-0.5, 1), "an audit")
    with pytest.raises(RigTaken, match=r"a is reserved for ann from .* to .* UTC: an audit"):
        run.acquire("a", purpose="a run")
    assert run.acquire(of_dmc("dmc-1"), purpose="a run").rigs == ("b",)
    ann.acquire("a", purpose="the audit").release()
    ann.unreserve(reservation)
    ann.unreserve(reservation)
    run.acquire("a", purpose="a run")


def test_a_run_that_would_last_into_a_reservation_is_not_given_the_rig(door: Door) -> None:
    door("ann").reserve("a", *window(1, 2), "an audit")
    run = door("run 7")
    with pytest.raises(RigTaken, match="a is reserved for ann"):
        run.acquire("a", purpose="a long run", expected=2 * 3600)
    run.acquire("a", purpose="a short run", expected=60)


def test_of_reservations_those_are_told_that_are_not_over_and_as_in_the_way_those_that_are(
    door: Door,
) -> None:
    ann, run = door("ann"), door("run 7")
    for start, end, reason in ((-2, -1, "yesterday's"), (-1, 1, "an audit"), (2, 3, "a visit")):
        ann.reserve("a", *window(start, end), reason)
    assert [each.reason for each in run.reservations()] == ["an audit", "a visit"]
    waits = run.request("a", purpose="a run")
    assert waits.waits_for().endswith("UTC: an audit")
    assert "a visit" not in waits.waits_for()
    long = run.request("a", purpose="a run", expected=5 * 3600)
    assert "a visit" in long.waits_for()


def test_two_people_cannot_reserve_a_rig_for_the_same_time(door: Door) -> None:
    ann, bob = door("ann"), door("bob")
    ann.reserve("a", *window(1, 2), "an audit")
    with pytest.raises(RigTaken, match="a is reserved for ann") as refused:
        bob.reserve("a", *window(1.5, 3), "a visit")
    assert refused.value.remedy == "ask ann, or choose another time"
    bob.reserve("a", *window(2, 3), "a visit")
    bob.reserve("b", *window(1.5, 3), "a visit")
    assert [(each.rig, each.person) for each in ann.reservations()] == [
        ("a", "ann"),
        ("b", "bob"),
        ("a", "bob"),
    ]
    with pytest.raises(UsageError):
        ann.reserve("a", *window(5, 4), "an audit")
    with pytest.raises(NoSuchRig):
        ann.reserve("nowhere", *window(4, 5), "an audit")


def test_a_rig_in_maintenance_is_given_to_nobody_and_says_why(door: Door) -> None:
    bob, run = door("bob"), door("run 7")
    bob.maintain("a", "a new relay")
    with pytest.raises(RigTaken, match="a is in maintenance by bob: a new relay"):
        run.acquire("a", purpose="a run")
    with pytest.raises(RigTaken, match="in maintenance by bob") as refused:
        door("ann").maintain("a", "a new label")
    assert refused.value.remedy == "ask bob"
    bob.back_in_service("a")
    bob.back_in_service("a")
    with pytest.raises(RigTaken, match="a is dirty: back from maintenance by bob: a new relay"):
        run.acquire("a", purpose="a run")
    run.take_dirty("a").clean()
    run.acquire("a", purpose="a run")


def test_maintenance_drives_nobody_out_and_only_the_maintainer_cleans_in_it(door: Door) -> None:
    bob, run = door("bob"), door("run 7")
    lease = run.acquire("a", purpose="a run")
    bob.maintain("a", "a new relay")
    lease.check()
    lease.release(dirty="unknown")
    with pytest.raises(RigTaken, match="in maintenance by bob"):
        run.take_dirty("a")
    bob.take_dirty("a").clean()
    with pytest.raises(RigTaken, match="in maintenance by bob"):
        run.acquire("a", purpose="a run")


def test_a_rig_in_maintenance_is_kept_from_the_runs_of_who_maintains_it(door: Door) -> None:
    bob, run = door("bob"), door("bob", hands_on=False)
    lease = run.acquire("a", purpose="run 7")
    assert lease.wanted_back() == ""
    bob.maintain("a", "a new relay")
    assert lease.wanted_back() == "a is to be maintained by bob: a new relay"
    lease.release(dirty="unknown")
    with pytest.raises(RigTaken, match="in maintenance by bob"):
        run.take_dirty("a")
    bob.take_dirty("a").clean()
    waits = run.request("a", purpose="run 7")
    assert waits.poll() is waits.poll() is None  # it stands in the queue, as a run
    bob.acquire("a", purpose="harness device").release()
    assert waits.poll() is None
    assert "in maintenance by bob" in waits.waits_for()


def test_a_request_of_an_earlier_version_is_no_persons_hands(door: Door) -> None:
    bob, held = door("bob"), door("ann").acquire("a", purpose="a look")
    assert bob.request("a", purpose="run 7").poll() is None
    earlier = update(REQUEST).values(wanted='[{"rigs": ["a"], "dmc": ""}]')
    bob.store.write(lambda connection, _: connection.execute(earlier).rowcount)
    bob.maintain("a", "a new relay")
    held.release()
    assert bob.request("a", purpose="harness device").poll() is not None  # the run keeps nothing


def test_a_rig_whose_lease_was_lost_is_dirty_even_if_its_owner_gives_it_back_before_anybody_looks(
    door: Door,
) -> None:
    lost = threading.Event()
    leases, people = door("run 7", expiry=STEADY, on_lost=lambda _: lost.set()), door("ann")
    lease = leases.acquire("a", purpose="a run")
    people.evict("a", "it is needed")
    assert lost.wait(LONG)
    lease.release()
    told = standing(people, "a")
    assert (told.state, told.dirty_reason) == (RigState.DIRTY, "a run had lost its lease")


def test_nobody_can_be_evicted_from_a_free_rig(door: Door) -> None:
    with pytest.raises(RigTaken, match="nobody holds it: a is free"):
        door("ann").evict("a", "by mistake")


# Eight processes

HAMMER = """
import os, random, sys, time
from harness.rigs.leases import Leases
from harness.rigs.store import Store

url, clients, rounds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])


def client(seed):
    dice, told = random.Random(seed), []
    with Store(url, patience=60) as store, Leases(store, f"client {seed}", expiry=60) as leases:
        for _ in range(rounds):
            wanted = dice.sample("abcde", dice.choice((1, 1, 2, 3)))
            lease = leases.acquire(*wanted, purpose="hammering", wait=60, priority=dice.choice((0, 0, 1)))
            began = time.monotonic_ns()
            lease.check()
            time.sleep(dice.random() / 200)
            ended = time.monotonic_ns()
            lease.release()
            for rig, token in lease.tokens.items():
                told.append(f"{seed} {rig} {len(wanted)} {token} {began} {ended}\\n")
    os.write(1, "".join(told).encode())


children = []
for seed in range(clients):
    children.append(os.fork())
    if not children[-1]:
        client(seed)
        os._exit(0)
sys.exit(any(os.waitpid(child, 0)[1] for child in children))
"""


def test_of_eight_processes_that_want_five_rigs_never_two_have_one(door: Door, url: str) -> None:
    door().enrol(dict.fromkeys("abcde", "dmc-1"))
    rounds = 8
    hammer = [sys.executable, "-c", HAMMER, url, "8", str(rounds)]
    done = subprocess.run(hammer, cwd=REPO, stdout=subprocess.PIPE, text=True, check=True, timeout=2 * LONG)
    held = [Turn.read(line) for line in done.stdout.splitlines()]
    for rig in "abcde":
        turns = sorted((turn for turn in held if turn.rig == rig), key=lambda turn: turn.began)
        for earlier, later in itertools.pairwise(turns):
            assert earlier.ended <= later.began, f"two had it at once: {earlier}, {later}"
        assert [turn.token for turn in turns] == list(range(1, len(turns) + 1))
    whole = Counter((turn.client, turn.began, turn.wanted) for turn in held)
    assert len(whole) == 8 * rounds
    assert all(rigs == wanted for (_, _, wanted), rigs in whole.items())


class Turn(NamedTuple):
    """A client's time with a rig, of as many as it wanted at once."""

    client: int
    rig: str
    wanted: int
    token: int
    began: int
    ended: int

    @classmethod
    def read(cls, line: str) -> Turn:
        client, rig, *rest = line.split()
        return cls(int(client), rig, *map(int, rest))


# A store in trouble


def test_a_locked_store_is_waited_for(door: Door, locked: Callable[[], AbstractContextManager[None]]) -> None:
    leases = door()
    release = threading.Event()
    holding = threading.Event()

    def hold() -> None:
        with locked():
            holding.set()
            release.wait(LONG)

    other = threading.Thread(target=hold)
    other.start()
    holding.wait(LONG)
    timer = threading.Timer(0.6, release.set)
    timer.start()
    lease = leases.acquire("a", purpose="a run")
    assert release.is_set()
    lease.check()
    timer.join()
    other.join()


def test_a_store_that_stays_locked_is_a_lab_fault_that_says_so(door: Door, locked) -> None:
    leases = door(patience=0.3)
    lease = leases.acquire("b", purpose="a run")
    with locked():
        with pytest.raises(StoreBusy, match="lock") as busy:
            leases.acquire("a", purpose="a run")
        assert isinstance(busy.value, LabFault)
        assert not busy.value.suspect
        assert busy.value.remedy == "find the process that keeps it locked"
        with pytest.raises(StoreBusy):
            lease.release()
    with pytest.raises(StaleLease):
        lease.check()  # we are done with it, although the store does not know yet
    lease.release()
    assert standing(leases, "b").state is RigState.FREE
