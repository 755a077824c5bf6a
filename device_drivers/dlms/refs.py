"""How COSEM objects, attributes and parts of a profile are named (Blue Book 4.1, 4.3.6).

>>> parse_obis("1-0:1.8.0").hex(), format_obis(bytes.fromhex("0100010800ff"))
('0100010800ff', '1-0:1.8.0')
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

_OBIS = re.compile(r"(\d{1,3})-(\d{1,3}):(\d{1,3})\.(\d{1,3})\.(\d{1,3})(?:\.(\d{1,3}))?")


def parse_obis(text: str) -> bytes:
    """The six bytes of "A-B:C.D.E.F"; without F it is 255. Raises :class:`ValueError`."""
    if not (match := _OBIS.fullmatch(text)):
        raise ValueError(f"not an OBIS code: {text!r} (expected the form 1-0:1.8.0 or 1-0:1.8.0.255)")
    values = [int(group) if group else 255 for group in match.groups()]
    if max(values) > 255:
        raise ValueError(f"not an OBIS code: {text!r} (each value group is 0 to 255)")
    return bytes(values)


def format_obis(raw: bytes) -> str:
    """The form A-B:C.D.E, and .F where that is not 255; ``raw`` has six bytes."""
    a, b, c, d, e, f = raw
    return f"{a}-{b}:{c}.{d}.{e}" + ("" if f == 255 else f".{f}")


@dataclass(frozen=True, slots=True)
class AttributeRef:
    """One attribute of one object, e.g. ``AttributeRef(3, "1-0:1.8.0", 2)``."""

    class_id: int
    obis: str
    attribute: int

    def __str__(self) -> str:
        return f"{self.obis} attribute {self.attribute} (class {self.class_id})"


@dataclass(frozen=True, slots=True)
class MethodRef:
    """One method of one object."""

    class_id: int
    obis: str
    method: int

    def __str__(self) -> str:
        return f"{self.obis} method {self.method} (class {self.class_id})"


@dataclass(frozen=True, slots=True)
class RangeSelector:
    """Rows of a profile whose clock is in ``start`` … ``end``, both included (aware moments).

    ``columns`` are the captured attributes wanted; ``()`` is all. An end that a peer left open is
    ``datetime.max``, a start ``datetime.min`` (UTC).
    """

    start: datetime
    end: datetime
    columns: tuple[AttributeRef, ...] = ()


@dataclass(frozen=True, slots=True)
class EntrySelector:
    """Rows ``first`` … ``last`` of a profile, and columns, counted from 1; a last of 0 is the end."""

    first: int
    last: int = 0
    first_column: int = 1
    last_column: int = 0


Selector = RangeSelector | EntrySelector

CLOCK_TIME = AttributeRef(8, "0-0:1.0.0", 2)
CURRENT_ASSOCIATION = "0-0:40.0.0"
REPLY_TO_HLS = MethodRef(15, CURRENT_ASSOCIATION, 1)


def invocation_counter(client_sap: int) -> AttributeRef:
    """Where the public client reads the highest counter that ``client_sap`` has used."""
    return AttributeRef(1, f"0-0:43.1.{client_sap}", 2)
