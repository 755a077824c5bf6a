"""What a customer reads on a meter."""

from __future__ import annotations

from datetime import datetime

from device_drivers.simulated.meters.prepayment import Account
from harness.domain.words import SupplyState

_MILLIPENCE_PER_POUND = 100_000


def display_text(time: datetime, reading: str, supply: SupplyState, account: Account, *texts: str) -> str:
    """A line for each thing that there is to show; ``texts`` that are empty are left out."""
    lines = [f"{time:%d %b %Y %H:%M} UTC", reading, f"SUPPLY {supply.upper()}"]
    if account.prepaid:
        lines.append(f"CREDIT {_pounds(account, 'meter_balance')}")
    if account.low:
        lines.append("LOW CREDIT")
    if account.emergency_active:
        lines.append(f"EMERGENCY CREDIT {_pounds(account, 'emergency_credit_balance')}")
    return "\n".join(filter(None, (*lines, *texts)))


def _pounds(account: Account, item: str) -> str:
    return f"{account.shown(item) / _MILLIPENCE_PER_POUND:.2f} GBP"
