"""One SSH connection to a rig's controller, in which every wait has an end.

paramiko waits without a deadline for the answer to most requests. Here a watch stands beside each: when it is
over the connection is closed, which ends whatever waits in it.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

import paramiko

from device_drivers.bench.ssh.keys import hold_to_pin, pinned_keys, pinned_name, private_key
from harness.domain.errors import ControllerFault, LabFault, TransportLost
from harness.domain.lab import Controller
from harness.hooks import Fence, unfenced

TROUBLE: Final = (EOFError, OSError, paramiko.SSHException)
"""What paramiko raises where the connection, or the other end, does not do what it should."""

_JOIN: Final = 2.0  # seconds: paramiko's thread looks ten times a second whether it should end
_KEEPALIVE: Final = {"TCP_KEEPIDLE": 15, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}  # seconds, seconds, probes
_TOO_OLD: Final = {
    "ciphers": ["aes128-cbc", "aes192-cbc", "aes256-cbc", "3des-cbc"],
    "macs": ["hmac-sha1", "hmac-md5", "hmac-sha1-96", "hmac-md5-96"],
}
_FAMILY: Final = {"rsa-sha2-512": "ssh-rsa", "rsa-sha2-256": "ssh-rsa"}  # algorithm → type of key
_IS_IT_THERE: Final = "check that it is switched on, its address and port, and that its sshd runs"


class Connection:
    """A connection whose both ends have proven who they are. Life cycle: :func:`connect`, use, ``close``.

    Before anything is asked of the other end, the fence is.
    """

    def __init__(self, connected: socket.socket, name: str, fence: Fence = unfenced) -> None:
        self._fence = fence
        self._socket = connected
        self._transport = paramiko.Transport(connected, disabled_algorithms=_TOO_OLD)
        self._transport.name = name
        self._transport.packetizer.start_handshake = _unwatched
        self._asking = threading.Lock()
        self.name = name

    @property
    def transport(self) -> paramiko.Transport:
        """Paramiko's side of it; use it under :meth:`bounded` only."""
        return self._transport

    def alive(self) -> bool:
        """Whether it is open, as far as is known here."""
        return bool(self._transport.is_active()) and not self._transport.packetizer.closed

    def hold_back(self) -> None:
        """Return if the rig is ours; else end the connection, and raise what the fence does.

        Paramiko says much by itself: that it has read, that a file is no longer used.
        """
        try:
            self._fence()
        except LabFault:
            self.close()
            raise

    def answers(self, within: float) -> None:
        """Have the other end answer at all; :class:`TransportLost` where it does not."""
        with self._asking, self.bounded(within, "asked whether it is there"):
            self._transport.global_request("keepalive@openssh.com", wait=True)
            if not self.alive():
                raise EOFError("closed by the other side")

    @contextmanager
    def bounded(self, within: float, what: str) -> Iterator[None]:
        """Let what stands in the ``with`` take so many seconds, and make a lab fault of its trouble.

        It is not begun where the rig is not ours.
        """
        self.hold_back()
        late = threading.Event()

        def end() -> None:
            late.set()
            self.close()

        watch = threading.Timer(within, end)
        watch.daemon = True
        watch.start()
        trouble: Exception | None = None
        try:
            yield
        except TROUBLE as error:
            trouble = error
        finally:
            watch.cancel()
            watch.join()
        if late.is_set():
            raise _lost(f"{self.name}: {what}: no answer within {within:g} s", remedy=_IS_IT_THERE)
        if trouble is not None:
            raise self.fault(what, trouble) from trouble

    def fault(self, what: str, trouble: object) -> LabFault:
        """The lost connection, or where that still stands, the refusal of the other end.

        Raises what the fence does, where it was that which ended the connection.
        """
        self.hold_back()
        if self._transport.is_alive():
            self._transport.join(_JOIN / 10)  # a connection that broke tells those who wait first, then ends
        problem = str(trouble) or type(trouble).__name__
        if self.alive():
            return ControllerFault(
                f"{self.name}: {what}: refused: {problem}", remedy="see the log of its sshd for the reason"
            )
        self.close()
        return _lost(
            f"{self.name}: {what}: the connection was lost: {problem}",
            remedy="check its network and power, and the log of its sshd",
        )

    def close(self) -> None:
        """End it, and every wait in it; closing twice is fine."""
        with suppress(OSError):  # wakes paramiko's thread, where there is still a connection
            self._socket.shutdown(socket.SHUT_RDWR)
        self._transport.close()
        if self._transport.is_alive() and threading.current_thread() is not self._transport:
            self._transport.join(_JOIN)
        self._socket.close()


