"""Every byte of a port in the evidence, with time and direction: for doors with ``log_bytes``."""

from __future__ import annotations

from typing import Final

from device_drivers.transports.base import ByteTransport, SerialLine
from harness.hooks import Trace

LONGEST_PIECE: Final = 512  # bytes of a step in the evidence


class LoggedTransport:
    """Implements :class:`ByteTransport`: each piece that passes is a step of the attempt in hand."""

    def __init__(self, transport: ByteTransport, trace: Trace, source: str) -> None:
        self._transport = transport
        self._trace = trace
        self._source = source

    @property
    def name(self) -> str:
        return self._transport.name

    def write(self, data: bytes) -> None:
        self._log("bytes sent", data)  # before: what could not be sent whole may have left in part
        self._transport.write(data)

    def read(self, at_most: int, timeout: float) -> bytes:
        received = self._transport.read(at_most, timeout)
        self._log("bytes received", received)
        return received

    def close(self) -> None:
        self._transport.close()

    def _log(self, what: str, data: bytes) -> None:
        for at in range(0, len(data), LONGEST_PIECE):
            self._trace.event(self._source, what, port=self.name, hex=data[at : at + LONGEST_PIECE].hex(" "))


class LoggedLine(LoggedTransport):
    """Implements :class:`SerialLine`, with the changes of the baud rate among the bytes."""

    def __init__(self, line: SerialLine, trace: Trace, source: str) -> None:
        super().__init__(line, trace, source)
        self._line = line

    @property
    def baud(self) -> int:
        return self._line.baud

    def set_baud(self, baud: int) -> None:
        self._line.set_baud(baud)
        self._trace.event(self._source, f"{baud} baud", port=self.name)


def logged(transport: ByteTransport, trace: Trace, source: str) -> ByteTransport:
    """The same transport with its bytes in the evidence."""
    if isinstance(transport, SerialLine):
        return LoggedLine(transport, trace, source)
    return LoggedTransport(transport, trace, source)
