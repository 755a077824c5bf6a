"""A meter's account: what is owed in credit mode, what is left in prepayment mode, debts, emergency credit.

Money is counted in *grains*, a millionth of a millipence, as whole numbers: a price per kWh of any scale
down to 10⁻⁸ GBP gives a whole number of grains for each watt-hour. Registers show whole millipence, rounded
down.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from harness.domain.words import PaymentMode

GRAIN: Final = 1_000_000
"""Grains in a millipence."""
SCALES: Final = range(-8, 1)
"""The price scales that a meter takes: 10⁻⁸ to 1 GBP."""
AMOUNTS: Final = {
    "meter_balance": "balance",
    "emergency_credit_balance": "emergency",
    "accumulated_debt": "accumulated_debt",
    "payment_debt": "payment_debt",
    "time_debt_1": "time_debt_1",
    "time_debt_2": "time_debt_2",
}
"""Items in millipence and what they are called in the account, in the order of a billing row."""
NO_MONEY: Final = (0,) * len(AMOUNTS)
_MILLIPENCE_SCALE: Final = -5
_WH_PER_KWH: Final = 1_000
_WEEK_DAYS: Final = 7


def grains(value: int, scale: int) -> int:
    """An amount of ``value`` · 10^``scale`` GBP; scales below -11 are not money any more."""
    return int(value * 10 ** (scale - _MILLIPENCE_SCALE + 6))


def grains_per_wh(price: int, scale: int) -> int:
    """A price per kWh (``price`` · 10^``scale`` GBP, scale in :data:`SCALES`), for each Wh."""
    return grains(price, scale) // _WH_PER_KWH


def _as_it_is(_: str, amount: int) -> int:
    return amount


@dataclass(slots=True)
class Account:
    """The account of one meter. ``terms`` are the meter's settings, read where they stand; amounts in grains.

    What moves it passes ``moving``, by a name for why: the twin's faults.

    In credit mode the balance rises with what is owed. In prepayment mode it falls; when it and the
    activated emergency credit together fall below the disablement threshold, the credit is *exhausted*.
    """

    terms: Mapping[str, Any]
    balance: int = 0
    emergency: int = 0
    emergency_active: bool = False
    accumulated_debt: int = 0
    payment_debt: int = 0
    time_debt_1: int = 0
    time_debt_2: int = 0
    recovered_this_week: int = 0
    week: int = 0
    moving: Callable[[str, int], int] = field(default=_as_it_is, repr=False)

    @property
    def prepaid(self) -> bool:
        return bool(self.terms["payment_mode"] == PaymentMode.PREPAYMENT)

    @property
    def floor(self) -> int:
        """The disablement threshold."""
        return int(self.terms["disablement_threshold"]) * GRAIN

    @property
    def exhausted(self) -> bool:
        return self.prepaid and self.balance + self.emergency < self.floor

    @property
    def low(self) -> bool:
        return self.prepaid and self.balance < self.terms["low_credit_threshold"] * GRAIN

    @property
    def emergency_spent(self) -> bool:
        return self.emergency_active and self.emergency == 0

    @property
    def emergency_in_use(self) -> bool:
        return self.emergency_active and self.balance <= self.floor

    def shown(self, item: str) -> int:
        """An item of :data:`AMOUNTS`, in whole millipence."""
        return int(getattr(self, AMOUNTS[item]) // GRAIN)

    def put(self, item: str, millipence: int) -> None:
        """Write an item of :data:`AMOUNTS`."""
        setattr(self, AMOUNTS[item], millipence * GRAIN)

    def until_next_level(self) -> int | None:
        """How much may still be drawn until the credit is low or exhausted: the next of the two."""
        if not self.prepaid:
            return None
        room = (
            self.balance - self.terms["low_credit_threshold"] * GRAIN,
            self.balance + self.emergency - self.floor,
        )
        return min((left + 1 for left in room if left >= 0), default=None)

    def consume(self, cost: int) -> None:
        """Pay for what was used; without credit (a non-disablement period) the balance goes on falling."""
        if not self.prepaid:
            self.balance += cost
            return
        beyond_balance = max(0, cost - max(0, self.balance - self.floor))
        from_emergency = min(beyond_balance, self.emergency) if self.emergency_active else 0
        self.emergency -= from_emergency
        self.balance -= cost - from_emergency

    def charge(self, amount: int) -> None:
        """Pay a charge; what falls due while the credit is exhausted is added to the accumulated debt."""
        if self.exhausted:
            self.accumulated_debt += amount
        else:
            self.consume(amount)

    def recover(self, period: str, *, supplied: bool) -> None:
        """Recover the time-based debts that are due each ``HOURLY`` or ``DAILY`` period.

        Not in credit mode, nor while suspended: with the supply disabled, or in emergency credit.
        """
        if not self.prepaid or self._suspended(supplied):
            return
        for number in (1, 2):
            rate = self.terms[f"debt_recovery_{number}"]
            debt = getattr(self, f"time_debt_{number}")
            if rate["period"] == period and debt > 0:
                due = self.moving("debt_recovery", min(debt, grains(rate["rate"], rate["scale"])))
                setattr(self, f"time_debt_{number}", debt - due)
                self.charge(due)

    def _suspended(self, supplied: bool) -> bool:
        if not supplied and self.terms["suspend_debt_disabled"]:
            return True
        return self.emergency_in_use and bool(self.terms["suspend_debt_emergency"])

    def refusal(self, amount: int) -> str:
        """Why a top-up is not taken; empty where it is."""
        if not self.prepaid:
            return "the meter is in credit mode"
        if amount > self.terms["max_credit_threshold"] * GRAIN:
            return "the top-up is above the maximum credit threshold"
        if self.balance + amount > self.terms["max_meter_balance"] * GRAIN:
            return "the balance would be above the maximum meter balance"
        return ""

    def top_up(self, amount: int, day: int) -> None:
        """Take a top-up: payment debt first, then accumulated debt, emergency credit, and the balance.

        ``day`` counts days; the rate cap, where it is not 0, bounds the payment debt recovered in each week.
        """
        share = self.moving("payment_debt", self._payment_share(amount, day))
        self.payment_debt -= share
        self.recovered_this_week += share
        amount -= share
        paid = min(amount, self.accumulated_debt)
        self.accumulated_debt -= paid
        amount -= paid
        if self.emergency_active:
            lent = max(0, self.terms["emergency_credit_limit"] * GRAIN - self.emergency)
            repaid = self.moving("emergency_repaid", min(amount, lent))
            self.emergency += repaid
            amount -= repaid
            if self.emergency >= self.terms["emergency_credit_limit"] * GRAIN:
                self.emergency, self.emergency_active = 0, False
        self.balance += self.moving("top_up", amount)

    def _payment_share(self, amount: int, day: int) -> int:
        if self.week != day // _WEEK_DAYS:
            self.week, self.recovered_this_week = day // _WEEK_DAYS, 0
        share = min(self.payment_debt, amount * int(self.terms["debt_recovery_per_payment"]) // 10_000)
        if cap := int(self.terms["debt_recovery_rate_cap"]) * GRAIN:
            share = min(share, cap - self.recovered_this_week)
        return max(0, share)

    def emergency_refusal(self) -> str:
        """Why emergency credit is not lent; empty where it is."""
        if not self.prepaid:
            return "the meter is in credit mode"
        if self.emergency_active:
            return "emergency credit is active already"
        if self.balance >= self.terms["emergency_credit_threshold"] * GRAIN:
            return "the balance is not below the emergency credit threshold"
        return ""

    def lend(self) -> None:
        """Make the emergency credit usable."""
        self.emergency = self.moving("emergency_lent", self.terms["emergency_credit_limit"] * GRAIN)
        self.emergency_active = True
