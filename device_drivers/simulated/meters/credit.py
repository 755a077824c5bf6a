"""What a meter does about its account: alerts, disablement, top-ups, emergency credit."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from device_drivers.simulated.meters.energy import HOUR
from device_drivers.simulated.meters.prepayment import GRAIN, Account
from device_drivers.simulated.meters.supply import Supply
from device_drivers.utrn import parse_utrn
from harness.domain.errors import AccessRefused
from harness.domain.events import Event

_GRAINS_PER_PENNY = 1_000 * GRAIN
_GUESSES = 10


class CreditControl:
    """Watches one account, and takes what is paid into it.

    ``protected`` tells whether a non-disablement period is on; ``checked`` passes why a top-up or emergency
    credit is refused through the twin's faults. Each UTRN serial number is good once.
    """

    def __init__(
        self,
        device_id: str,
        account: Account,
        supply: Supply,
        event: Callable[[int], None],
        protected: Callable[[], bool],
        checked: Callable[[str, str], str],
    ) -> None:
        self._device_id = device_id
        self._account = account
        self._supply = supply
        self._event = event
        self._protected = protected
        self._checked = checked
        self._low = False
        self._emergency_spent = False
        self.spent_serials: frozenset[int] = frozenset()
        self._guesses: deque[int] = deque(maxlen=_GUESSES)  # when wrong codes came, in µs

    def judge(self) -> None:
        """See what follows from where the account stands: events once, as each level is passed."""
        account = self._account
        was_low, self._low = self._low, account.low
        if self._low and not was_low:
            self._event(Event.CREDIT_LOW)
        was_spent, self._emergency_spent = self._emergency_spent, account.emergency_spent
        if self._emergency_spent and not was_spent:
            self._event(Event.EMERGENCY_CREDIT_EXHAUSTED)
        if not account.exhausted:
            self._supply.rearm("credit")
        elif self.hinders():
            self._supply.cut("credit", Event.CREDIT_EXHAUSTED)

    def hinders(self) -> bool:
        """Whether the supply must be off for want of credit."""
        return self._account.exhausted and not self._protected()

    def top_up(self, utrn: str, day: int, at: int) -> None:
        """Take a UTRN on a day (a number), at a time in µs; :class:`AccessRefused` saying why not.

        After :data:`_GUESSES` wrong codes within an hour none is looked at until the hour is over (ours).
        """
        if self._guessing(at) and self._checked("guessing", "too many wrong codes"):
            raise self._not_taken("too many wrong codes: none is taken for a while")
        try:
            pence, serial = parse_utrn(self._device_id, utrn)
            problem = "the UTRN was used before" if serial in self.spent_serials else ""
        except ValueError as error:
            pence, serial, problem = 0, 0, str(error)
            self._guesses.append(at)
        problem = problem or self._account.refusal(pence * _GRAINS_PER_PENNY)
        if problem := self._checked("top_up", problem):
            raise self._not_taken(problem)
        self._guesses.clear()
        self.spent_serials |= {serial}
        self._account.top_up(pence * _GRAINS_PER_PENNY, day)
        self._event(Event.TOP_UP_ACCEPTED)

    def _guessing(self, at: int) -> bool:
        return len(self._guesses) == _GUESSES and at - self._guesses[0] < HOUR

    def _not_taken(self, problem: str) -> AccessRefused:
        self._event(Event.TOP_UP_REFUSED)
        return AccessRefused(f"top-up refused: {problem}", result="other-reason")

    def set_balance(self, grains: int) -> None:
        """By command."""
        self._account.balance = grains
        self._event(Event.BALANCE_CHANGED)

    def activate_emergency_credit(self) -> None:
        """By command or by a person; :class:`AccessRefused` where there is no need of it."""
        if problem := self._checked("emergency_credit", self._account.emergency_refusal()):
            raise AccessRefused(problem, result="temporary-failure")
        self._account.lend()
        self._event(Event.EMERGENCY_CREDIT_ACTIVATED)
