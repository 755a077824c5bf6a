"""A lease, and a request for one: what an owner holds in hand. :mod:`harness.rigs.leases` makes them.

This module loads SQLAlchemy: import it inside the functions that need it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, Self

from harness.hooks import Permit
from harness.rigs import lease_rows, lease_views
from harness.rigs.lease_words import Ask, Grant, RigTaken, StaleLease
from harness.rigs.store import boottime

if TYPE_CHECKING:
    from harness.rigs.leases import Leases

_TURN: Final = 0.5  # seconds after which who waits sees for itself: expiries and reservations change silently


class Lease:
    """Rigs that are held. Life cycle: given, :meth:`check` before each write, :meth:`release`; or lost.

    ``lost`` is set when the store says that the lease has ended without our doing. ``taken_away`` is by whom
    and why, once we know that somebody has ended it.
    """

    def __init__(self, leases: Leases, ask: Ask, grant: Grant, began: float, *, cleaning: bool) -> None:
        self.id = ask.id
        self.purpose = ask.by.purpose
        self.tokens: Mapping[str, int] = grant.tokens
        self.cleaning = cleaning
        self.lost = threading.Event()
        self.taken_away = ""
        self._leases = leases
        self._until = began + leases.trust  # boot time until which we need not ask
        self._ended = False  # we are done with it
        self._told = False  # and the store knows

    @property
    def rigs(self) -> tuple[str, ...]:
        """The rigs that it holds."""
        return tuple(self.tokens)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, *_: object) -> None:
        self.release(dirty=f"{kind.__name__}: {error}" if kind else "")

    def __str__(self) -> str:
        tokens = ", ".join(f"{rig} (token {token})" for rig, token in self.tokens.items())
        return f"the lease of {tokens} for {self.purpose}"

    def check(self) -> None:
        """Return if the rigs are ours; else :class:`StaleLease`, or a ``StoreFault`` if nobody can tell."""
        if boottime() < self._until and not (self._ended or self.lost.is_set()):
            return
        if not (self._ended or self.lost.is_set()):
            self._leases.renew([self])
        if self._ended or self.lost.is_set():
            raise self._stale()

    def __call__(self) -> None:
        """:meth:`check`: a lease is the fence of its rigs."""
        self.check()

    def permit(self) -> Permit:
        """How a guard that outlives us asks whether it may still make the rigs safe in our name."""
        leases = self._leases
        arguments = (leases.store.url, self.id, self.rigs, leases.owner, leases.expiry, leases.hands_on)
        return Permit("harness.rigs.rescue:permitted", arguments)

    def wanted_back(self) -> str:
        """Why the rigs should be given back between two tests, or nothing: asked for by who goes on.

        Somebody wants to maintain one, has reserved it by now, or waits with a higher priority for it.
        """
        leases = self._leases
        look = lease_views.wanted_back(self.id, leases.owner, self.rigs, hands_on=leases.hands_on)
        reason = leases.store.read(look)
        if reason:
            self.look_who_took()
        return reason

    def look_who_took(self) -> None:
        """Find out whether somebody has ended it: the store tells until another is given the rigs."""
        self.taken_away = self._leases.store.read(lease_views.taken_away(self.tokens))

    def release(self, dirty: str = "") -> None:
        """Give the rigs back: free, or dirty for a reason, such as a bench that is not known to be safe.

        Releasing twice is fine. A lease that was lost leaves its rigs dirty: their benches were let go of as
        they were. Where the store cannot be written the lease is no longer renewed: it ends by its expiry, or
        when it is released again.
        """
        if self.cleaning and not dirty:
            dirty = "given back by who was to clean it"
        if self.lost.is_set() and not dirty:
            dirty = f"{self.purpose} had lost its lease"
        self._end()
        if not self._told:
            self._leases.store.write(lease_rows.end(self.id, dirty))
            self._told = True

    def clean(self) -> None:
        """The bench is in the safe state and the self-check passed: the rig is free. Ends the lease."""
        if not self.cleaning:
            raise RigTaken(f"{self} is not for cleaning", remedy="release it")
        if self._told or self.lost.is_set():
            raise self._stale()
        self._end()
        self._leases.store.write(lease_rows.clean(self.id, self.tokens))
        self._told = True

    def _end(self) -> None:
        self._ended = True
        self._leases.forget(self)

    def _stale(self) -> StaleLease:
        return StaleLease(f"{self} has ended", remedy="write nothing more to them; ask for a new lease")

    def renewed(self, began: float) -> None:
        """The store has confirmed it, when asked at this boot time."""
        self._until = max(self._until, began + self._leases.trust)


class Request:
    """Rigs that are waited for. Life cycle: made, :meth:`poll` or :meth:`wait`, or :meth:`withdraw`."""

    def __init__(self, leases: Leases, ask: Ask) -> None:
        self.ask = ask
        self._leases = leases

    def poll(self) -> Lease | None:
        """The lease, if it is our turn and all the rigs are free; :class:`NoSuchRig` if that can never be."""
        return self._leases.serve(self, queue=True)

    def waits_for(self) -> str:
        """A sentence that names what is in the way: holders, people, reasons."""
        return self._leases.store.read(lease_views.waits_for(self.ask))

    def wait(self, seconds: float, told: Callable[[str], None] | None = None) -> Lease:
        """The lease, within so many seconds, or :class:`RigTaken`. ``told`` hears for whom we wait."""
        ends = time.monotonic() + seconds
        said = ""
        while True:
            seen = self._leases.changes()
            lease = self.poll()
            if lease is not None:
                return lease
            left = ends - time.monotonic()
            if told is not None or left <= 0:
                sentence = self.waits_for()
                if told is not None and sentence != said:
                    told(sentence)
                said = sentence
            if left <= 0:
                self.withdraw()
                raise RigTaken(
                    f"not served in {seconds:g} s: {said}", remedy="wait longer, or use other rigs"
                )
            self._leases.until_changed(seen, min(left, _TURN))
            if self._leases.closed:
                self.withdraw()
                raise RigTaken(f"waited no longer for {self.ask.wanted}: the wait was broken off")

    def withdraw(self) -> None:
        """Wait no more. Twice is fine."""
        self._leases.withdraw(self)
