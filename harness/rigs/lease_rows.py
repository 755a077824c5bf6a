"""Leases as rows: each function is a transaction's work, alone in the store unless it says otherwise.

This module loads SQLAlchemy: import it inside the functions that need it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, delete, func, insert, select, text, update

from harness.domain.errors import UsageError
from harness.rigs.lease_words import (
    Ask,
    Grant,
    Holder,
    NoSuchRig,
    Reservation,
    RigState,
    RigStatus,
    RigTaken,
    StaleLease,
)
from harness.rigs.queue import Obstacle, Reserved, Slot, Standing, Wish, assign, next_served
from harness.rigs.tables import REQUEST, RESERVATION, RIG, STORE

_RIGS: Final = (
    select(
        RIG,
        select(func.count()).select_from(REQUEST).scalar_subquery().label("requests"),
        select(func.count()).select_from(RESERVATION).scalar_subquery().label("reservations"),
    )
    .where(RIG.c.enrolled)
    .order_by(RIG.c.name)
)
_REQUESTS: Final = (
    select(REQUEST)
    .where(REQUEST.c.expires_us > bindparam("now"))
    .order_by(REQUEST.c.priority.desc(), REQUEST.c.number)
)
_RESERVATIONS: Final = select(RESERVATION).order_by(RESERVATION.c.starts, RESERVATION.c.id)
_GIVE: Final = (
    update(RIG)
    .where(RIG.c.name == bindparam("rig"))
    .values(
        {
            name: bindparam(f"to_{name}")
            for name in (*Holder.__dataclass_fields__, "lease_id", "state", "expires_us")
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
_CHANGED: Final = update(STORE).values(changes=STORE.c.changes + 1)
_CHANGES: Final = select(STORE.c.changes)


def changes(connection: Connection, _: int) -> int:
    """A number that has grown if anybody who waits may be served now."""
    return int(connection.execute(_CHANGES).scalar_one())


def enrol(rigs: Mapping[str, str]) -> Callable[[Connection, int], None]:
    """Rigs and their DMCs are of the lab; one that was there before keeps its state and its token."""

    def work(connection: Connection, _: int) -> None:
        known = set(connection.execute(select(RIG.c.name)).scalars())
        for name, dmc in rigs.items():
            values = {"dmc": dmc, "enrolled": True}
            if name in known:
                connection.execute(update(RIG).where(RIG.c.name == name).values(values))
            else:
                new = {"name": name, "state": RigState.FREE, "token": 0}
                connection.execute(insert(RIG).values(new | values))
        connection.execute(_CHANGED)

    return work


def retire(rig: str) -> Callable[[Connection, int], None]:
    """The rig has left the lab. Its row stays, so that no token of it is ever given twice."""

    def work(connection: Connection, _: int) -> None:
        connection.execute(update(RIG).where(RIG.c.name == rig).values(enrolled=False))
        connection.execute(_CHANGED)

    return work


def serve(ask: Ask, *, queue: bool) -> Callable[[Connection, int], Grant | None]:
    """Give the rigs if it is this request's turn; else put it into the queue, if it is to wait."""

    def work(connection: Connection, now: int) -> Grant | None:
        rows = _settled(connection, now)
        given = {row.name: row.token for row in rows if row.lease_id == ask.id}
        if given:  # by a try whose end was not known
            return Grant(given)
        _refuse_what_can_never_be(ask, rows)
        queued, turns = _turns(connection, now, ask, rows)
        got = next_served(turns, *_standings(connection, rows)).get(ask.id)
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
    lease = {"lease_id": ask.id, "state": state, "expires_us": now + ask.expiry_us}
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
    wanted = json.dumps([asdict(slot) for slot in ask.slots])
    values = {"id": ask.id, "wanted": wanted, "priority": ask.priority, "expected_s": ask.expected}
    by = {name: value for name, value in asdict(ask.by).items() if name != "since"}
    connection.execute(insert(REQUEST).values(values | by | {"expires_us": until}))
    if gone:
        connection.execute(_CHANGED)


