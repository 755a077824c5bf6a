"""A port that the controller sees, as a port of this computer's loopback."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from device_drivers.bench.ssh.connection import TROUBLE, Connection
from harness.domain.errors import HarnessError, LabFault

MOST_CONNECTIONS: Final = 64
_PIECE: Final = 32 * 1024


class Forwarding:
    """Listens on any free port of the loopback, and carries each connection to a host and port behind.

    ``connection`` gives the open connection to the controller; ``refused`` is told of what could not be
    carried: who connected here only sees it closed. Above 64 connections further ones are closed at once, and
    all of them when the connection holds back.

    Life cycle: create (it listens), ``close``.
    """

    def __init__(
        self,
        connection: Callable[[], Connection],
        target: tuple[str, int],
        within: float,
        refused: Callable[[HarnessError], None],
    ) -> None:
        self._connection = connection
        self._target = target
        self._within = within
        self._refused = refused
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=MOST_CONNECTIONS)
        self._guard = threading.Lock()
        self._carried: dict[socket.socket, Any] = {}  # with its channel, once it has one
        self._carrying: list[threading.Thread] = []  # also those that are about to end
        self._closed = False
        self._accepting = threading.Thread(target=self._accept, name="ssh-forward", daemon=True)
        self._accepting.start()

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of this computer."""
        host, port = self._listener.getsockname()[:2]
        return host, port

    def close(self) -> None:
        """Stop listening, end every connection, wait for their threads; closing twice is fine."""
        with self._guard:
            self._closed = True
            carried = dict(self._carried)
        _shut(self._listener)
        for local, channel in carried.items():
            _shut(local)
            _close(channel)
        self._accepting.join()
        for thread in self._carrying:
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                local, origin = self._listener.accept()
            except OSError:  # closed
                return
            local.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            thread = threading.Thread(
                target=self._carry, args=(local, origin), name="ssh-forwarded", daemon=True
            )
            with self._guard:
                if self._closed or len(self._carried) >= MOST_CONNECTIONS:
                    local.close()
                    continue
                self._carried[local] = None
                self._carrying = [*filter(threading.Thread.is_alive, self._carrying), thread]
                thread.start()

    def _carry(self, local: socket.socket, origin: tuple[str, int]) -> None:
        try:
            connection = self._connection()
            channel = self._open(connection, local, origin)
            if channel is not None:
                _both_ways(local, channel, connection.hold_back)
        except HarnessError as error:
            self._refused(error)
        finally:
            local.close()
            with self._guard:
                self._carried.pop(local, None)

    def _open(self, connection: Connection, local: socket.socket, origin: tuple[str, int]) -> Any:
        """A channel to the target; ``None`` where this was closed meanwhile."""
        host, port = self._target
        with connection.bounded(self._within, f"forwarding to {host}:{port}"):
            channel = connection.transport.open_channel("direct-tcpip", self._target, origin)
        with self._guard:
            if self._closed:
                _close(channel)
                return None
            self._carried[local] = channel
        return channel


def _both_ways(local: socket.socket, channel: Any, hold_back: Callable[[], None]) -> None:
    """Carry bytes until both sides have said that they are done, or one is gone."""

    def back_is_done() -> None:
        if channel.closed:  # not only its writing half
            _shut(local)
        else:
            local.shutdown(socket.SHUT_WR)

    back = threading.Thread(
        target=_pump, args=(channel.recv, local.sendall, back_is_done, channel, local, hold_back),
        name="ssh-forwarded-back", daemon=True,
    )  # fmt: skip
    back.start()
    _pump(local.recv, channel.sendall, channel.shutdown_write, channel, local, hold_back)
    back.join()
    _hang_up(channel, hold_back)


def _pump(
    read: Callable[[int], bytes],
    write: Callable[[bytes], Any],
    done: Callable[[], Any],
    channel: Any,
    local: socket.socket,
    hold_back: Callable[[], None],
) -> None:
    try:
        while piece := read(_PIECE):
            hold_back()
            write(piece)
        hold_back()
        done()  # this direction only: the other may have more to say
    except (*TROUBLE, LabFault):  # one side has gone, or may not be spoken to: so must the other
        _shut(local)
        _hang_up(channel, hold_back)


def _hang_up(channel: Any, hold_back: Callable[[], None]) -> None:
    """Close the channel; where the rig is not ours it is closed with its connection."""
    with suppress(LabFault):
        hold_back()
        _close(channel)


def _shut(connection: socket.socket) -> None:
    with suppress(OSError):  # it may have gone already
        connection.shutdown(socket.SHUT_RDWR)


def _close(channel: Any) -> None:
    with suppress(*TROUBLE):
        if channel is not None:
            channel.close()
