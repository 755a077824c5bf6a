"""The lab's store: what must outlive every process. SQLite beside the lab by default, PostgreSQL by URL.

Every change is one short transaction, alone in the store, on the disk before it counts. A store that is
locked, full or away is a :class:`StoreFault` once its patience has run out, never a crash: what passes by
itself (another writer, a server that restarts) is tried again until then.

Which clock counts
------------------
Expiry is counted on *the store's clock*, in microseconds, which only grows. No wall clock goes into it.

- SQLite is for one host, so it is that host's ``CLOCK_BOOTTIME``: nobody can set it, and it runs on while the
  host is suspended. After a reboot it goes on beyond every expiry there was, for all owners are gone. A store
  that another host has used is refused.
- PostgreSQL is for several hosts, so the server's clock counts and theirs do not. That is a wall clock, and a
  stretch of it that nobody saw pass is worth :data:`LONGEST_UNSEEN` at most: a server whose clock is set back
  or forward an hour frees nothing early and keeps nothing long, and one that was down for an hour
  finds its leases as they were. Whoever waits or watches looks more often than that, so that for them
  time is real: a dead owner's rig is free one expiry after its last heartbeat or after somebody's first look.

A stopped process
-----------------
A process that is stopped in the middle of a transaction keeps the others from writing: PostgreSQL ends its
transaction after a second. SQLite cannot: the others get :class:`StoreBusy`, which names the process, when
their patience ends.

This module loads SQLAlchemy: import it inside the functions that need it.

>>> from tempfile import TemporaryDirectory
>>> with TemporaryDirectory() as folder, Store(sqlite_url(Path(folder))) as store:
...     earlier = store.read(lambda _, now: now)
...     store.read(lambda _, now: now) >= earlier
True
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, func, insert, inspect, select, text, update
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from harness.domain.errors import ConfigurationError, LabFault
from harness.rigs.tables import METADATA, REQUEST, RIG, STORE, VERSION

T = TypeVar("T")
Work = Callable[[Connection, int], T]

PATIENCE: Final = 10.0  # seconds that a busy or absent store is waited for
LONGEST_UNSEEN: Final = 1_000_000  # µs
_BUSY_WAIT: Final = (
    250  # ms that SQLite, or PostgreSQL's lock, waits before we look whether patience has ended
)
_STOPPED_AFTER: Final = 1_000  # ms after which PostgreSQL ends the transaction of a client that says no more
_LOOK: Final = 0.002  # seconds between two looks whether it is our turn
_PAUSE: Final = 0.05  # seconds between two tries
_ROOM: Final = 65_536  # bytes free below which an input/output error means a full disk
_LOCK_WORDS: Final = 8  # of a lock that is held, in /proc/locks
_WRITER_BYTE: Final = "120"  # of SQLite's shared-memory file: who has it locked writes to the write-ahead log
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_log: Final = logging.getLogger(__name__)


class StoreFault(LabFault):
    """The lab's store cannot be read or written. The message says why; no rig is to blame."""

    suspect = False
    passing = False  # whether it may pass by itself


class StoreBusy(StoreFault):
    """Another writer kept the store locked for longer than our patience. Find the process that is stuck."""

    passing = True


class StoreFull(StoreFault):
    """The disk that the store is on is full. Make room; what was written before is kept."""


class StoreAway(StoreFault):
    """The database server cannot be reached, or went away. Start it, or correct its URL."""

    passing = True


