"""The tables of the lab's store: leases, health, durations; the same on SQLite and on PostgreSQL.

Times that count are whole microseconds of the store's own clock (:mod:`harness.rigs.store`), which no
host's wall clock moves. Times that a person said or reads are UTC: seconds since 1970, or ISO 8601 text.

This module loads SQLAlchemy: import it inside the functions that need it.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, Float, Integer, MetaData, String, Table, Text

VERSION: Final = 1  # of the tables; a store of a later version is refused
METADATA: Final = MetaData()

STORE: Final = Table(
    "lab_store",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),  # always 1
    Column("version", Integer, nullable=False),
    Column("changes", BigInteger, nullable=False),  # grows whenever somebody who waits may be served
    Column("store_us", BigInteger, nullable=False),  # the store's clock as it was last looked at
    Column("raw_us", BigInteger, nullable=False),  # and what it is derived from, at that moment
    Column("boot", String(64), nullable=False),  # SQLite: the boot of the host that raw_us is counted from
    Column("host", String(255), nullable=False),  # SQLite: that host
)

RIG: Final = Table(
    "rig",
    METADATA,
    Column("name", String(255), primary_key=True),
    Column("dmc", String(255), nullable=False),
    Column("enrolled", Boolean, nullable=False),  # a rig that left the lab keeps its row, and so its token
    Column("state", String(16), nullable=False),  # a word of harness.rigs.leases.RigState
    Column("token", BigInteger, nullable=False),  # the last one given out; it only grows
    Column("dirty_reason", Text, nullable=False, default=""),
    Column("maintenance_by", String(255), nullable=False, default=""),  # empty: it is in service
    Column("maintenance_reason", Text, nullable=False, default=""),
    Column("maintenance_since", String(32), nullable=False, default=""),  # UTC, ISO 8601
    # The lease, the same in all rigs of a set: one row to write for a rig that is taken, one to give it back.
    Column("lease_id", String(64)),  # null: nobody has it, and what follows is of the last who had
    Column("owner", String(255)),
    Column("host", String(255)),
    Column("process", Integer),
    Column("purpose", Text),
    Column("since", String(32)),  # UTC, ISO 8601, of the owner's host: to be read, not counted
    Column("priority", Integer),
    Column("expires_us", BigInteger),
    Column("evicted", Text),  # who ends the lease and why: it is renewed no more
)

REQUEST: Final = Table(
    "request",
    METADATA,
    Column(
        "number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True
    ),  # age
    Column("id", String(64), nullable=False, unique=True),
    Column("owner", String(255), nullable=False),
    Column("host", String(255), nullable=False),
    Column("process", Integer, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("since", String(32), nullable=False),  # UTC, ISO 8601
    Column("priority", Integer, nullable=False),
    Column("expected_s", Float, nullable=False),
    Column("wanted", Text, nullable=False),  # JSON
    Column("expires_us", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)

RESERVATION: Final = Table(
    "reservation",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("rig", String(255), nullable=False),
    Column("person", String(255), nullable=False),
    Column("reason", Text, nullable=False),
    Column("starts", Float, nullable=False),  # seconds since 1970, UTC
    Column("ends", Float, nullable=False),
)

_TOLD: Final = (  # the fields of harness.rigs.health_words.Health
    ("rig", String(255)),
    ("part", String(32)),  # empty: the rig itself
    ("state", String(16)),  # a word of harness.rigs.health_words.HealthState
    ("since", String(32)),  # UTC, ISO 8601
    ("by", Text),
    ("family", String(64)),
    ("reason", Text),
    ("remedy", Text),
)

HEALTH: Final = Table(
    "health",
    METADATA,
    *(Column(name, kind, nullable=False, primary_key=name in {"rig", "part"}) for name, kind in _TOLD),
    Column("faults", Integer, nullable=False),  # lab faults in a row
)

HISTORY: Final = Table(
    "health_history",
    METADATA,
    Column(
        "number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True
    ),  # order
    Column("note", String(64), nullable=False, index=True),  # what was written down together
    *(Column(name, kind, nullable=False, index=name == "rig") for name, kind in _TOLD),
    Column("faults", Integer, nullable=False),
    sqlite_autoincrement=True,
)

DURATION: Final = Table(
    "duration",
    METADATA,
    Column("test", Text, primary_key=True),  # the id of a planned test
    Column("mean_s", Float, nullable=False),
    Column("measured", Integer, nullable=False),  # measurements that the mean is made of
)
