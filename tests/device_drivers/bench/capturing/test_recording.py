from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from device_drivers.bench.capture import line_reading, probe, start
from device_drivers.bench.capturing.local import LocalCapture
from device_drivers.bench.capturing.recording import Kept as KeptFile
from device_drivers.bench.capturing.recording import LineRecording
from device_drivers.bench.capturing.tools import MORE_PLACES, lost_frames
from device_drivers.bench.controller import NoController
from device_drivers.dlms.channel import wrap_frame
from harness.domain.errors import CaptureUnavailable, ConfigurationError
from harness.domain.heard import Heard, HeardStream
from harness.domain.lab import CaptureLine, Lab
from harness.hooks import LineReading
from tests.device_drivers.bench.capturing.conftest import (
    ANSWER,
    ASK,
    ASSOCIATE,
    CIPHERED_ANSWER,
    CIPHERED_ASK,
    Conversation,
    end_in_the_middle,
    fail_after,
    run_by_nobody,
)
from tests.device_drivers.bench.ssh.house import Kept, soon

pytestmark = pytest.mark.usefixtures("leaving_nothing")
NOBODY = NoController("bay-3")
REPO = Path(__file__).resolve().parents[4]


@pytest.fixture
def line(tcpdump: str, conversation: Conversation) -> CaptureLine:
    """The conversation, and nothing else on the loopback."""
    return CaptureLine(interface="lo", filter=f"tcp port {conversation.port}", tool="tcpdump")


def test_a_conversation_is_heard_read_and_kept(
    line: CaptureLine, capture_of: Callable[..., Any], conversation: Conversation, kept: Kept
) -> None:
    began = datetime.now(UTC) - timedelta(seconds=1)
    with capture_of(line).record("wan") as recording:
        conversation.ask((ASK, ANSWER))
    asked, answered = recording.apdus
    assert (asked.kind, asked.raw, asked.ciphered) == (
        "GetRequest 0-0:1.0.0 attribute 2 (class 8)",
        ASK,
        False,
    )
    assert (answered.kind, answered.raw) == ("GetResponse", ANSWER)
    assert asked.destination == answered.source == f"127.0.0.1:{conversation.port}"
    assert {(apdu.client_sap, apdu.server_sap) for apdu in recording.apdus} == {(16, 1)}
    assert began <= asked.timestamp <= answered.timestamp <= datetime.now(UTC) + timedelta(seconds=1)
    (frame,) = (frame for frame in recording.frames if frame.payload == ASK)
    assert frame.layers == ("Ethernet", "IP", "TCP", "DLMS wrapper")
    ((name, content, media_type),) = kept.messages
    assert (name, content, media_type) == ("wan", recording.pcapng, "application/x-pcapng")
    assert content[:4] == b"\x0a\x0d\x0d\x0a"
    assert kept.told("recording the wan") == [{"interface": "lo", "filter": line.filter}]
    (told,) = kept.told("recorded the wan")
    assert (told["cut"], told["frames_lost"], told["bytes"]) == (False, 0, len(content))


def test_a_recording_can_be_looked_at_while_it_goes_on(
    line: CaptureLine, capture_of: Callable[..., Any], conversation: Conversation
) -> None:
    with capture_of(line).record() as recording:
        assert recording.apdus == ()
        conversation.ask((ASK, ANSWER))
        soon(lambda: len(recording.apdus) == 2, "the first exchange is not heard")
        conversation.ask((ASK, ANSWER), (ASK, ANSWER))
    assert len(recording.apdus) == 6


def test_a_filter_leaves_out_what_the_test_does_not_want(
    line: CaptureLine, capture_of: Callable[..., Any], conversation: Conversation
) -> None:
    other = Conversation()
    with capture_of(line).record() as recording:
        other.ask((ASK, ANSWER))
        conversation.ask((ASK, ANSWER))
    other.close()
    assert len(recording.apdus) == 2
    assert {frame.source for frame in recording.frames if frame.payload == ANSWER} == {
        f"127.0.0.1:{conversation.port}"
    }