def withdraw(request: str) -> Callable[[Connection, int], None]:
    """The request waits no more; what it kept for itself is there for others."""

    def work(connection: Connection, _: int) -> None:
        if connection.execute(_END_REQUEST, {"request": request}).rowcount:
            connection.execute(_CHANGED)

    return work


def take_dirty(rig: str, ask: Ask) -> Callable[[Connection, int], Grant]:
    """Give a dirty rig to who will clean it; while in maintenance only to who maintains it."""

    def work(connection: Connection, now: int) -> Grant:
        row = _rig(_settled(connection, now), rig)
        if row.lease_id == ask.id:
            return Grant({rig: row.token})
        others = row.maintenance_by not in {"", ask.by.owner}
        if others or row.lease_id is not None or row.state != RigState.DIRTY:
            raise RigTaken(
                str(_status(row, now)), remedy="only a dirty rig that nobody cleans yet is taken so"
            )
        return _give(connection, now, ask, [row], cleaning=True)

    return work


def clean(lease: str, tokens: Mapping[str, int]) -> Callable[[Connection, int], None]:
    """The rig's bench is in the safe state and its self-check passed: it is free."""

    def work(connection: Connection, now: int) -> None:
        for row in connection.execute(_RIGS):
            if row.name in tokens and row.lease_id != lease:
                if row.state == RigState.FREE and row.token == tokens[row.name]:
                    return  # done by a try whose end was not known
                raise StaleLease(f"this is not clean by us: {_status(row, now)}")
        end(lease, dirty="")(connection, now)

    return work


def end(lease: str, dirty: str) -> Callable[[Connection, int], None]:
    """Give the rigs back, free, or dirty for a reason. A lease that has ended already stays as it ended."""
    state = RigState.DIRTY if dirty else RigState.FREE

    def work(connection: Connection, _: int) -> None:
        if connection.execute(_END, {"lease": lease, "to": state, "why": dirty}).rowcount:
            connection.execute(_CHANGED)

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


def evict(rig: str, by: str, reason: str) -> Callable[[Connection, int], None]:
    """The rig's lease is renewed no more: once it has expired the rig is dirty."""

    def work(connection: Connection, now: int) -> None:
        row = _rig(_settled(connection, now), rig)
        if row.lease_id is None:
            raise RigTaken(f"nobody holds it: {_status(row, now)}")
        ends = update(RIG).where(RIG.c.lease_id == row.lease_id).values(evicted=f"{by}: {reason}")
        connection.execute(ends)

    return work


def maintain(rig: str, by: str, reason: str) -> Callable[[Connection, int], None]:
    """The rig is given to nobody until it is back; who holds it now goes on."""

    def work(connection: Connection, now: int) -> None:
        row = _rig(_settled(connection, now), rig)
        if row.maintenance_by not in {"", by}:
            raise RigTaken(str(_status(row, now)), remedy=f"ask {row.maintenance_by}")
        values = {"maintenance_by": by, "maintenance_reason": reason}
        connection.execute(update(RIG).where(RIG.c.name == rig).values(values))

    return work


def back_in_service(rig: str) -> Callable[[Connection, int], None]:
    """Maintenance has ended. Somebody had their hands on the rig, so that it is dirty."""

    def work(connection: Connection, now: int) -> None:
        row = _rig(_settled(connection, now), rig)
        if not row.maintenance_by:
            return
        values: dict[str, object] = {"maintenance_by": "", "maintenance_reason": ""}
        if row.lease_id is None:
            reason = f"back from maintenance by {row.maintenance_by}: {row.maintenance_reason}"
            values |= {"state": RigState.DIRTY, "dirty_reason": reason}
        connection.execute(update(RIG).where(RIG.c.name == rig).values(values))
        connection.execute(_CHANGED)

    return work


