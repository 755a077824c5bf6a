"""A small meter of plain data, and the two ends of a conversation with it."""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from device_drivers.dlms import acse
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
SERVICE_BLOCKS = acse.OURS & ~acse.Conformance.GENERAL_BLOCK_TRANSFER
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
    """APDUs handed straight to a server, and kept."""

    def __init__(self, server: DlmsServer, client_sap: int) -> None:
        self.server = server
        self.client_sap = client_sap
        self.sent: list[bytes] = []
        self.received: list[bytes] = []
        self.answers: deque[bytes] = deque()

    def send(self, apdu: bytes, timeout: float) -> None:
        self.sent.append(apdu)
        self.answers = deque(self.server.handle(apdu, self.client_sap))

    def receive(self, timeout: float) -> bytes:
        self.received.append(self.answers.popleft() if self.answers else b"")
        return self.received[-1]

    def exchange(self, apdu: bytes, timeout: float) -> bytes:
        self.send(apdu, timeout)
        return self.receive(timeout)

    def close(self) -> None:
        """Nothing to let go of."""


@dataclass
class Bench:
    """A meter, its counters, and those whom it reported as failing to authenticate."""

    clock, register, note, profile = CLOCK, IMPORT, NOTE, PROFILE
    switch, echo = SWITCH, ECHO
    start, row = START, staticmethod(row)
    credentials, password = CREDENTIALS, PASSWORD
    associations = ASSOCIATIONS
    service_blocks = SERVICE_BLOCKS  # all that we can do, but for general blocks
    keys, titles = (ENCRYPTION, AUTHENTICATION), (CLIENT_TITLE, METER_TITLE)

    counters: MemoryCounters
    meter: SmallMeter
    failures: list[int] = field(default_factory=list)
    max_pdu: int = 65_535

    def server(self, **options) -> DlmsServer:
        return DlmsServer(
            self.meter,
            options.pop("associations", ASSOCIATIONS),
            METER_TITLE,
            self.counters,
            max_pdu=self.max_pdu,
            on_authentication_failure=self.failures.append,
            **options,
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


# --- bytes that no honest peer sends -------------------------------------------------------------------


def damage(random: Random, raw: bytes) -> bytes:
    """A copy with some bytes changed, cut out, repeated or put in."""
    copy = bytearray(raw)
    for _ in range(random.randint(1, 4)):
        at, length = random.randrange(len(copy) + 1), random.randint(1, 6)
        match random.randrange(5):
            case 0:
                copy[at : at + 1] = bytes(
                    (random.choice((0, 1, 0x7F, 0x80, 0x84, 0xFF, random.randrange(256))),)
                )
            case 1:
                del copy[at : at + length]
            case 2:
                copy[at:at] = random.randbytes(length)
            case 3:
                copy[at:at] = copy[at : at + length]
            case 4:
                del copy[at:]
    return bytes(copy)


@pytest.fixture
def damaged() -> Callable[[Random, bytes], bytes]:
    return damage


@pytest.fixture
def conversation(bench) -> list[bytes]:
    """Valid APDUs of every kind, as they went in plain."""
    seen: list[bytes] = []
    bench.max_pdu = 200
    for who in ("public", "reader", "management"):
        client = bench.client(who, max_pdu=200, on_apdu=lambda _, raw: seen.append(raw))
        client.open()
        client.get(bench.profile)
        client.get(bench.profile, EntrySelector(1, 2))
        client.get(bench.profile, RangeSelector(bench.start, bench.start))
        client.get_many([bench.clock, bench.note])
        if who == "management":
            client.set(bench.note, octets(bytes(500)))
            client.set_many([(bench.note, unsigned(1))])
            client.action(bench.echo, octets(bytes(500)))
            client.action(bench.switch)
        client.release()
    return sorted(set(seen))


MOST_SECONDS = 20.0
"""For one stream, which takes microseconds: above that it would take for ever."""


class Hang(BaseException):
    """Of no family that anybody catches."""


def _hang(*_: object) -> None:
    raise Hang(f"not done with one stream after {MOST_SECONDS:g} s")


@contextmanager
def told(seed: int, number: int, stream: bytes) -> Iterator[None]:
    """A failure within says by which seed, at which of its streams and at which bytes; so does a hang."""
    before = signal.signal(signal.SIGALRM, _hang)
    signal.setitimer(signal.ITIMER_REAL, MOST_SECONDS)
    try:
        yield
    except BaseException as error:
        error.add_note(f"seed {seed}, stream {number}: {stream.hex(' ')}")
        raise
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture
def telling() -> Callable[[int, int, bytes], AbstractContextManager[None]]:
    return told
