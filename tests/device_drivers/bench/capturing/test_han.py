"""HAN captures, made here byte by byte after IEEE 802.15.4-2006 and the ZigBee specification (r20)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from struct import pack
from typing import Any

import pytest

from harness.domain.errors import CaptureUnavailable

pytest.importorskip("scapy", reason="scapy is an extra: pip install 'smets1-harness[capture]'")

HUB, METER, PAN = 0x0000, 0x1A2B, 0x3C4D
HUB_EUI, METER_EUI = 0x00DB1234567890A0, 0x00DB1234567890B1
WITH_FCS, WITHOUT_FCS, TAP = 195, 230, 283
METERING, SMART_ENERGY = 0x0702, 0x0109


def pcap(link_type: int, *frames: bytes) -> bytes:
    head = pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, link_type)
    return head + b"".join(
        pack("<IIII", 1_700_000_000 + number, 250_000, len(frame), len(frame)) + frame
        for number, frame in enumerate(frames)
    )


def mac(payload: bytes, *, long: bool = False) -> bytes:
    """A data frame of the meter to the hub, in one PAN."""
    if long:
        return pack("<HBHQQ", 0xCC61, 7, PAN, HUB_EUI, METER_EUI) + payload
    return pack("<HBHHH", 0x8861, 7, PAN, HUB, METER) + payload


def fcs(frame: bytes) -> bytes:
    """The frame with its check sequence: CRC-16 of ITU-T, low bit first (IEEE 802.15.4, 7.2.1.9)."""
    crc = 0
    for byte in frame:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x8408 if crc & 1 else 0)
    return frame + crc.to_bytes(2, "little")


def nwk(payload: bytes, *, secured: bool = False, euis: bool = False) -> bytes:
    control = 0x0048 | (0x0200 if secured else 0) | (0x1800 if euis else 0)
    ends = pack("<HHHBB", control, HUB, METER, 30, 9) + (pack("<QQ", HUB_EUI, METER_EUI) if euis else b"")
    return ends + (security(key=1) + b"\x77" * 20 if secured else payload)


def security(key: int) -> bytes:
    """An auxiliary header: key identifier, frame counter, sender; the network key's number."""
    return pack("<BIQ", 0x20 | key << 3, 1234, METER_EUI) + (b"\x00" if key == 1 else b"")


def aps(payload: bytes, *, cluster: int = METERING, secured: bool = False) -> bytes:
    head = pack("<BBHHBB", 0x40 | (0x20 if secured else 0), 1, cluster, SMART_ENERGY, 2, 5)
    return head + (security(key=0) + b"\x99" * 12 if secured else payload)


READ_ATTRIBUTES = bytes.fromhex("0021000000")  # ZCL: read the current summation delivered
TUNNELLED = bytes.fromhex("012202") + b"for the meter"  # ZCL: transfer data


@pytest.fixture
def frames_of(capture_of: Callable[..., Any], tmp_path: Path) -> Callable[[bytes], Any]:
    def read(content: bytes) -> Any:
        (tmp_path / "han.pcap").write_bytes(content)
        return capture_of().read(tmp_path / "han.pcap").frames

    return read


@pytest.mark.parametrize(
    ("link_type", "made"),
    [
        (WITH_FCS, fcs),
        (WITHOUT_FCS, bytes),
        (TAP, lambda frame: pack("<BBHHHBxxx", 0, 0, 12, 0, 1, 1) + fcs(frame)),
        (TAP, lambda frame: pack("<BBHHHBxxx", 0, 0, 12, 0, 1, 0) + frame),
        (TAP, lambda frame: pack("<BBHHHHxx", 0, 0, 12, 3, 2, 11) + fcs(frame)),
    ],
    ids=[
        "195 with check sequence",
        "230 without",
        "283 that says with",
        "283 that says without",
        "283 silent",
    ],
)
def test_a_frame_in_clear_tells_addresses_endpoints_and_cluster(
    frames_of: Callable[[bytes], Any], link_type: int, made: Callable[[bytes], bytes]
) -> None:
    frame, tunnelled = frames_of(
        pcap(
            link_type,
            made(mac(nwk(aps(READ_ATTRIBUTES)))),
            made(mac(nwk(aps(TUNNELLED, cluster=0x0704)))),
        )
    )
    assert (frame.source, frame.destination) == ("0x1a2b", "0x0000")
    assert frame.details == {
        "pan": "0x3c4d",
        "mac_source": "0x1a2b",
        "mac_destination": "0x0000",
        "nwk_source": "0x1a2b",
        "nwk_destination": "0x0000",
        "cluster": METERING,
        "cluster_name": "metering",
        "profile": SMART_ENERGY,
        "source_endpoint": 2,
        "destination_endpoint": 1,
    }
    assert frame.timestamp.isoformat() == "2023-11-14T22:13:20.250000+00:00"
    assert "Zigbee Network Layer" in frame.layers
    assert tunnelled.details["cluster_name"] == "tunnelling"
    assert tunnelled.payload == TUNNELLED[3:]


