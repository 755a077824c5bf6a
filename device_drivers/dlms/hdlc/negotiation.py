"""What SNRM and UA agree: length of the information field and window, each way (IEC 62056-46 6.4.4.4.3.2).

>>> parse(encode(Parameters(2030, 2030, 7, 7)))
Parameters(transmit_field=2030, receive_field=2030, transmit_window=7, receive_window=7)
>>> agreed(Parameters(2030, 2030, 7, 7), parse(b""))
Parameters(transmit_field=128, receive_field=128, transmit_window=1, receive_window=1)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from harness.domain.errors import ConfigurationError, ProtocolViolation

SHORTEST_FIELD, LONGEST_FIELD = 128, 2030
LARGEST_WINDOW: Final = 7

_FORMAT, _GROUP = 0x81, 0x80
_TRANSMIT_FIELD, _RECEIVE_FIELD, _TRANSMIT_WINDOW, _RECEIVE_WINDOW = 5, 6, 7, 8
_MOST_VALUE_BYTES = 4


@dataclass(frozen=True, slots=True)
class Parameters:
    """Fields in bytes, windows in frames, as the station that speaks of them sees them."""

    transmit_field: int = 128
    receive_field: int = 128
    transmit_window: int = 1
    receive_window: int = 1


DEFAULTS: Final = Parameters()


def both_ways(field: int, window: int) -> Parameters:
    """The same for both directions; :class:`ConfigurationError` outside what the standard allows."""
    if not (SHORTEST_FIELD <= field <= LONGEST_FIELD and 1 <= window <= LARGEST_WINDOW):
        raise ConfigurationError(
            f"HDLC information field {field} and window {window}",
            remedy=f"{SHORTEST_FIELD} to {LONGEST_FIELD} bytes, 1 to {LARGEST_WINDOW} frames",
        )
    return Parameters(field, field, window, window)


def agreed(ours: Parameters, theirs: Parameters) -> Parameters:
    """What both can do, as this station sees it: one's transmitting is the other's receiving."""
    return Parameters(
        min(ours.transmit_field, theirs.receive_field),
        min(ours.receive_field, theirs.transmit_field),
        min(ours.transmit_window, theirs.receive_window),
        min(ours.receive_window, theirs.transmit_window),
    )


def encode(parameters: Parameters) -> bytes:
    """The information field of SNRM or UA."""
    group = b"".join(
        (
            _item(_TRANSMIT_FIELD, parameters.transmit_field, 1 + (parameters.transmit_field > 0xFF)),
            _item(_RECEIVE_FIELD, parameters.receive_field, 1 + (parameters.receive_field > 0xFF)),
            _item(_TRANSMIT_WINDOW, parameters.transmit_window, 4),
            _item(_RECEIVE_WINDOW, parameters.receive_window, 4),
        )
    )
    return bytes((_FORMAT, _GROUP, len(group))) + group


def _item(identifier: int, value: int, size: int) -> bytes:
    return bytes((identifier, size)) + value.to_bytes(size)


def parse(information: bytes) -> Parameters:
    """The parameters, defaults for those that are missing; what is not known is passed over.

    Raises :class:`ProtocolViolation`.
    """
    if not information:
        return DEFAULTS
    if len(information) < 3 or information[:2] != bytes((_FORMAT, _GROUP)):
        raise ProtocolViolation(f"HDLC parameters that begin with {information[:3].hex()}: expected 8180")
    group = information[3 : 3 + information[2]]
    if len(group) != information[2]:
        raise ProtocolViolation(f"HDLC parameters of {information[2]} bytes, of which {len(group)} came")
    values: dict[int, int] = {}
    at = 0
    while at < len(group):
        size = group[at + 1] if at + 1 < len(group) else 0
        value = group[at + 2 : at + 2 + size]
        if not 1 <= size == len(value) <= _MOST_VALUE_BYTES and group[at] in range(5, 9):
            raise ProtocolViolation(f"HDLC parameter {group[at]} has no value of 1 to 4 bytes")
        values[group[at]] = int.from_bytes(value)
        at += 2 + size
    return Parameters(
        _usable(values.get(_TRANSMIT_FIELD, 128), "information field", 1, LONGEST_FIELD),
        _usable(values.get(_RECEIVE_FIELD, 128), "information field", 1, LONGEST_FIELD),
        _usable(values.get(_TRANSMIT_WINDOW, 1), "window", 1, LARGEST_WINDOW),
        _usable(values.get(_RECEIVE_WINDOW, 1), "window", 1, LARGEST_WINDOW),
    )


def _usable(value: int, what: str, least: int, most: int) -> int:
    """A value above what the standard allows counts as the most; none at all is a violation."""
    if value < least:
        raise ProtocolViolation(f"HDLC {what} of {value}")
    return min(value, most)
