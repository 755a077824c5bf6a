"""``harness rigs``: how the lab's rigs stand, and what people do with them.

Persons reserve a rig, take it out for maintenance, and end the lease of somebody who will not; all of it is
kept in the lab's store, and told to whoever waits.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.cli.choosing import chosen, moment
from harness.cli.output import ExitCode, answer_json, answer_table, tell
from harness.config import load_lab
from harness.domain.errors import UsageError
from harness.domain.lab import Lab, Rig
from harness.execution.terminal import login_name
from harness.records.canonical import plain
from harness.rigs.health_words import Health, HealthState
from harness.rigs.lease_words import Reservation, RigState, RigStatus, Waiting
from harness.rigs.pool import Pool, store_url

_WORTH_A_WORD = frozenset({HealthState.SUSPECT, HealthState.BAD})


@dataclass(frozen=True, slots=True)
class _Seen:
    """All that the store has of one rig."""

    rig: Rig
    status: RigStatus
    health: Mapping[str, Health]  # by part; "" is the rig itself
    reservations: tuple[Reservation, ...]
    waiting: tuple[Waiting, ...]

    @property
    def held_by(self) -> str:
        """In a cell of a table."""
        status = self.status
        if status.maintenance_by and status.holder is None:
            return f"maintained by {status.maintenance_by}"
        if status.state is RigState.DIRTY:
            return f"being cleaned by {status.holder}" if status.holder else "dirty"
        return str(status.holder) if status.holder else "free"

    def plain(self) -> dict[str, Any]:
        """For a program."""
        status, rig = self.status, self.rig
        return {
            "rig": rig.id,
            "dmc": rig.dmc.id,
            "release": rig.dmc.release,
            "devices": {type_: device.device_id for type_, device in rig.devices.items()},
            "state": status.state,
            "holder": asdict(status.holder) if status.holder else None,
            "expires_in": status.expires_in if status.holder else None,
            "dirty_reason": status.dirty_reason,
            "maintenance": {"by": status.maintenance_by, "reason": status.maintenance_reason}
            if status.maintenance_by
            else None,
            "health": asdict(self.health[""]),
            "parts": {part: asdict(health) for part, health in self.health.items() if part},
            "reservations": [asdict(each) for each in self.reservations],
            "waiting": [asdict(each) for each in self.waiting],
        }

    def sentences(self) -> Iterator[str]:
        """What a table has no room for."""
        if self.status.maintenance_by or self.status.state is RigState.DIRTY:
            yield str(self.status)
        for part, health in self.health.items():
            if health.state in _WORTH_A_WORD or (health.faults and health.state is HealthState.UNKNOWN):
                yield f"{self.rig.id}{f' {part}' if part else ''} is {health}"
        yield from (told_reservation(each) for each in self.reservations)


def list_rigs(file: Path, *, as_json: bool) -> ExitCode:
    """The rigs, who holds each, who waits for it, and how it is."""
    lab = load_lab(file)
    with Pool(lab, login_name()) as pool:
        seen = list(_seen(lab, pool))
        waiting = pool.leases.waiting()
    if as_json:
        answer_json([plain(each.plain()) for each in seen])
        return ExitCode.GOOD
    rows = (
        (
            each.rig.id,
            each.rig.dmc.id,
            each.rig.dmc.release.value,
            ", ".join(each.rig.devices),
            "simulated" if each.rig.simulation else each.rig.place,
            each.held_by,
            each.health[""].state,
        )
        for each in seen
    )
    answer_table(f"lab {lab.name}", ("rig", "DMC", "release", "devices", "where", "held by", "health"), rows)
    for line in (line for each in seen for line in each.sentences()):
        tell(line)
    for each in waiting:
        tell(str(each))
    return ExitCode.GOOD


def _seen(lab: Lab, pool: Pool) -> Iterator[_Seen]:
    statuses = {each.rig: each for each in pool.leases.rigs()}
    reservations, waiting = pool.leases.reservations(), pool.leases.waiting()
    for rig in lab.rigs:
        health = pool.health.all_of(rig.id)
        yield _Seen(
            rig,
            statuses[rig.id],
            {"": health.get("") or Health(rig.id)} | dict(health),
            tuple(each for each in reservations if each.rig == rig.id),
            tuple(each for each in waiting if _is_for(each, rig)),
        )


def _is_for(waiting: Waiting, rig: Rig) -> bool:
    """Whether the rig is one that would do for who waits."""
    return not {rig.id, f"a rig of {rig.dmc.id}"}.isdisjoint(re.split(", | or ", waiting.wanted))


def history(file: Path, rig: str, last: int, *, as_json: bool) -> ExitCode:
    """The changes of a rig's health, the newest last."""
    with _pool(file, rig, login_name()) as (pool, id_):
        changes = pool.health.history(id_, last)
    if as_json:
        answer_json([plain(asdict(each)) for each in changes])
        return ExitCode.GOOD
    rows = [
        (
            each.since,
            each.part or "rig",
            each.state,
            each.by,
            ": ".join(filter(None, (each.family, each.reason))),
        )
        for each in changes
    ]
    if rows:
        answer_table(f"health of {id_}", ("when", "part", "became", "by", "why"), rows)
    else:
        tell(f"nothing was ever written down of {id_}: it was never checked, and no run had it")
    return ExitCode.GOOD


# -- what people do --------------------------------------------------------------------------------