def test_what_the_network_key_ciphers_keeps_its_cluster_to_itself(frames_of: Callable[[bytes], Any]) -> None:
    (frame,) = frames_of(pcap(WITH_FCS, fcs(mac(nwk(b"", secured=True)))))
    assert frame.details["security"] == "network key"
    assert (frame.source, frame.destination) == ("0x1a2b", "0x0000")
    assert not {"cluster", "profile", "source_endpoint"} & set(frame.details)


def test_what_the_link_key_ciphers_still_tells_its_cluster(frames_of: Callable[[bytes], Any]) -> None:
    (frame,) = frames_of(pcap(WITH_FCS, fcs(mac(nwk(aps(b"", cluster=0x0800, secured=True))))))
    assert frame.details["security"] == "link key"
    assert frame.details["cluster_name"] == "key establishment"


def test_long_addresses_are_written_as_device_ids_are(frames_of: Callable[[bytes], Any]) -> None:
    with_euis, bare = frames_of(
        pcap(WITHOUT_FCS, mac(nwk(aps(READ_ATTRIBUTES), euis=True), long=True), mac(b"", long=True))
    )
    assert with_euis.details["mac_source"] == with_euis.details["nwk_source_eui"] == "00-DB-12-34-56-78-90-B1"
    assert with_euis.details["nwk_destination_eui"] == "00-DB-12-34-56-78-90-A0"
    assert with_euis.source == "0x1a2b"
    assert (bare.source, bare.destination) == ("00-DB-12-34-56-78-90-B1", "00-DB-12-34-56-78-90-A0")


def test_a_cluster_that_nobody_here_knows_has_a_number_and_no_name(frames_of: Callable[[bytes], Any]) -> None:
    (frame,) = frames_of(pcap(WITHOUT_FCS, mac(nwk(aps(READ_ATTRIBUTES, cluster=0xFC01)))))
    assert frame.details["cluster"] == 0xFC01
    assert "cluster_name" not in frame.details


def test_acknowledgements_beacons_commands_and_torn_frames_are_frames_too(
    frames_of: Callable[[bytes], Any],
) -> None:
    ack, beacon, command = (
        pack("<HB", 0x0002, 7),
        pack("<HBHHHBB", 0x8000, 1, PAN, HUB, 0xCFFF, 0, 0),
        pack("<HBHHB", 0x0803, 2, 0xFFFF, 0xFFFF, 7),
    )
    whole = mac(nwk(aps(READ_ATTRIBUTES)))
    torn = [whole[:length] for length in range(len(whole))]
    frames = frames_of(pcap(WITHOUT_FCS, ack, beacon, command, *torn))
    assert len(frames) == 3 + len(torn)
    assert (frames[0].source, frames[0].details) == ("", {})
    assert (frames[1].source, frames[1].details["mac_source"]) == ("0x0000", "0x0000")
    assert frames[2].destination == "0xffff"


def test_what_a_sniffer_sends_over_udp_is_read_as_what_it_heard(frames_of: Callable[[bytes], Any]) -> None:
    heard = fcs(mac(nwk(aps(READ_ATTRIBUTES))))
    zep = b"EX\x02\x01" + pack(">BHBBQI10xB", 11, 1, 0, 255, 0, 3, len(heard)) + heard
    udp = pack(">HHHH", 5000, 17754, 8 + len(zep), 0) + zep
    ip = pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0, b"\x7f\0\0\1", b"\x7f\0\0\1") + udp
    (frame,) = frames_of(pcap(1, bytes(12) + b"\x08\x00" + ip))
    assert (frame.source, frame.details.get("cluster_name")) == ("0x1a2b", "metering")


def test_a_han_has_no_apdus_and_proves_nothing_about_them(
    capture_of: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "han.pcap").write_bytes(pcap(WITHOUT_FCS, mac(nwk(aps(READ_ATTRIBUTES)))))
    recording = capture_of().read(tmp_path / "han.pcap")
    assert recording.apdus == ()
    with pytest.raises(
        CaptureUnavailable, match=r"recording of the han.pcap proves nothing: no APDU was heard"
    ):
        recording.expect_nothing_in_clear()
