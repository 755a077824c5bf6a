"""The rigs of a lab: their leases, their health, and how long tests take, in the lab's one store.

Whoever wants a rig makes a :class:`Pool` of the lab. A rig that is *dirty* (its last owner died, or left it
in doubt) is cleaned by the first who claims it: it is taken under a lease of its own for that, checked by
the claimant's own function, and only then free for whoever's turn it is.

Nothing is opened when this module is imported, and SQLAlchemy is loaded with the first pool.

>>> from pathlib import Path
>>> from harness.config import load_lab
>>> from tempfile import TemporaryDirectory
>>> with TemporaryDirectory() as folder:
...     lab = load_lab(Path("lab_config/simulated.yaml"), state=Path(folder))
...     with Pool(lab, "run 7") as pool, pool.take("ioc-1", "run 7", check=print) as lease:
...         lease.tokens, pool.health.of("ioc-1").state.value
({'ioc-1': 1}, 'unknown')
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, Self

from harness.domain.errors import ConfigurationError, HarnessError, LabFault
from harness.domain.findings import BAD, GOOD, Finding
from harness.domain.lab import Lab
from harness.domain.references import is_reference
from harness.hooks import Permit
from harness.rigs.lease_words import EXPIRY, NoSuchRig, RigState, RigTaken, StaleLease

if TYPE_CHECKING:
    from harness.rigs.leases import Lease

__all__ = [
    "EXPIRY",
    "Claim",
    "Latch",
    "NoSuchRig",
    "Pool",
    "RigTaken",
    "StaleLease",
    "lease_expiry",
    "store_url",
]

Check = Callable[["Lease"], Sequence[Finding] | None]
"""Opens a dirty rig under the lease that it is given, makes its bench safe, checks it, and closes it again.

What is wrong is a finding that is not good, or an error.
"""

_EXPIRY: Final = "HARNESS_LEASE_EXPIRY"
_TURN: Final = 0.5  # seconds after which who waits sees for itself: expiries and reservations change silently


def store_url(lab: Lab) -> str:
    """Where the lab's store is: its database, or a file under its state folder.

    Raises :class:`~harness.domain.errors.ConfigurationError` where a reference leads nowhere.
    """
    if not lab.database:
        from harness.rigs.store import sqlite_url

        return sqlite_url(lab.state)
    if not is_reference(lab.database):
        return lab.database
    from harness.records.redaction import read_reference

    return read_reference(lab.database).decode().strip()


def lease_expiry() -> float:
    """Seconds after which an owner that is not heard of counts as gone; ``HARNESS_LEASE_EXPIRY`` says it.

    Short ones suit tests: a machine that is busy for longer loses its rigs.
    """
    text = os.environ.get(_EXPIRY, "")
    try:
        seconds = float(text or EXPIRY)
    except ValueError:
        seconds = 0.0
    if not 1 <= seconds < math.inf:
        raise ConfigurationError(f"{_EXPIRY} is {text!r}", remedy="say a number of seconds, 1 or more")
    return seconds


def _nothing() -> None:
    """Nothing is recorded."""


class Pool:
    """The rigs of a lab, for one process. Life cycle: make, use, :meth:`close`.

    ``owner`` is a person, with their ``hands_on`` the rigs, or as who has started a run. ``expiry`` is in
    seconds (:func:`lease_expiry`), and so is ``patience``, for which a store that is busy or away is waited
    for. ``on_lost`` hears of a lease that was lost, in the thread that noticed it, and must not raise. Making
    one tells the store which rigs the lab has, and writes nothing where it knows; who claims one retires
    those that have left the lab. A process that was forked makes one of its own.

    Everything here, from the first line, raises a ``StoreFault`` where the store is locked, full or away.
    """

    def __init__(
        self,
        lab: Lab,
        owner: str,
        *,
        expiry: float | None = None,
        hands_on: bool = True,
        patience: float | None = None,
        on_lost: Callable[[Lease], None] | None = None,
    ) -> None:
        from harness.rigs.durations import Durations
        from harness.rigs.health import HealthBook
        from harness.rigs.leases import Leases
        from harness.rigs.store import PATIENCE, Store

        self.lab = lab
        self._store = Store(store_url(lab), patience=PATIENCE if patience is None else patience)
        self.leases = Leases(
            self._store, owner, expiry=expiry or lease_expiry(), hands_on=hands_on, on_lost=on_lost
        )
        self.health = HealthBook(self._store)
        self.durations = Durations(self._store)
        try:
            self.leases.enrol({rig.id: rig.dmc.id for rig in lab.rigs})
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop the heartbeat and let go of the store. A lease that was not released leaves its rig dirty."""
        self.leases.close()
        self._store.close()

    def claim(
        self, rig: str, purpose: str, check: Check, *, priority: int = 0, expected: float = 0.0
    ) -> Claim:
        """Ask for a rig; see :class:`Claim`. ``expected`` is for how many seconds it will be needed."""
        return Claim(self, rig, purpose, check, priority, expected)

    def take(
        self,
        rig: str,
        purpose: str,
        check: Check,
        *,
        wait: float = 0.0,
        told: Callable[[str], None] | None = None,
        priority: int = 0,
        expected: float = 0.0,
    ) -> Lease:
        """The rig, cleaned first if need be, within so many seconds, or :class:`RigTaken`.

        ``told`` hears for whom we wait. What the check of a dirty rig raises comes through.
        """
        claim = self.claim(rig, purpose, check, priority=priority, expected=expected)
        try:
            return self._served(claim, wait, told)
        finally:
            claim.withdraw()

    def _served(self, claim: Claim, wait: float, told: Callable[[str], None] | None) -> Lease:
        ends, said = time.monotonic() + wait, ""
        while True:
            seen = self.leases.changes()
            lease = claim.poll()
            if lease is not None:
                return lease
            left = ends - time.monotonic()
            sentence = claim.waits_for() if told is not None or left <= 0 else ""
            if left <= 0:
                waited = f"not served in {wait:g} s: " if wait else ""
                raise RigTaken(f"{waited}{sentence}", remedy="wait for it, or use another rig")
            if told is not None and sentence != said:
                told(sentence)
            said = sentence
            self.leases.until_changed(seen, min(left, _TURN))
            if self.leases.closed:
                raise RigTaken(f"waited no longer for {claim.rig}: the wait was broken off")


