"""What the tests of fences share: a fence that can be shut, and a place where every byte is seen."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Self

from harness.rigs.lease_words import StaleLease

PATIENCE = 10.0  # seconds that anything may take on a busy machine


class Gate:
    """A fence that is open until it is shut: at once, or when it has been asked so many times more."""

    def __init__(self) -> None:
        self.asked = 0
        self._last: int | None = None

    def shut(self, *, after: int = 0) -> None:
        self._last = self.asked + after

    def open(self) -> None:
        self._last = None

    def __call__(self) -> None:
        if self._last is not None and self.asked >= self._last:
            raise StaleLease("the lease has ended", remedy="write nothing more")
        self.asked += 1


class Tap:
    """A place on a TCP line to ``target``, where clients connect to ``address``: what they have sent.

    Life cycle: a context manager.
    """

    def __init__(self, target: tuple[str, int]) -> None:
        self.heard = bytearray()
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._gone = threading.Event()
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, name="tap")]
        self._threads[0].start()

    @property
    def reached(self) -> bool:
        """Whether anybody has connected."""
        return bool(self._open)

    @property
    def address(self) -> tuple[str, int]:
        host, port = self._listener.getsockname()[:2]
        return host, port

    def all(self) -> bytes:
        """All that came of a client that has hung up."""
        assert self._gone.wait(PATIENCE), "the client has not hung up"
        return bytes(self.heard)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for each in (self._listener, *self._open):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for each in (self._listener, *self._open):
            each.close()

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                self._gone.clear()
                server = socket.create_connection(self._target)
                self._open += [client, server]
                for source, sink, seen in ((client, server, self.heard), (server, client, bytearray())):
                    thread = threading.Thread(target=self._carry, args=(source, sink, seen), name="tap")
                    self._threads.append(thread)
                    thread.start()

    def _carry(self, source: socket.socket, sink: socket.socket, seen: bytearray) -> None:
        with suppress(OSError):  # one side has gone
            while piece := source.recv(65536):
                seen += piece
                sink.sendall(piece)
        if seen is self.heard:
            self._gone.set()
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
