"""Ways in which a meter can be wrong about money: balances, debts, credit that is lent, top-ups."""

from __future__ import annotations

from typing import Any, Final

from device_drivers.simulated.faults.making import (
    at,
    event,
    exchanged,
    lose,
    told,
    turned,
    unchecked,
    unheard,
)
from device_drivers.utrn import make_utrn, parse_utrn
from harness.domain.events import Event
from harness.domain.faults import DROP, Fault, Place, Point, Seen

_GRAINS_PER_PENNY: Final = 1_000_000_000

_esme, _gsme = at(Place.ESME), at(Place.GSME)


def _double_worth(seen: Seen) -> Any:
    if seen.item != "top_up":
        return seen.value
    device_id = seen.details["device_id"]
    try:
        pence, serial = parse_utrn(device_id, bytes(seen.value).decode())
    except ValueError:
        return seen.value  # a code that the meter refuses anyway
    return make_utrn(device_id, 2 * pence, serial).encode()


def _to_the_penny(grains: int) -> int:
    return grains // _GRAINS_PER_PENNY * _GRAINS_PER_PENNY


def _used_before(seen: Seen) -> Any:
    """Of all that may be wrong with a code, that it was used before does not count."""
    return "" if seen.item == "top_up" and "used before" in seen.value else seen.value


def _above_the_maximum(seen: Seen) -> Any:
    return "" if seen.item == "top_up" and "above the maximum" in seen.value else seen.value


def _every_second_day(seen: Seen) -> Any:
    if seen.item != "standing_charge":
        return seen.value
    seen.memory["days"] = seen.memory.get("days", 0) + 1
    return DROP if seen.memory["days"] % 2 else seen.value


