"""A process's hold on the rig that it works on: the lease, the turn that it waits for, and the rig's health.

What is opened with the rig is :mod:`harness.execution.rig_keeper`'s; what is kept here outlives an opening.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from harness.domain.errors import HarnessError, LabFault
from harness.domain.findings import BAD, Finding
from harness.domain.lab import Lab
from harness.hooks import Trace
from harness.rigs.lease_words import RigTaken, StaleLease

if TYPE_CHECKING:
    from harness.rigs.health_words import HealthState
    from harness.rigs.leases import Lease
    from harness.rigs.pool import Claim, Latch, Pool

_LOOK: Final = 0.5  # seconds between two looks whether it is our turn
_ASK: Final = 1.0  # seconds between two questions whether somebody wants the rig back
_log: Final = logging.getLogger(__name__)


def _nothing() -> None:
    """Nothing is recorded."""


class Tenancy:
    """One process's lease on one rig at a time. Life cycle: :meth:`hold`, :meth:`give_back`, :meth:`close`.

    ``owner`` is the person for whom, ``run_id`` the run for which it is held; a rig is waited for ``wait``
    seconds, and had before who waits with a smaller ``priority``. ``check`` opens a dirty rig under the lease
    that it is given, makes it safe, and closes it.
    """

    def __init__(
        self,
        lab: Lab,
        owner: str,
        run_id: str,
        wait: float,
        check: Callable[[str, Lease], None],
        trace: Trace,
        priority: int = 0,
    ) -> None:
        self._lab = lab
        self._run = f"run {run_id}"
        self._owner = owner
        self._wait = wait
        self._check = check
        self._priority = priority
        self._trace = trace
        self._opened_pool: Pool | None = None
        self._claim: Claim | None = None
        self._asked = 0.0  # monotonic: since when the rig is waited for, or when it was last asked for
        self._trouble = ""  # why the store could not be asked
        self._taken_away: dict[str, str] = {}  # by whom and why, by rig
        self._lab_faults = 0  # on the rig that we hold, since an attempt last went well
        self.lease: Lease | None = None

    @property
    def pool(self) -> Pool:
        """The lab's rigs, opened when they are first asked for."""
        if self._opened_pool is None:
            from harness.rigs.pool import Pool

            self._opened_pool = Pool(self._lab, self._owner, hands_on=False)
        return self._opened_pool

    @property
    def expiry(self) -> float:
        """Seconds after which an owner that is not heard of counts as gone."""
        return self.pool.leases.expiry

    # -- the lease ---------------------------------------------------------------------------------

    def hold(self, rig: str) -> bool:
        """Whether the rig is ours; where it is not, we stand in its queue, and ask again.

        Raises :class:`RigTaken` where it has been waited for long enough, or was taken away from us, and what
        the check of a dirty rig raises. A store that cannot be asked is asked again.
        """
        if self.lease is None:
            if reason := self._taken_away.get(rig):
                raise RigTaken(f"rig {rig} was taken away by {reason}", remedy="use another rig")
            if self._claim is None:
                check = partial(self._check, rig)
                self._claim = self.pool.claim(rig, self._run, check, priority=self._priority)
                self._asked = time.monotonic()
            self._trouble = ""
            try:
                self.lease = self._claim.poll()
                waited = self.lease is None and time.monotonic() - self._asked >= self._wait
                if waited:
                    raise RigTaken(
                        f"waited {self._wait:g} s: {self._claim.waits_for()}",
                        remedy="wait longer, or use another rig",
                    )
            except StaleLease:  # it took too long to clean it: somebody else may try
                return False
            except HarnessError as error:
                if self._is_the_stores(error):
                    self._trouble = str(error)
                    return False
                self._withdraw()
                raise
        if self.lease is None:
            return False
        if self._claim is not None:
            self._claim = None
            self._lab_faults = self.pool.health.of(rig).faults
            self._trace.event("lease", f"rig {rig} is held for {self._owner}", token=self.lease.tokens[rig])
        return True

    def waits_for(self) -> str:
        """A sentence that names what is in the way."""
        if self._trouble or self._claim is None:
            return self._trouble
        try:
            return self._claim.waits_for()
        except HarnessError as error:
            return str(error)

    def await_turn(self, rig: str) -> None:
        """Return when the rig is ours, or raise what :meth:`hold` does."""
        while not self.hold(rig):
            self.until_changed()

    def until_changed(self) -> None:
        """Return soon, and at once when somebody has given a rig back; also where the store cannot tell."""
        leases = self.pool.leases
        try:
            leases.until_changed(leases.changes(), _LOOK)
        except HarnessError as error:
            if not self._is_the_stores(error):
                raise
            self._trouble = str(error)
            time.sleep(_LOOK)  # a store that is away sends no word when it is back

    def fence(self, lease: Lease | None = None, recorded: Callable[[], None] = _nothing) -> Latch:
        """What is asked before anything is written to the rig, for one opening under that lease, or ours."""
        from harness.rigs.pool import Latch

        held = lease or self.lease
        if held is None:
            raise StaleLease("the rig is not ours", remedy="ask for it")
        return Latch(held, recorded)

    def wanted_back(self) -> str:
        """Why the rig should be given back before the next test; empty where nobody is known to want it."""
        now, lease = time.monotonic(), self.lease
        if lease is None or now - self._asked < _ASK:
            return ""
        self._asked = now
        reasons: list[str] = []
        self._tell(lambda: reasons.append(lease.wanted_back()))
        return reasons[0] if reasons else ""

    def give_back(self, dirty: str = "") -> None:
        """Let others have the rig: free, or dirty for a reason. Twice is fine.

        Where the store cannot be told the lease ends by itself, an expiry later, and leaves the rig dirty.
        """
        lease, self.lease = self.lease, None
        if lease is not None:
            self._trace.event("lease", f"rig {', '.join(lease.rigs)} is given back", dirty=dirty)
            self._tell(lambda: lease.release(dirty))
            if lease.taken_away:
                self._taken_away |= dict.fromkeys(lease.rigs, lease.taken_away)

    def close(self) -> None:
        """Give the rig back, wait for none, and let go of the store."""
        self.give_back()
        self._withdraw()
        if self._opened_pool is not None:
            self._opened_pool.close()
            self._opened_pool = None

    def _withdraw(self) -> None:
        claim, self._claim = self._claim, None
        if claim is not None:
            self._tell(claim.withdraw)

    # -- the rig's health --------------------------------------------------------------------------

    def is_doubtful(self, rig: str) -> bool:
        """Whether it takes more than its opening to say that the rig is well."""
        from harness.rigs.health_words import HealthState

        return self._state(rig) in {HealthState.SUSPECT, HealthState.BAD}

    def met(self, rig: str, faults: Sequence[LabFault]) -> None:
        """Write down the first of an attempt's lab faults that says anything of the rig."""
        fault = next((fault for fault in faults if fault.suspect), None)
        if fault is not None:
            self._lab_faults += 1
            self._tell(lambda: self.pool.health.fault(rig, fault, self._run))

    def found(self, rig: str, findings: Sequence[Finding]) -> None:
        """Write down what a check of the rig came to."""
        self._tell(lambda: self.pool.health.checked(rig, self._run, findings))

    def failed(self, rig: str, tried: str, error: LabFault) -> None:
        """Write down that a check ended in a lab fault, if that says anything of the rig."""
        if error.suspect:
            family = type(error).__name__
            self.found(rig, [Finding(rig, error.part, BAD, tried, error.message, error.remedy, family)])

    def went_well(self, rig: str) -> None:
        """Write down that an attempt met no lab fault, where the last one had."""
        if self._lab_faults:
            self._lab_faults = 0
            self._tell(lambda: self.pool.health.went_well(rig, self._run))

    def is_of_the_lease(self, error: HarnessError) -> bool:
        """Whether an error says no more than that the rig is not ours any more, or that nobody can tell."""
        return isinstance(error, StaleLease) or self._is_the_stores(error)

    @staticmethod
    def _is_the_stores(error: HarnessError) -> bool:
        from harness.rigs.store import StoreFault

        return isinstance(error, StoreFault)

    def _state(self, rig: str) -> HealthState:
        from harness.rigs.health_words import HealthState

        states: list[HealthState] = []
        self._tell(lambda: states.append(self.pool.health.of(rig).state))
        return states[0] if states else HealthState.UNKNOWN

    def _tell(self, work: Callable[[], None]) -> None:
        """What the store is told, or asked, beside the work itself, which goes on where nobody hears."""
        from harness.rigs.store import StoreFault

        try:
            work()
        except StoreFault as fault:
            _log.warning("the store does not hear: %s", fault)