def test_every_interface_may_be_heard_at_once(
    line: CaptureLine, capture_of: Callable[..., Any], conversation: Conversation
) -> None:
    with capture_of(replace(line, interface="any")).record() as recording:
        conversation.ask((ASK, ANSWER))
    assert [apdu.raw for apdu in recording.apdus] == [ASK, ANSWER]
    assert recording.frames[0].layers[1:] == ("IP", "TCP")


def test_sixty_frames_at_once_are_all_heard(tcpdump: str, capture_of: Callable[..., Any], kept: Kept) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as far, socket.socket(type=socket.SOCK_DGRAM) as near:
        far.bind(("127.0.0.1", 0))
        line = CaptureLine(interface="any", filter=f"udp port {far.getsockname()[1]}", tool="tcpdump")
        with capture_of(line).record() as recording:
            for number in range(60):
                near.sendto(b"%d" % number, far.getsockname())
    assert [frame.payload for frame in recording.frames] == [b"%d" % number for number in range(60)]
    assert kept.told("recorded the wan")[0]["frames_lost"] == 0


def test_an_apdu_in_pieces_and_two_in_one_piece_are_read(
    line: CaptureLine, capture_of: Callable[..., Any], conversation: Conversation
) -> None:
    asked, answered = wrap_frame(16, 1, ASK), wrap_frame(1, 16, ANSWER)
    with capture_of(line).record() as recording:
        conversation.hold(
            ("client", asked[:3]), ("client", asked[3:10]), ("client", asked[10:]), ("server", answered * 2)
        )
    assert [apdu.raw for apdu in recording.apdus] == [ASK, ANSWER, ANSWER]


def test_nothing_in_clear_holds_where_all_but_association_is_ciphered(
    line: CaptureLine, capture_of: Callable[..., Any], conversation: Conversation, kept: Kept
) -> None:
    with capture_of(line).record() as recording:
        conversation.ask(
            (ASSOCIATE, b"\x61\x01\xa1"), (CIPHERED_ASK, CIPHERED_ANSWER), (CIPHERED_ASK, b"\xd8\x01\x02")
        )
    recording.expect_nothing_in_clear()
    assert kept.told("ciphered APDUs on the wan") == [{"heard": 6, "in_clear": 0}]


def test_nothing_in_clear_fails_and_names_the_first_that_did(
    line: CaptureLine, capture_of: Callable[..., Any], conversation: Conversation
) -> None:
    with capture_of(line).record() as recording:
        conversation.ask((CIPHERED_ASK, CIPHERED_ANSWER), (CIPHERED_ASK, ANSWER), (ASK, ANSWER))
    with pytest.raises(AssertionError) as caught:
        recording.expect_nothing_in_clear()
    assert "on the wan GetResponse went in clear from " in str(caught.value)
    assert f"127.0.0.1:{conversation.port} to 127.0.0.1:" in str(caught.value)
    assert "(client 16, server 1)" in str(caught.value)
    assert str(caught.value).endswith("and 2 more")


def test_authenticated_alone_is_in_clear(
    line: CaptureLine, capture_of: Callable[..., Any], conversation: Conversation
) -> None:
    signed = CIPHERED_ASK.replace(b"\x12\x30", b"\x12\x10")
    with capture_of(line).record() as recording:
        conversation.ask((signed, CIPHERED_ANSWER))
    with pytest.raises(AssertionError, match="authenticated, not ciphered: GetRequest went in clear"):
        recording.expect_nothing_in_clear()


def test_a_recording_in_which_no_apdu_was_heard_proves_nothing(
    line: CaptureLine, capture_of: Callable[..., Any], conversation: Conversation
) -> None:
    with capture_of(line).record() as recording:
        conversation.hold(("client", b"GET / HTTP/1.1\r\n\r\n"), ("server", b"HTTP/1.1 404 \r\n\r\n"))
    assert recording.frames
    assert recording.apdus == ()
    with pytest.raises(
        CaptureUnavailable, match="the recording of the wan proves nothing: no APDU was heard"
    ):
        recording.expect_nothing_in_clear()


def test_an_apdu_that_is_cut_off_proves_nothing(
    line: CaptureLine, capture_of: Callable[..., Any], conversation: Conversation
) -> None:
    with capture_of(line).record() as recording:
        conversation.hold(
            ("client", wrap_frame(16, 1, CIPHERED_ASK)), ("server", wrap_frame(1, 16, CIPHERED_ANSWER)[:-4])
        )
    with pytest.raises(CaptureUnavailable, match="proves nothing: 24 bytes among its APDUs cannot be read"):
        recording.expect_nothing_in_clear()