TOP_UPS: Final = (
    _esme(
        "top-up-doubled",
        Point.ACTION,
        "a top-up is credited twice over",
        _double_worth,
        "2.2",
    ),
    _esme(
        "top-up-without-its-pence",
        Point.MONEY,
        "a top-up is credited in whole pounds",
        turned(lambda grains: grains // (100 * _GRAINS_PER_PENNY) * 100 * _GRAINS_PER_PENNY, "top_up"),
        "2.2",
    ),
    _esme(
        "code-good-twice",
        Point.CHECK,
        "a code that has been used before is taken again",
        _used_before,
        "2.2",
    ),
    _gsme(
        "top-up-beyond-maximum",
        Point.CHECK,
        "a top-up above the maxima is taken",
        _above_the_maximum,
        "2.1",
    ),
    _gsme(
        "top-up-lost",
        Point.MONEY,
        "a top-up is acknowledged and credited nowhere",
        lose("top_up"),
        "2.2",
    ),
    _gsme(
        "refused-code-unlogged",
        Point.EVENT,
        "a code that is refused leaves no event",
        event(Event.TOP_UP_REFUSED),
        "2.2",
    ),
)

CHARGES: Final = (
    _esme(
        "charge-rounded-down",
        Point.MONEY,
        "what was used is charged in whole pence, each time rounded down",
        turned(_to_the_penny, "consumption"),
    ),
    _esme(
        "charge-in-pence",
        Point.MONEY,
        "a price in millipence is charged as one in pence",
        turned(lambda grains: 1_000 * grains, "consumption"),
    ),
    _esme(
        "charge-refunded",
        Point.MONEY,
        "what was used is credited, where it is to be charged",
        turned(lambda grains: -grains, "consumption"),
    ),
    _esme(
        "standing-charge-twice",
        Point.MONEY,
        "the standing charge of a day is taken twice",
        turned(lambda grains: 2 * grains, "standing_charge"),
        "1.2.1",
    ),
    _gsme(
        "standing-charge-never",
        Point.MONEY,
        "no standing charge is taken",
        lose("standing_charge"),
        "1.2.1",
    ),
    _gsme(
        "standing-charge-every-other-day",
        Point.MONEY,
        "the standing charge is taken every second day",
        _every_second_day,
        "1.2.1",
    ),
)

DEBTS: Final = (
    _esme(
        "debt-recovered-twice",
        Point.MONEY,
        "a time-based debt is recovered at twice its rate",
        turned(lambda grains: 2 * grains, "debt_recovery"),
        "2.3",
    ),
    _esme(
        "debt-never-recovered",
        Point.MONEY,
        "time-based debts are not recovered",
        lose("debt_recovery"),
        "2.3",
    ),
    _gsme(
        "payment-debt-untouched",
        Point.MONEY,
        "no share of a payment goes to the debt",
        lose("payment_debt"),
        "2.3",
    ),
    _esme(
        "payment-debt-doubled",
        Point.MONEY,
        "twice the share of each payment goes to the debt",
        turned(lambda grains: 2 * grains, "payment_debt"),
        "2.3",
    ),
    _esme(
        "debt-cap-ignored",
        Point.WRITE,
        "the cap on what is recovered from payments is acknowledged and not held",
        unheard("debt_recovery_rate_cap"),
        "2.1",
    ),
    _esme(
        "second-debt-lost",
        Point.WRITE,
        "the second time-based debt is written as nothing",
        told(lambda _: 0, "time_debt_2"),
        "2.3",
    ),
    _gsme(
        "hourly-rate-taken-daily",
        Point.WRITE,
        "a debt that is to be recovered each hour is recovered each day",
        told(lambda rate: {**rate, "period": "DAILY"}, "debt_recovery_1"),
        "2.3",
    ),
    _gsme(
        "suspension-lost",
        Point.WRITE,
        "debt recovery goes on while the supply is disabled, whatever the terms",
        told(lambda _: False, "suspend_debt_disabled"),
        "1.6",
    ),
    _esme(
        "suspension-in-emergency-lost",
        Point.WRITE,
        "debt recovery goes on in emergency credit, whatever the terms",
        told(lambda _: False, "suspend_debt_emergency"),
        "1.6",
    ),
)

CREDIT: Final = (
    _esme(
        "emergency-credit-twice",
        Point.MONEY,
        "twice the limit of emergency credit is lent",
        turned(lambda grains: 2 * grains, "emergency_lent"),
        "2.5",
    ),
    _gsme(
        "emergency-credit-forgiven",
        Point.MONEY,
        "a top-up pays no emergency credit back",
        lose("emergency_repaid"),
        "2.5",
    ),
    _gsme(
        "emergency-credit-always",
        Point.CHECK,
        "emergency credit is lent whatever the balance",
        unchecked("emergency_credit"),
        "2.5",
    ),
    _esme(
        "emergency-credit-lost",
        Point.ACTION,
        "emergency credit is acknowledged and not lent",
        unheard("activate_emergency_credit"),
        "2.5",
    ),
    _esme(
        "emergency-credit-unlogged",
        Point.EVENT,
        "emergency credit leaves no event",
        event(Event.EMERGENCY_CREDIT_ACTIVATED),
        "2.5",
    ),
    _esme(
        "non-disablement-ignored",
        Point.CHECK,
        "the supply is cut for want of credit in a non-disablement period too",
        turned(lambda _: False, "protected"),
        "2.1",
    ),
    _gsme(
        "always-protected",
        Point.CHECK,
        "the supply is never cut for want of credit",
        turned(lambda _: True, "protected"),
        "2.2",
    ),
    _esme(
        "enabled-without-credit",
        Point.CHECK,
        "a supply without credit is enabled and armed all the same",
        unchecked("obstacle"),
        "7.1",
        "7.3",
    ),
    _esme(
        "low-credit-at-zero",
        Point.WRITE,
        "low credit is alerted when there is none, whatever the threshold",
        told(lambda _: 0, "low_credit_threshold"),
        "2.1",
    ),
    _gsme(
        "low-credit-unalerted",
        Point.ALERT,
        "low credit raises no alert",
        lose("000A"),
        "2.1",
    ),
    _esme(
        "cut-alerted-twice",
        Point.EVENT,
        "a supply cut for want of credit is told twice",
        event(Event.CREDIT_EXHAUSTED, Event.CREDIT_EXHAUSTED, Event.CREDIT_EXHAUSTED),
        "2.2",
    ),
    _esme(
        "disablement-threshold-without-sign",
        Point.WRITE,
        "a disablement threshold below zero is held as one above",
        told(abs, "disablement_threshold"),
        "1.6",
    ),
)

BALANCES: Final = (
    _esme(
        "adjustment-in-pence",
        Point.ACTION,
        "an adjustment in millipence is taken as one in pence",
        told(lambda amount: 1_000 * amount, "adjust_balance"),
        "1.5",
    ),
    _gsme(
        "adjustment-without-sign",
        Point.ACTION,
        "an adjustment downwards moves the balance up",
        told(abs, "adjust_balance"),
        "1.5",
    ),
    _gsme(
        "reset-ignored",
        Point.ACTION,
        "a reset of the balance is acknowledged, and the balance stays",
        unheard("reset_balance"),
        "1.5",
    ),
    _esme(
        "balance-in-pence",
        Point.READ,
        "the balance is told in pence, where millipence are due",
        told(lambda millipence: millipence // 1_000, "meter_balance"),
        "4.3",
        "4.18",
    ),
    _esme(
        "balance-never-negative",
        Point.READ,
        "a balance below zero is told as zero",
        told(lambda millipence: max(0, millipence), "meter_balance"),
        "4.18",
    ),
    _gsme(
        "accumulated-debt-untold",
        Point.READ,
        "accumulated debt is told as none",
        told(lambda _: 0, "accumulated_debt"),
        "4.3",
    ),
    _gsme(
        "mode-told-as-credit",
        Point.READ,
        "a meter in prepayment mode says that it is in credit mode",
        told(lambda _: "Credit", "payment_mode"),
        "6.2.9",
    ),
    _gsme(
        "tariff-change-balances-exchanged",
        Point.LOG,
        "at a change of mode balance and emergency credit are recorded in each other's place",
        turned(exchanged(4, 5), "tariff_change_log"),
        "4.4.2",
    ),
)

FAULTS: tuple[Fault, ...] = (*TOP_UPS, *CHARGES, *DEBTS, *CREDIT, *BALANCES)
