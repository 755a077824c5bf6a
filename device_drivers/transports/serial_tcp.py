"""A serial port behind a raw TCP serial server, which carries bytes and nothing else."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from device_drivers.transports.base import ByteTransport, SerialLine, line_time, standard_baud
from device_drivers.transports.tcp import open_tcp
from harness.domain.errors import ConfigurationError
from harness.hooks import Fence, unfenced


class SerialServerLine:
    """Implements :class:`SerialLine`; the baud rate is what the server was set to, and stays."""

    def __init__(self, connection: ByteTransport, baud: int) -> None:
        self._connection = connection
        self._baud = baud

    @property
    def name(self) -> str:
        return f"serial-{self._connection.name}"

    @property
    def baud(self) -> int:
        return self._baud

    def write(self, data: bytes) -> None:
        self._connection.write(data)
        time.sleep(line_time(len(data), self._baud))  # the server does not say when they have left

    def read(self, at_most: int, timeout: float) -> bytes:
        return self._connection.read(at_most, timeout)

    def set_baud(self, baud: int) -> None:
        if baud != self._baud:
            raise ConfigurationError(
                f"{self.name}: a raw TCP serial server stays at {self._baud} baud, {baud} were asked for",
                remedy="transport rfc2217, or an optical port of mode direct at the server's own rate",
            )

    def close(self) -> None:
        self._connection.close()


def open_serial_tcp(parameters: Mapping[str, Any], fence: Fence = unfenced) -> SerialLine:
    """Connect to ``host`` and ``port``; ``baud`` is what the server was set to (default 9600)."""
    baud = standard_baud(int(parameters.get("baud", 9_600)))
    return SerialServerLine(open_tcp(parameters, fence), baud)
