"""Calls between the processes of one run: JSON over a connection on the loopback, which begins with a token.

A run makes hundreds of thousands of them: whenever lab time passes on a rig, the DCC's side is asked first.
"""

from __future__ import annotations

import hmac
import json
import logging
import secrets
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, Pipe, wait
from typing import Any, Final

from harness.domain.errors import ConfigurationError, DeviceFault, HarnessError, LinkLost, UsageError

Call = Callable[[Mapping[str, Any]], Any]

_LIMIT: Final = 32 << 20  # bytes: a firmware image, coded twice
_TOKEN_LIMIT: Final = 100  # bytes
_PATIENCE: Final = 5.0  # seconds for a connection to come about, and for its token
_FAMILIES: Final = {family.__name__: family for family in (UsageError, ConfigurationError, DeviceFault)}
"""Errors that stay what they are on the way; any other of ours is a :class:`LinkLost` to the caller."""

_log: Final = logging.getLogger(__name__)


class CallFailed(Exception):
    """A mistake in the harness, met in another process of the run: neither lab nor device is to blame."""


class CallServer:
    """Answers calls by name, for whoever has the token. A call takes and gives what JSON can hold."""

    def __init__(self, calls: Mapping[str, Call]) -> None:
        self.token = secrets.token_urlsafe(32)
        self._calls = calls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._stop, self._stopping = Pipe(duplex=False)
        self._serving: list[threading.Thread] = []
        self._accepting = threading.Thread(target=self._accept, name="calls", daemon=True)
        self._accepting.start()

    @property
    def address(self) -> str:
        """Host and port."""
        host, port = self._listener.getsockname()
        return f"{host}:{port}"

    def close(self) -> None:
        """Stop answering, once the calls in hand have their answers; closing twice is fine."""
        if self._stopping.closed:
            return
        self._stopping.close()
        self._accepting.join()
        for thread in self._serving:
            thread.join()
        self._listener.close()
        self._stop.close()

    def _accept(self) -> None:
        while self._stop not in wait([self._listener, self._stop]):
            accepted, _ = self._listener.accept()
            thread = threading.Thread(
                target=self._serve, args=[_connection(accepted)], name="call", daemon=True
            )
            self._serving = [*filter(threading.Thread.is_alive, self._serving), thread]
            thread.start()

    def _serve(self, connection: Connection) -> None:
        with connection, suppress(EOFError, OSError):  # the other end has gone, or sends what is no message
            if not self._knows(connection):
                return
            while self._stop not in wait([connection, self._stop]):
                connection.send_bytes(self._answer(connection.recv_bytes(_LIMIT)))

    def _knows(self, connection: Connection) -> bool:
        if not connection.poll(_PATIENCE):
            return False
        return hmac.compare_digest(connection.recv_bytes(_TOKEN_LIMIT), self.token.encode())

    def _answer(self, content: bytes) -> bytes:
        try:
            name, arguments = json.loads(content)
            told = {"result": self._calls[name](arguments)}
        except HarnessError as error:
            family = next((name for name, of in _FAMILIES.items() if isinstance(error, of)), "")
            told = {"error": family, "message": error.message, "remedy": error.remedy}
        except Exception as error:  # the caller's test is to hear of it, in whatever process it is
            told = {"wrong": f"{type(error).__name__}: {error}"}
            _log.exception("a call failed")
        return json.dumps(told).encode()


class CallClient:
    """Calls another process of the run; whatever goes wrong on the way is a :class:`LinkLost`.

    What goes wrong there is raised here: errors of ours in their family, any other as :class:`CallFailed`.
    Threads may share it. ``timeout``: seconds that an answer may take.
    """

    def __init__(self, address: str, token: str, peer: str, timeout: float = 120.0) -> None:
        host, _, port = address.rpartition(":")
        self._address = host, int(port)
        self._token = token
        self._peer = f"{peer} at {address}"
        self._timeout = timeout
        self._idle: deque[Connection] = deque()

    def __call__(self, name: str, /, **arguments: Any) -> Any:
        """What the call gives back."""
        try:
            with self._lent() as connection:
                connection.send_bytes(json.dumps([name, arguments]).encode())
                if not connection.poll(self._timeout):
                    raise TimeoutError(f"nothing came within {self._timeout:g} s")
                told = json.loads(connection.recv_bytes(_LIMIT))
        except (OSError, EOFError) as error:
            raise LinkLost(
                f"{self._peer} gave no answer to {name}: {type(error).__name__} {error}",
                remedy="is it running?",
            ) from error
        if "error" in told:
            raise _FAMILIES.get(told["error"], LinkLost)(told["message"], remedy=told["remedy"])
        if "wrong" in told:
            raise CallFailed(f"{self._peer} failed in {name}: {told['wrong']}")
        return told["result"]

    @contextmanager
    def _lent(self) -> Iterator[Connection]:
        """A connection for one call; it is kept for others if nothing goes wrong."""
        connection = self._taken()
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        self._idle.append(connection)

    def _taken(self) -> Connection:
        while self._idle:
            with suppress(IndexError):  # another thread was quicker
                connection = self._idle.pop()
                if not connection.poll():  # else the other end has hung up meanwhile
                    return connection
                connection.close()
        connection = _connection(socket.create_connection(self._address, _PATIENCE), self._timeout)
        try:
            connection.send_bytes(self._token.encode())
        except OSError:
            connection.close()
            raise
        return connection

    def close(self) -> None:
        """Let go of the connections."""
        while self._idle:
            self._idle.pop().close()


def _connection(line: socket.socket, timeout: float = 0.0) -> Connection:
    """A socket as a connection of whole messages; a piece of one may take so many seconds (0: for ever)."""
    line.settimeout(None)
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    seconds, fraction = divmod(timeout, 1)
    for option in (socket.SO_SNDTIMEO, socket.SO_RCVTIMEO):
        line.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", int(seconds), int(fraction * 1e6)))
    return Connection(line.detach())
