"""A small meter of plain data, and the two ends of a conversation with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from device_drivers.dlms.client import DlmsClient, WrapperChannel
from device_drivers.dlms.counters import MemoryCounters, received_from
from device_drivers.dlms.data import (
    Data,
    array,
    double_long_unsigned,
    octets,
    structure,
    unsigned,
)
from device_drivers.dlms.refs import (
    AttributeRef,
    EntrySelector,
    MethodRef,
    RangeSelector,
    Selector,
    invocation_counter,
)
from device_drivers.dlms.security import Association, Credentials
from device_drivers.dlms.server import DlmsServer
from device_drivers.dlms.tcp_server import TcpDlmsServer
from device_drivers.dlms.times import decode_date_time, encode_date_time
from device_drivers.transports.tcp import open_tcp
from harness.domain.errors import AccessRefused

CLOCK = AttributeRef(8, "0-0:1.0.0", 2)
IMPORT = AttributeRef(3, "1-0:1.8.0", 2)
NOTE = AttributeRef(1, "0-0:94.44.26", 2)
PROFILE = AttributeRef(7, "1-0:99.1.0", 2)
SWITCH = MethodRef(70, "0-0:96.3.10", 1)
ECHO = MethodRef(9, "0-0:10.0.0", 1)
START = datetime(2026, 3, 2, tzinfo=UTC)
METER_TITLE, CLIENT_TITLE = b"MTR\x00\x00\x00\x00\x01", b"LAB\x00\x00\x00\x00\x01"
ENCRYPTION, AUTHENTICATION = bytes(range(16)), bytes(range(16, 32))
PASSWORD = b"read-me!"


def row(number: int) -> Data:
    when = octets(encode_date_time(START + timedelta(minutes=30 * number)))
    return structure(
        when, unsigned(number % 7), double_long_unsigned(number), double_long_unsigned(10 * number)
    )


@dataclass
class SmallMeter:
    """A CosemModel of a dictionary; the public client may not write or act."""

    counters: MemoryCounters
    values: dict[AttributeRef, Data] = field(default_factory=dict)
    acted: list[tuple[MethodRef, Data | None]] = field(default_factory=list)
    rows: int = 100
    selected: Selector | None = None
    refuse: str = ""

    def __post_init__(self) -> None:
        self.values[CLOCK] = octets(encode_date_time(START))
        self.values[IMPORT] = double_long_unsigned(123_456)
        self.values[NOTE] = octets(b"hello")

    def get(self, ref: AttributeRef, selector: Selector | None, client: int) -> Data:
        if ref == invocation_counter(1):
            return double_long_unsigned(self.counters.last(received_from(1)))
        if ref == PROFILE:
            return self._profile(selector)
        if ref not in self.values:
            raise AccessRefused("no such object", result="object-undefined")
        return self.values[ref]

    def _profile(self, selector: Selector | None) -> Data:
        self.selected = selector
        rows = [row(number) for number in range(self.rows)]
        match selector:
            case RangeSelector(start, end):
                rows = [r for r in rows if start <= decode_date_time(r.value[0].value) <= end]
            case EntrySelector(first, last, first_column, last_column):
                rows = rows[first - 1 : last or None]
                rows = [structure(*r.value[first_column - 1 : last_column or None]) for r in rows]
        return array(*rows)

    def set(self, ref: AttributeRef, data: Data, client: int) -> None:
        self._may_change(client)
        self.values[ref] = data

    def action(self, ref: MethodRef, data: Data | None, client: int) -> Data | None:
        self._may_change(client)
        if self.refuse:
            raise AccessRefused("as told", result=self.refuse)
        self.acted.append((ref, data))
        return data if ref == ECHO else None

    def _may_change(self, client: int) -> None:
        if client != 1:
            raise AccessRefused("not this client", result="read-write-denied")


ASSOCIATIONS: Mapping[int, Association] = {
    16: Association(16),
    3: Association(3, "lls", password=PASSWORD),
    1: Association(1, "hls-gmac", encryption_key=ENCRYPTION, authentication_key=AUTHENTICATION),
}
CREDENTIALS = {
    "public": Credentials("none", 16),
    "reader": Credentials("lls", 3, password=PASSWORD),
    "management": Credentials(
        "hls-gmac", 1, 1, CLIENT_TITLE, b"", ENCRYPTION, AUTHENTICATION, general_glo=True
    ),
    "management, service-specific": Credentials(
        "hls-gmac", 1, 1, CLIENT_TITLE, b"", ENCRYPTION, AUTHENTICATION, general_glo=False
    ),
}


class DirectChannel:
    """The seam at which HDLC will join: APDUs handed straight to a server, and kept."""

    def __init__(self, server: DlmsServer, client_sap: int) -> None:
        self.server = server
        self.client_sap = client_sap
        self.sent: list[bytes] = []
        self.received: list[bytes] = []

    def exchange(self, apdu: bytes, timeout: float) -> bytes:
        self.sent.append(apdu)
        self.received.append(self.server.handle(apdu, self.client_sap))
        return self.received[-1]

    def close(self) -> None:
        """Nothing to let go of."""


@dataclass
class Bench:
    """A meter, its counters, and those whom it reported as failing to authenticate."""

    clock, register, note, profile = CLOCK, IMPORT, NOTE, PROFILE
    switch, echo = SWITCH, ECHO
    start, row = START, staticmethod(row)
    credentials, password = CREDENTIALS, PASSWORD
    keys, titles = (ENCRYPTION, AUTHENTICATION), (CLIENT_TITLE, METER_TITLE)

    counters: MemoryCounters
    meter: SmallMeter
    failures: list[int] = field(default_factory=list)
    max_pdu: int = 65_535

    def server(self) -> DlmsServer:
        return DlmsServer(
            self.meter,
            ASSOCIATIONS,
            METER_TITLE,
            self.counters,
            max_pdu=self.max_pdu,
            on_authentication_failure=self.failures.append,
        )

    def channel(self, client_sap: int) -> DirectChannel:
        return DirectChannel(self.server(), client_sap)

    def client(self, who: str, **options) -> DlmsClient:
        """A client on a channel of its own, not yet associated; its channel is ``client.channel``."""
        credentials = CREDENTIALS[who]
        channel = options.pop("channel", None) or self.channel(credentials.client_sap)
        client = DlmsClient(channel, credentials, options.pop("counters", MemoryCounters()), **options)
        client.channel = channel
        return client


@pytest.fixture
def bench() -> Bench:
    counters = MemoryCounters()
    return Bench(counters, SmallMeter(counters))


@pytest.fixture
def listening(bench: Bench) -> Iterator[TcpDlmsServer]:
    with TcpDlmsServer(bench.server) as server:
        yield server


@pytest.fixture
def connect(listening: TcpDlmsServer) -> Iterator[Callable[..., DlmsClient]]:
    """An associated client over a real socket; everything is closed afterwards."""
    clients: list[DlmsClient] = []

    def connected(credentials: Credentials, **options) -> DlmsClient:
        host, port = listening.address
        channel = WrapperChannel(open_tcp({"host": host, "port": port}), credentials.client_sap)
        client = DlmsClient(channel, credentials, options.pop("counters", MemoryCounters()), **options)
        clients.append(client)
        client.open()
        return client

    yield connected
    for client in clients:
        client.close()
