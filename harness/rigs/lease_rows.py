"""Leases as rows: each function is a transaction's work, alone in the store unless it says otherwise.

How they stand is in :mod:`harness.rigs.lease_views`, and what people do with rigs besides in
:mod:`harness.rigs.people_rows`.

This module loads SQLAlchemy: import it inside the functions that need it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, delete, insert, select, update

from harness.rigs.lease_views import (
    RIGS,
    as_json,
    expired,
    rig_of,
    standings_of,
    status_of,
    turns_of,
    why_gone,
)
from harness.rigs.lease_words import Ask, Grant, Holder, NoSuchRig, RigState, RigTaken, StaleLease
from harness.rigs.queue import Standing, assign, kept_out_by_maintenance, next_served
from harness.rigs.tables import REQUEST, RIG, STORE

_GIVE: Final = (
    update(RIG)
    .where(RIG.c.name == bindparam("rig"))
    .values(
        {
            name: bindparam(f"to_{name}")
            for name in (*Holder.__dataclass_fields__, "lease_id", "state", "expires_us", "priority")
        }
        | {"token": RIG.c.token + 1, "evicted": ""}
    )
)
_END: Final = (
    update(RIG)
    .where(RIG.c.lease_id == bindparam("lease"))
    .values(lease_id=None, state=bindparam("to"), dirty_reason=bindparam("why"))
)
_END_EXPIRED: Final = _END.where(RIG.c.expires_us <= bindparam("now"))
_RENEW: Final = (
    update(RIG)
    .where(RIG.c.lease_id == bindparam("lease"), RIG.c.evicted == "")
    .values(expires_us=bindparam("until"))
)
_RENEW_REQUEST: Final = (
    update(REQUEST).where(REQUEST.c.id == bindparam("request")).values(expires_us=bindparam("until"))
)
_END_REQUEST: Final = delete(REQUEST).where(REQUEST.c.id == bindparam("request"))
CHANGED: Final = update(STORE).values(changes=STORE.c.changes + 1)
_CHANGES: Final = select(STORE.c.changes)


def changes(connection: Connection, _: int) -> int:
    """A number that has grown if anybody who waits may be served now."""
    return int(connection.execute(_CHANGES).scalar_one())


def serve(ask: Ask, *, queue: bool) -> Callable[[Connection, int], Grant | None]:
    """Give the rigs if it is this request's turn; else put it into the queue, if it is to wait."""

    def work(connection: Connection, now: int) -> Grant | None:
        rows = settled(connection, now)
        given = {row.name: row.token for row in rows if row.lease_id == ask.id}
        if given:  # by a try whose end was not known
            return Grant(given)
        _refuse_what_can_never_be(ask, rows)
        queued, turns = turns_of(connection, now, ask, rows)
        got = next_served(turns, *standings_of(connection, rows)).get(ask.id)
        if got is not None:
            if queued:
                connection.execute(_END_REQUEST, {"request": ask.id})
            return _give(connection, now, ask, [row for row in rows if row.name in got])
        if queue:
            _wait(connection, now, ask, queued=queued)
        return None

    return work


def _give(
    connection: Connection, now: int, ask: Ask, rows: Sequence[Row[Any]], *, cleaning: bool = False
) -> Grant:
    state = RigState.DIRTY if cleaning else RigState.HELD
    lease = {"lease_id": ask.id, "state": state, "expires_us": now + ask.expiry_us, "priority": ask.priority}
    holder = asdict(ask.by) | {"since": f"{datetime.now(UTC):%FT%TZ}"}  # not since it was asked for
    values = {f"to_{name}": value for name, value in (lease | holder).items()}
    for row in rows:
        connection.execute(_GIVE, values | {"rig": row.name})
    return Grant({row.name: row.token + 1 for row in rows})


def _wait(connection: Connection, now: int, ask: Ask, *, queued: bool) -> None:
    until = now + ask.expiry_us
    if queued:
        connection.execute(_RENEW_REQUEST, {"request": ask.id, "until": until})
        return
    gone = connection.execute(delete(REQUEST).where(REQUEST.c.expires_us <= now)).rowcount
    values = {"id": ask.id, "wanted": as_json(ask), "priority": ask.priority, "expected_s": ask.expected}
    connection.execute(insert(REQUEST).values(values | asdict(ask.by) | {"expires_us": until}))
    if gone:
        connection.execute(CHANGED)


