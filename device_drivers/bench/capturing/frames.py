"""Capture files read with scapy: frames, and the segments and datagrams in them.

scapy is GPL-2.0-only and an extra that a lab asks for (``smets1-harness[capture]``); it only reads here.
Nobody imports this module but :mod:`.recording`, when something is to be read.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any, Final

from scapy.error import Scapy_Exception
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import NoPayload, Packet, Padding, Raw
from scapy.utils import PcapReader

from device_drivers.bench.capturing import han
from device_drivers.bench.capturing.layers import DlmsWrapper
from device_drivers.bench.capturing.streams import Segment
from harness.domain.errors import CaptureUnavailable
from harness.domain.heard import HeardStream
from harness.domain.instruments import CapturedFrame

MOST_FRAMES: Final = 100_000

_READER: Any = PcapReader  # its class declares that it takes names only; its metaclass takes files

_LOOPBACK: Final = "00:00:00:00:00:00"
_AT_ONCE: Final = timedelta(milliseconds=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

logging.getLogger("scapy").setLevel(logging.CRITICAL)  # a torn or foreign frame is no news to anybody here


@dataclass(frozen=True, slots=True)
class ReadFile:
    """What is in a capture file."""

    frames: tuple[CapturedFrame, ...]
    segments: tuple[Segment, ...]
    datagrams: tuple[HeardStream, ...]


def read_file(pcapng: bytes) -> ReadFile:
    """Every frame of a file; :class:`CaptureUnavailable` where it has more than can be read in a test."""
    frames: list[CapturedFrame] = []
    segments: list[Segment] = []
    datagrams: list[HeardStream] = []
    for packet in _heard_once(_packets(pcapng)):
        frame = _frame(packet)
        frames.append(frame)
        transport = packet.getlayer(TCP) or packet.getlayer(UDP)
        if transport is None:
            continue
        data = transport.original[_header(transport) :]
        if isinstance(transport, TCP):
            opens = bool(transport.flags.S)
            segments.append(
                Segment(frame.timestamp, frame.source, frame.destination, transport.seq, opens, data)
            )
        elif data:
            datagrams.append(
                HeardStream(
                    source=frame.source, destination=frame.destination, pieces=((frame.timestamp, data),)
                )
            )
    return ReadFile(tuple(frames), tuple(segments), tuple(datagrams))


def _packets(pcapng: bytes) -> Iterator[Packet]:
    if not pcapng:
        return
    try:
        with han.as_zigbee(), _READER(BytesIO(pcapng)) as packets:
            for number, packet in enumerate(packets):
                if number >= MOST_FRAMES:
                    raise CaptureUnavailable(
                        f"the capture file has more than {MOST_FRAMES} frames",
                        remedy="capture with a filter that leaves only the rig's traffic",
                    )
                yield packet
    except Scapy_Exception as error:
        raise CaptureUnavailable(
            f"the capture file cannot be read: {error}", remedy="have it written anew by tcpdump or dumpcap"
        ) from None


def _heard_once(packets: Iterator[Packet]) -> Iterator[Packet]:
    """Without the second of the two times that some tools hear a frame of the loopback: out, and in."""
    out: dict[bytes, datetime] = {}
    for packet in packets:
        if isinstance(packet, Ether) and packet.src == packet.dst == _LOOPBACK:
            raw, at = packet.original, _moment(packet)
            went = out.pop(raw, None)
            if went is not None and at - went <= _AT_ONCE:
                continue
            out[raw] = at
        yield packet


def _moment(packet: Packet) -> datetime:
    try:
        return _EPOCH + timedelta(microseconds=int(packet.time * 1_000_000))
    except OverflowError:
        raise CaptureUnavailable(
            f"the capture file is damaged: a frame is {packet.time} s after 1970",
            remedy="look at it in Wireshark, and leave out what is damaged",
        ) from None


def _frame(packet: Packet) -> CapturedFrame:
    layers = tuple(_layers(packet))
    source, destination, details = _ends(packet)
    last = layers[-1].payload if layers else packet
    return CapturedFrame(
        timestamp=_moment(packet),
        source=source,
        destination=destination,
        layers=tuple(str(layer.name) for layer in layers),
        payload=bytes(last.original if isinstance(last, Raw) else last),
        details=details,
    )


def _layers(packet: Packet) -> Iterator[Packet]:
    layer = packet
    while not isinstance(layer, NoPayload | Raw | Padding):
        yield layer
        if isinstance(layer, TCP | UDP) and isinstance(layer.payload, Raw):
            wrapped = DlmsWrapper.found_in(layer.payload.original)
            if wrapped is not None:  # on whatever port
                layer.remove_payload()
                layer.add_payload(wrapped)
        layer = layer.payload


def _ends(packet: Packet) -> tuple[str, str, dict[str, int | str]]:
    network: Any = packet.getlayer(IP) or packet.getlayer(IPv6)
    if network is None or packet.getlayer(han.MAC) is not None:  # a sniffer may send what it hears over UDP
        return han.ends(packet)
    transport: Any = packet.getlayer(TCP) or packet.getlayer(UDP)
    if transport is None:
        return str(network.src), str(network.dst), {}
    host = "{}" if isinstance(network, IP) else "[{}]"
    source, destination = host.format(network.src), host.format(network.dst)
    return f"{source}:{transport.sport}", f"{destination}:{transport.dport}", {}


def _header(transport: Any) -> int:
    return 4 * int(transport.dataofs or 5) if isinstance(transport, TCP) else 8
