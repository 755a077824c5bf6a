"""A meter with 93 days of half hours ready, and how clients associate with it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from device_drivers.dlms import axdr
from device_drivers.dlms.client import counter_name
from device_drivers.dlms.counters import MemoryCounters
from device_drivers.dlms.data import (
    Data,
    array,
    double_long_unsigned,
    integer,
    long_unsigned,
    octets,
    structure,
)
from device_drivers.dlms.refs import CLOCK_TIME, AttributeRef, MethodRef, Selector, parse_obis
from device_drivers.dlms.security import Association, Credentials
from device_drivers.dlms.server import DlmsServer
from device_drivers.dlms.times import decode_date_time, encode_date_time
from harness.domain.errors import AccessRefused

REPO = Path(__file__).parents[1]
PEER_PYTHON = REPO / ".venv-peers" / "bin" / "python"
PEERS = REPO / "tests" / "interoperability" / "peers"
PEERS_ARE_HERE = (REPO / ".venv-peers" / ".installed").exists()

ROWS, PROFILE = 4_464, "1-0:99.1.0"
PROFILE_ROWS = AttributeRef(7, PROFILE, 2)
START = datetime(2026, 1, 1, tzinfo=UTC)
METER_TITLE, CLIENT_TITLE = b"MTR\x00\x00\x00\x00\x01", b"LAB\x00\x00\x00\x00\x01"
ENCRYPTION, AUTHENTICATION, PASSWORD = bytes(range(16)), bytes(range(16, 32)), b"12345678"
ASSOCIATIONS = {
    3: Association(3, "lls", password=PASSWORD),
    1: Association(1, "hls-gmac", encryption_key=ENCRYPTION, authentication_key=AUTHENTICATION),
}
MECHANISMS = {"lls": 3, "hls-gmac": 1}


class FullMeter:
    """A meter that has nothing but a full profile, its values ready: clock and four values a row."""

    def __init__(self) -> None:
        columns = [CLOCK_TIME, *(AttributeRef(3, f"1-0:{n}.29.0", 2) for n in range(1, 5))]
        self._counters = MemoryCounters()
        self._values = {
            CLOCK_TIME: octets(encode_date_time(START)),
            PROFILE_ROWS: array(*(self._row(number) for number in range(ROWS))),
            AttributeRef(7, PROFILE, 3): array(*(self._capture(column) for column in columns)),
        }

    @property
    def profile_bytes(self) -> int:
        """The profile as it goes in APDUs, without what carries it."""
        return len(axdr.encode(self._values[PROFILE_ROWS]))

    def server(self) -> DlmsServer:
        """For one session."""
        return DlmsServer(self, ASSOCIATIONS, METER_TITLE, self._counters)

    @staticmethod
    def _row(number: int) -> Data:
        when = octets(encode_date_time(START + timedelta(minutes=30 * number)))
        return structure(when, *(double_long_unsigned(number * factor) for factor in range(1, 5)))

    @staticmethod
    def _capture(ref: AttributeRef) -> Data:
        name = octets(parse_obis(ref.obis))
        return structure(long_unsigned(ref.class_id), name, integer(ref.attribute), long_unsigned(0))

    def get(self, ref: AttributeRef, selector: Selector | None, client: int) -> Data:  # noqa: ARG002
        return self._values[ref]

    def set(self, ref: AttributeRef, data: Data, client: int) -> None:  # noqa: ARG002
        raise AccessRefused("read only", result="read-write-denied")

    def action(self, ref: MethodRef, data: Data | None, client: int) -> Data | None:  # noqa: ARG002
        raise AccessRefused("read only", result="read-write-denied")


def task(mechanism: str, max_pdu: int, counter: int, **more: object) -> dict[str, Any]:
    """What a client's program is told; ``tests/interoperability/peers/README.md`` has the words."""
    return {
        "mechanism": mechanism,
        "client_sap": MECHANISMS[mechanism],
        "max_pdu": max_pdu,
        "password": PASSWORD.hex() if mechanism == "lls" else "",
        "title": CLIENT_TITLE.hex(),
        "encryption_key": ENCRYPTION.hex(),
        "authentication_key": AUTHENTICATION.hex(),
        "counter": counter,
        "registers": [],
        "profile": PROFILE,
        **more,
    }


def credentials(told: dict[str, Any]) -> tuple[Credentials, MemoryCounters]:
    """Our client's, of such a task."""
    sap, keys = told["client_sap"], (ENCRYPTION, AUTHENTICATION)
    ours = (
        Credentials("lls", sap, password=PASSWORD)
        if told["mechanism"] == "lls"
        else Credentials("hls-gmac", sap, 1, CLIENT_TITLE, b"", *keys)
    )
    counters = MemoryCounters()
    counters.raise_to(counter_name(ours), told["counter"])
    return ours, counters


def plain_row(row: Data) -> list[Any]:
    """A row as the programs of the others print it."""
    when, *values = row.value
    return [decode_date_time(when.value).isoformat(), *[value.value for value in values]]
