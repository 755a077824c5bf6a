"""Durable leases: a rig, or a set of rigs all or none, is one owner's at a time, and a dead owner's in time.

A lease is rows in the lab's store (:mod:`harness.rigs.store`). It lasts as long as its owner's heart beats,
and one expiry longer; then its rigs are *dirty*: given to nobody but to who puts the bench into the safe
state and checks the rig, under a lease of its own for that (:meth:`Leases.take_dirty`, :meth:`Lease.clean`).

For each of its rigs a lease has a fencing token, greater than any before. :meth:`Lease.check` is asked before
each write to bench or device. What the store has confirmed is believed until a margin before the expiry (a
fifth of it, and a second at least where the expiry has two), by a clock that nobody can set, so that asking
costs nothing. An owner that was stopped for longer asks the store, and is refused once the rig was found
dirty. The margin is the time that a write may take after its check and be over before another has the rig.

This module loads SQLAlchemy: import it inside the functions that need it. Its words, ``StaleLease`` among
them, are in :mod:`harness.rigs.lease_words`, which loads nothing.

>>> from pathlib import Path
>>> from tempfile import TemporaryDirectory
>>> from harness.rigs.store import Store, sqlite_url
>>> with TemporaryDirectory() as folder, Store(sqlite_url(Path(folder))) as store:
...     leases = Leases(store, "ann")
...     leases.enrol({"bench-a": "dmc-1", "bench-b": "dmc-1"})
...     with leases.acquire("bench-a", "bench-b", purpose="run 7") as lease:
...         lease.check()
...         print(lease.tokens)
...     leases.close()
{'bench-a': 1, 'bench-b': 1}
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Set
from datetime import UTC, datetime
from typing import Final, Self

from harness.domain.errors import UsageError
from harness.rigs import lease_rows, lease_views, people_rows
from harness.rigs.lease import Lease, Request
from harness.rigs.lease_words import (
    EXPIRY,
    Ask,
    Holder,
    NoSuchRig,
    Reservation,
    RigState,
    RigStatus,
    RigTaken,
    StaleLease,
    Waiting,
)
from harness.rigs.queue import Slot, named, of_dmc
from harness.rigs.store import LONGEST_UNSEEN, Store, StoreFault, boottime

__all__ = [
    "EXPIRY",
    "Holder",
    "Lease",
    "Leases",
    "NoSuchRig",
    "Request",
    "Reservation",
    "RigState",
    "RigStatus",
    "RigTaken",
    "Slot",
    "StaleLease",
    "Waiting",
    "named",
    "of_dmc",
]

_BEATS: Final = 3  # heartbeats in an expiry
_LOOK: Final = 0.05  # seconds between two looks whether anything has changed: a database sends no events
_log: Final = logging.getLogger(__name__)


class Leases:
    """One process's leases in the lab's store. Life cycle: make, use, :meth:`close`.

    ``owner`` is a person, with their ``hands_on`` the rigs, or as who has started a run: what a person
    maintains is had by hand only. ``expiry`` is in seconds. ``on_lost`` hears of a lease that was lost, in
    the thread that noticed it, and must not raise. A lease that is not released when this is closed is
    renewed no more, so that its rigs become dirty. A process that was forked makes one of its own.
    """

    def __init__(
        self,
        store: Store,
        owner: str,
        *,
        expiry: float = EXPIRY,
        hands_on: bool = True,
        on_lost: Callable[[Lease], None] | None = None,
    ) -> None:
        self.owner = owner
        self.expiry = expiry
        self.hands_on = hands_on
        # The store's clock may run ahead of ours by what it grants unseen, and a write takes its time.
        self.trust = expiry - min(expiry / 2, max(expiry / 5, LONGEST_UNSEEN / 1e6))
        self.store = store
        self._on_lost = on_lost
        self._lock = threading.Lock()
        self._held: dict[str, Lease] = {}
        self._waiting: dict[str, Request] = {}
        self._closing = threading.Event()
        self._heart: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def closed(self) -> bool:
        """Whether :meth:`close` was called."""
        return self._closing.is_set()

    def close(self) -> None:
        """Stop the heartbeat, and break off what another thread waits for."""
        self._closing.set()
        if self._heart is not None:
            self._heart.join()

    # What owners do

    def request(self, *wanted: str | Slot, purpose: str, priority: int = 0, expected: float = 0.0) -> Request:
        """Ask for rigs, all or none: by name, any of some (:func:`named`), any of a DMC (:func:`of_dmc`).

        ``expected`` is for how many seconds they are needed: a rig that is reserved sooner is not given.
        """
        slots = tuple(named(each) if isinstance(each, str) else each for each in wanted)
        return Request(self, self._ask(slots, purpose, priority, expected))

    def acquire(
        self,
        *wanted: str | Slot,
        purpose: str,
        priority: int = 0,
        expected: float = 0.0,
        wait: float = 0.0,
        told: Callable[[str], None] | None = None,
    ) -> Lease:
        """:meth:`request`, and wait for at most so many seconds."""
        request = self.request(*wanted, purpose=purpose, priority=priority, expected=expected)
        lease = self.serve(request, queue=wait > 0)
        if lease is not None:
            return lease
        if wait > 0:
            return request.wait(wait, told)
        raise RigTaken(request.waits_for(), remedy="wait for it, or use another rig")

    def take_dirty(self, rig: str, purpose: str = "cleaning") -> Lease:
        """A lease under which a dirty rig is made safe and checked, and then called :meth:`Lease.clean`."""
        ask, began = self._ask((named(rig),), purpose, 0, 0.0), boottime()
        grant = self.store.write(lease_rows.take_dirty(rig, ask))
        return self._remember(Lease(self, ask, grant, began, cleaning=True))

    # What people do

    def enrol(self, rigs: Mapping[str, str]) -> None:
        """Rigs by name, each with its DMC, are of the lab; a new one is free. Nothing is written twice."""
        if not rigs.items() <= self.store.read(people_rows.enrolled).items():
            self.store.write(people_rows.enrol(rigs))

    def retire_all_but(self, rigs: Set[str]) -> None:
        """They are all that the lab has; the others are retired, unless somebody holds or waits for them."""
        if self.store.read(lease_views.unused) - rigs:
            self.store.write(people_rows.retire_all_but(rigs))

    def retire(self, rig: str) -> None:
        """The rig has left the lab; who waits for it alone is told at once."""
        self.store.write(people_rows.retire(rig))

    def reserve(self, rig: str, starts: datetime, ends: datetime, reason: str) -> Reservation:
        """Keep the rig for our owner in that window; nobody is driven out who holds it when it begins."""
        times = (starts.astimezone(UTC), ends.astimezone(UTC))
        made = Reservation(uuid.uuid4().hex, rig, self.owner, reason, *times)
        self.store.write(people_rows.reserve(made))
        return made

    def unreserve(self, reservation: Reservation) -> None:
        """Give the window back. Twice is fine."""
        self.store.write(people_rows.unreserve(reservation.id))

    def maintain(self, rig: str, reason: str) -> None:
        """Take the rig out of service; who holds it goes on, nobody gets it then."""
        self.store.write(people_rows.maintain(rig, self.owner, reason))

    def back_in_service(self, rig: str, *, force: bool = False) -> None:
        """Maintenance of ours is done, with ``force`` another's: the rig is dirty, so that it is checked."""
        self.store.write(people_rows.back_in_service(rig, self.owner, force=force))

    def evict(self, rig: str, reason: str) -> None:
        """End another's lease: it is renewed no more. Its rigs are dirty once it has expired."""
        self.store.write(people_rows.evict(rig, self.owner, reason))

    def rigs(self) -> tuple[RigStatus, ...]:
        """How each rig stands."""
        return self.store.read(lease_views.statuses)

    def waiting(self) -> tuple[Waiting, ...]:
        """Who waits, in the order of their turn."""
        return self.store.read(lease_views.waiting)

    def reservations(self) -> tuple[Reservation, ...]:
        """What is reserved, now and later."""
        return self.store.read(lease_views.reservations)

    # What leases and requests need

    def serve(self, request: Request, *, queue: bool) -> Lease | None:
        """One try."""
        began = boottime()
        try:
            grant = self.store.write(lease_rows.serve(request.ask, queue=queue))
        except NoSuchRig:
            self.withdraw(request)
            raise
        if grant is None:
            if queue:
                self._start_heart()
                with self._lock:
                    self._waiting[request.ask.id] = request
            return None
        with self._lock:
            self._waiting.pop(request.ask.id, None)
        return self._remember(Lease(self, request.ask, grant, began, cleaning=False))

    def withdraw(self, request: Request) -> None:
        """The request waits no more."""
        with self._lock:
            self._waiting.pop(request.ask.id, None)
        self.store.write(lease_rows.withdraw(request.ask.id))

    def forget(self, lease: Lease) -> None:
        """Renew it no more."""
        with self._lock:
            self._held.pop(lease.id, None)

    def renew(self, leases: Iterable[Lease], *, patience: float | None = None) -> None:
        """Confirm the leases, and what waits; one that is no longer ours is lost."""
        asked, began = tuple(leases), boottime()
        with self._lock:
            waiting = tuple(self._waiting)
        work = lease_rows.renew([lease.id for lease in asked], waiting, round(self.expiry * 1e6))
        ours = self.store.write(work, patience=patience, alone=False)
        for lease in asked:
            if lease.id in ours:
                lease.renewed(began)
            else:
                self._lose(lease)
                lease.look_who_took()

    def changes(self) -> int:
        """See :meth:`until_changed`."""
        return self.store.read(lease_rows.changes)

    def until_changed(self, seen: int, seconds: float) -> None:
        """Return when somebody who waits may be served, or after so many seconds."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends and not self._closing.wait(_LOOK):
            if self.changes() != seen:
                return

    def _ask(self, slots: tuple[Slot, ...], purpose: str, priority: int, expected: float) -> Ask:
        if not slots:
            raise UsageError("no rig is asked for")
        by = Holder.this_process(self.owner, purpose)
        expiry_us = round(self.expiry * 1e6)
        return Ask(uuid.uuid4().hex, by, slots, priority, expected, expiry_us, self.hands_on)

    def _remember(self, lease: Lease) -> Lease:
        with self._lock:
            self._held[lease.id] = lease
        self._start_heart()
        return lease

    def _start_heart(self) -> None:
        if self._heart is None:
            self._heart = threading.Thread(target=self._beat, name=f"heartbeat of {self.owner}", daemon=True)
            self._heart.start()

    def _beat(self) -> None:
        """In a thread of its own, and so on a connection of its own."""
        interval = self.expiry / _BEATS
        while not self._closing.wait(interval):
            with self._lock:
                held = list(self._held.values())
                waiting = bool(self._waiting)
            if not held and not waiting:
                continue
            try:
                self.renew(held, patience=interval)
            except StoreFault as fault:
                _log.warning("no heartbeat for %s: %s", ", ".join(map(str, held)) or "who waits", fault)

    def _lose(self, lease: Lease) -> None:
        with self._lock:
            ours = self._held.pop(lease.id, None) is not None
            if ours:
                lease.lost.set()
        if ours and self._on_lost is not None:
            self._on_lost(lease)