def withdraw(request: str) -> Callable[[Connection, int], None]:
    """The request waits no more; what it kept for itself is there for others."""

    def work(connection: Connection, _: int) -> None:
        if connection.execute(_END_REQUEST, {"request": request}).rowcount:
            connection.execute(CHANGED)

    return work


def take_dirty(rig: str, ask: Ask) -> Callable[[Connection, int], Grant]:
    """Give a dirty rig to who will clean it; while in maintenance only to who maintains it, by hand."""

    def work(connection: Connection, now: int) -> Grant:
        row = rig_of(settled(connection, now), rig)
        if row.lease_id == ask.id:
            return Grant({rig: row.token})
        others = kept_out_by_maintenance(row.maintenance_by, ask.by.owner, hands_on=ask.hands_on)
        if others or row.lease_id is not None or row.state != RigState.DIRTY:
            raise RigTaken(
                str(status_of(row, now)), remedy="only a dirty rig that nobody cleans yet is taken so"
            )
        return _give(connection, now, ask, [row], cleaning=True)

    return work


def clean(lease: str, tokens: Mapping[str, int]) -> Callable[[Connection, int], None]:
    """The rig's bench is in the safe state and its self-check passed: it is free."""

    def work(connection: Connection, now: int) -> None:
        for row in connection.execute(RIGS):
            if row.name in tokens and row.lease_id != lease:
                if row.state == RigState.FREE and row.token == tokens[row.name]:
                    return  # done by a try whose end was not known
                raise StaleLease(f"this is not clean by us: {status_of(row, now)}")
        end(lease, dirty="")(connection, now)

    return work


def end(lease: str, dirty: str) -> Callable[[Connection, int], None]:
    """Give the rigs back, free, or dirty for a reason. A lease that has ended already stays as it ended."""
    state = RigState.DIRTY if dirty else RigState.FREE

    def work(connection: Connection, _: int) -> None:
        if connection.execute(_END, {"lease": lease, "to": state, "why": dirty}).rowcount:
            connection.execute(CHANGED)

    return work


def renew(
    leases: Iterable[str], requests: Iterable[str], expiry_us: int
) -> Callable[[Connection, int], frozenset[str]]:
    """A heartbeat: those of the leases that are still ours hold for another expiry. Needs not be alone."""

    def work(connection: Connection, now: int) -> frozenset[str]:
        until = now + expiry_us
        for request in requests:
            connection.execute(_RENEW_REQUEST, {"request": request, "until": until})
        return frozenset(
            lease for lease in leases if connection.execute(_RENEW, {"lease": lease, "until": until}).rowcount
        )

    return work


def settled(connection: Connection, now: int) -> Sequence[Row[Any]]:
    """The rigs of the lab, after what an owner that is gone held has become dirty."""
    rows = connection.execute(RIGS).all()
    ended = False
    for row in {row.lease_id: row for row in rows if expired(row, now)}.values():
        # A heartbeat does not wait for us: the lease ends only if it is still expired when we end it.
        values = {"lease": row.lease_id, "now": now, "to": RigState.DIRTY, "why": why_gone(row)}
        ended = bool(connection.execute(_END_EXPIRED, values).rowcount) or ended
    if not ended:
        return rows
    connection.execute(CHANGED)
    return connection.execute(RIGS).all()


def _refuse_what_can_never_be(ask: Ask, rows: Iterable[Row[Any]]) -> None:
    all_rigs = [Standing(row.name, row.dmc) for row in rows]
    if assign(ask.slots, all_rigs) is not None:
        return
    missing = [str(slot) for slot in ask.slots if not any(map(slot.suits, all_rigs))]
    what = f"no {' and no '.join(missing)}" if missing else f"not as many rigs as {ask.wanted}"
    raise NoSuchRig(f"the lab has {what}", remedy="see the lab's rigs: harness rigs")
