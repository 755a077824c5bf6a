"""What people do with a lab's rigs, as rows: enrol, maintain, reserve, evict. Alone in the store.

This module loads SQLAlchemy: import it inside the functions that need it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Connection, delete, insert, select, update

from harness.domain.errors import UsageError
from harness.rigs import health_rows
from harness.rigs.lease_rows import CHANGED, settled
from harness.rigs.lease_views import reservations, rig_of, status_of, told_of, unused, wall
from harness.rigs.lease_words import Reservation, RigState, RigTaken
from harness.rigs.tables import RESERVATION, RIG

_ENROLLED: Final = select(RIG.c.name, RIG.c.dmc).where(RIG.c.enrolled)
_MAINTENANCE: Final = ("maintenance_by", "maintenance_reason", "maintenance_since")


def enrolled(connection: Connection, _: int) -> dict[str, str]:
    """The rigs of the lab, each with its DMC."""
    return {row.name: row.dmc for row in connection.execute(_ENROLLED)}


def enrol(rigs: Mapping[str, str]) -> Callable[[Connection, int], None]:
    """Rigs and their DMCs are of the lab; one that was there before keeps its state and its token."""

    def work(connection: Connection, now: int) -> None:
        if rigs.items() <= enrolled(connection, now).items():  # by somebody who was quicker
            return
        known = set(connection.execute(select(RIG.c.name)).scalars())
        for name, dmc in rigs.items():
            values = {"dmc": dmc, "enrolled": True}
            if name in known:
                connection.execute(update(RIG).where(RIG.c.name == name).values(values))
            else:
                new = {"name": name, "state": RigState.FREE, "token": 0}
                connection.execute(insert(RIG).values(new | values))
        connection.execute(CHANGED)

    return work


def retire_all_but(rigs: Set[str]) -> Callable[[Connection, int], None]:
    """The others have left the lab, but for those that somebody holds or waits for, by whatever lab file."""

    def work(connection: Connection, now: int) -> None:
        for name in unused(connection, now) - rigs:
            retire(name)(connection, now)

    return work


def retire(rig: str) -> Callable[[Connection, int], None]:
    """The rig has left the lab. Its row stays, so that no token of it is ever given twice."""

    def work(connection: Connection, _: int) -> None:
        connection.execute(update(RIG).where(RIG.c.name == rig).values(enrolled=False))
        connection.execute(CHANGED)

    return work


def evict(rig: str, by: str, reason: str) -> Callable[[Connection, int], None]:
    """The rig's lease is renewed no more: once it has expired the rig is dirty."""

    def work(connection: Connection, now: int) -> None:
        row = rig_of(settled(connection, now), rig)
        if row.lease_id is None:
            raise RigTaken(f"nobody holds it: {status_of(row, now)}")
        ends = update(RIG).where(RIG.c.lease_id == row.lease_id).values(evicted=f"{by}: {reason}")
        connection.execute(ends)

    return work


def maintain(rig: str, by: str, reason: str) -> Callable[[Connection, int], None]:
    """The rig is given to nobody until it is back; who holds it now goes on."""

    def work(connection: Connection, now: int) -> None:
        row = rig_of(settled(connection, now), rig)
        if row.maintenance_by not in {"", by}:
            raise RigTaken(str(status_of(row, now)), remedy=f"ask {row.maintenance_by}")
        if (row.maintenance_by, row.maintenance_reason) == (by, reason):
            return
        values = {"maintenance_by": by, "maintenance_reason": reason}
        values |= {"maintenance_since": row.maintenance_since or f"{datetime.now(UTC):%FT%TZ}"}
        connection.execute(update(RIG).where(RIG.c.name == rig).values(values))
        health_rows.taken_out(rig, by, reason)(connection, now)

    return work


def back_in_service(rig: str, by: str, *, force: bool) -> Callable[[Connection, int], None]:
    """Maintenance has ended. Somebody had their hands on the rig, so that it is dirty.

    Another's ends only with ``force``: :class:`RigTaken`.
    """

    def work(connection: Connection, now: int) -> None:
        row = rig_of(settled(connection, now), rig)
        if not row.maintenance_by:
            return
        if row.maintenance_by != by and not force:
            raise RigTaken(str(status_of(row, now)), remedy=f"ask {row.maintenance_by}, or --force")
        values: dict[str, object] = dict.fromkeys(_MAINTENANCE, "")
        reason = f"back from maintenance by {row.maintenance_by}: {row.maintenance_reason}"
        if row.lease_id is None:
            values |= {"state": RigState.DIRTY, "dirty_reason": reason}
        connection.execute(update(RIG).where(RIG.c.name == rig).values(values))
        connection.execute(CHANGED)
        health_rows.unknown_again(rig, by, reason)(connection, now)

    return work


def reserve(wanted: Reservation) -> Callable[[Connection, int], None]:
    """Keep the rig for a person's window; :class:`RigTaken` where another person's overlaps it."""
    if wanted.ends <= wanted.starts:
        raise UsageError(f"a reservation ends after it starts, not at {wanted.ends}")

    def work(connection: Connection, now: int) -> None:
        rig_of(settled(connection, now), wanted.rig)
        connection.execute(delete(RESERVATION).where(RESERVATION.c.ends <= wall(connection)))
        for other in reservations(connection, now):
            overlaps = other.rig == wanted.rig and other.starts < wanted.ends and wanted.starts < other.ends
            if other.id == wanted.id:
                return
            if overlaps and other.person != wanted.person:
                raise RigTaken(told_of(other), remedy=f"ask {other.person}, or choose another time")
        times = {"starts": wanted.starts.timestamp(), "ends": wanted.ends.timestamp()}
        connection.execute(insert(RESERVATION).values(asdict(wanted) | times))

    return work


def unreserve(reservation: str) -> Callable[[Connection, int], None]:
    """The window is everybody's again."""

    def work(connection: Connection, _: int) -> None:
        connection.execute(delete(RESERVATION).where(RESERVATION.c.id == reservation))
        connection.execute(CHANGED)

    return work
