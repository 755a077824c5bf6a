"""A store of each kind: SQLite, and a PostgreSQL server that the tests start themselves."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from harness.rigs.leases import Leases
from harness.rigs.store import Store, sqlite_url
from tests.harness.rigs.postgresql import Cluster, cluster, server_binaries

LONG = 60.0  # seconds: an expiry, or a patience, that no test reaches
Door = Callable[..., Leases]


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Cluster]:
    binaries = server_binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL server is installed (Debian: apt-get install postgresql)")
    pytest.importorskip("psycopg", reason="psycopg is not installed (extra postgresql)")
    with cluster(binaries) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return sqlite_url(tmp_path)
    server: Cluster = request.getfixturevalue("postgresql")
    return server.empty()


@pytest.fixture
def door(url: str) -> Iterator[Door]:
    """Leases for an owner, each with a store of its own, as processes have it; the lab has rigs a, b, c."""
    opened: list[Leases] = []

    def make(owner: str = "run 7", *, expiry: float = LONG, patience: float = LONG, **more) -> Leases:
        leases = Leases(Store(url, patience=patience), owner, expiry=expiry, **more)
        opened.append(leases)
        return leases

    make().enrol({"a": "dmc-1", "b": "dmc-1", "c": "dmc-2"})
    yield make
    for leases in opened:
        leases.close()
        leases.store.close()


@pytest.fixture
def locked(url: str) -> Callable[[], AbstractContextManager[None]]:
    """Another program that keeps the whole store locked."""
    return lambda: _locked_sqlite(url) if url.startswith("sqlite") else _locked_postgresql(url)


@contextmanager
def _locked_sqlite(url: str) -> Iterator[None]:
    connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    yield
    connection.execute("ROLLBACK")
    connection.close()


@contextmanager
def _locked_postgresql(url: str) -> Iterator[None]:
    import psycopg

    with psycopg.connect(url) as connection:
        connection.execute("LOCK TABLE lab_store, rig, request IN ACCESS EXCLUSIVE MODE")
        yield
        connection.rollback()
