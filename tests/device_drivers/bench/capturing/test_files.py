"""Capture files from elsewhere, made here byte by byte: pcap and pcapng, whole, torn and none."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from struct import pack
from typing import Any

import pytest

from device_drivers.bench.capturing.pcapng import as_pcapng
from device_drivers.dlms.channel import wrap_frame
from harness.domain.errors import CaptureUnavailable
from harness.domain.lab import CaptureLine
from tests.device_drivers.bench.capturing.conftest import ANSWER, ASK, CIPHERED_ASK
from tests.device_drivers.bench.ssh.house import Kept

pytest.importorskip("scapy", reason="scapy is an extra: pip install 'smets1-harness[capture]'")

CLIENT, METER = b"\x0a\x00\x00\x01", b"\x0a\x00\x00\x02"
AT = 1_700_000_000
SYN, ACK, PUSH = 2, 16, 24


def segment(
    data: bytes, sequence: int, *, back: bool = False, flags: int = PUSH, ends: bytes = bytes(range(12))
) -> bytes:
    """An Ethernet frame with a TCP segment of the client (port 50000) to the meter (4059), or back."""
    source, destination = (METER, CLIENT) if back else (CLIENT, METER)
    ports = (4059, 50000) if back else (50000, 4059)
    tcp = pack(">HHIIBBHHH", *ports, sequence % (1 << 32), 0, 0x50, flags, 8192, 0, 0) + data
    ip = pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 1, 0, 64, 6, 0, source, destination)
    return ends + b"\x08\x00" + ip + tcp


def pcap(*frames: bytes, order: str = "<", nano: bool = False, link_type: int = 1) -> bytes:
    magic, fraction = (0xA1B23C4D, 250_000_123) if nano else (0xA1B2C3D4, 250_000)
    head = pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, 65535, link_type)
    return head + b"".join(
        pack(f"{order}IIII", AT + number, fraction, len(frame), len(frame)) + frame
        for number, frame in enumerate(frames)
    )


def pcapng(*frames: bytes, order: str = "<", first: int = 0) -> bytes:
    """With times in microseconds, a comment in its section and a block that nobody knows."""

    def block(kind: int, body: bytes) -> bytes:
        body += bytes(-len(body) % 4)
        return pack(f"{order}II", kind, 12 + len(body)) + body + pack(f"{order}I", 12 + len(body))

    comment = pack(f"{order}HH", 1, 4) + b"bay3" + bytes(4)
    section = block(0x0A0D0D0A, pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1) + comment)
    interface = block(1, pack(f"{order}HHI", 1, 0, 0))
    packets = []
    for number, frame in enumerate(frames, first):
        at = (AT + number) * 1_000_000 + 250_000
        head = pack(f"{order}IIIII", 0, at >> 32, at & 0xFFFFFFFF, len(frame), len(frame))
        packets.append(block(6, head + frame))
    return section + interface + block(0x0BAD, b"what is this") + b"".join(packets)


EXCHANGE = (
    segment(b"", 999, flags=SYN),
    segment(b"", 4999, back=True, flags=SYN | ACK),
    segment(wrap_frame(16, 1, ASK), 1000),
    segment(wrap_frame(1, 16, ANSWER), 5000, back=True),
)


@pytest.fixture
def read(capture_of: Callable[..., Any], tmp_path: Path) -> Callable[[bytes], Any]:
    def read(content: bytes) -> Any:
        (tmp_path / "wan.pcap").write_bytes(content)
        return capture_of().read(tmp_path / "wan.pcap")

    return read


@pytest.mark.parametrize(
    "content",
    [
        pcap(*EXCHANGE),
        pcap(*EXCHANGE, order=">"),
        pcap(*EXCHANGE, nano=True),
        pcap(*EXCHANGE, nano=True, order=">"),
        pcapng(*EXCHANGE),
        pcapng(*EXCHANGE, order=">"),
        pcapng(*EXCHANGE[:3]) + pcapng(*EXCHANGE[3:], order=">", first=3),
    ],
    ids=["pcap", "big-endian", "nanoseconds", "both", "pcapng", "pcapng big-endian", "two sections"],
)
def test_a_file_of_any_kind_is_read_and_kept(
    read: Callable[[bytes], Any], kept: Kept, content: bytes
) -> None:
    recording = read(content)
    assert [(apdu.kind, apdu.raw) for apdu in recording.apdus] == [
        ("GetRequest 0-0:1.0.0 attribute 2 (class 8)", ASK),
        ("GetResponse", ANSWER),
    ]
    assert len(recording.frames) == 4
    assert recording.frames[0].timestamp == datetime(2023, 11, 14, 22, 13, 20, 250_000, UTC)
    assert (recording.frames[0].source, recording.frames[0].destination) == (
        "10.0.0.1:50000",
        "10.0.0.2:4059",
    )
    ((name, evidence, media_type),) = kept.messages
    assert (name, media_type) == ("wan.pcap", "application/x-pcapng")
    assert evidence == as_pcapng(content)


@pytest.mark.parametrize("content", [pcap(*EXCHANGE), pcapng(*EXCHANGE)], ids=["pcap", "pcapng"])
def test_a_torn_end_costs_the_last_frame_only(read: Callable[[bytes], Any], content: bytes) -> None:
    for missing in range(1, 60):
        recording = read(content[:-missing])
        assert len(recording.frames) == 3
        assert [apdu.raw for apdu in recording.apdus] == [ASK]


def test_a_file_of_nothing_but_its_head_has_no_frames(read: Callable[[bytes], Any]) -> None:
    for content in (pcap(), pcapng()):
        assert read(content).frames == ()


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"no capture at all", b"\x1f\x8b\x08\x00gzip", pcap()[:20], bytes(64)],
    ids=["empty", "a line end", "text", "gzip", "half a head", "zeros"],
)
def test_what_is_no_capture_file_blocks_who_reads_it(read: Callable[[bytes], Any], content: bytes) -> None:
    with pytest.raises(CaptureUnavailable, match=r"is neither pcap nor pcapng .*tcpdump, dumpcap"):
        _ = read(content).frames


def test_a_section_without_its_interface_has_no_frames_and_blocks_at_worst(
    read: Callable[[bytes], Any],
) -> None:
    section = pcapng(EXCHANGE[0])[:32]
    for content in (section, section[:9], section[:20], b"\x0a\x0d\x0d\x0a" + bytes(24)):
        try:
            assert read(content).frames == ()
        except CaptureUnavailable:
            continue


def test_a_file_that_is_not_there_or_is_too_large_blocks_who_reads_it(
    capture_of: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CaptureUnavailable, match="cannot be read: No such file"):
        capture_of().read(tmp_path / "nothing.pcap")
    with pytest.raises(CaptureUnavailable, match="cannot be read: Is a directory"):
        capture_of().read(tmp_path)
    monkeypatch.setattr("device_drivers.bench.capture.LARGEST_FILE", 100)
    (tmp_path / "large.pcap").write_bytes(pcap(*EXCHANGE))
    with pytest.raises(CaptureUnavailable, match=r"has \d+ bytes, more than 100 .split it"):
        capture_of().read(tmp_path / "large.pcap")


def test_a_file_of_too_many_frames_blocks_who_reads_it(
    read: Callable[[bytes], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("device_drivers.bench.capturing.frames.MOST_FRAMES", 3)
    with pytest.raises(CaptureUnavailable, match="more than 3 frames"):
        _ = read(pcap(*EXCHANGE)).frames
    assert len(read(pcap(*EXCHANGE[:3])).frames) == 3


def test_a_frame_that_was_heard_going_out_and_coming_in_counts_once(read: Callable[[bytes], Any]) -> None:
    loop = bytes(12)
    once = [segment(wrap_frame(16, 1, CIPHERED_ASK), 1000 + 100 * number, ends=loop) for number in range(3)]
    head = pcap()
    at_once = head + b"".join(
        pack("<IIII", AT + number, 10 * copy, len(frame), len(frame)) + frame
        for number, frame in enumerate(once)
        for copy in range(2)
    )
    recording = read(at_once)
    assert len(recording.frames) == 3
    assert len(recording.apdus) == 3
    assert len(read(pcap(once[0], once[0])).frames) == 2  # a second later: sent twice
    elsewhere = [frame.replace(loop, bytes(range(12)), 1) for frame in (once[0], once[0])]
    assert len(read(pcap(*elsewhere)).frames) == 2


def test_apdus_are_read_out_of_segments_in_any_order_repeated_and_lost(read: Callable[[bytes], Any]) -> None:
    stream = b"".join(wrap_frame(16, 1, ASK + bytes((number,))) for number in range(6))
    begin = (1 << 32) - 50  # the sequence numbers run over
    pieces = [segment(stream[at : at + 7], begin + at) for at in range(0, len(stream), 7)]
    opening = segment(b"", begin - 1, flags=SYN)
    mixed = [*pieces, *pieces[::3], segment(stream[10:40], begin + 10)]
    random.Random(5).shuffle(mixed)
    assert [apdu.raw[-1] for apdu in read(pcap(opening, *mixed)).apdus] == list(range(6))
    lost = read(pcap(opening, *pieces[:3], *pieces[4:]))
    assert [apdu.raw[-1] for apdu in lost.apdus] == [2, 3, 4, 5]
    with pytest.raises(AssertionError, match="went in clear"):
        lost.expect_nothing_in_clear()


def test_a_gap_among_ciphered_apdus_proves_nothing(read: Callable[[bytes], Any]) -> None:
    stream = wrap_frame(16, 1, CIPHERED_ASK) * 5
    pieces = [segment(stream[at : at + 7], 1000 + at) for at in range(0, len(stream), 7)]
    read(pcap(segment(b"", 999, flags=SYN), *pieces)).expect_nothing_in_clear()
    with pytest.raises(CaptureUnavailable, match=r"proves nothing: \d+ bytes among its APDUs cannot be read"):
        read(pcap(segment(b"", 999, flags=SYN), *pieces[:3], *pieces[4:])).expect_nothing_in_clear()


def test_a_file_is_read_as_the_rigs_own_line_carries(capture_of: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "wan.pcap").write_bytes(pcap(*EXCHANGE))
    line = CaptureLine(interface="lo", carries="dlms")
    assert len(capture_of(line).read(tmp_path / "wan.pcap").apdus) == 2


def test_damaged_files_are_read_or_refused_and_nothing_else(read: Callable[[bytes], Any]) -> None:
    chance = random.Random(20)
    whole = (pcap(*EXCHANGE), pcapng(*EXCHANGE), pcap(*EXCHANGE, order=">"), pcap(*EXCHANGE, link_type=195))
    for number in range(600):
        content = bytearray(chance.choice(whole))
        for _ in range(chance.choice((1, 3, 30))):
            content[chance.randrange(4 if number % 3 else 0, len(content))] = chance.randrange(256)
        if chance.random() < 0.3:
            del content[chance.randrange(len(content)) :]
        try:
            recording = read(bytes(content))
            _ = recording.frames, recording.apdus
        except CaptureUnavailable:
            continue
