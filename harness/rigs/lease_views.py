"""How rigs, the queue and reservations stand, as rows: each function looks, and settles nothing.

This module loads SQLAlchemy: import it inside the functions that need it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, func, select, text

from harness.rigs.lease_words import Ask, Holder, NoSuchRig, Reservation, RigState, RigStatus, Waiting
from harness.rigs.queue import (
    Obstacle,
    Reserved,
    Slot,
    Standing,
    Wish,
    kept_out_by_maintenance,
    to_be_given_back,
    worded,
)
from harness.rigs.tables import REQUEST, RESERVATION, RIG

RIGS: Final = (
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


def statuses(connection: Connection, now: int) -> tuple[RigStatus, ...]:
    """How each rig of the lab stands. Looks, and settles nothing."""
    return tuple(status_of(row, now) for row in connection.execute(RIGS))


def waiting(connection: Connection, now: int) -> tuple[Waiting, ...]:
    """Who waits, in the order of their turn."""
    return tuple(
        Waiting(_holder(row), worded(_slots(row.wanted)), row.priority, row.expected_s)
        for row in connection.execute(_REQUESTS, {"now": now})
    )


def reservations(connection: Connection, _: int) -> tuple[Reservation, ...]:
    """All that are not over, by when they start."""
    at = wall(connection)
    return tuple(_reservation(row) for row in connection.execute(_RESERVATIONS) if row.ends > at)


def unused(connection: Connection, now: int) -> frozenset[str]:
    """The rigs of the lab that nobody holds or waits for."""
    wanted = [slot for row in connection.execute(_REQUESTS, {"now": now}) for slot in _slots(row.wanted)]
    idle = (row for row in connection.execute(RIGS) if row.lease_id is None or expired(row, now))
    standings = (Standing(row.name, row.dmc) for row in idle)
    return frozenset(rig.name for rig in standings if not any(slot.suits(rig) for slot in wanted))


def waits_for(ask: Ask) -> Callable[[Connection, int], str]:
    """A sentence that says what the request still waits for. Looks, and settles nothing."""

    def work(connection: Connection, now: int) -> str:
        rows = connection.execute(RIGS).all()
        _, turns = turns_of(connection, now, ask, rows)
        wish = next(wish for wish in turns if wish.id == ask.id)
        ahead = turns[: turns.index(wish)]
        standings, at = standings_of(connection, rows)
        told = []
        for standing, row in zip(standings, rows, strict=True):
            if not any(slot.suits(standing) for slot in ask.slots):
                continue
            obstacle = standing.keeps_out(wish, at)
            if obstacle is Obstacle.RESERVED:
                reserved = (row for row in connection.execute(_RESERVATIONS) if row.rig == standing.name)
                told += [told_of(_reservation(r)) for r in reserved if _reserved(r).keeps_out(wish, at)]
            elif obstacle or expired(row, now):
                told.append(str(status_of(row, now)))
            else:
                told += [
                    _kept(standing, other) for other in ahead if any(s.suits(standing) for s in other.slots)
                ]
        one = len(told) == 1 and told[0].startswith(f"{ask.wanted} is ")  # whose name it is said with
        return told[0] if one else f"{ask.wanted}: {'; '.join(told) or 'its turn has come'}"

    return work


def wanted_back(
    lease: str, owner: str, rigs: Collection[str], *, hands_on: bool
) -> Callable[[Connection, int], str]:
    """Why the lease's rigs should be given back between two tests. One query where nobody wants anything."""

    def work(connection: Connection, now: int) -> str:
        rows = connection.execute(RIGS).all()
        ours = [row for row in rows if row.name in rigs and row.lease_id == lease]
        for row in ours:
            if kept_out_by_maintenance(row.maintenance_by, owner, hands_on=hands_on):
                return f"{row.name} is to be maintained by {row.maintenance_by}: {row.maintenance_reason}"
            if row.evicted:
                return f"{row.name} is taken away by {row.evicted}"
        if rows and rows[0].reservations:
            at = wall(connection)
            for kept in reservations(connection, now):
                begun = kept.starts.timestamp() <= at < kept.ends.timestamp()
                if kept.rig in rigs and kept.person != owner and begun:
                    return told_of(kept)
        if not (ours and rows[0].requests):
            return ""
        wishes = _wishes(connection.execute(_REQUESTS, {"now": now}).all())
        wanted = to_be_given_back(wishes, *standings_of(connection, rows))
        for row in ours:
            if (wish := wanted.get(row.name)) is not None:
                return f"{row.name} is waited for by {wish.owner}, of priority {wish.priority}"
        return ""

    return work