class Latch:
    """The fence of a rig for one opening of it. Once it has refused it stays closed, and says why.

    What was not written then is not known to have been written later, though the lease may be ours again.
    ``recorded`` returns when what must not be lost is on the disk, or raises why it cannot be.
    """

    def __init__(self, lease: Lease, recorded: Callable[[], None] = _nothing) -> None:
        self._lease = lease
        self._recorded = recorded
        self.refused: LabFault | None = None

    def __call__(self) -> None:
        if self.refused is None:
            self._recorded()
        self.holds()  # last: a disk may keep us waiting for longer than the lease lasts

    def holds(self) -> None:
        """Return while the rig is ours and has been since this was made, else raise."""
        if self.refused is not None:
            raise self.refused
        try:
            self._lease.check()
        except LabFault as fault:
            self.refused = fault
            raise

    def make_safe(self) -> None:
        """From here on only the lease counts: a bench is made safe whatever becomes of the record."""
        self._recorded = _nothing

    def permit(self) -> Permit:
        """For a guard that outlives us: it asks for itself."""
        return self._lease.permit()


class Claim:
    """A rig that is asked for. Life cycle: made, :meth:`poll` until it gives the lease, or :meth:`withdraw`.

    What the check of a dirty rig finds is written into its health, under ``purpose``.
    """

    def __init__(
        self, pool: Pool, rig: str, purpose: str, check: Check, priority: int, expected: float
    ) -> None:
        self.rig = rig
        self._pool = pool
        self._purpose = purpose
        self._check = check
        self._request = pool.leases.request(rig, purpose=purpose, priority=priority, expected=expected)
        self._stands = False  # in the queue, as far as we know

    def poll(self) -> Lease | None:
        """The lease, if it is our turn and the rig is free; a dirty rig that nobody cleans is cleaned first.

        Until then we stand in the queue. Raises what the check does, and :class:`LabFault` for the first bad
        finding of it: the rig stays dirty then, and we in the queue. :class:`NoSuchRig`: it has left the lab.
        """
        if not self._stands:  # who only looks, by a lab file of his own, retires nothing
            self._pool.leases.retire_all_but({rig.id for rig in self._pool.lab.rigs})
        self._stands = True
        lease = self._request.poll()
        if lease is None and self._clean():
            lease = self._request.poll()
        self._stands = lease is None
        return lease

    def waits_for(self) -> str:
        """A sentence that names what is in the way: holders, people, reasons."""
        return self._request.waits_for()

    def withdraw(self) -> None:
        """Wait no more. Twice is fine, and so it is once served."""
        if self._stands:
            self._request.withdraw()
            self._stands = False

    def _clean(self) -> bool:
        """Whether the rig was dirty and is clean now."""
        lease = self._dirty()
        if lease is None:
            return False
        with lease:  # leaves it dirty, with the reason, where it is not clean in the end
            try:
                findings = self._check(lease) or ()
            except HarnessError as error:
                if not isinstance(error, LabFault) or error.suspect:
                    self._pool.health.checked(self.rig, self._purpose, [self._of(error)])
                raise
            self._pool.health.checked(self.rig, self._purpose, findings)
            for each in findings:
                if each.state != GOOD:
                    raise LabFault(
                        f"{self.rig} is dirty, and cannot be cleaned: {each.found}",
                        remedy=each.remedy,
                        part=each.part,
                    )
            lease.clean()
        return True

    def _dirty(self) -> Lease | None:
        """The rig for cleaning, where it is dirty and nobody does that."""
        leases = self._pool.leases
        status = next((each for each in leases.rigs() if each.rig == self.rig), None)
        if status is None or status.state is not RigState.DIRTY or status.holder is not None:
            return None
        try:
            return leases.take_dirty(self.rig, self._purpose)
        except RigTaken:  # somebody was quicker, or maintains it
            return None

    def _of(self, error: HarnessError) -> Finding:
        part, family = error.part if isinstance(error, LabFault) else "", type(error).__name__
        return Finding(self.rig, part, BAD, "clean the rig", error.message, error.remedy, family)
