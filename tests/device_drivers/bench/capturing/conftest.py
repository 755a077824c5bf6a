"""Real captures of the loopback, and conversations that are worth one."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from device_drivers.bench.capture import NoCapture, open_capture
from device_drivers.bench.capturing.tools import MORE_PLACES
from device_drivers.bench.controller import NoController
from device_drivers.dlms.channel import wrap_frame
from harness.domain.instruments import Recording
from harness.domain.lab import CaptureLine, Lab
from tests.device_drivers.bench.ssh.conftest import controller, home, open_it, twin  # noqa: F401 - fixtures
from tests.device_drivers.bench.ssh.house import PATIENCE, Kept, lives, soon

ASK = bytes.fromhex("c001c100080000010000ff0200")  # GetRequest of the clock's time
ANSWER = bytes.fromhex("c401c100090c07e9030203080000ff000000")
CIPHERED_ASK = bytes.fromhex("c8123000000001" + "5a" * 13)
CIPHERED_ANSWER = bytes.fromhex("cc123000000001" + "a5" * 13)
ASSOCIATE = bytes.fromhex("6001a1")


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture(scope="session")
def tcpdump() -> str:
    """Where tcpdump is, on a computer on which it may capture the loopback."""
    found = shutil.which("tcpdump", path=MORE_PLACES)
    if not found:
        pytest.skip("there is no tcpdump on this computer")
    may = subprocess.run((found, "-i", "lo", "-d"), capture_output=True, text=True, check=False)
    if may.returncode:
        pytest.skip(f"tcpdump may not capture the loopback here: {may.stderr.strip()}")
    return found


class Conversation:
    """Two ends of a TCP connection; each word is in the other's hand before the next is said."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    def hold(self, *turns: tuple[str, bytes]) -> None:
        """Connect, say what each ``client`` or ``server`` has to say, and hang up."""
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as client:
            server, _ = self._listener.accept()
            with server:
                for who, data in turns:
                    speaker, hearer = (client, server) if who == "client" else (server, client)
                    speaker.sendall(data)
                    left = len(data)
                    while left:
                        left -= len(hearer.recv(left))

    def ask(self, *apdus: tuple[bytes, bytes]) -> None:
        """APDUs of client and server in turn, each in a wrapper frame."""
        self.hold(
            *(
                turn
                for asked, answered in apdus
                for turn in (("client", wrap_frame(16, 1, asked)), ("server", wrap_frame(1, 16, answered)))
            )
        )

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def conversation() -> Iterator[Conversation]:
    opened = Conversation()
    yield opened
    opened.close()


@pytest.fixture
def capture_of(shipped_lab: Lab, kept: Kept) -> Callable[..., Any]:
    """What captures a rig's WAN, described as told; without a description its lab file names none."""

    def make(line: CaptureLine | None = None, using: Any = None, lab: Lab = shipped_lab) -> NoCapture:
        rig = replace(lab.rigs[0], captures={} if line is None else {"wan": line})
        opened = open_capture(rig, lab, using or NoController(rig.id), kept)
        assert isinstance(opened, NoCapture)
        return opened

    return make


def fail_after(*acts: Callable[[], Any]) -> None:
    """Do what happens in a test before it fails for its device's sake."""
    for act in acts:
        act()
    raise AssertionError("the device did wrong")


def end_in_the_middle(
    conversation: Conversation,
    recording: Recording,
    tool_of: Callable[[], int],
    number: signal.Signals,
    end: Callable[[int], Any] | None = None,
) -> None:
    """Talk, see it heard, end the tool (by a signal, or as told) and see it gone."""
    conversation.ask((CIPHERED_ASK, CIPHERED_ANSWER))
    soon(lambda: len(recording.apdus) == 2, "nothing is heard")
    tool = tool_of()
    end(tool) if end else os.kill(tool, number)
    soon(lambda: not lives(tool), "the tool lives on")


def run_by_nobody(script: Path, program: str) -> None:
    """Make a script that runs a program without any privilege."""
    script.write_text(
        "#!/bin/sh\nexec setpriv --reuid=65534 --regid=65534 --clear-groups --bounding-set=-all "
        f'{program} "$@"\n'
    )
    script.chmod(0o755)
