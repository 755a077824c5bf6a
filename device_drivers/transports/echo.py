"""Probes that hear themselves: one copy of what is sent comes back, and is dropped."""

from __future__ import annotations

import time
from typing import Final

from device_drivers.transports.base import SerialLine, line_time
from harness.domain.errors import TransportLost

_LATE: Final = 1.0  # seconds that an echo may come after its last byte has left
_STALE: Final = 4_096


class EchoDropping:
    """Implements :class:`SerialLine` over the line of a probe that echoes.

    ``write`` returns when the echo has come whole. An echo that is not what was sent, or none, is a
    :class:`TransportLost`: the probe may hear its own reflection, or another light. What nobody has read
    when one begins to send is no answer to it, and is dropped as well.
    """

    def __init__(self, line: SerialLine) -> None:
        self._line = line

    @property
    def name(self) -> str:
        return self._line.name

    @property
    def baud(self) -> int:
        return self._line.baud

    def write(self, data: bytes) -> None:
        self._line.read(_STALE, 0)
        self._line.write(data)
        deadline = time.monotonic() + line_time(len(data), self.baud) + _LATE
        heard = bytearray()
        while len(heard) < len(data):
            left = deadline - time.monotonic()
            heard += self._line.read(len(data) - len(heard), left) if left > 0 else b""
            if not data.startswith(heard):
                raise TransportLost(
                    f"{self.name}: the probe's echo is not what was sent: {_around(data, heard)}",
                    remedy="clean the probe's window, shade it, and sit it straight",
                )
            if left <= 0:
                raise TransportLost(
                    f"{self.name}: {len(heard)} of {len(data)} bytes came back as echo",
                    remedy="see that the probe is plugged in; `echo: false` if it is one without echo",
                )

    def read(self, at_most: int, timeout: float) -> bytes:
        return self._line.read(at_most, timeout)

    def set_baud(self, baud: int) -> None:
        self._line.set_baud(baud)

    def close(self) -> None:
        self._line.close()


def _around(sent: bytes, heard: bytes | bytearray) -> str:
    at = next(at for at, (one, other) in enumerate(zip(sent, heard, strict=False)) if one != other)
    return f"from byte {at} sent {sent[at : at + 16].hex(' ')}, heard {heard[at : at + 16].hex(' ')}"
