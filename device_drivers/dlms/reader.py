"""Reads an APDU from its first byte to its last; every shortage is a :class:`ProtocolViolation`."""

from __future__ import annotations

from device_drivers.dlms.axdr import decode_from
from device_drivers.dlms.data import Data
from device_drivers.dlms.lengths import decode_length
from harness.domain.errors import ProtocolViolation


class Reader:
    """A position in some bytes. ``what`` names them in messages, e.g. ``AARQ``."""

    def __init__(self, raw: bytes, what: str) -> None:
        self._raw = raw
        self._at = 0
        self._what = what

    def bad(self, problem: str) -> ProtocolViolation:
        """The error that says what is wrong here."""
        return ProtocolViolation(f"{self._what}, byte {self._at}: {problem}")

    @property
    def left(self) -> int:
        """How many bytes are still to be read."""
        return len(self._raw) - self._at

    def take(self, count: int) -> bytes:
        """The next ``count`` bytes."""
        if count > self.left:
            raise self.bad(f"{count} bytes were due, {self.left} are left")
        self._at += count
        return self._raw[self._at - count : self._at]

    def rest(self) -> bytes:
        """All that is left."""
        return self.take(self.left)

    def number(self, size: int) -> int:
        """An unsigned number of ``size`` bytes."""
        return int.from_bytes(self.take(size), "big")

    def one_of(self, *allowed: int) -> int:
        """One byte that must be one of these."""
        value = self.number(1)
        if value not in allowed:
            wanted = " or ".join(f"0x{byte:02x}" for byte in allowed)
            raise self.bad(f"expected {wanted}, found 0x{value:02x}")
        return value

    def length(self) -> int:
        """A length or count, never more than the bytes that are left."""
        length, self._at = decode_length(self._raw, self._at)
        return length

    def counted(self) -> bytes:
        """Bytes with their length before them."""
        return self.take(self.length())

    def data(self) -> Data:
        """One COSEM value."""
        data, self._at = decode_from(self._raw, self._at)
        return data

    def end(self) -> None:
        """There must be nothing left."""
        if self.left:
            raise self.bad(f"{self.left} bytes too many")