def wake_ups(streams: Sequence[HeardStream]) -> Heard:
    """A WAN whose hub is woken by a datagram that says so."""
    return Heard(wake_ups=tuple(stream.when(0) for stream in streams if stream.data == b"wake up"))


@pytest.fixture
def woken(monkeypatch: pytest.MonkeyPatch, shipped_lab: Lab) -> Lab:
    """The lab with a plugin that knows the wake-up of its WAN."""
    import types

    from harness.hooks import hookimpl

    plugin = types.ModuleType("own_wan")

    def harness_line_readings() -> tuple[LineReading, ...]:
        return (LineReading("own-wan", wake_ups, "the WAN of this lab"),)

    vars(plugin)["harness_line_readings"] = hookimpl(harness_line_readings)
    monkeypatch.setitem(sys.modules, "own_wan", plugin)
    return replace(shipped_lab, plugins=("own_wan",))


def test_a_line_reading_that_knows_wake_ups_counts_them(
    tcpdump: str, capture_of: Callable[..., Any], woken: Lab, kept: Kept
) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as hub, socket.socket(type=socket.SOCK_DGRAM) as head:
        hub.bind(("127.0.0.1", 0))
        line = CaptureLine(interface="lo", filter=f"udp port {hub.getsockname()[1]}", carries="own-wan")
        with capture_of(line, lab=woken).record() as recording:
            head.sendto(b"wake up", hub.getsockname())
            head.sendto(b"something else", hub.getsockname())
            soon(lambda: len(recording.frames) == 2, "the datagrams are not heard")
    recording.expect_wake_ups(1)
    with pytest.raises(AssertionError, match="on the wan the hub was woken 1 times, 2 expected: at 20"):
        recording.expect_wake_ups(2)
    told = kept.told("wake-ups on the wan")
    assert [one["expected"] for one in told] == [1, 2]
    assert recording.apdus == ()


def test_a_line_reading_that_does_not_know_wake_ups_blocks_who_asks_for_them(
    line: CaptureLine, capture_of: Callable[..., Any], conversation: Conversation
) -> None:
    with capture_of(line).record() as recording:
        conversation.ask((ASK, ANSWER))
    with pytest.raises(
        CaptureUnavailable, match=r"'dlms', does not tell how a hub is woken .*harness_line_read"
    ):
        recording.expect_wake_ups(1)


def test_a_line_reading_that_nobody_brings_is_a_fault_of_the_lab_file(
    line: CaptureLine, capture_of: Callable[..., Any]
) -> None:
    for carries, remedy in (("dmls", "did you mean 'dlms'?"), ("zigbee", "choose from 'dlms'")):
        with (
            pytest.raises(ConfigurationError) as caught,
            capture_of(replace(line, carries=carries)).record(),
        ):
            pass
        assert caught.value.message.endswith(f": no line reading is called {carries!r}")
        assert caught.value.remedy == remedy


def test_a_line_that_the_lab_file_does_not_name_blocks_who_records_it(
    line: CaptureLine, capture_of: Callable[..., Any]
) -> None:
    with pytest.raises(
        CaptureUnavailable, match=r"names no capture of its wan,.* under the rig's captures: wan: in"
    ):
        capture_of().record()
    with (
        pytest.raises(CaptureUnavailable, match="names no capture of its han"),
        capture_of(line).record("han"),
    ):
        pass


def test_the_failure_of_a_test_is_told_and_its_recording_kept_all_the_same(
    line: CaptureLine, capture_of: Callable[..., Any], conversation: Conversation, kept: Kept
) -> None:
    with (
        pytest.raises(AssertionError, match="the device did wrong"),
        capture_of(line).record(),
    ):
        fail_after(lambda: conversation.ask((ASK, ANSWER)), lambda: os.kill(tool_of(line), signal.SIGKILL))
    ((_, content, _),) = kept.messages
    assert content