def reserve(
    file: Path, rig: str, start: str | None, end: str, reason: str, person: str | None, *, as_json: bool
) -> ExitCode:
    """Keep a rig for a person for a time; ``start`` is now where none is said."""
    now = datetime.now(UTC)
    starts = _to_the_minute(moment(start, "--from") if start is not None else now)
    ends = moment(end, "--to")
    if ends <= now:
        raise UsageError(f"the time is over: it ended at {ends:%F %R}Z", remedy="say a later --to")
    if ends <= starts:
        told = f"it begins at {starts:%F %R}Z and ends at {ends:%F %R}Z"
        raise UsageError(f"the time must end after it begins: {told}", remedy="say a later --to")
    with _pool(file, rig, person) as (pool, id_):
        made = pool.leases.reserve(id_, starts, ends, reason)
        holder = _status(pool, id_).holder
    _answer(told_reservation(made), made, as_json=as_json)
    if holder is not None and starts <= now:
        tell(f"it is held by {holder}; a run gives it back after the test in hand")
    return ExitCode.GOOD


def unreserve(file: Path, rig: str, start: str | None, person: str | None, *, as_json: bool) -> ExitCode:
    """Give a person's reservations of a rig back; with ``start`` the one that begins then, to the minute."""
    wanted = _to_the_minute(moment(start, "--from")) if start is not None else None
    with _pool(file, rig, person) as (pool, id_):
        there = [each for each in pool.leases.reservations() if each.rig == id_]
        ours = [each for each in there if each.person == pool.leases.owner]
        found = [each for each in ours if wanted in (None, _to_the_minute(each.starts))]
        if not found:
            others = "; ".join(map(told_reservation, there)) or "nobody has reserved it"
            raise UsageError(
                f"{pool.leases.owner} has no such reservation of {id_}: {others}",
                remedy="see --from and --as",
            )
        for each in found:
            pool.leases.unreserve(each)
    told = "\n".join(f"no longer: {told_reservation(each)}" for each in found)
    _answer(told, found, as_json=as_json)
    return ExitCode.GOOD


def maintain(file: Path, rig: str, reason: str, person: str | None, *, as_json: bool) -> ExitCode:
    """Take a rig out of service."""
    with _pool(file, rig, person) as (pool, id_):
        pool.leases.maintain(id_, reason)
        status = _status(pool, id_)
    _answer(str(status), status, as_json=as_json)
    if status.holder is not None:
        tell(f"wait: it is still held by {status.holder}; a run gives it back after the test in hand")
    return ExitCode.GOOD


def back(file: Path, rig: str, person: str | None, *, force: bool, as_json: bool) -> ExitCode:
    """Maintenance is done; another person's ends only with ``force``."""
    with _pool(file, rig, person) as (pool, id_):
        before = _status(pool, id_)
        pool.leases.back_in_service(id_, force=force)
        status = _status(pool, id_)
    done = f"{id_} is back in service, and {status.state}"
    told = done if before.maintenance_by else f"it was not in maintenance: {status}"
    _answer(told, status, as_json=as_json)
    if status.state is RigState.DIRTY:
        tell(f"it is checked before anybody gets it; 'harness lab check {id_}' does that now")
    return ExitCode.GOOD


def evict(file: Path, rig: str, reason: str, person: str | None, *, as_json: bool) -> ExitCode:
    """End somebody's lease."""
    with _pool(file, rig, person) as (pool, id_):
        pool.leases.evict(id_, reason)
        status = _status(pool, id_)
    told = f"the lease of {status.holder} on {id_} is renewed no more" if status.holder else str(status)
    _answer(told, status, as_json=as_json)
    if status.holder:
        tell(f"a run gives {id_} back after the test in hand, and does not take it again")
        tell(f"else in {status.expires_in:.0f} s it is dirty: checked, then given to who is next")
    return ExitCode.GOOD


def adopt(file: Path) -> ExitCode:
    """Take the lab's store over from another host."""
    from harness.rigs.store import Store

    with Store(store_url(load_lab(file)), adopt=True) as store:
        if not store.is_sqlite:
            raise UsageError(f"{store.name} is for all hosts", remedy="there is nothing to adopt")
        store.read(lambda *_: None)  # the first look is what takes it over
        if store.taken_from:
            print(f"{store.name} is this host's now, and no more {store.taken_from}'s")
            tell("every lease in it has expired: its rigs are checked before anybody gets them")
        else:
            tell(f"nothing to adopt: {store.name} belongs to no other host")
    return ExitCode.GOOD


def told_reservation(each: Reservation) -> str:
    """A reservation as people read it."""
    window = f"from {each.starts:%F %R} to {each.ends:%F %R} UTC"
    return f"{each.rig} is reserved for {each.person} {window}: {each.reason}"


def _answer(told: str, value: object, *, as_json: bool) -> None:
    if as_json:
        answer_json(plain(value))
    else:
        print(told)


def _to_the_minute(time: datetime) -> datetime:
    """As a reservation is told, so that what was read can be typed."""
    return time.replace(second=0, microsecond=0)


@contextmanager
def _pool(file: Path, rig: str, person: str | None) -> Iterator[tuple[Pool, str]]:
    """The lab's rigs in a person's name, and the one that was named."""
    lab = load_lab(file)
    found = chosen({rig.id: rig for rig in lab.rigs}, rig, "rig")
    with Pool(lab, person or login_name()) as pool:
        yield pool, found.id


def _status(pool: Pool, rig: str) -> RigStatus:
    return next(each for each in pool.leases.rigs() if each.rig == rig)
