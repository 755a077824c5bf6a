"""What there is to see of a lab's rigs at one moment: leases, queue, health, and the runs that use them.

It comes from the lab's store and, for a lease whose purpose is a run, from that run's folder.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Any, Final

from harness.cli.estimate import Estimate, estimate
from harness.domain.lab import Lab
from harness.records.follow import InHand, RunFollower, follow
from harness.rigs.health_words import Health, HealthState
from harness.rigs.lease_words import Holder, Reservation, RigState, RigStatus, Waiting
from harness.rigs.pool import Pool

RATE_OVER: Final = timedelta(minutes=10)
_REMEMBERED: Final = 600.0  # seconds that a run is shown after it has ended
_SILENT: Final = 5.0  # seconds without a rig after which a run that never ended counts as gone
_SHORTEST: Final = 0.1  # minutes that a rate is told over
_ASKED_AGAIN: Final = 60.0  # seconds after which the store is asked again what tests take


@dataclass(frozen=True, slots=True)
class RigSeen:
    """A rig; ``run`` is the run that holds it, ``in_hand`` the attempt that it is at.

    ``reserved_for`` is the person whom it is kept for now.
    """

    status: RigStatus
    health: Health
    run: str = ""
    in_hand: InHand | None = None
    reserved_for: str = ""

    @property
    def trouble(self) -> bool:
        """Whether somebody should look after it."""
        dirty = self.status.state is RigState.DIRTY
        return dirty or self.health.state not in {HealthState.GOOD, HealthState.UNKNOWN}


@dataclass(frozen=True, slots=True)
class RunSeen:
    """A run that goes on, or has ended a short while ago."""

    id: str
    counts: Mapping[str, int]  # planned, passed, failed, blocked, left
    rate: float | None  # attempts that ended, a minute, over RATE_OVER; none in its first seconds
    estimate: Estimate | None
    started: datetime | None
    over: str = ""  # why it ended; empty while it goes on

    @property
    def ends(self) -> datetime | None:
        """When it will have ended, if anybody can tell."""
        if self.over or self.estimate is None or self.estimate.seconds is None:
            return None
        return datetime.now(UTC) + timedelta(seconds=self.estimate.seconds)

    @property
    def results(self) -> str:
        """So far, in words."""
        counts = self.counts
        results = [f"{counts[name]} {name}" for name in ("passed", "failed", "blocked") if counts[name]]
        return ", ".join([*results, f"{counts['left']} of {counts['planned']} left"])

    @property
    def end(self) -> str:
        """When or why it ends, in words."""
        if self.over:
            return f"ended: {self.over}"
        if self.estimate is None:
            return "nothing is left"
        if not self.estimate.rigs:
            return f"its end waits for a rig of {self.estimate.dmc}"
        ends = self.ends
        return f"ends about {ends:%R}Z" if ends else "no test was measured yet: its end is not known"


@dataclass(frozen=True, slots=True)
class Overview:
    """All of it."""

    at: datetime
    rigs: tuple[RigSeen, ...] = ()
    runs: tuple[RunSeen, ...] = ()
    waiting: tuple[Waiting, ...] = ()
    reservations: tuple[Reservation, ...] = ()

    def plain(self) -> dict[str, Any]:
        """For a program."""
        return {
            "at": self.at,
            "rigs": [
                {
                    "rig": each.status.rig,
                    **asdict(each.status),
                    "health": asdict(each.health),
                    "run": each.run,
                    "attempt": asdict(each.in_hand) if each.in_hand else None,
                    "reserved_for": each.reserved_for,
                }
                for each in self.rigs
            ],
            "runs": [asdict(run) | {"ends": run.ends} for run in self.runs],
            "waiting": [asdict(each) for each in self.waiting],
            "reservations": [asdict(each) for each in self.reservations],
        }


class Observer:
    """Looks at a lab again and again. Life cycle: made, :meth:`look`, :meth:`close`.

    ``runs`` is the folder of run folders. What the store does not tell within ``patience`` seconds is a
    ``StoreFault``; look again later.
    """

    def __init__(self, lab: Lab, runs: Path, owner: str, *, patience: float = 2.0) -> None:
        self._lab, self._runs, self._owner = lab, runs, owner
        self._patience = patience
        self._pool: Pool | None = None
        self._watched: dict[str, _Watched] = {}

    def close(self) -> None:
        """Let go of the store."""
        if self._pool is not None:
            self._pool.close()

    def look(self) -> Overview:
        """How it all stands now."""
        if self._pool is None:
            self._pool = Pool(self._lab, self._owner, patience=self._patience)
        pool = self._pool
        statuses, healths = pool.leases.rigs(), pool.health.all()
        waiting, reservations = pool.leases.waiting(), pool.leases.reservations()
        holders = [*(each.holder for each in statuses), *(each.holder for each in waiting)]
        self._watch({_run_of(holder) for holder in holders if holder is not None} - {""})
        now = datetime.now(UTC)
        reserved = {each.rig: each.person for each in reservations if each.starts <= now < each.ends}
        rigs = tuple(
            self._rig(status, healths.get(status.rig), reserved.get(status.rig, ""))
            for status in self._in_order(statuses)
        )
        runs = tuple(self._run(watched, rigs, pool) for watched in self._watched.values())
        return Overview(now, rigs, runs, waiting, reservations)

    def _in_order(self, statuses: Sequence[RigStatus]) -> Iterator[RigStatus]:
        """As the lab file has them."""
        by_name = {status.rig: status for status in statuses}
        return (by_name[rig.id] for rig in self._lab.rigs if rig.id in by_name)

    def _watch(self, at_work: set[str]) -> None:
        """The runs that hold or want a rig, and those that did a short while ago."""
        for run in sorted(at_work - self._watched.keys()):
            if (follower := follow(self._runs / run)) is not None:
                self._watched[run] = _Watched(run, follower)
        for run, watched in list(self._watched.items()):
            with suppress(FileNotFoundError):  # somebody has cleared the folder away
                watched.follower.look()
            if run in at_work:
                watched.seen = monotonic()
            elif monotonic() - watched.seen > _REMEMBERED:
                del self._watched[run]

    def _rig(self, status: RigStatus, health: Health | None, reserved_for: str) -> RigSeen:
        holder = status.holder
        run, in_hand = "", None
        if holder is not None and (watched := self._watched.get(_run_of(holder))) is not None:
            run, in_hand = watched.id, watched.follower.in_hand(status.rig, holder.host, holder.process)
        return RigSeen(status, health or Health(status.rig), run, in_hand, reserved_for)

    def _run(self, watched: _Watched, rigs: Sequence[RigSeen], pool: Pool) -> RunSeen:
        follower, now = watched.follower, datetime.now(UTC)
        ours = [rig for rig in rigs if rig.run == watched.id]
        over = watched.over()
        tests = follower.plan.tests if follower.plan and not over else ()
        left = {test.id for test in follower.left()}
        elapsed = {rig.in_hand.test: (now - rig.in_hand.since).total_seconds() for rig in ours if rig.in_hand}
        held = Counter(rig.status.dmc for rig in ours)
        return RunSeen(
            id=watched.id,
            counts=follower.counts(),
            rate=_rate(follower, now),
            estimate=estimate(tests, left, elapsed, watched.expected(pool), held),
            started=follower.started,
            over=over,
        )


@dataclass(slots=True)
class _Watched:
    """A run that was seen to hold a rig, or to wait for one."""

    id: str
    follower: RunFollower
    seen: float = field(default_factory=monotonic)  # when it last did
    _expected: Mapping[str, float] = field(default_factory=dict)
    _asked: float = float("-inf")

    def over(self) -> str:
        """Why it is over; empty while it goes on."""
        if self.follower.ended is not None:
            return self.follower.ended
        silent = monotonic() - self.seen
        return "it has no rig any more, and never said why" if silent > _SILENT else ""

    def expected(self, pool: Pool) -> Mapping[str, float]:
        """What its tests take: in this run, else before."""
        if monotonic() - self._asked > _ASKED_AGAIN and self.follower.plan is not None:
            self._expected = pool.durations.expected(self.follower.plan.by_id)
            self._asked = monotonic()
        return {**self._expected, **self.follower.seconds}


def _run_of(holder: Holder) -> str:
    """The run that a worker of it holds a rig for, or wants one; empty for anybody else."""
    word, _, run = holder.purpose.partition(" ")
    return run if word == "run" else ""


def _rate(follower: RunFollower, now: datetime) -> float | None:
    if follower.started is None:
        return None
    end = follower.ended_at or now
    lasted = min(RATE_OVER, end - follower.started)
    minutes = lasted.total_seconds() / 60
    return follower.ended_since(end - lasted) / minutes if minutes > _SHORTEST else None