def connect(settings: Controller, fence: Fence = unfenced) -> Connection:
    """Connect, hold the controller to its pinned host key, and sign on: all within ``settings.connect`` s."""
    _quieten()
    begun = time.monotonic()
    key, pinned = private_key(settings.key), pinned_keys(settings.known_hosts).lookup(pinned_name(settings))
    name = f"ssh {settings.user}@{settings.host}:{settings.port}"
    connection = Connection(_reach(settings, name), name, fence)
    try:
        left = max(settings.connect - (time.monotonic() - begun), 0.001)
        with connection.bounded(left, "signing on"):
            _shake_hands(connection, pinned, settings, left)
            _sign_on(connection, key, settings, left)
    except BaseException:
        connection.close()
        raise
    return connection


def _unwatched(_timeout: float) -> None:
    """Instead of paramiko's own watch over the handshake: ours ends it, and that one outlives its failure."""


def _reach(settings: Controller, name: str) -> socket.socket:
    try:
        reached = socket.create_connection((settings.host, settings.port), settings.connect)
    except socket.gaierror as error:
        raise _lost(
            f"{name}: the name cannot be resolved: {error.strerror}",
            remedy="correct host, or write its address",
        ) from error
    except ConnectionRefusedError as error:
        raise _lost(
            f"{name}: the connection was refused", remedy="start its sshd, or correct the port"
        ) from error
    except OSError as error:
        raise _lost(f"{name}: could not connect: {error}", remedy=_IS_IT_THERE) from error
    reached.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    reached.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in {**_KEEPALIVE, "TCP_USER_TIMEOUT": int(settings.connect * 1000)}.items():
        if hasattr(socket, option):  # not on every system
            reached.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    return reached


def _shake_hands(connection: Connection, pinned: Any, settings: Controller, left: float) -> None:
    transport = connection.transport
    transport.banner_timeout = transport.handshake_timeout = left + _JOIN  # the watch is earlier
    options = transport.get_security_options()
    ours = [kind for kind in options.key_types if _FAMILY.get(kind, kind) in (pinned or ())]
    options.key_types = [*ours, *(kind for kind in options.key_types if kind not in ours)]
    try:
        transport.start_client()
    except paramiko.ssh_exception.IncompatiblePeer as error:
        raise ControllerFault(
            f"{connection.name}: no version or algorithm in common: {error}",
            remedy="update its sshd: SSH 1, SHA-1 and CBC are not used",
        ) from error
    except paramiko.SSHException as error:
        if "protocol version" in str(error):
            raise ControllerFault(
                f"{connection.name}: what answers there does not speak SSH", remedy="correct host and port"
            ) from error
        raise
    hold_to_pin(transport.get_remote_server_key(), pinned, settings)


def _sign_on(connection: Connection, key: Any, settings: Controller, left: float) -> None:
    transport = connection.transport
    transport.auth_timeout = left + _JOIN
    try:
        transport.auth_publickey(settings.user, key)
    except paramiko.AuthenticationException as error:
        if connection.alive():
            raise ControllerFault(
                f"{connection.name}: refused the key at {settings.key} ({key.get_name()} {key.fingerprint})",
                remedy=f"add its .pub to ~{settings.user}/.ssh/authorized_keys there, "
                "and see the log of its sshd",
            ) from error
        raise
    if not transport.is_authenticated():
        raise ControllerFault(
            f"{connection.name}: wants more than the key at {settings.key}",
            remedy="let its sshd ask for a public key alone: AuthenticationMethods publickey",
        )


def _lost(message: str, *, remedy: str) -> TransportLost:
    """The same connection carries doors, bench and captures: it is the controller that was lost."""
    return TransportLost(message, remedy=remedy, part=ControllerFault.part)


def _quieten() -> None:
    """Paramiko logs tracebacks of what is raised here anyway; whoever sets a level gets them."""
    logger = logging.getLogger("paramiko")
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.CRITICAL)