def reserve(wanted: Reservation) -> Callable[[Connection, int], None]:
    """Keep the rig for a person's window; :class:`RigTaken` where another person's overlaps it."""
    if wanted.ends <= wanted.starts:
        raise UsageError(f"a reservation ends after it starts, not at {wanted.ends}")

    def work(connection: Connection, now: int) -> None:
        _rig(_settled(connection, now), wanted.rig)
        connection.execute(delete(RESERVATION).where(RESERVATION.c.ends <= _wall(connection)))
        for other in reservations(connection, now):
            overlaps = other.rig == wanted.rig and other.starts < wanted.ends and wanted.starts < other.ends
            if other.id == wanted.id:
                return
            if overlaps and other.person != wanted.person:
                raise RigTaken(_told(other), remedy=f"ask {other.person}, or choose another time")
        times = {"starts": wanted.starts.timestamp(), "ends": wanted.ends.timestamp()}
        connection.execute(insert(RESERVATION).values(asdict(wanted) | times))

    return work


def unreserve(reservation: str) -> Callable[[Connection, int], None]:
    """The window is everybody's again."""

    def work(connection: Connection, _: int) -> None:
        connection.execute(delete(RESERVATION).where(RESERVATION.c.id == reservation))
        connection.execute(_CHANGED)

    return work


def reservations(connection: Connection, _: int) -> tuple[Reservation, ...]:
    """All that are kept, by when they start."""
    return tuple(
        Reservation(row.id, row.rig, row.person, row.reason, _utc(row.starts), _utc(row.ends))
        for row in connection.execute(_RESERVATIONS)
    )


def statuses(connection: Connection, now: int) -> tuple[RigStatus, ...]:
    """How each rig of the lab stands. Looks, and settles nothing."""
    return tuple(_status(row, now) for row in connection.execute(_RIGS))


def waits_for(ask: Ask) -> Callable[[Connection, int], str]:
    """A sentence that says what the request still waits for. Looks, and settles nothing."""

    def work(connection: Connection, now: int) -> str:
        rows = connection.execute(_RIGS).all()
        _, turns = _turns(connection, now, ask, rows)
        wish = next(wish for wish in turns if wish.id == ask.id)
        ahead = turns[: turns.index(wish)]
        standings, at = _standings(connection, rows)
        told = []
        for standing, row in zip(standings, rows, strict=True):
            if not any(slot.suits(standing) for slot in ask.slots):
                continue
            if standing.keeps_out(wish, at) is Obstacle.RESERVED:
                told += [_told(r) for r in reservations(connection, now) if r.rig == standing.name]
            elif standing.obstacle or _expired(row, now):
                told.append(str(_status(row, now)))
            else:
                told += [
                    _kept(standing, other) for other in ahead if any(s.suits(standing) for s in other.slots)
                ]
        return f"{ask.wanted}: {'; '.join(told) or 'its turn has come'}"

    return work


def _kept(rig: Standing, by: Wish) -> str:
    return f"{rig.name} is kept for {by.owner}, who is served before"


def _told(reserved: Reservation) -> str:
    window = f"from {reserved.starts:%F %R} to {reserved.ends:%F %R} UTC"
    return f"{reserved.rig} is reserved for {reserved.person} {window}: {reserved.reason}"


def _settled(connection: Connection, now: int) -> Sequence[Row[Any]]:
    """The rigs of the lab, after what an owner that is gone held has become dirty."""
    rows = connection.execute(_RIGS).all()
    ended = False
    for row in {row.lease_id: row for row in rows if _expired(row, now)}.values():
        # A heartbeat does not wait for us: the lease ends only if it is still expired when we end it.
        values = {"lease": row.lease_id, "now": now, "to": RigState.DIRTY, "why": _why_gone(row)}
        ended = bool(connection.execute(_END_EXPIRED, values).rowcount) or ended
    if not ended:
        return rows
    connection.execute(_CHANGED)
    return connection.execute(_RIGS).all()


