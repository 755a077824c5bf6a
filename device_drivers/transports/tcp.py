"""A TCP connection as a byte transport."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from typing import Any, Final

from device_drivers.transports.base import ByteTransport
from harness.domain.errors import ConfigurationError, TransportLost
from harness.hooks import Fence, unfenced

_WRITE_TIMEOUT: Final = 10.0
_FENCED: Final = 0.5  # seconds that a peer's full window is waited for before the fence is asked anew


class TcpTransport:
    """Implements :class:`ByteTransport`; every trouble of the socket is a :class:`TransportLost`."""

    def __init__(self, connection: socket.socket, name: str, fence: Fence = unfenced) -> None:
        self._connection = connection
        self._name = name
        self._fence = fence

    @property
    def name(self) -> str:
        return self._name

    def write(self, data: bytes) -> None:
        left, deadline = memoryview(data), time.monotonic() + _WRITE_TIMEOUT
        try:
            self._connection.settimeout(_FENCED)
            while left:
                self._fence()
                left = left[self._sent(left) :]
                if left and time.monotonic() >= deadline:
                    raise TimeoutError("timed out")
        except OSError as error:
            raise self._lost(f"could not send: {error}") from error

    def _sent(self, data: memoryview) -> int:
        """How many of these bytes went, none where there was no room for any yet."""
        try:
            return self._connection.send(data)
        except TimeoutError:
            return 0

    def read(self, at_most: int, timeout: float) -> bytes:
        try:
            self._connection.settimeout(max(timeout, 0.001))  # 0 would mean: do not wait at all
            received = self._connection.recv(at_most)
        except TimeoutError:
            return b""
        except OSError as error:
            raise self._lost(f"could not receive: {error}") from error
        if not received:
            raise self._lost("closed by the other side")
        return received

    def close(self) -> None:
        self._connection.close()

    def _lost(self, problem: str) -> TransportLost:
        return TransportLost(f"{self._name}: {problem}", remedy="check cable, power and address")


def open_tcp(parameters: Mapping[str, Any], fence: Fence = unfenced) -> ByteTransport:
    """Connect to ``host`` and ``port`` within ``connect_timeout`` seconds (default 5)."""
    missing = {"host", "port"} - set(parameters)
    if missing:
        raise ConfigurationError(f"a TCP transport needs {' and '.join(sorted(missing))}")
    host, port = str(parameters["host"]), int(parameters["port"])
    name = f"tcp {host}:{port}"
    try:
        connection = socket.create_connection((host, port), float(parameters.get("connect_timeout", 5.0)))
    except OSError as error:
        raise TransportLost(
            f"{name}: could not connect: {error}", remedy="check address and power"
        ) from error
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return TcpTransport(connection, name, fence)