def boottime() -> float:
    """Seconds since this host was started, suspended ones too. No clock that is set moves it."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def sqlite_url(state: Path) -> str:
    """The URL of the store that a lab has under its state folder unless it names another."""
    return f"sqlite:///{state / 'lab.sqlite'}"


class Store:
    """A database. Life cycle: make (nothing is touched yet), :meth:`read`, :meth:`write`, :meth:`close`.

    Threads may share it; a process that was forked makes one of its own. ``adopt`` takes over an SQLite
    store from a host that is gone for good or was renamed: every lease in it has then expired, and
    ``taken_from`` is that host.
    """

    def __init__(self, url: str, *, patience: float = PATIENCE, adopt: bool = False) -> None:
        self.url = url  # with its password, if it has one
        self.patience = patience
        self._adopt = adopt
        self.taken_from = ""
        self._waiting = threading.Event()  # never set: it makes a pause
        self._preparing = threading.Lock()
        self._ready = False
        self._offset = 0  # µs from CLOCK_BOOTTIME to the store's clock (SQLite)
        self._engine = _engine(url)
        self._writing: Engine = self._engine.execution_options(writes=True)
        self.is_sqlite = self._engine.dialect.name == "sqlite"
        self._folder = Path(self._engine.url.database or ".").parent
        named = self._engine.url.set(query={})  # which may have a password of its own
        self.name = named.render_as_string(hide_password=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    def read(self, work: Work[T], *, patience: float | None = None) -> T:
        """What ``work`` makes of what it reads, waiting for no writer. It is given the store's time in µs."""
        return self._patiently(lambda: self._once(self._engine, work, alone=False), patience)

    def write(self, work: Work[T], *, patience: float | None = None, alone: bool = True) -> T:
        """One transaction, durable when this returns.

        ``work`` may be called again where a try came to nothing or its end is not known, so it must do the
        same then. With ``alone=False`` it waits for no others on PostgreSQL: for changes of its own rows.
        """
        return self._patiently(lambda: self._once(self._writing, work, alone=alone), patience)

    def _once(self, engine: Engine, work: Work[T], *, alone: bool) -> T:
        self._prepare()
        with self._turn(engine), engine.begin() as connection:
            if self.is_sqlite:
                now = self._boot_us() + self._offset
            else:
                now = _tick(connection) if alone else _look(connection)
            return work(connection, now)

    @contextmanager
    def _turn(self, engine: Engine) -> Iterator[None]:
        """Our turn to write to an SQLite store. Only for speed: its own lock is what keeps writers apart.

        SQLite looks for that lock the less often the longer it has waited, so that of eight writers some
        hardly ever get in. Here all look equally often, at little cost: nobody is sent word that it is free.
        """
        if not self.is_sqlite or engine is not self._writing:
            yield
            return
        with self._writable():
            file = os.open(f"{self._engine.url.database}-turn", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            ends = time.monotonic() + _BUSY_WAIT / 1000
            while not _locked(file) and time.monotonic() < ends:
                time.sleep(_LOOK)
            yield
        finally:
            os.close(file)

    def _patiently(self, attempt: Callable[[], T], patience: float | None) -> T:
        ends = time.monotonic() + (self.patience if patience is None else patience)
        while True:
            try:
                return attempt()
            except DBAPIError as error:
                fault = self._fault(error)
                if not fault.passing or time.monotonic() >= ends:
                    raise fault from error
                _log.debug("tried again: %s", fault)
            self._waiting.wait(_PAUSE)

    def _prepare(self) -> None:
        """Make the tables where they are not yet, and know the clock. Who finds both waits for no writer."""
        with self._preparing:
            if self._ready:
                return
            if self.is_sqlite:
                with self._writable():
                    self._folder.mkdir(parents=True, exist_ok=True)
            if not self._is_prepared():
                with self._turn(self._writing):
                    if not self._is_prepared():  # others came first, where many begin at once
                        self._make_ready()
            self._ready = True

    def _make_ready(self) -> None:
        with self._writing.begin() as connection:
            self._create(connection)
            if self.is_sqlite:
                self._offset = self._sqlite_offset(connection)

    def _is_prepared(self) -> bool:
        """Whether others have made the tables, and since the last boot looked at the clock."""
        with self._engine.begin() as connection:
            if not inspect(connection).has_table(STORE.name):
                return False
            row = connection.execute(select(STORE)).one_or_none()
            if row is None or row.version != VERSION:
                return False
            if self.is_sqlite and row.boot != _BOOT_ID.read_text().strip():
                return False
            self._offset = int(row.store_us - row.raw_us)
            return True

    @contextmanager
    def _writable(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            kind = StoreFull if error.errno == errno.ENOSPC else StoreFault
            remedy = _REMEDIES.get(kind, "let the lab's state folder be written")
            raise kind(f"{self.name}: {error}", remedy=remedy) from error

    def _create(self, connection: Connection) -> None:

        if not self.is_sqlite:  # two that make the tables at once would clash
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _CREATION_LOCK})
        METADATA.create_all(connection)
        version = connection.execute(select(STORE.c.version)).scalar_one_or_none()
        if version is None:
            first = {
                "id": 1,
                "version": VERSION,
                "changes": 0,
                "store_us": 0,
                "raw_us": 0,
                "boot": "",
                "host": "",
            }
            connection.execute(insert(STORE).values(first))
        elif version > VERSION:
            problem = f"{self.name} was made by a later version of the harness ({version}, ours is {VERSION})"
            raise StoreFault(problem, remedy="use that version, or another store")

    def _sqlite_offset(self, connection: Connection) -> int:
        """From CLOCK_BOOTTIME to the store's clock. A boot later it begins beyond every expiry there was."""
        boot, host = _BOOT_ID.read_text().strip(), socket.gethostname()
        row = connection.execute(select(STORE)).one()
        if row.boot == boot:
            return int(row.store_us - row.raw_us)
        if row.boot and row.host != host and not self._adopt:
            problem = f"{self.name} belongs to host {row.host}; this is {host}"
            remedy = (
                "share rigs between hosts by a PostgreSQL store; if that host was renamed, or is gone for"
            )
            raise StoreFault(problem, remedy=f"{remedy} good: harness rigs adopt")
        self.taken_from = row.host if row.host != host else ""
        last = (select(func.max(table.c.expires_us)).scalar_subquery() for table in (RIG, REQUEST))
        expiries = connection.execute(select(*last)).one()
        raw, began = self._boot_us(), max(row.store_us, *(each or 0 for each in expiries)) + 1
        connection.execute(update(STORE).values(boot=boot, host=host, raw_us=raw, store_us=began))
        return int(began - raw)

    @staticmethod
    def _boot_us() -> int:
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000

    def _fault(self, error: DBAPIError) -> StoreFault:
        what = f"{self.name}: {str(error.orig).strip()}"
        if self.is_sqlite:
            kind = self._sqlite_kind(getattr(error.orig, "sqlite_errorname", ""))
            what += self._sqlite_writer() if kind is StoreBusy else ""
        else:
            kind = _postgresql_kind(getattr(error.orig, "sqlstate", None))
        return kind(what, remedy=_REMEDIES.get(kind, ""))

    def _sqlite_kind(self, code: str) -> type[StoreFault]:
        if code.startswith(("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_PROTOCOL")):
            return StoreBusy
        full = code.startswith(("SQLITE_IOERR", "SQLITE_CANTOPEN")) and self._no_room()
        return StoreFull if full or code == "SQLITE_FULL" else StoreFault

    def _sqlite_writer(self) -> str:
        """Who writes now, as the kernel knows it. To open the file and ask would drop our own locks on it."""
        try:
            inode = Path(f"{self._engine.url.database}-shm").stat().st_ino
            locks = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
        except OSError:
            return ""
        for _, kind, _, mode, process, file, begins, *_ in (
            lock for lock in locks if len(lock) == _LOCK_WORDS
        ):
            if (kind, mode, begins) == ("POSIX", "WRITE", _WRITER_BYTE) and file.endswith(f":{inode}"):
                return f" by process {process}"
        return ""

    def _no_room(self) -> bool:
        try:
            return shutil.disk_usage(self._folder).free < _ROOM
        except OSError:
            return False


