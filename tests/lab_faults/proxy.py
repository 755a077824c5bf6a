"""A TCP proxy that can be pulled out like a probe, or go silent, at the n-th thing said through it."""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress
from enum import Enum

CHUNK = 65_536


class State(Enum):
    PASSING = "passing"
    PULLED = "pulled"  # what is connected is reset, what connects is reset at once
    SILENT = "silent"  # connections are taken, and nothing is answered


class Proxy:
    """Listens before a server. :meth:`arm` chooses what it will be, and after how many sends of a client."""

    def __init__(self, host: str, port: int) -> None:
        self._behind = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._state = State.PASSING
        self._armed: tuple[State, int] | None = None
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._ended = False
        self._start(self._accept)

    @property
    def fired(self) -> bool:
        """Whether it is what it was armed to be."""
        return self._state is not State.PASSING

    def arm(self, state: State, after: int) -> None:
        """From the send after ``after`` more on it is in that state, and stays so until :meth:`heal`."""
        with self._lock:
            self._armed = (state, after)

    def heal(self) -> bool:
        """Let everything pass again; returns whether it had fired."""
        with self._lock:
            fired, self._armed, self._state = self.fired, None, State.PASSING
        return fired

    def close(self) -> None:
        """Stop listening, and end every connection and thread."""
        self._ended = True
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._reset_all()
        for thread in self._threads:
            thread.join()

    def _start(self, *call: object) -> None:
        target, *arguments = call
        thread = threading.Thread(target=target, args=arguments, name="proxy")  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._ended:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._state is State.PULLED or self._ended:
                _reset(client)
                continue
            try:
                server = socket.create_connection(self._behind)
            except OSError:
                _reset(client)
                continue
            for each in (client, server):
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with self._lock:
                    self._open.add(each)
            self._start(self._pump, client, server, True)
            self._start(self._pump, server, client, False)

    def _pump(self, source: socket.socket, target: socket.socket, asking: bool) -> None:
        try:
            while data := source.recv(CHUNK):
                if asking:
                    self._count()
                if self._state is State.PULLED:
                    break
                if self._state is State.PASSING:
                    target.sendall(data)
        except OSError:
            pass
        for each in (source, target):
            with self._lock:
                self._open.discard(each)
            if self._state is State.PULLED:
                _reset(each)
            else:
                _close(each)

    def _count(self) -> None:
        with self._lock:
            if self._armed is None:
                return
            state, left = self._armed
            if left:
                self._armed = (state, left - 1)
                return
            self._armed, self._state = None, state
        if state is State.PULLED:
            self._reset_all()

    def _reset_all(self) -> None:
        with self._lock:
            sockets, self._open = list(self._open), set()
        for each in sockets:
            _reset(each)


def _reset(each: socket.socket) -> None:
    """End a connection without a goodbye."""
    with suppress(OSError):
        each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    _close(each)


def _close(each: socket.socket) -> None:
    with suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)  # wakes who reads it
    each.close()
