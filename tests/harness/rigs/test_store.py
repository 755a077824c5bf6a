"""What a store keeps, whatever happens to it, its clock and its disk; the same on SQLite and PostgreSQL."""

from __future__ import annotations

import contextlib
import os
import socket
import sqlite3 as driver
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from harness.domain.errors import ConfigurationError
from harness.rigs import lease_rows
from harness.rigs.leases import Leases
from harness.rigs.store import LONGEST_UNSEEN, Store, StoreAway, StoreBusy, StoreFault, StoreFull, sqlite_url
from tests.harness.rigs.conftest import LONG, Door
from tests.harness.rigs.postgresql import Cluster

REPO = Path(__file__).parents[3]
HOUR = 3600 * 1_000_000  # µs


def states(leases: Leases) -> str:
    return " ".join(f"{each.rig} {each.state} {each.token}" for each in leases.rigs())


def execute(store: Store, statement: str, **values: Any) -> None:
    store.write(lambda connection, _: connection.execute(text(statement), values))


# Restarts


def test_a_store_that_is_opened_again_has_everything(door: Door) -> None:
    first = door("run 7")
    lease = first.acquire("a", purpose="a run")
    first.acquire("b", purpose="a run").release(dirty="unknown")
    assert door("run 8").request("a", purpose="a run", priority=3).poll() is None
    now = datetime.now(UTC)
    door("ann").reserve("c", now + timedelta(hours=1), now + timedelta(hours=2), "an audit")
    door("bob").maintain("c", "a new relay")
    first.store.close()  # its connections; the next use opens others
    again = door("run 9")
    assert states(again) == "a held 1 b dirty 1 c free 0"
    assert [each.person for each in again.reservations()] == ["ann"]
    assert again.rigs()[2].maintenance_reason == "a new relay"
    lease.release()
    assert again.request("a", purpose="a run").poll() is None  # run 8 waits
    assert "kept for run 8" in again.request("a", purpose="a run").waits_for()


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_server_that_restarts_or_crashes_loses_nothing(postgresql: Cluster, mode: str) -> None:
    with Store(postgresql.empty()) as store, Leases(store, "run 7", expiry=LONG) as leases:
        leases.enrol({"a": "dmc-1", "b": "dmc-1"})
        lease = leases.acquire("a", purpose="a run")
        postgresql.stop(mode)
        postgresql.start()
        assert states(leases) == "a held 1 b free 0"
        lease.release()
        assert leases.acquire("a", purpose="a run").tokens == {"a": 2}


def test_a_server_that_is_away_longer_than_an_expiry_takes_no_lease_from_who_still_lives(
    postgresql: Cluster,
) -> None:
    expiry = 4.0  # of which a second counts that nobody has seen
    with (
        Store(postgresql.empty(), patience=0.2) as store,
        Leases(store, "run 7", expiry=expiry) as leases,
        Store(postgresql.url, patience=LONG) as other,
        Leases(other, "run 8") as others,
    ):
        leases.enrol({"a": "dmc-1"})
        lease = leases.acquire("a", purpose="a run")
        postgresql.stop()
        time.sleep(1.05 * expiry)
        with pytest.raises(StoreAway) as away:
            lease.check()
        assert away.value.remedy == "start the database server, or correct its URL"
        postgresql.start()
        assert states(others) == "a held 1"
        lease.check()


# Clocks


@pytest.mark.parametrize("step", [-HOUR, HOUR])
def test_a_servers_clock_that_is_set_frees_nothing_early_and_keeps_nothing_long(
    postgresql: Cluster, step: int
) -> None:
    with (
        Store(postgresql.empty()) as store,
        Leases(store, "run 7", expiry=4) as living,
        Leases(store, "run 8", expiry=4) as dying,
        Leases(store, "run 9") as waiting,
    ):
        living.enrol({"a": "dmc-1", "b": "dmc-1"})
        kept = living.acquire("a", purpose="a run")
        dying.acquire("b", purpose="a run")
        dying.close()
        execute(store, "UPDATE lab_store SET raw_us = raw_us - :step", step=step)  # as if the clock were set
        assert states(waiting) == "a held 1 b held 1"
        began = time.monotonic()
        while states(waiting) != "a held 1 b dirty 1":
            assert time.monotonic() - began < LONG
            time.sleep(0.1)
        assert time.monotonic() - began > 4 - 1 - 2 * LONGEST_UNSEEN / 1e6
        kept.check()


