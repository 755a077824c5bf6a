"""What goes over a hub's WAN connection: frames of a four-byte length and a JSON object with a kind."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

from harness.domain.errors import ProtocolViolation

FRAME_LIMIT: Final = 1 << 20
HELLO_SECONDS: Final = 10.0
ANSWER_SECONDS: Final = 60.0

Frame = Mapping[str, Any]


class Line:
    """A socket that carries frames; many threads may send, one receives."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._sending = threading.Lock()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, frame: Frame) -> None:
        """Send one frame, whole; :class:`OSError` when the other end has gone."""
        body = json.dumps(frame, separators=(",", ":")).encode()
        if len(body) > FRAME_LIMIT:
            raise ProtocolViolation(f"a WAN frame of {len(body)} bytes; the limit is {FRAME_LIMIT}")
        with self._sending:
            self._socket.sendall(len(body).to_bytes(4) + body)

    def receive(self, timeout: float | None = None) -> dict[str, Any] | None:
        """The next frame; ``None`` when the other end has gone, or this one was closed."""
        try:
            self._socket.settimeout(timeout)
        except OSError:
            return None
        head = self._exactly(4)
        if head is None:
            return None
        length = int.from_bytes(head)
        if length > FRAME_LIMIT:
            raise ProtocolViolation(f"a WAN frame of {length} bytes announced; the limit is {FRAME_LIMIT}")
        body = self._exactly(length)
        if body is None:
            return None
        try:
            frame = json.loads(body)
        except ValueError as error:
            raise ProtocolViolation(f"a WAN frame that is not JSON: {error}") from None
        if not isinstance(frame, dict) or not isinstance(frame.get("kind"), str):
            raise ProtocolViolation(f"a WAN frame without a kind: {body[:80]!r}")
        return frame

    def _exactly(self, size: int) -> bytes | None:
        received = bytearray()
        while len(received) < size:
            try:
                chunk = self._socket.recv(min(size - len(received), 65_536))
            except OSError:
                return None
            if not chunk:
                return None
            received += chunk
        return bytes(received)

    def close(self) -> None:
        """Hang up; whoever is in :meth:`receive` gets ``None``."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


def read_bytes(text: object) -> bytes:
    """Bytes as a frame has them: hexadecimal digits."""
    try:
        return bytes.fromhex(str(text))
    except ValueError:
        raise ProtocolViolation(f"a WAN frame whose APDU is not hexadecimal: {str(text)[:40]!r}") from None


def read_list(items: object) -> list[object]:
    """A list, which a frame has as JSON has it."""
    if not isinstance(items, list):
        raise ProtocolViolation(f"a WAN frame with {str(items)[:40]!r} where a list was due")
    return items


def read_moment(text: object) -> datetime:
    """A moment as a frame has it: ISO 8601 with its offset."""
    try:
        return datetime.fromisoformat(str(text))
    except ValueError:
        raise ProtocolViolation(f"a WAN frame whose time is {str(text)[:40]!r}") from None
