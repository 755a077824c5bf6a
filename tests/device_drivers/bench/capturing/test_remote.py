from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from device_drivers.bench.capture import probe
from device_drivers.bench.capturing.remote import RemoteCapture
from device_drivers.bench.capturing.tools import TOOLS
from device_drivers.bench.ssh.controller import SshController
from device_drivers.simulated.controller import TwinController
from harness.domain.errors import CaptureUnavailable, ControllerFault, TransportLost
from harness.domain.lab import CaptureLine
from tests.device_drivers.bench.capturing.conftest import (
    ANSWER,
    ASK,
    CIPHERED_ANSWER,
    CIPHERED_ASK,
    Conversation,
    end_in_the_middle,
    fail_after,
    run_by_nobody,
)
from tests.device_drivers.bench.ssh.house import Kept, lives, soon, tell_sessions

Capture = Callable[..., Any]


@pytest.fixture
def line(tcpdump: str, conversation: Conversation) -> CaptureLine:
    """The conversation, heard on the controller."""
    return CaptureLine(
        interface="lo", filter=f"tcp port {conversation.port}", tool="tcpdump", on_controller=True
    )


@pytest.fixture(autouse=True)
def folder(controller: SshController, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the controller keeps its capture files; no test leaves one there."""
    (folder := tmp_path / "captures").mkdir()
    monkeypatch.setattr("device_drivers.bench.capturing.remote._FOLDER", str(folder))
    yield folder
    assert not list(folder.iterdir())


def tool_of(controller: SshController, line: CaptureLine) -> int:
    found = controller.run(f"pgrep -x -f 'tcpdump.* {line.filter}|/.*/tcpdump.* {line.filter}'").output
    return int(found)


def test_a_line_is_heard_on_the_controller_and_the_file_comes_back(
    line: CaptureLine,
    controller: SshController,
    capture_of: Capture,
    conversation: Conversation,
    kept: Kept,
    folder: Path,
) -> None:
    with capture_of(line, controller).record() as recording:
        (written,) = folder.iterdir()
        assert written.stat().st_mode & 0o777 == 0o600
        conversation.ask((ASK, ANSWER))
        soon(lambda: len(recording.apdus) == 2, "nothing is heard")
        conversation.ask((CIPHERED_ASK, CIPHERED_ANSWER))
    assert [apdu.raw for apdu in recording.apdus] == [ASK, ANSWER, CIPHERED_ASK, CIPHERED_ANSWER]
    assert [(name, content) for name, content, _ in kept.messages] == [("wan", recording.pcapng)]
    with pytest.raises(AssertionError, match="went in clear"):
        recording.expect_nothing_in_clear()


def test_it_stops_the_tool_there_and_says_the_same_again(
    line: CaptureLine, controller: SshController, conversation: Conversation
) -> None:
    running = RemoteCapture(line, controller)
    tool = tool_of(controller, line)
    assert lives(tool)
    stopped = running.stop()
    assert not lives(tool)
    assert running.stop() is stopped is running.heard()
    assert (stopped.cut, stopped.lost, stopped.problem) == (False, 0, None)


def test_the_labs_check_hears_a_line_of_the_controller(line: CaptureLine, controller: SshController) -> None:
    assert probe(line, "wan", controller) == "the wan is heard on lo on the controller"


def test_a_recording_that_reaches_its_limit_there_is_cut(
    line: CaptureLine, controller: SshController, conversation: Conversation
) -> None:
    running = RemoteCapture(line, controller, most_bytes=8192)
    conversation.hold(("client", bytes(20_000)))
    cut = running.stop()
    assert cut.cut
    assert cut.problem is None
    assert len(cut.content) == 8192


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_tool_that_ends_there_in_the_middle_is_told(
    line: CaptureLine,
    controller: SshController,
    capture_of: Capture,
    conversation: Conversation,
    kept: Kept,
    number: signal.Signals,
) -> None:
    with (
        pytest.raises(
            CaptureUnavailable, match="rig's controller, in the middle of a recording: tcpdump does"
        ),
        capture_of(line, controller).record() as recording,
    ):
        end_in_the_middle(conversation, recording, lambda: tool_of(controller, line), number)
    assert len(kept.messages) == 1


def test_a_connection_lost_in_the_middle_is_a_lost_transport_and_what_was_heard_is_kept(
    line: CaptureLine,
    controller: SshController,
    capture_of: Capture,
    conversation: Conversation,
    twin: TwinController,
    kept: Kept,
) -> None:
    with pytest.raises(TransportLost), capture_of(line, controller).record() as recording:
        end_in_the_middle(
            conversation,
            recording,
            lambda: tool_of(controller, line),
            signal.SIGKILL,
            lambda tool: tell_sessions(twin, signal.SIGKILL),
        )
    assert [apdu.raw for apdu in recording.apdus] == [CIPHERED_ASK, CIPHERED_ANSWER]
    assert len(kept.messages) == 1


def test_the_failure_of_a_test_is_told_where_the_connection_was_lost_too(
    line: CaptureLine, controller: SshController, capture_of: Capture, twin: TwinController
) -> None:
    with pytest.raises(AssertionError, match="the device did wrong"), capture_of(line, controller).record():
        fail_after(lambda: tell_sessions(twin, signal.SIGKILL))


def test_the_failure_of_a_test_is_told_where_the_controller_has_gone_for_good(
    line: CaptureLine, open_it: Callable[..., SshController], capture_of: Capture, tmp_path: Path, kept: Kept
) -> None:
    with TwinController(tmp_path / "sshd", tmp_path) as short_lived, ExitStack() as held:
        controller = SshController(short_lived.settings, kept)
        held.callback(controller.close)
        with (
            pytest.raises(AssertionError, match="the device did wrong"),
            capture_of(line, controller).record(),
        ):
            fail_after(short_lived.close)
    for left in (tmp_path / "captures").iterdir():
        left.unlink()
    assert not kept.messages


def test_an_interface_that_the_controller_has_not_blocks_the_test(
    line: CaptureLine, controller: SshController, capture_of: Capture
) -> None:
    with (
        pytest.raises(
            CaptureUnavailable, match="the rig's controller: tcpdump finds no interface bay-3-wan: tc"
        ),
        capture_of(replace(line, interface="bay-3-wan"), controller).record(),
    ):
        pass


def test_a_filter_that_is_none_there_blocks_the_test_and_is_no_command(
    line: CaptureLine, controller: SshController, capture_of: Capture, tmp_path: Path
) -> None:
    for words in ("tcp or so", f"tcp; touch {tmp_path}/noted", f"' $(touch {tmp_path}/noted) '", "-ztrue"):
        with (
            pytest.raises(CaptureUnavailable, match="does not understand the filter"),
            capture_of(replace(line, filter=words), controller).record(),
        ):
            pass
    assert not (tmp_path / "noted").exists()


def test_without_a_tool_there_the_test_is_blocked(
    line: CaptureLine, controller: SshController, capture_of: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = replace(TOOLS["tcpdump"], name="no-such-tcpdump")
    monkeypatch.setattr("device_drivers.bench.capturing.remote.candidates", lambda line: [absent])
    with (
        pytest.raises(CaptureUnavailable, match="the rig's controller: no tcpdump to capture lo with"),
        capture_of(line, controller).record(),
    ):
        pass


@pytest.mark.skipif(not shutil.which("setpriv"), reason="there is no setpriv on this computer")
def test_without_the_privilege_there_the_test_is_blocked(
    line: CaptureLine,
    controller: SshController,
    capture_of: Capture,
    tcpdump: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if os.geteuid() != 0:
        pytest.skip("who is not root cannot run a tool as somebody else")
    unprivileged = tmp_path / "tcpdump-of-nobody"
    run_by_nobody(unprivileged, tcpdump)
    tool = replace(TOOLS["tcpdump"], name=unprivileged.name)
    monkeypatch.setattr("device_drivers.bench.capturing.remote.candidates", lambda line: [tool])
    monkeypatch.setattr("device_drivers.bench.capturing.remote.MORE_PLACES", str(tmp_path))
    with (
        pytest.raises(CaptureUnavailable, match="the rig's controller: tcpdump-of-nobody may not capture lo"),
        capture_of(line, controller).record(),
    ):
        pass


def test_a_tool_that_says_nothing_there_is_ended_at_its_deadline(
    line: CaptureLine, controller: SshController, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from datetime import timedelta

    mute = tmp_path / "mute-tcpdump"
    mute.write_text(f"#!/bin/sh\necho $$ >{tmp_path}/pid\nexec sleep 300\n")
    mute.chmod(0o755)
    tool = replace(TOOLS["tcpdump"], name=mute.name)
    monkeypatch.setattr("device_drivers.bench.capturing.remote.candidates", lambda line: [tool])
    monkeypatch.setattr("device_drivers.bench.capturing.remote.MORE_PLACES", str(tmp_path))
    monkeypatch.setattr("device_drivers.bench.capturing.remote._STARTS", timedelta(seconds=0.5))
    with pytest.raises(CaptureUnavailable, match="mute-tcpdump does not capture lo: it says nothing"):
        RemoteCapture(line, controller)
    assert not lives(int((tmp_path / "pid").read_text()))


def test_a_rig_without_a_controller_blocks_who_records_there(line: CaptureLine, capture_of: Capture) -> None:
    with pytest.raises(ControllerFault, match="has no controller"), capture_of(line).record():
        pass