def test_a_hosts_wall_clock_that_is_set_moves_no_expiry(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    leases = door("run 7", expiry=LONG)
    lease = leases.acquire("a", purpose="a run")
    before = leases.store.read(lambda _, now: now)
    for hours in (-1, 1):
        there = time.time() + hours * 3600
        monkeypatch.setattr(time, "time", lambda there=there: there)
        assert 0 <= door().store.read(lambda _, now: now) - before < LONG * 1e6
        assert states(door()) == "a held 1 b free 0 c free 0"
        lease.check()


def test_the_stores_clock_only_grows(door: Door) -> None:
    stores = [door().store for _ in range(3)]
    times = [store.write(lambda _, now: now) for _ in range(10) for store in stores]
    assert times == sorted(times)


# SQLite is for one host


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Callable[..., Leases]]:
    opened: list[Leases] = []

    def make(**settings: Any) -> Leases:
        opened.append(Leases(Store(sqlite_url(tmp_path), **settings), "run 7", expiry=LONG))
        return opened[-1]

    make().enrol({"a": "dmc-1", "b": "dmc-1"})
    yield make
    for leases in opened:
        leases.close()
        leases.store.close()


def test_after_a_reboot_every_owner_is_gone_and_every_rig_that_was_held_is_dirty(sqlite) -> None:
    before = sqlite()
    lease = before.acquire("a", purpose="a run")
    before.close()
    execute(before.store, "UPDATE lab_store SET boot = 'an earlier one'")
    after = sqlite()
    assert states(after) == "a dirty 1 b free 0"
    after.take_dirty("a").clean()
    assert after.acquire("a", purpose="a run").tokens == {"a": 3}
    assert after.store.read(lambda _, now: now) > LONG * 1e6
    assert not lease.lost.is_set()


def test_another_hosts_store_is_refused_until_it_is_adopted(sqlite) -> None:
    before = sqlite()
    before.acquire("a", purpose="a run")
    execute(before.store, "UPDATE lab_store SET boot = 'of another', host = 'bench-host-2'")
    with pytest.raises(StoreFault, match="belongs to host bench-host-2; this is") as refused:
        sqlite().rigs()
    assert "PostgreSQL" in refused.value.remedy
    assert states(sqlite(adopt=True)) == "a dirty 1 b free 0"
    assert states(sqlite()) == "a dirty 1 b free 0"


def test_what_is_written_is_on_the_disk(sqlite) -> None:
    leases = sqlite()
    pragma = lambda name: leases.store.write(  # noqa: E731
        lambda connection, _: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
    )
    assert (pragma("journal_mode"), pragma("synchronous")) == ("wal", 2)


# Trouble