def test_a_tool_that_ends_in_the_middle_is_told_when_the_recording_ends(
    line: CaptureLine, capture_of: Callable[..., Any], conversation: Conversation, kept: Kept
) -> None:
    with (
        pytest.raises(CaptureUnavailable, match="in the middle of a recording: tcpdump does not capture lo"),
        capture_of(line).record() as recording,
    ):
        end_in_the_middle(conversation, recording, lambda: tool_of(line), signal.SIGTERM)
    assert len(kept.messages) == 1
    with pytest.raises(CaptureUnavailable, match="in the middle of a recording"):
        recording.expect_nothing_in_clear()


def test_a_recording_that_reaches_its_limit_is_cut_and_says_so(
    line: CaptureLine, conversation: Conversation, kept: Kept, shipped_lab: Lab
) -> None:
    running = start(line, NOBODY, most_bytes=8192)
    conversation.ask((CIPHERED_ASK, CIPHERED_ANSWER))
    conversation.hold(("client", bytes(20_000)))
    cut = running.stop()
    assert cut.cut
    assert cut.problem is None
    assert len(cut.content) == 8192
    assert running.stop() is cut
    recording = LineRecording(
        "wan", line_reading("dlms", shipped_lab.rigs[0], shipped_lab), lambda: cut, kept
    )
    assert [apdu.raw for apdu in recording.apdus] == [CIPHERED_ASK, CIPHERED_ANSWER]
    with pytest.raises(CaptureUnavailable, match=r"it reached its largest size and was cut .narrow"):
        recording.expect_nothing_in_clear()


def test_frames_that_the_tool_had_to_let_go_prove_nothing(kept: Kept) -> None:
    reading = LineReading("none", lambda _: Heard(wake_ups=()), "nothing")
    recording = LineRecording("wan", reading, lambda: KeptFile(b"", lost=3), kept)
    with pytest.raises(CaptureUnavailable, match="proves nothing: 3 frames were lost"):
        recording.expect_wake_ups(0)


