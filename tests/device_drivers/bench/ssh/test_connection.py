from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from device_drivers.bench.controller import NoController, open_controller
from device_drivers.bench.ssh.controller import SshController
from device_drivers.bench.ssh.files import read_file
from device_drivers.simulated.controller import TwinController
from harness.domain.errors import ControllerFault, TransportLost
from harness.domain.lab import Lab
from tests.device_drivers.bench.ssh.house import PATIENCE, Kept, frozen, sessions, soon

pytestmark = pytest.mark.usefixtures("leaving_nothing")
Open = Callable[..., SshController]


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


def test_nothing_is_connected_before_it_is_needed(open_it: Open, kept: Kept) -> None:
    open_it(host="127.0.0.1", port=1).close()
    assert not kept.events


def test_a_port_where_nobody_listens_is_a_lost_transport(open_it: Open, listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    listener.close()
    with pytest.raises(
        TransportLost, match=rf"ssh \w+@127.0.0.1:{port}: the connection was refused .start its"
    ):
        open_it(port=port).run("true")


def test_a_name_that_cannot_be_resolved_is_a_lost_transport(open_it: Open) -> None:
    with pytest.raises(TransportLost, match="the name cannot be resolved"):
        open_it(host="no-such-host.invalid").run("true")


def test_what_never_greets_is_a_lost_transport_at_its_deadline(
    open_it: Open, listener: socket.socket
) -> None:
    with pytest.raises(TransportLost, match="signing on: no answer within 0"):
        open_it(port=listener.getsockname()[1], connect=0.3).run("true")


@pytest.mark.parametrize(
    ("greeting", "what"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "signing on: no answer within"),
        (b"\x00\xff\x16\x03\x01" * 300, "signing on: no answer within"),
        (b"220 mail\r\n" * 200, "does not speak SSH .correct host and port"),
        (b"SSH-1.5-old\r\n", r"in common: .*1\.5 .*update its sshd"),
        (b"SSH-2.0-new\r\n" + bytes(range(256)) * 10, "signing on: the connection was lost"),
    ],
    ids=["web server", "noise", "mail server", "SSH 1", "noise after a greeting"],
)
def test_what_speaks_no_ssh_is_a_fault_that_says_so(
    open_it: Open,
    listener: socket.socket,
    far_end: Callable[[Callable[[], object]], None],
    greeting: bytes,
    what: str,
) -> None:
    def greet() -> None:
        connected, _ = listener.accept()
        with connected:
            connected.sendall(greeting)
            connected.settimeout(10)
            with suppress(ConnectionResetError):
                while connected.recv(1000):
                    pass

    far_end(greet)
    with pytest.raises((ControllerFault, TransportLost), match=what):
        open_it(port=listener.getsockname()[1], connect=0.5 if "no answer" in what else PATIENCE).run("true")


def test_what_hangs_up_while_signing_on_is_a_lost_transport(
    open_it: Open, listener: socket.socket, far_end: Callable[[Callable[[], object]], None]
) -> None:
    def hang_up() -> None:
        connected, _ = listener.accept()
        connected.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
        connected.recv(1)
        connected.close()

    far_end(hang_up)
    with pytest.raises(TransportLost, match="signing on: the connection was lost"):
        open_it(port=listener.getsockname()[1]).run("true")


def test_a_file_is_fetched_and_kept_as_evidence(controller: SshController, kept: Kept, home: Path) -> None:
    content = os.urandom(3_000_000)
    (home / "log of bay 3.log").write_bytes(content)
    assert controller.fetch("log of bay 3.log") == content
    assert controller.fetch(str(home / "log of bay 3.log"), keep=False) == content
    assert kept.messages == [("log of bay 3.log", content, "text/plain")]
    (home / "empty.pcapng").write_bytes(b"")
    assert controller.fetch("empty.pcapng") == b""
    assert kept.messages[1:] == [("empty.pcapng", b"", "application/x-pcapng")]


def test_a_file_that_cannot_be_fetched_says_why(controller: SshController, home: Path) -> None:
    (home / "folder").mkdir(exist_ok=True)
    for path, why in (("nothing.log", "No such file"), ("folder", "it is no regular file")):
        with pytest.raises(ControllerFault, match=f"file {path} cannot be fetched: {why}"):
            controller.fetch(path)
    assert controller.run("true").status == 0


def test_a_pipe_is_not_opened(controller: SshController, home: Path) -> None:
    os.mkfifo(home / "pipe")
    with pytest.raises(ControllerFault, match="file pipe cannot be fetched: it is no regular file"):
        controller.fetch("pipe")


def test_a_file_that_is_too_long_is_not_taken_into_memory(controller: SshController, home: Path) -> None:
    connection = controller._connected()
    (home / "long.bin").write_bytes(bytes(600_000))
    assert len(read_file(connection, "long.bin", PATIENCE, most=600_000)) == 600_000
    (home / "long.bin").write_bytes(bytes(600_001))
    with pytest.raises(ControllerFault, match="it is longer than 600000 bytes"):
        read_file(connection, "long.bin", PATIENCE, most=600_000)


def test_a_peer_that_freezes_before_a_file_comes_is_a_lost_transport(
    open_it: Open, twin: TwinController
) -> None:
    controller = open_it(command=0.5)
    controller.run("true", within=timedelta(seconds=PATIENCE))
    with frozen(twin), pytest.raises(TransportLost, match=r"fetching log.txt: no answer within 0.5 s"):
        controller.fetch("log.txt")


def test_a_rig_without_a_controller_blocks_who_asks_for_one() -> None:
    missing = NoController("bay-3")
    asked: tuple[Callable[[], object], ...] = (
        lambda: missing.run("true"),
        lambda: missing.start("true"),
        lambda: missing.fetch("file"),
        lambda: missing.forward("10.0.0.1", 502),
        missing.probe,
    )
    for ask in asked:
        with pytest.raises(ControllerFault, match="rig bay-3 has no controller") as caught:
            ask()
        assert not caught.value.suspect
    missing.close()


def test_the_lab_file_decides_whether_there_is_one(
    twin: TwinController, kept: Kept, shipped_lab: Lab
) -> None:
    rig = shipped_lab.rigs[0]
    assert isinstance(open_controller(replace(rig, controller=None), shipped_lab, kept), NoController)
    opened = open_controller(replace(rig, controller=twin.settings), shipped_lab, kept)
    assert opened.probe().startswith("OpenSSH_")
    opened.close()


def test_when_it_is_closed_the_sshd_serves_nobody(open_it: Open, twin: TwinController) -> None:
    controller = open_it()
    controller.run("true")
    controller.forward("127.0.0.1", 9)
    mine = sessions(twin)
    assert mine
    controller.close()
    soon(lambda: not set(mine) & set(sessions(twin)), "its session goes on")
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ssh")]