def _expired(row: Row[Any], now: int) -> bool:
    return row.lease_id is not None and row.expires_us <= now


def _why_gone(row: Row[Any]) -> str:
    return f"{_holder(row)} " + (
        f"was evicted by {row.evicted}" if row.evicted else "sent no heartbeat any more"
    )


def _holder(row: Row[Any]) -> Holder:
    return Holder(row.owner, row.host, row.process, row.purpose, row.since)


def _status(row: Row[Any], now: int) -> RigStatus:
    told = RigStatus(
        row.name,
        row.dmc,
        RigState(row.state),
        row.token,
        dirty_reason=row.dirty_reason,
        maintenance_by=row.maintenance_by,
        maintenance_reason=row.maintenance_reason,
    )
    if row.lease_id is None:
        return told
    changed: dict[str, Any] = (
        {"state": RigState.DIRTY, "dirty_reason": row.dirty_reason or _why_gone(row)}
        if _expired(row, now)
        else {"holder": _holder(row), "expires_in": (row.expires_us - now) / 1e6}
    )
    return replace(told, **changed)


def _rig(rows: Iterable[Row[Any]], name: str) -> Row[Any]:
    for row in rows:
        if row.name == name:
            return row
    raise NoSuchRig(f"the lab has no rig {name}", remedy="see the lab's rigs: harness rigs")


def _refuse_what_can_never_be(ask: Ask, rows: Iterable[Row[Any]]) -> None:
    all_rigs = [Standing(row.name, row.dmc) for row in rows]
    if assign(ask.slots, all_rigs) is not None:
        return
    missing = [str(slot) for slot in ask.slots if not any(map(slot.suits, all_rigs))]
    what = f"no {' and no '.join(missing)}" if missing else f"not as many rigs as {ask.wanted}"
    raise NoSuchRig(f"the lab has {what}", remedy="see the lab's rigs: harness rigs")


def _standings(connection: Connection, rows: Sequence[Row[Any]]) -> tuple[list[Standing], float]:
    """How the rigs stand, and what people's clocks show; zero where no reservation asks for it."""
    reserved: dict[str, tuple[Reserved, ...]] = {}
    if rows and rows[0].reservations:
        for row in connection.execute(_RESERVATIONS):
            reserved[row.rig] = (*reserved.get(row.rig, ()), Reserved(row.person, row.starts, row.ends))
    standings = [Standing(row.name, row.dmc, _obstacle(row), reserved.get(row.name, ())) for row in rows]
    return standings, _wall(connection) if reserved else 0.0


def _obstacle(row: Row[Any]) -> Obstacle | None:
    if row.maintenance_by:
        return Obstacle.MAINTENANCE
    if row.state == RigState.DIRTY:
        return Obstacle.DIRTY
    return Obstacle.HELD if row.lease_id is not None else None


def _turns(connection: Connection, now: int, ask: Ask, rows: Sequence[Row[Any]]) -> tuple[bool, list[Wish]]:
    """Whether ours waits already; all in the order of their turn, ours last of its priority if not."""
    ours = Wish(ask.id, ask.slots, ask.by.owner, ask.expected)
    if not (rows and rows[0].requests):
        return False, [ours]
    requests = connection.execute(_REQUESTS, {"now": now}).all()
    wishes = [Wish(row.id, _slots(row.wanted), row.owner, row.expected_s) for row in requests]
    if ours in wishes:
        return True, wishes
    before = sum(row.priority >= ask.priority for row in requests)
    return False, [*wishes[:before], ours, *wishes[before:]]


def _slots(wanted: str) -> tuple[Slot, ...]:
    return tuple(Slot(tuple(slot["rigs"]), slot["dmc"]) for slot in json.loads(wanted))


def _wall(connection: Connection) -> float:
    """What people's clocks show, for reservations: the server's, where there is one."""
    if connection.dialect.name == "sqlite":
        return time.time()
    return float(connection.execute(text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one())


def _utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
