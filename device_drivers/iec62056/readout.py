r"""The data readout of mode C (IEC 62056-21 6.3.7): a block of lines such as ``1-0:1.8.0(000123.456*kWh)``.

>>> sets = data_sets(b"1-0:1.8.0(000123.456*kWh)\r\n0-0:96.1.0(E1)\r\n!\r\n")
>>> [str(one) for one in sets]
['1-0:1.8.0(000123.456*kWh)', '0-0:96.1.0(E1)']
>>> sets[0].value, sets[0].unit
('000123.456', 'kWh')
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import reduce
from operator import xor
from typing import Final

from device_drivers.iec62056.messages import Identification
from device_drivers.iec62056.parity import with_parity, without_parity, wrong_parity
from device_drivers.iec62056.sign_on import pieces, serial_line, signed_on
from device_drivers.transports.base import ByteTransport
from harness.domain.errors import ProtocolViolation, TransportLost
from harness.domain.lab import OpticalPort

STX, ETX = b"\x02", b"\x03"
LONGEST_BLOCK: Final = 0x1_0000
LONGEST_LINE: Final = 256
LONGEST_NOISE: Final = 256  # characters that may come before a block begins
_DATA_SET: Final = re.compile(r"([^()/!]{0,32})\(([^()*]{0,128})(?:\*([^()*]{0,16}))?\)")
_STX: Final = with_parity(STX)
_REMEDY: Final = "clean the probe's window, sit it straight, and read again"


@dataclass(frozen=True, slots=True)
class DataSet:
    """One value of a readout, as the meter wrote it; ``address`` is mostly an OBIS code."""

    address: str
    value: str
    unit: str = ""

    def __str__(self) -> str:
        return f"{self.address}({self.value}{'*' if self.unit else ''}{self.unit})"


@dataclass(frozen=True, slots=True)
class Readout:
    """All that a meter tells in mode C."""

    identification: Identification
    data_sets: tuple[DataSet, ...]

    def value(self, address: str) -> DataSet | None:
        """The first data set of that address."""
        return next((one for one in self.data_sets if one.address == address), None)


def read_out(transport: ByteTransport, optical: OpticalPort) -> Readout:
    """Sign on in mode C, whatever mode ``optical`` has, and take the data.

    Raises as :func:`~device_drivers.iec62056.sign_on.signed_on`; a block that is torn, or whose check is
    wrong, is a :class:`TransportLost`, and one that came whole but is no data a :class:`ProtocolViolation`.
    """
    line = serial_line(transport)
    identification = signed_on(line, replace(optical, mode="mode-c"))
    assert identification is not None
    reader = BlockReader()
    for piece in pieces(line, optical.answer, LONGEST_BLOCK):
        try:
            block = reader.feed(piece)
        except ValueError as error:
            raise TransportLost(f"{line.name}: data readout: {error}", remedy=_REMEDY) from error
        if block is not None:
            return Readout(identification, data_sets(block))
    raise TransportLost(f"{line.name}: data readout: {reader.state}", remedy=_REMEDY)


class BlockReader:
    """Takes a readout's bytes until its block is whole."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._begun = False
        self._before = 0

    @property
    def state(self) -> str:
        """What has come of the block so far."""
        if self._begun:
            return f"it ended after {len(self._buffer)} characters"
        return (
            f"it never began, after {self._before} characters of noise" if self._before else "it never began"
        )

    def feed(self, received: bytes) -> bytes | None:
        """The text between STX and ETX, without parity, once it is whole; what comes before is passed over.

        Raises :class:`ValueError` for a block that is damaged.
        """
        if not self._begun:
            before, stx, received = received.partition(_STX)
            self._begun = bool(stx)
            self._before += len(before)
            if not self._begun and self._before > LONGEST_NOISE:
                raise ValueError(self.state)  # noise has no end of its own
            if not received:
                return None
        self._buffer += received
        if wrong := wrong_parity(bytes(self._buffer[-len(received) :])):
            raise ValueError(f"{len(wrong)} characters of wrong parity, the first {wrong[:1].hex()}")
        end = self._buffer.find(ETX)
        if end < 0 and len(self._buffer) > LONGEST_BLOCK:
            raise ValueError(f"more than {LONGEST_BLOCK} characters")
        if end < 0 or len(self._buffer) < end + 2:
            return None
        text = without_parity(bytes(self._buffer[: end + 2]))
        if reduce(xor, text):
            raise ValueError("its check character is wrong")
        return text[:end]


def block(text: bytes) -> bytes:
    """A readout's text as it goes over the line, with its check character."""
    checked = text + ETX
    return with_parity(STX + checked + bytes((reduce(xor, checked),)))


def data_sets(text: bytes) -> tuple[DataSet, ...]:
    """The values of a block, in order; a value without an address belongs to the one before it.

    Raises :class:`ProtocolViolation`.
    """
    *lines, rest = text.split(b"\r\n")
    if not lines or lines.pop() != b"!" or rest:
        raise ProtocolViolation(f"a data readout that ends with {text[-16:]!r}: expected '!'")
    return tuple(one for line in lines for one in _of_line(line))


def _of_line(line: bytes) -> Iterator[DataSet]:
    told = line[:LONGEST_LINE].decode("ascii", "replace")
    address, at = "", 0
    while at < len(told) and (match := _DATA_SET.match(told, at)):
        address = match[1] or address
        yield DataSet(address, match[2], match[3] or "")
        at = match.end()
    if at < len(told) or len(line) > LONGEST_LINE or not address or not told.isprintable():
        raise ProtocolViolation(f"a data readout with the line {told!r}")
