"""What a meter does about its account: alerts, disablement, top-ups, emergency credit."""

from __future__ import annotations

from collections.abc import Callable

from device_drivers.simulated.meters.prepayment import GRAIN, Account
from device_drivers.simulated.meters.supply import Supply
from device_drivers.utrn import parse_utrn
from harness.domain.errors import AccessRefused

_GRAINS_PER_PENNY = 1_000 * GRAIN


class CreditControl:
    """Watches one account, and takes what is paid into it.

    ``protected`` tells whether a non-disablement period is on. Each UTRN serial number is good once.
    """

    def __init__(
        self,
        device_id: str,
        account: Account,
        supply: Supply,
        event: Callable[[int], None],
        protected: Callable[[], bool],
    ) -> None:
        self._device_id = device_id
        self._account = account
        self._supply = supply
        self._event = event
        self._protected = protected
        self._low = False
        self._emergency_spent = False
        self.spent_serials: frozenset[int] = frozenset()

    def judge(self) -> None:
        """See what follows from where the account stands: events once, as each level is passed."""
        account = self._account
        was_low, self._low = self._low, account.low
        if self._low and not was_low:
            self._event(0x000A)
        was_spent, self._emergency_spent = self._emergency_spent, account.emergency_spent
        if self._emergency_spent and not was_spent:
            self._event(0x0017)
        if not account.exhausted:
            self._supply.rearm("credit")
        elif self.hinders():
            self._supply.cut("credit", 0x0007)

    def hinders(self) -> bool:
        """Whether the supply must be off for want of credit."""
        return self._account.exhausted and not self._protected()

    def top_up(self, utrn: str, day: int) -> None:
        """Take a UTRN on a day (a number); :class:`AccessRefused` saying why not."""
        try:
            pence, serial = parse_utrn(self._device_id, utrn)
            problem = "the UTRN was used before" if serial in self.spent_serials else ""
        except ValueError as error:
            pence, serial, problem = 0, 0, str(error)
        problem = problem or self._account.refusal(pence * _GRAINS_PER_PENNY)
        if problem:
            self._event(0x000D)
            raise AccessRefused(f"top-up refused: {problem}", result="other-reason")
        self.spent_serials |= {serial}
        self._account.top_up(pence * _GRAINS_PER_PENNY, day)
        self._event(0x000C)

    def set_balance(self, grains: int) -> None:
        """By command."""
        self._account.balance = grains
        self._event(0x0018)

    def activate_emergency_credit(self) -> None:
        """By command or by a person; :class:`AccessRefused` where there is no need of it."""
        if problem := self._account.activate_emergency_credit():
            raise AccessRefused(problem, result="temporary-failure")
        self._event(0x000B)