def taken_away(tokens: Mapping[str, int]) -> Callable[[Connection, int], str]:
    """By whom and why a lease was ended; empty where it was not, or another has been given its rigs since."""

    def work(connection: Connection, _: int) -> str:
        rows = connection.execute(RIGS).all()
        told = (row.evicted for row in rows if tokens.get(row.name) == row.token)
        return next(filter(None, told), "")

    return work


def _kept(rig: Standing, by: Wish) -> str:
    return f"{rig.name} is kept for {by.owner}, who is served before"


def told_of(reserved: Reservation) -> str:
    """A reservation, to be read."""
    window = f"from {reserved.starts:%F %R} to {reserved.ends:%F %R} UTC"
    return f"{reserved.rig} is reserved for {reserved.person} {window}: {reserved.reason}"


def rig_of(rows: Iterable[Row[Any]], name: str) -> Row[Any]:
    """The row of that rig; :class:`NoSuchRig` where the lab has none."""
    for row in rows:
        if row.name == name:
            return row
    raise NoSuchRig(f"the lab has no rig {name}", remedy="see the lab's rigs: harness rigs")


def status_of(row: Row[Any], now: int) -> RigStatus:
    """How a rig stands at that time of the store."""
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
        {"state": RigState.DIRTY, "dirty_reason": row.dirty_reason or why_gone(row)}
        if expired(row, now)
        else {"holder": _holder(row), "expires_in": (row.expires_us - now) / 1e6}
    )
    return replace(told, **changed)


def expired(row: Row[Any], now: int) -> bool:
    """Whether the rig's owner counts as gone at that time of the store."""
    return row.lease_id is not None and row.expires_us <= now


def why_gone(row: Row[Any]) -> str:
    """Why a rig whose lease has expired is dirty."""
    return f"{_holder(row)} " + (
        f"was evicted by {row.evicted}" if row.evicted else "sent no heartbeat any more"
    )


def _holder(row: Row[Any]) -> Holder:
    return Holder(row.owner, row.host, row.process, row.purpose, row.since)


def standings_of(connection: Connection, rows: Sequence[Row[Any]]) -> tuple[list[Standing], float]:
    """How the rigs stand, and what people's clocks show; zero where no reservation asks for it."""
    reserved: dict[str, tuple[Reserved, ...]] = {}
    if rows and rows[0].reservations:
        for row in connection.execute(_RESERVATIONS):
            reserved[row.rig] = (*reserved.get(row.rig, ()), _reserved(row))
    standings = [
        Standing(
            row.name,
            row.dmc,
            _obstacle(row),
            reserved.get(row.name, ()),
            maintained_by=row.maintenance_by,
            priority=row.priority if row.lease_id is not None else None,
        )
        for row in rows
    ]
    return standings, wall(connection) if reserved else 0.0


def _obstacle(row: Row[Any]) -> Obstacle | None:
    if row.state == RigState.DIRTY:
        return Obstacle.DIRTY
    return Obstacle.HELD if row.lease_id is not None else None


def turns_of(connection: Connection, now: int, ask: Ask, rows: Sequence[Row[Any]]) -> tuple[bool, list[Wish]]:
    """Whether ours waits already; all in the order of their turn, ours last of its priority if not."""
    ours = Wish(ask.id, ask.slots, ask.by.owner, ask.expected, ask.priority, ask.hands_on)
    if not (rows and rows[0].requests):
        return False, [ours]
    requests = connection.execute(_REQUESTS, {"now": now}).all()
    wishes = _wishes(requests)
    if ours in wishes:
        return True, wishes
    before = sum(row.priority >= ask.priority for row in requests)
    return False, [*wishes[:before], ours, *wishes[before:]]


def _wishes(requests: Iterable[Row[Any]]) -> list[Wish]:
    return [
        Wish(row.id, _slots(row.wanted), row.owner, row.expected_s, row.priority, _is_hands_on(row.wanted))
        for row in requests
    ]


def as_json(ask: Ask) -> str:
    """The column ``wanted`` of a request. Each slot says who asks, which earlier versions read over."""
    return json.dumps([asdict(slot) | {"hands_on": ask.hands_on} for slot in ask.slots])


def _slots(wanted: str) -> tuple[Slot, ...]:
    return tuple(Slot(tuple(slot["rigs"]), slot["dmc"]) for slot in json.loads(wanted))


def _is_hands_on(wanted: str) -> bool:
    return all(slot.get("hands_on", False) for slot in json.loads(wanted))


def wall(connection: Connection) -> float:
    """What people's clocks show, for reservations: the server's, where there is one."""
    if connection.dialect.name == "sqlite":
        return time.time()
    return float(connection.execute(text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one())


def _reserved(row: Row[Any]) -> Reserved:
    return Reserved(row.person, row.starts, row.ends)


def _reservation(row: Row[Any]) -> Reservation:
    return Reservation(row.id, row.rig, row.person, row.reason, _utc(row.starts), _utc(row.ends))


def _utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
