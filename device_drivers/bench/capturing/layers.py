"""What scapy lacks: the DLMS wrapper (Green Book 7.3.3), and the tap header of 802.15.4 files (DLT 283)."""

from __future__ import annotations

from typing import Any, ClassVar

from scapy.config import conf
from scapy.fields import ByteField, LEShortField, ShortField, StrLenField
from scapy.layers.dot15d4 import Dot15d4, Dot15d4FCS
from scapy.layers.inet import UDP
from scapy.layers.zigbee import ZEP2
from scapy.packet import Packet, Raw, bind_bottom_up

from device_drivers.dlms.channel import HEADER_BYTES, WRAPPER_VERSION

_TAP: int = 283
_ZEP_PORT: int = 17754  # ZigBee Encapsulation Protocol: what a sniffer hears, sent on over UDP


class DlmsWrapper(Packet):
    """Version, the two SAPs and the length; what follows is the APDU, and after it perhaps another frame."""

    name = "DLMS wrapper"
    fields_desc: ClassVar[list[Any]] = [
        ShortField("version", WRAPPER_VERSION),
        ShortField("source", 1),
        ShortField("destination", 1),
        ShortField("length", None),
    ]

    def post_build(self, packet: bytes, payload: bytes) -> bytes:
        """Count the APDU where nobody said how long it is."""
        if self.length is None:
            packet = packet[:6] + len(payload).to_bytes(2)
        return packet + payload

    @classmethod
    def found_in(cls, data: bytes) -> Packet | None:
        """The wrapper, where the bytes of a segment begin with a whole frame or the head of a longer one."""
        head = data[:HEADER_BYTES]
        if len(head) < HEADER_BYTES or int.from_bytes(head[:2]) != WRAPPER_VERSION or not any(head[6:]):
            return None
        wrapped: Packet = cls(head) / Raw(data[HEADER_BYTES:])
        wrapped.payload.original = data[HEADER_BYTES:]
        return wrapped


class Tap(Packet):
    """IEEE 802.15.4 TAP: a header whose entries tell, with much else, if a check sequence ends the frame."""

    name = "802.15.4 TAP"
    fields_desc: ClassVar[list[Any]] = [
        ByteField("version", 0),
        ByteField("reserved", 0),
        LEShortField("length", 4),
        StrLenField("entries", b"", length_from=lambda tap: max(tap.length - 4, 0)),
    ]

    def guess_payload_class(self, _payload: bytes) -> type[Packet]:
        """With a check sequence of 16 bits, unless the entry of type 0 says that there is none."""
        entries = bytes(self.entries)
        while len(entries) >= 4:
            kind, length = int.from_bytes(entries[:2], "little"), int.from_bytes(entries[2:4], "little")
            if kind == 0 and length:
                return Dot15d4 if entries[4:5] == b"\x00" else Dot15d4FCS
            entries = entries[4 + length + -length % 4 :]
        return Dot15d4FCS


conf.l2types.register(_TAP, Tap)
bind_bottom_up(UDP, ZEP2, dport=_ZEP_PORT)  # scapy knows it by the sender's port alone
