"""A controller whose rig is somebody else's by now: it hears nothing more, and what ran there ends."""

from __future__ import annotations

import shutil
import socket
import socketserver
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from device_drivers.bench.capture import start
from device_drivers.bench.capturing.tools import MORE_PLACES
from device_drivers.bench.ssh.controller import SshController
from device_drivers.simulated.controller import TwinController
from harness.domain.errors import TransportLost
from harness.domain.lab import CaptureLine
from harness.rigs.lease_words import StaleLease
from tests.device_drivers.bench.ssh.house import PATIENCE, Kept, lives, soon
from tests.device_drivers.bench.ssh.test_commands import pids
from tests.device_drivers.bench.ssh.test_forwarding import reach
from tests.device_drivers.fencing import Gate, Tap

pytestmark = pytest.mark.usefixtures("leaving_nothing")
LONG = timedelta(seconds=60)


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def line(leaving_nothing: None, twin: TwinController) -> Iterator[Tap]:
    with Tap((twin.settings.host, twin.settings.port)) as tap:
        yield tap


@pytest.fixture
def fenced(
    twin: TwinController, kept: Kept, line: Tap, gate: Gate, tmp_path: Path
) -> Iterator[SshController]:
    """A controller behind a fence; what it sends passes the line, where its key is pinned as well."""
    host, port = line.address
    pinned = Path(twin.settings.known_hosts.removeprefix("file:")).read_text()
    copied = tmp_path / "known_hosts"
    copied.write_text(pinned.replace(f":{twin.settings.port} ", f":{port} "))
    settings = replace(twin.settings, host=host, port=port, known_hosts=f"file:{copied}")
    with ExitStack() as held:
        controller = SshController(settings, kept, gate)
        held.callback(controller.abandon)
        yield controller


def said(controller: SshController, line: Tap) -> bytes:
    """All that it has said so far: what it said last is answered, and so has passed the line."""
    controller._connected().answers(PATIENCE)
    return bytes(line.heard)


def test_a_late_controller_is_asked_nothing(fenced: SshController, gate: Gate, line: Tap) -> None:
    assert fenced.run("echo ours").output == b"ours\n"
    sent = said(fenced, line)
    gate.shut()
    calls: list[Callable[[], object]] = [
        lambda: fenced.run("echo late"),
        lambda: fenced.start("echo late"),
        lambda: fenced.fetch("/etc/hostname"),
        lambda: fenced.forward("127.0.0.1", 1),
        fenced.probe,
    ]
    for call in calls:
        with pytest.raises(StaleLease):
            call()
    fenced.abandon()
    assert line.all() == sent


def test_a_late_controller_is_not_even_signed_on_to(fenced: SshController, gate: Gate, line: Tap) -> None:
    gate.shut()
    with pytest.raises(StaleLease):
        fenced.run("true")
    assert not line.reached


def test_what_runs_there_ends_with_the_connection_and_is_told_nothing(
    fenced: SshController, gate: Gate, line: Tap, home: Path
) -> None:
    running = fenced.start(f"echo $$ >{home}/late.pid; sleep 600")
    (pid,) = pids(home / "late.pid", 1)
    sent = said(fenced, line)
    gate.shut()
    for call in (lambda: running.stop(within=LONG), lambda: running.wait(within=timedelta())):
        with pytest.raises(StaleLease):
            call()
    fenced.abandon()
    assert line.all() == sent
    soon(lambda: not lives(pid), "the command lives on")


def test_a_command_that_is_waited_for_when_the_lease_ends_is_left_alone(
    fenced: SshController, gate: Gate, line: Tap, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("device_drivers.bench.ssh.commands.HEARTBEAT", 0.1)  # asked whether it is there
    running = fenced.start(f"echo $$ >{home}/waited.pid; sleep 600")
    (pid,) = pids(home / "waited.pid", 1)
    gate.shut(after=3)
    with pytest.raises(StaleLease):
        running.wait(within=LONG)
    sent = line.all()  # the connection ended by itself
    fenced.abandon()
    assert line.all() == sent
    soon(lambda: not lives(pid), "the command lives on")


class _Sink(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        while piece := self.request.recv(4096):
            self.server.heard += piece


class SinkServer(socketserver.ThreadingTCPServer):
    """A device behind the controller that hears."""

    allow_reuse_address = True
    heard = b""


@pytest.fixture
def sink(leaving_nothing: None) -> Iterator[SinkServer]:
    with SinkServer(("127.0.0.1", 0), _Sink) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_forwarded_port_carries_nothing_more(
    sink: SinkServer, fenced: SshController, gate: Gate, line: Tap
) -> None:
    address = fenced.forward("127.0.0.1", sink.server_address[1])
    with reach(address) as client:
        client.sendall(b"ours")
        soon(lambda: sink.heard == b"ours", "nothing came through")
        sent = said(fenced, line)
        gate.shut()
        client.sendall(b"late")
        client.settimeout(PATIENCE)
        assert client.recv(1) == b""  # hung up
        with reach(address) as newcomer:
            newcomer.settimeout(PATIENCE)
            assert newcomer.recv(1) == b""
    fenced.abandon()
    assert line.all() == sent
    assert sink.heard == b"ours"


def test_a_client_of_a_forwarded_port_that_breaks_off_late_is_not_told_of(
    sink: SinkServer, fenced: SshController, gate: Gate, line: Tap
) -> None:
    with reach(fenced.forward("127.0.0.1", sink.server_address[1])) as client:
        client.sendall(b"ours")
        soon(lambda: sink.heard == b"ours", "nothing came through")
        sent = said(fenced, line)
        gate.shut()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert line.all() == sent


def test_a_command_that_has_much_to_say_is_not_listened_to_any_more(
    fenced: SshController, gate: Gate, line: Tap
) -> None:
    """To read on is to tell the other end that it may send more."""
    fenced.start("yes")
    gate.shut()
    line.all()  # nobody has asked for anything, and the connection has ended


def test_a_file_that_is_fetched_when_the_lease_ends_comes_no_further(
    fenced: SshController, gate: Gate, line: Tap, home: Path
) -> None:
    (home / "long").write_bytes(bytes(3_000_000))
    fenced.run("true")
    gate.shut(after=6)
    with pytest.raises(StaleLease):
        fenced.fetch(str(home / "long"))
    sent = line.all()
    fenced.abandon()
    assert line.all() == sent


def test_a_capture_there_ends_with_the_lease(fenced: SshController, gate: Gate, line: Tap) -> None:
    if not shutil.which("tcpdump", path=MORE_PLACES):
        pytest.skip("there is no tcpdump on this computer")
    capturing = start(CaptureLine(interface="lo", filter="tcp port 9", on_controller=True), fenced)
    sent = said(fenced, line)
    gate.shut()
    with pytest.raises(StaleLease):
        capturing.stop()
    fenced.abandon()
    assert line.all() == sent


def test_a_lost_controller_is_named_whatever_was_reached_through_it(twin: TwinController, kept: Kept) -> None:
    with closing(SshController(replace(twin.settings, port=1), kept)) as lost:
        for ask in (lambda: lost.run("true"), lambda: lost.forward("127.0.0.1", 1)):
            with pytest.raises(TransportLost) as met:
                ask()
            assert met.value.part == "controller"
