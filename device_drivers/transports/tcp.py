"""A TCP connection as a byte transport."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Any

from device_drivers.transports.base import ByteTransport
from harness.domain.errors import ConfigurationError, TransportLost

_WRITE_TIMEOUT = 10.0


class TcpTransport:
    """Implements :class:`ByteTransport`; every trouble of the socket is a :class:`TransportLost`."""

    def __init__(self, connection: socket.socket, name: str) -> None:
        self._connection = connection
        self._name = name

    @property
    def name(self) -> str:
        return self._name

    def write(self, data: bytes) -> None:
        try:
            self._connection.settimeout(_WRITE_TIMEOUT)
            self._connection.sendall(data)
        except OSError as error:
            raise self._lost(f"could not send: {error}") from error

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


def open_tcp(parameters: Mapping[str, Any]) -> ByteTransport:
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
    return TcpTransport(connection, name)