def test_when_it_stops_no_process_and_no_file_is_left(
    line: CaptureLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    running = LocalCapture(line)
    tool = tool_of(line)
    assert list(tmp_path.iterdir())
    running.stop()
    assert not list(tmp_path.iterdir())
    assert not Path(f"/proc/{tool}").exists()


def test_a_capture_ends_with_the_process_that_started_it(line: CaptureLine, tmp_path: Path) -> None:
    script = (
        "import sys\nfrom harness.domain.lab import CaptureLine\n"
        "from device_drivers.bench.capturing.local import LocalCapture\n"
        f"running = LocalCapture({line!r})\nprint('listening', flush=True)\nsys.stdin.read()\n"
    )
    with subprocess.Popen(
        (sys.executable, "-c", script), cwd=REPO, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    ) as starter:  # fmt: skip
        assert starter.stdout is not None
        assert starter.stdout.readline() == b"listening\n"
        tool = tool_of(line)
        starter.kill()
    soon(lambda: not list_of(tool), "tcpdump outlives who started it")


def test_the_labs_check_hears_a_line_for_a_moment(line: CaptureLine) -> None:
    assert probe(line, "wan", NOBODY) == f"the wan is heard on lo with {which('tcpdump')}"


def test_an_interface_that_there_is_not_blocks_the_test(
    line: CaptureLine, capture_of: Callable[..., Any]
) -> None:
    with (
        pytest.raises(
            CaptureUnavailable, match="this computer: tcpdump finds no interface bay-3-wan"
        ) as caught,
        capture_of(replace(line, interface="bay-3-wan")).record(),
    ):
        pass
    assert "tcpdump -D" in caught.value.remedy


def test_a_filter_that_is_none_blocks_the_test(line: CaptureLine, capture_of: Callable[..., Any]) -> None:
    with (
        pytest.raises(CaptureUnavailable, match=r"does not understand the filter 'tcp or so'.*pcap-filter"),
        capture_of(replace(line, filter="tcp or so")).record(),
    ):
        pass


def test_a_filter_is_no_option_of_the_tool(line: CaptureLine, tmp_path: Path) -> None:
    noted = tmp_path / "noted"
    for words in (f"-w{noted}", "-ztrue", f"tcp; touch {noted}", f"$(touch {noted})"):
        with pytest.raises(CaptureUnavailable, match="does not understand the filter"):
            LocalCapture(replace(line, filter=words)).stop()
    assert not noted.exists()


def test_without_a_tool_the_test_is_blocked(
    line: CaptureLine, capture_of: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("device_drivers.bench.capturing.local.MORE_PLACES", str(tmp_path))
    for tool, what, remedy in (
        ("", "no dumpcap or tcpdump to capture lo with", "install tcpdump"),
        ("dumpcap", "no dumpcap to capture lo with", "wireshark-common"),
    ):
        with (
            pytest.raises(CaptureUnavailable, match=what) as caught,
            capture_of(replace(line, tool=tool)).record(),
        ):
            pass
        assert remedy in caught.value.remedy


@pytest.mark.skipif(not shutil.which("setpriv"), reason="there is no setpriv on this computer")
def test_without_the_privilege_the_test_is_blocked(
    line: CaptureLine,
    tcpdump: str,
    capture_of: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if os.geteuid() != 0:
        pytest.skip("who is not root cannot run a tool as somebody else")
    unprivileged = tmp_path / "tcpdump"
    run_by_nobody(unprivileged, tcpdump)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with (
        pytest.raises(CaptureUnavailable, match="this computer: tcpdump may not capture lo") as caught,
        capture_of(line).record(),
    ):
        pass
    assert "setcap cap_net_raw" in caught.value.remedy
    assert not caught.value.suspect


def test_a_tool_that_says_nothing_is_ended_at_its_deadline(
    line: CaptureLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mute = tmp_path / "tcpdump"
    mute.write_text(f"#!/bin/sh\necho $$ >{tmp_path}/pid\nexec sleep 300\n")
    mute.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr("device_drivers.bench.capturing.local._STARTS", 0.3)
    with pytest.raises(
        CaptureUnavailable, match=r"did not begin to listen on lo within 0.3 s: it says nothing"
    ):
        LocalCapture(line)
    assert not Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}").exists()


@pytest.mark.parametrize("tool", ["tcpdump", "dumpcap"])
def test_each_tool_hears_counts_and_stops(
    line: CaptureLine, capture_of: Callable[..., Any], conversation: Conversation, tool: str
) -> None:
    if not shutil.which(tool, path=f"{os.environ['PATH']}:{MORE_PLACES}"):
        pytest.skip(f"there is no {tool} on this computer")
    line = replace(line, tool=tool)
    with capture_of(line).record() as recording:
        conversation.ask((CIPHERED_ASK, CIPHERED_ANSWER))
    recording.expect_nothing_in_clear()
    assert len(recording.apdus) == 2
    for wrong, what in (
        ({"interface": "bay-3-wan"}, "finds no interface"),
        ({"filter": "x or"}, "the filter"),
    ):
        with pytest.raises(CaptureUnavailable, match=what):
            start(replace(line, **wrong), NOBODY)
    running = start(line, NOBODY, most_bytes=8192)
    conversation.hold(("client", bytes(20_000)))
    assert running.stop().cut


@pytest.mark.parametrize(
    ("said", "lost"),
    [
        ("10 packets captured\n22 packets received by filter\n12 packets dropped by kernel\n", 12),
        ("Packets received/dropped on interface 'wan': 100/7 (pcap:5/dumpcap:2/flushed:0) (93.5%)", 7),
        ("1 packet dropped by kernel", 1),
        ("nothing of the kind", 0),
    ],
)
def test_what_the_tools_had_to_let_go_is_read_from_their_last_words(said: str, lost: int) -> None:
    assert lost_frames(said) == lost


def which(tool: str) -> str:
    from device_drivers.bench.capturing.local import find_tool

    return find_tool(CaptureLine(interface="lo", tool=tool))[1]


def tool_of(line: CaptureLine) -> int:
    """The process that captures the line."""
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            words = list_of(int(process.name))
            if words and words[-1] == line.filter and words[0].endswith("tcpdump"):
                return int(process.name)
    raise AssertionError(f"nobody captures {line.filter}")


def list_of(pid: int) -> list[str]:
    """The command line of a process; empty where it has gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")[:-1]
    except OSError:
        return []
