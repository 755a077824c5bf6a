"""The rig's controller: what a test and the rig's other drivers ask of it, over one connection."""

from __future__ import annotations

import threading
from contextlib import suppress
from datetime import timedelta
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from harness.domain.errors import ControllerFault, HarnessError, LabFault
from harness.domain.instruments import CommandResult, RunningCommand
from harness.domain.lab import Controller
from harness.hooks import Fence, Trace, unfenced

if TYPE_CHECKING:
    from device_drivers.bench.ssh.commands import RemoteCommand
    from device_drivers.bench.ssh.connection import Connection
    from device_drivers.bench.ssh.forwarding import Forwarding

_SOURCE: Final = "controller"
_MEDIA_TYPES: Final = {
    ".pcap": "application/vnd.tcpdump.pcap",
    ".pcapng": "application/x-pcapng",
    ".log": "text/plain",
    ".txt": "text/plain",
}


class SshController:
    """Implements :class:`~device_drivers.bench.controller.OpenController` over SSH.

    Life cycle: create (nothing is connected), use from any thread, ``close``. The first use connects; so does
    the first one after the connection was lost, which the call that noticed it has told. Once the rig is not
    ours nothing is asked of it any more, forwarded ports carry nothing, and only ``abandon`` is left.
    """

    def __init__(self, settings: Controller, trace: Trace, fence: Fence = unfenced) -> None:
        self._fence = fence
        self._settings = settings
        self._trace = trace
        self._lock = threading.RLock()
        self._connection: Connection | None = None
        self._running: list[RemoteCommand] = []
        self._forwardings: dict[tuple[str, int], Forwarding] = {}
        self._closed = False

    def probe(self) -> str:
        """What it is, in a line, after a command has been run there."""
        result = self.run("uname -sn")
        if result.status != 0:
            raise ControllerFault(
                f"{self._name}: `uname` ended with status {result.status}",
                remedy="let its user have a POSIX shell, without a forced command",
            )
        transport = self._connected().transport
        key = transport.get_remote_server_key()
        software = str(transport.remote_version).removeprefix("SSH-2.0-")
        system = result.output.decode("utf-8", "replace").strip()
        return f"{software} on {system}, {key.get_name()} {key.fingerprint}"

    def run(self, command: str, *, within: timedelta | None = None) -> CommandResult:
        running = self._begin(command)
        try:
            result = running.wait(within=within or timedelta(seconds=self._settings.command))
        except BaseException:
            with suppress(LabFault):  # the first trouble is the one to tell
                running.close()
            raise
        finally:
            self._forget_those_over()
        self._trace.event(
            _SOURCE, f"ran {command}", status=result.status, output_bytes=len(result.output),
            error_bytes=len(result.errors), seconds=result.seconds,
        )  # fmt: skip
        return result

    def start(self, command: str) -> RunningCommand:
        running = self._begin(command)
        self._trace.event(_SOURCE, f"started {command}")
        return running

    def fetch(self, path: str, *, keep: bool = True) -> bytes:
        from device_drivers.bench.ssh.files import read_file

        content = read_file(self._connected(), path, self._settings.command)
        if keep:
            file = PurePosixPath(path)
            media_type = _MEDIA_TYPES.get(file.suffix, "application/octet-stream")
            self._trace.message(_SOURCE, file.name, content, media_type)
        return content

    def forward(self, host: str, port: int) -> tuple[str, int]:
        from device_drivers.bench.ssh.forwarding import Forwarding

        self._connected()  # here its trouble has a name; a client of the port would see a closed connection
        with self._lock:
            if (host, port) not in self._forwardings:
                self._forwardings[host, port] = Forwarding(
                    self._connected, (host, port), self._settings.connect, self._not_forwarded
                )
            address = self._forwardings[host, port].address
        self._trace.event(_SOURCE, f"forwards {address[0]}:{address[1]} to {host}:{port}")
        return address

    def close(self) -> None:
        """End what still runs there, the forwarded ports and the connection; closing twice is fine."""
        running, forwardings, connection = self._taken()
        with suppress(LabFault):  # the keeper there ends each, once the connection is no more
            if running and connection is not None and connection.alive():
                connection.answers(self._settings.connect)
        for command in running:
            with suppress(LabFault):
                command.close()
        if connection is not None:
            connection.close()  # before the forwarded ones: saying goodbye to a mute peer might block
        for forwarding in forwardings:
            forwarding.close()

    def abandon(self) -> None:
        """Close the connection and the forwarded ports without a word; keepers end what still runs there."""
        running, forwardings, connection = self._taken()
        if connection is not None:
            connection.close()
        for command in running:
            command.abandon()
        for forwarding in forwardings:
            forwarding.close()

    def _taken(self) -> tuple[list[RemoteCommand], list[Forwarding], Connection | None]:
        """All that is open, for who lets go of it; none of it can be used from now on."""
        with self._lock:
            self._closed = True
            running, self._running = self._running, []
            forwardings, self._forwardings = list(self._forwardings.values()), {}
            connection, self._connection = self._connection, None
        return running, forwardings, connection

    @property
    def _name(self) -> str:
        return f"controller {self._settings.host}:{self._settings.port}"

    def _connected(self) -> Connection:
        from device_drivers.bench.ssh.connection import connect

        self._fence()
        with self._lock:
            if self._closed:
                raise ControllerFault(f"{self._name}: used after it was closed", remedy="open the rig anew")
            if self._connection is None or not self._connection.alive():
                if self._connection is not None:
                    self._connection.close()
                self._connection = connect(self._settings, self._fence)
                self._trace.event(_SOURCE, f"signed on: {self._connection.name}")
            return self._connection

    def _begin(self, command: str) -> RemoteCommand:
        from device_drivers.bench.ssh.commands import RemoteCommand

        running = RemoteCommand(self._connected(), command, self._settings.connect)
        with self._lock:
            self._running.append(running)
        self._forget_those_over()
        return running

    def _forget_those_over(self) -> None:
        with self._lock:
            self._running = [each for each in self._running if not each.over]

    def _not_forwarded(self, error: HarnessError) -> None:
        self._trace.event(_SOURCE, "could not forward a connection", problem=str(error))
