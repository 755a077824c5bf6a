"""Top-up codes (UTRN): 20 digits that one meter accepts once.

The real scheme belongs to the DCC and the meter's maker (for enrolled SMETS1 devices the DCC makes the
codes). This one is **ours**, for twins: 6 digits of pence, 7 of a rising serial number, 6 of a keyed
check and one Luhn digit. A lab with a DCC outside brings its vending service by hook ``harness_vend``.

>>> parse_utrn("00-DB-12-34-56-78-90-A0", make_utrn("00-DB-12-34-56-78-90-A0", 1000, 7))
(1000, 7)
"""

from __future__ import annotations

import hashlib
import hmac
from itertools import islice


def _check(device_id: str, digits: str) -> str:
    key = hashlib.sha256(f"utrn:{device_id}".encode()).digest()
    tag = hmac.new(key, digits.encode(), hashlib.sha256).digest()
    return f"{int.from_bytes(tag[:8]) % 1_000_000:06}"


def _luhn(digits: str) -> str:
    total = 0
    for position, digit in enumerate(reversed(digits)):
        number = int(digit) * (1 if position % 2 else 2)
        total += number - 9 if number > 9 else number
    return str(-total % 10)


def make_utrn(device_id: str, pence: int, serial: int) -> str:
    """A code worth ``pence`` (0 … 999,999) with serial number ``serial`` (0 … 9,999,999) for one meter."""
    body = f"{pence:06}{serial:07}"
    body += _check(device_id, body)
    return body + _luhn(body)


def parse_utrn(device_id: str, utrn: str) -> tuple[int, int]:
    """Pence and serial number; :class:`ValueError` saying what is wrong with a code of another meter."""
    if len(utrn) != 20 or not utrn.isdigit():
        raise ValueError("a UTRN has 20 digits")
    if _luhn(utrn[:-1]) != utrn[-1]:
        raise ValueError("a digit of the UTRN is wrong")
    if not hmac.compare_digest(_check(device_id, utrn[:13]), utrn[13:19]):
        raise ValueError("the UTRN is not for this meter")
    return int(utrn[:6]), int(utrn[6:13])


def wrong_utrns(device_id: str, pence: int, count: int) -> tuple[str, ...]:
    """Guesses at a code of a meter: all is right but the check, which takes the key."""
    body = f"{pence:06}{9_999_999:07}"
    right = _check(device_id, body)
    guesses = (f"{guess:06}" for guess in range(1_000_000) if f"{guess:06}" != right)
    return tuple(f"{body}{guess}{_luhn(body + guess)}" for guess in islice(guesses, count))