_CREATION_LOCK: Final = 0x4C4142  # "LAB"
_REMEDIES: Final[dict[type[StoreFault], str]] = {
    StoreBusy: "find the process that keeps it locked",
    StoreFull: "make room on its disk",
    StoreAway: "start the database server, or correct its URL",
}


def _locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _postgresql_kind(state: str | None) -> type[StoreFault]:
    """By SQLSTATE; a connection that broke, or never was, has none."""
    if state in {"53100"}:  # disk_full
        return StoreFull
    if state in {
        "55P03",
        "40001",
        "40P01",
        "25P03",
    }:  # locked, serialisation, deadlock, silent in a transaction
        return StoreBusy
    if state is None or state.startswith(
        ("08", "57P", "53300")
    ):  # broken, shutting down, too many connections
        return StoreAway
    return StoreFault


def _look(connection: Connection) -> int:
    """PostgreSQL: the store's time. Waits for nobody, and writes it down only where nobody has for long."""
    row = connection.execute(text(_NOW)).one()
    if row.unseen < LONGEST_UNSEEN // 2:
        return int(row.now)
    free = connection.execute(text("SELECT 1 FROM lab_store FOR UPDATE SKIP LOCKED")).one_or_none()
    return int(row.now) if free is None else int(connection.execute(text(_TICK)).scalar_one())


