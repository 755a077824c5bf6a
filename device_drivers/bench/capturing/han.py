"""HAN frames: IEEE 802.15.4 and ZigBee addresses, endpoints and clusters, as far as they are not ciphered.

A frame's ends are those of the innermost layer that can be read. Its details have those of every layer:
``mac_source``, ``mac_destination``, ``pan``, ``nwk_source``, ``nwk_destination``, ``nwk_source_eui``,
``nwk_destination_eui``, ``security`` ("network key", …), ``cluster``, ``cluster_name``, ``profile``,
``source_endpoint``, ``destination_endpoint``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from scapy.config import conf
from scapy.layers.dot15d4 import Dot15d4
from scapy.layers.zigbee import ZigbeeAppDataPayload, ZigbeeNWK, ZigbeeSecurityHeader
from scapy.packet import Packet

MAC: Final = Dot15d4
CLUSTERS: Final = {
    0x0000: "basic",
    0x0003: "identify",
    0x000A: "time",
    0x0019: "over-the-air upgrade",
    0x0700: "price",
    0x0701: "demand response and load control",
    0x0702: "metering",
    0x0703: "messaging",
    0x0704: "tunnelling",
    0x0705: "prepayment",
    0x0706: "energy management",
    0x0707: "calendar",
    0x0708: "device management",
    0x0709: "events",
    0x070A: "mdu pairing",
    0x0800: "key establishment",
}
"""Of the ZigBee Smart Energy and Cluster Library specifications."""
_KEYS: Final = ("link key", "network key", "key-transport key", "key-load key")


@contextmanager
def as_zigbee() -> Iterator[None]:
    """While it lasts, scapy takes what is inside 802.15.4 for ZigBee."""
    settings: Any = conf  # scapy declares this one as None, whatever it may be set to
    before = settings.dot15d4_protocol
    settings.dot15d4_protocol = "zigbee"
    try:
        yield
    finally:
        settings.dot15d4_protocol = before


def ends(packet: Packet) -> tuple[str, str, dict[str, int | str]]:
    """Who sent a frame, whom it is for, and what else it says of itself; empty where it has no address."""
    mac: Any = packet.getlayer(MAC)
    if mac is None:
        return "", "", {}
    details: dict[str, int | str] = {}
    _mac(mac, details)
    network: Any = packet.getlayer(ZigbeeNWK)
    if network is not None:
        _network(network, details)
    security: Any = packet.getlayer(ZigbeeSecurityHeader)
    if security is not None:
        details["security"] = _KEYS[security.key_type]
    application: Any = packet.getlayer(ZigbeeAppDataPayload)
    if application is not None:
        _application(application, details)
    sides = (
        next((details[name] for name in (f"nwk_{side}", f"mac_{side}") if name in details), "")
        for side in ("source", "destination")
    )
    source, destination = sides
    return str(source), str(destination), details


def _mac(mac: Any, details: dict[str, int | str]) -> None:
    inner = mac.payload
    for side, field, mode in (
        ("source", "src_addr", mac.fcf_srcaddrmode),
        ("destination", "dest_addr", mac.fcf_destaddrmode),
    ):
        value = inner.fields.get(field)
        if mode in (2, 3) and value is not None:
            details[f"mac_{side}"] = _address(value, long=mode == 3)
    if mac.fcf_destaddrmode in (2, 3) and inner.fields.get("dest_panid") is not None:
        details["pan"] = f"0x{inner.dest_panid:04x}"


def _network(network: Any, details: dict[str, int | str]) -> None:
    details["nwk_source"] = _address(network.source, long=False)
    details["nwk_destination"] = _address(network.destination, long=False)
    for side, field in (("source", "ext_src"), ("destination", "ext_dst")):
        if (eui := network.fields.get(field)) is not None:
            details[f"nwk_{side}_eui"] = _address(eui, long=True)


def _application(application: Any, details: dict[str, int | str]) -> None:
    for name, field in (
        ("cluster", "cluster"),
        ("profile", "profile"),
        ("source_endpoint", "src_endpoint"),
        ("destination_endpoint", "dst_endpoint"),
    ):
        if (value := application.fields.get(field)) is not None:
            details[name] = int(value)
    if (cluster := details.get("cluster")) in CLUSTERS:
        details["cluster_name"] = CLUSTERS[int(str(cluster))]


def _address(value: int, *, long: bool) -> str:
    """An EUI-64 as device ids are written, or a short address.

    >>> _address(0x00DB1234567890A0, long=True), _address(0x1A2B, long=False)
    ('00-DB-12-34-56-78-90-A0', '0x1a2b')
    """
    return value.to_bytes(8).hex("-").upper() if long else f"0x{value:04x}"
