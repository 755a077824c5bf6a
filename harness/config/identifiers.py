"""Identifiers as the field writes them, with their check digits."""

from __future__ import annotations

import re
from typing import Final

_EUI: Final = re.compile(r"[0-9A-F]{2}(-[0-9A-F]{2}){7}")
_MPAN_WEIGHTS: Final = (3, 5, 7, 13, 17, 19, 23, 29, 31, 37, 41, 43)


def eui(text: str) -> str:
    """An EUI-64 in upper case, as DUIS writes Device IDs.

    >>> eui("00-db-12-34-56-00-00-01")
    '00-DB-12-34-56-00-00-01'
    """
    if not _EUI.fullmatch(text.upper()):
        raise ValueError("an EUI-64 as XX-XX-XX-XX-XX-XX-XX-XX, in hexadecimal digits")
    return text.upper()


def mpan(text: str) -> str:
    """A core MPAN: 13 digits, the last one checking the twelve before it (modulus 11, then 10).

    >>> mpan("1200010345677")
    '1200010345677'
    """
    if not re.fullmatch(r"[0-9]{13}", text):
        raise ValueError("an MPAN core of 13 digits")
    check = sum(weight * int(digit) for weight, digit in zip(_MPAN_WEIGHTS, text, strict=False)) % 11 % 10
    if int(text[-1]) != check:
        raise ValueError(f"an MPAN whose check digit fits: {text[:-1]} is followed by {check}")
    return text


def mprn(text: str) -> str:
    """An MPRN: 6 to 10 digits, the last two checking those before them (modulus 11).

    >>> mprn("3938424403")
    '3938424403'
    """
    if not re.fullmatch(r"[0-9]{6,10}", text):
        raise ValueError("an MPRN of 6 to 10 digits")
    body = text[:-2]
    check = sum((len(body) - place) * int(digit) for place, digit in enumerate(body)) % 11
    if int(text[-2:]) != check:
        raise ValueError(f"an MPRN whose check digits fit: {body} is followed by {check:02}")
    return text


def address(text: str) -> str:
    """``host:port``; the host may be an IPv6 address in brackets.

    >>> address("[::1]:8080")
    '[::1]:8080'
    """
    if (
        not re.fullmatch(r"([^\s:/]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}", text)
        or int(text.rpartition(":")[2]) > 65_535
    ):
        raise ValueError("host:port, with a port of at most 65535")
    return text