def test_many_may_open_a_new_store_at_once(url: str) -> None:
    stores = [Store(url, patience=LONG) for _ in range(6)]
    doors = [Leases(store, f"run {number}") for number, store in enumerate(stores)]
    threads = [threading.Thread(target=each.enrol, args=({each.owner: "dmc-1"},)) for each in doors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [each.rig for each in doors[0].rigs()] == [f"run {number}" for number in range(6)]
    for each, store in zip(doors, stores, strict=True):
        each.close()
        store.close()


def test_a_store_of_a_later_version_is_refused(door: Door) -> None:
    execute(door().store, "UPDATE lab_store SET version = 99")
    with pytest.raises(StoreFault, match="made by a later version of the harness"):
        door().rigs()


def test_a_writer_that_was_stopped_in_the_middle_holds_up_a_servers_others_for_a_second(
    postgresql: Cluster,
) -> None:
    """And its own work is done when it goes on, once."""
    with Store(postgresql.empty(), patience=LONG) as stopped, Store(postgresql.url, patience=LONG) as other:
        Leases(other, "run 8").enrol({"a": "dmc-1"})
        in_the_middle, go_on, tries = threading.Event(), threading.Event(), []

        def work(connection, now) -> None:
            tries.append(now)
            in_the_middle.set()
            go_on.wait(LONG)
            connection.execute(text("UPDATE rig SET token = token + 1"))

        thread = threading.Thread(target=stopped.write, args=(work,))
        thread.start()
        in_the_middle.wait(LONG)
        with Leases(other, "run 8") as leases:
            leases.acquire("a", purpose="a run").release()
        go_on.set()
        thread.join()
        assert len(tries) == 2
        assert states(Leases(other, "run 8")) == "a free 2"


def test_a_heartbeat_that_comes_while_its_lease_is_found_expired_keeps_it(
    postgresql: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A heartbeat waits for nobody: it may come between the look at a lease and its end."""
    with Store(postgresql.empty()) as late, Store(postgresql.url) as other:
        leases, others = Leases(late, "run 7", expiry=0.5), Leases(other, "run 8")
        leases.enrol({"a": "dmc-1"})
        lease = leases.acquire("a", purpose="a run")
        leases.close()
        began = time.monotonic()
        while states(others) != "a dirty 1":
            assert time.monotonic() - began < LONG
        expired = lease_rows.expired

        def found(row: Any, now: int) -> bool:
            monkeypatch.undo()
            leases.renew([lease])
            return expired(row, now)

        monkeypatch.setattr(lease_rows, "expired", found)
        others.maintain("a", "a new relay")
        assert not lease.lost.is_set()
        leases.renew([lease])
        lease.check()


def test_a_full_disk_is_a_lab_fault_that_says_so_and_what_was_written_is_kept(small_disk: Path) -> None:
    with Store(sqlite_url(small_disk)) as store, Leases(store, "run 7", expiry=LONG) as leases:
        leases.enrol({"a": "dmc-1"})
        lease = leases.acquire("a", purpose="a run")
        ballast = small_disk / "ballast"
        fill(ballast)
        many = {f"rig-{number} {'x' * 200}": "dmc-1" for number in range(400)}
        with pytest.raises(StoreFull) as full:
            leases.enrol(many)
        assert full.value.remedy == "make room on its disk"
        assert not full.value.suspect
        lease.check()
        assert states(leases).startswith("a held 1")
        ballast.unlink()
        lease.release()
        assert states(leases).startswith("a free 1")


def test_a_store_that_cannot_be_made_on_a_full_disk_says_so(small_disk: Path) -> None:
    fill(small_disk / "ballast")
    with Store(sqlite_url(small_disk)) as store, pytest.raises(StoreFull):
        store.read(lambda _, now: now)
    with contextlib.suppress(OSError):
        for number in range(20):  # not even a name has room
            (small_disk / str(number)).touch()
    with Store(sqlite_url(small_disk / "state")) as store, pytest.raises(StoreFull, match="No space left"):
        store.read(lambda _, now: now)


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            pass


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k,nr_inodes=12", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("a small disk cannot be mounted here: that takes root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_file_that_is_no_database_is_a_lab_fault(tmp_path: Path) -> None:
    (tmp_path / "lab.sqlite").write_text("not a database, " * 100)
    with Store(sqlite_url(tmp_path)) as store, pytest.raises(StoreFault, match="not a database") as fault:
        store.read(lambda _, now: now)
    assert type(fault.value) is StoreFault


def test_a_folder_that_cannot_be_made_is_a_lab_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with Store(sqlite_url(tmp_path / "file" / "state")) as store, pytest.raises(StoreFault, match="file"):
        store.read(lambda _, now: now)


def test_a_server_that_is_not_there_is_a_lab_fault_without_its_password(postgresql: Cluster) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"postgresql://lab:secret-word@127.0.0.1:{port}/lab"
    with Store(url, patience=0.1) as store, pytest.raises(StoreAway, match=f"127.0.0.1:{port}") as fault:
        store.read(lambda _, now: now)
    assert "secret-word" not in str(fault.value)


@pytest.mark.parametrize(
    "url", ["nonsense", "mysql://lab@host/lab", "sqlite3:///lab", "postgresql://h:abc/lab"]
)
def test_a_url_that_is_none_is_a_mistake_of_the_lab_file(url: str) -> None:
    with pytest.raises(ConfigurationError):
        Store(url)


def test_a_store_is_named_without_any_password_of_its_url() -> None:
    with Store("postgresql://lab:guess@db/lab?password=guessed&sslpassword=guessing") as store:
        assert store.name == "postgresql+psycopg://lab:***@db/lab"


def test_a_harness_without_the_driver_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ConfigurationError) as error:
        Store("postgresql://lab@127.0.0.1/lab")
    assert error.value.remedy == "pip install 'smets1-harness[postgresql]'"


def test_a_transaction_that_fails_changes_nothing(door: Door) -> None:
    store = door().store

    def work(connection, _) -> None:
        connection.execute(text("UPDATE rig SET token = 99"))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.write(work)
    assert states(door()) == "a free 0 b free 0 c free 0"


@pytest.mark.parametrize("committed", [False, True])
def test_a_grant_whose_end_was_not_known_is_made_once(door: Door, monkeypatch, committed: bool) -> None:
    """The connection breaks at the commit, before or after the store has heard of it."""
    leases = door()
    once = Store._once
    broken: list[bool] = []

    def breaking(self: Store, engine: Any, work: Any, *, alone: bool) -> Any:
        if broken:
            return once(self, engine, work, alone=alone)
        broken.append(True)
        if committed:
            once(self, engine, work, alone=alone)
        raise lost_connection()

    monkeypatch.setattr(Store, "_once", breaking)
    lease = leases.acquire("a", purpose="a run")
    assert lease.tokens == {"a": 1}
    broken.clear()
    lease.release()
    assert states(leases) == "a free 1 b free 0 c free 0"


def lost_connection() -> Exception:
    locked = driver.OperationalError("database is locked")
    locked.sqlite_errorname = "SQLITE_BUSY"
    return OperationalError("COMMIT", {}, locked)


def test_what_passes_by_itself_is_waited_for_no_longer_than_patience(door: Door, locked) -> None:
    store = door(patience=0.3).store
    with locked(), pytest.raises(StoreBusy) as busy:
        store.write(lambda _, now: now)
    if store.is_sqlite:
        assert f"locked by process {os.getpid()}" in busy.value.message
    store.write(lambda _, now: now)


def test_the_words_of_leases_load_no_database() -> None:
    python = "import harness.rigs.lease_words, harness.rigs.queue, sys; print('sqlalchemy' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", python], cwd=REPO, capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
