"""Health as rows: each function is a transaction's work.

This module loads SQLAlchemy: import it inside the functions that need it.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, and_, bindparam, delete, insert, select, update

from harness.rigs.health_words import Health, HealthState
from harness.rigs.tables import HEALTH, HISTORY, RIG

Changes = Mapping[str, Callable[[Health], Health]]  # by part

_MAINTENANCE: Final = (RIG.c.maintenance_by, RIG.c.maintenance_reason, RIG.c.maintenance_since)
_OF: Final = select(HEALTH).where(HEALTH.c.rig == bindparam("of"))
_MAINTAINED: Final = select(*_MAINTENANCE).where(RIG.c.name == bindparam("of"), RIG.c.maintenance_by != "")
_ALL: Final = (
    select(RIG.c.name, *_MAINTENANCE, HEALTH)
    .outerjoin(HEALTH, and_(HEALTH.c.rig == RIG.c.name, HEALTH.c.part == ""))
    .where(RIG.c.enrolled)
    .order_by(RIG.c.name)
)
_REPLACE: Final = update(HEALTH).where(HEALTH.c.rig == bindparam("of"), HEALTH.c.part == bindparam("of_part"))
_NOTED: Final = select(HISTORY.c.number).where(HISTORY.c.note == bindparam("note")).limit(1)


def of(rig: str) -> Callable[[Connection, int], Mapping[str, Health]]:
    """The rig itself, under "", and each part of which anything is known."""

    def work(connection: Connection, _: int) -> Mapping[str, Health]:
        known = _stored(connection, rig)
        maintained = connection.execute(_MAINTAINED, {"of": rig}).one_or_none()
        return known if maintained is None else known | {"": _in_maintenance(known[""], maintained)}

    return work


def all_rigs(connection: Connection, _: int) -> Mapping[str, Health]:
    """Each rig of the lab."""
    found = {}
    for row in connection.execute(_ALL):
        health = Health(row.name) if row.state is None else _health(row)
        found[row.name] = _in_maintenance(health, row) if row.maintenance_by else health
    return found


def history(rig: str, last: int) -> Callable[[Connection, int], tuple[Health, ...]]:
    """The last changes, the newest last."""
    newest = select(HISTORY).where(HISTORY.c.rig == rig).order_by(HISTORY.c.number.desc()).limit(last)

    def work(connection: Connection, _: int) -> tuple[Health, ...]:
        return tuple(_health(row) for row in reversed(connection.execute(newest).all()))

    return work


def would_change(rig: str, changes: Changes) -> Callable[[Connection, int], bool]:
    """Whether anything would change."""

    def work(connection: Connection, _: int) -> bool:
        return bool(_changes(_stored(connection, rig), rig, changes))

    return work


def change(rig: str, note: str, changes: Changes) -> Callable[[Connection, int], None]:
    """Write down what changes, once: a try whose end was not known has left its note in the history."""

    def work(connection: Connection, _: int) -> None:
        if connection.execute(_NOTED, {"note": note}).first() is not None:
            return
        known, now = _stored(connection, rig), _now()
        for health in _changes(known, rig, changes):
            before = known.get(health.part, Health(rig))
            since = before.since if before.state is health.state and before.since else now
            _keep(connection, replace(health, since=since))
            _note(connection, replace(health, since=now), note)

    return work


def taken_out(rig: str, by: str, reason: str) -> Callable[[Connection, int], None]:
    """Note that the rig is in maintenance. That it is, the leases say."""

    def work(connection: Connection, _: int) -> None:
        _note(connection, Health(rig, "", HealthState.MAINTENANCE, _now(), by, "", reason), uuid.uuid4().hex)

    return work


def unknown_again(rig: str, by: str, reason: str) -> Callable[[Connection, int], None]:
    """Whoever maintained the rig had their hands on it: nothing is known of it, nor of its parts."""

    def work(connection: Connection, _: int) -> None:
        now = _now()
        connection.execute(delete(HEALTH).where(HEALTH.c.rig == rig))
        health = Health(rig, "", HealthState.UNKNOWN, now, by, "", reason)
        connection.execute(insert(HEALTH).values(asdict(health)))
        _note(connection, health, uuid.uuid4().hex)

    return work


def _changes(known: Mapping[str, Health], rig: str, changes: Changes) -> list[Health]:
    """What is known now that was not. Who says the same again, and when, is no change."""
    found = []
    for part, what in changes.items():
        before = known.get(part, Health(rig, part))
        after = what(before)
        if replace(after, since=before.since, by=before.by) != before:
            found.append(after)
    return found


def _stored(connection: Connection, rig: str) -> dict[str, Health]:
    return {"": Health(rig)} | {row.part: _health(row) for row in connection.execute(_OF, {"of": rig})}


def _keep(connection: Connection, health: Health) -> None:
    values = asdict(health)
    of_it = {"of": health.rig, "of_part": health.part}
    if not connection.execute(_REPLACE.values(values), of_it).rowcount:
        connection.execute(insert(HEALTH).values(values))


def _note(connection: Connection, health: Health, note: str) -> None:
    connection.execute(insert(HISTORY).values(asdict(health) | {"note": note}))


def _now() -> str:
    return f"{datetime.now(UTC):%FT%TZ}"


def _health(row: Row[Any]) -> Health:
    fields = {name: getattr(row, name) for name in Health.__dataclass_fields__}
    return Health(**fields | {"state": HealthState(row.state)})


def _in_maintenance(health: Health, row: Any) -> Health:
    """Shown before all else; the faults in a row stay told."""
    shown = Health(health.rig, "", HealthState.MAINTENANCE, row.maintenance_since, row.maintenance_by)
    return replace(shown, reason=row.maintenance_reason, faults=health.faults)
