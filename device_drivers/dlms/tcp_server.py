"""A DLMS server behind the TCP wrapper: one thread a connection, none left after ``close``."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Self

from device_drivers.dlms.channel import HEADER_BYTES, parse_header, wrap_frame
from device_drivers.dlms.server import DlmsServer
from harness.domain.errors import ProtocolViolation

MOST_CONNECTIONS = 16


class TcpDlmsServer:
    """Listens on ``host``; ``port`` 0 lets the system choose: read it from ``address``.

    ``factory`` makes the server of each connection; ``lock``, where given, is held while an APDU is
    handled. A frame that is no wrapper frame ends the connection; a frame for another server SAP goes
    unanswered; above 16 connections further ones are closed at once.

    Life cycle: create, ``start``, ``close``.
    """

    def __init__(
        self,
        factory: Callable[[], DlmsServer],
        host: str = "127.0.0.1",
        port: int = 0,
        lock: contextlib.AbstractContextManager[object] | None = None,
        *,
        server_sap: int = 1,
    ) -> None:
        self._factory = factory
        self._lock = lock or contextlib.nullcontext()
        self._server_sap = server_sap
        self._listener = socket.create_server((host, port))
        self._guard = threading.Lock()
        self._connections: set[socket.socket] = set()
        self._conversing: list[threading.Thread] = []  # also those that are about to end
        self._accepting = threading.Thread(target=self._accept, name="dlms-accept", daemon=True)
        self._closed = False

    @property
    def address(self) -> tuple[str, int]:
        """Host and port as bound."""
        host, port = self._listener.getsockname()[:2]
        return host, port

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def start(self) -> None:
        """Begin to accept connections."""
        self._accepting.start()

    def close(self) -> None:
        """Stop listening, end every connection, wait for their threads: never call it under ``lock``."""
        with self._guard:
            if self._closed:
                return
            self._closed = True
            connections = set(self._connections)
        _shut(self._listener)
        for connection in connections:
            _shut(connection)
        if self._accepting.is_alive():  # it may never have been started
            self._accepting.join()
        for thread in self._conversing:
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:  # closed
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            thread = threading.Thread(
                target=self._converse, args=(connection,), name="dlms-connection", daemon=True
            )
            with self._guard:
                if self._closed or len(self._connections) >= MOST_CONNECTIONS:
                    connection.close()
                    continue
                self._connections.add(connection)
                self._conversing = [*filter(threading.Thread.is_alive, self._conversing), thread]
                thread.start()

    def _converse(self, connection: socket.socket) -> None:
        try:
            server = self._factory()
            while frame := self._receive(connection):
                destination, client_sap, apdu = frame
                if destination != self._server_sap:
                    continue
                with self._lock:
                    answers = server.handle(apdu, client_sap)
                for answer in answers:
                    connection.sendall(wrap_frame(self._server_sap, client_sap, answer))
        except (OSError, ProtocolViolation):
            pass  # the peer has gone, or speaks something else: this conversation is over
        finally:
            with self._guard:
                self._connections.discard(connection)
            connection.close()

    def _receive(self, connection: socket.socket) -> tuple[int, int, bytes] | None:
        """Server SAP, client SAP and APDU of the next frame; ``None`` when the peer has closed."""
        header = _exactly(connection, HEADER_BYTES)
        if header is None:
            return None
        source, destination, length = parse_header(header)
        apdu = _exactly(connection, length)
        return None if apdu is None else (destination, source, apdu)


def _exactly(connection: socket.socket, count: int) -> bytes | None:
    buffer = bytearray()
    while len(buffer) < count:
        piece = connection.recv(count - len(buffer))
        if not piece:
            return None
        buffer += piece
    return bytes(buffer)


def _shut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it may have gone already
        connection.shutdown(socket.SHUT_RDWR)