def _tick(connection: Connection) -> int:
    """PostgreSQL: the store's time, written down, so that this transaction is alone from here on."""
    connection.execute(
        text("SELECT 1 FROM lab_store FOR UPDATE")
    )  # its own statement: the clock is read after it
    return int(connection.execute(text(_TICK)).scalar_one())


_RAW: Final = "(SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS us) AS raw"
_PASSED: Final = f"store_us + greatest(0, least({LONGEST_UNSEEN}, raw.us - raw_us))"
_NOW: Final = f"SELECT {_PASSED} AS now, abs(raw.us - raw_us) AS unseen FROM lab_store, {_RAW}"  # noqa: S608 - constants of ours
_TICK: Final = f"UPDATE lab_store SET store_us = {_PASSED}, raw_us = raw.us FROM {_RAW} RETURNING store_us"  # noqa: S608


def _engine(url: str) -> Engine:
    """Raises :class:`ConfigurationError` for a URL that is none, or a database that is not installed."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:  # ValueError: its port is no number
        raise ConfigurationError(
            "the store's URL is none", remedy="write postgresql://user@host/name"
        ) from error
    if parsed.drivername in {"postgres", "postgresql"}:
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in {"sqlite", "postgresql+psycopg"}:
        raise ConfigurationError(
            f"no store is kept in {parsed.drivername}", remedy="use sqlite or postgresql"
        )
    try:
        if parsed.drivername == "sqlite":
            engine = create_engine(parsed, connect_args={"timeout": _BUSY_WAIT / 1000})
            event.listen(engine, "connect", _set_up_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
        else:
            engine = create_engine(parsed, connect_args=_POSTGRESQL_SETTINGS)
    except ImportError as error:
        remedy = "pip install 'smets1-harness[postgresql]'"
        raise ConfigurationError(f"the store is in PostgreSQL: {error}", remedy=remedy) from error
    return engine


_POSTGRESQL_SETTINGS: Final = {
    "connect_timeout": 5,  # seconds
    "tcp_user_timeout": 5_000,  # ms until a host that fell silent counts as gone
    "options": f"-c synchronous_commit=on -c lock_timeout={_BUSY_WAIT}"
    f" -c idle_in_transaction_session_timeout={_STOPPED_AFTER}",
}


def _set_up_sqlite(connection: Any, _: Any) -> None:
    """Durable means durable: a commit returns when the write-ahead log is on the disk."""
    connection.isolation_level = None  # transactions begin where _begin_sqlite says
    if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")


def _begin_sqlite(connection: Connection) -> None:
    """A writer is alone from its begin: two that first read and then wrote would both have to give up."""
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
