"""Our client reads a meter that is not ours: the simulator of pydlms-client, in a process of its own."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from device_drivers.dlms.blocks import GENERAL_BLOCK
from device_drivers.dlms.channel import ApduChannel
from device_drivers.dlms.client import AssociationRefused, DlmsClient, WrapperChannel
from device_drivers.dlms.counters import MemoryCounters
from device_drivers.dlms.data import boolean
from device_drivers.dlms.hdlc.channel import HdlcChannel
from device_drivers.dlms.refs import (
    CLOCK_TIME,
    AttributeRef,
    EntrySelector,
    MethodRef,
    RangeSelector,
    format_obis,
)
from device_drivers.dlms.security import Credentials
from device_drivers.dlms.times import decode_date_time
from device_drivers.transports.serial_tcp import open_serial_tcp
from device_drivers.transports.tcp import open_tcp
from harness.domain.errors import AccessRefused
from harness.domain.lab import Hdlc
from tests.interoperability.conftest import (
    AUTHENTICATION,
    CLIENT_TITLE,
    ENCRYPTION,
    MANAGEMENT,
    PASSWORD,
    PEERS,
    PYTHON,
    READER,
    needs_peers,
)

pytestmark = needs_peers

CREDENTIALS = {
    "none": Credentials("none", 16),
    "lls": Credentials("lls", READER, password=PASSWORD),
    "hls-gmac": Credentials("hls-gmac", MANAGEMENT, 1, CLIENT_TITLE, b"", ENCRYPTION, AUTHENTICATION),
}
WINDOW = 3  # of HDLC, and of general blocks

# What the simulator's example meter holds
CLOCK = datetime(2024, 5, 1, 12, tzinfo=timezone(timedelta(hours=2)))
ENERGY = 12_345_678
ROWS = [(datetime(2024, 5, 1, tzinfo=UTC) + timedelta(minutes=15 * n), 1_000 + 7 * n) for n in range(96)]
PROFILE = AttributeRef(7, "1-0:99.1.0", 2)
SWITCH = "0-0:96.3.10"


class Overheard:
    """An :class:`ApduChannel` that remembers which APDUs came."""

    def __init__(self, channel: ApduChannel) -> None:
        self.send, self.close, self.abandon = channel.send, channel.close, channel.abandon
        self._channel = channel
        self.tags: list[int] = []

    def receive(self, timeout: float) -> bytes:
        apdu = self._channel.receive(timeout)
        self.tags.append(apdu[0])
        return apdu


@dataclass
class Foreign:
    """Where the meter listens, and how. Its clients go on counting where the one before has ended."""

    credentials: Credentials
    hdlc: bool
    address: tuple[str, int]
    counters: MemoryCounters = field(default_factory=MemoryCounters)

    def channel(self) -> ApduChannel:
        host, port = self.address
        if not self.hdlc:
            return WrapperChannel(open_tcp({"host": host, "port": port}), self.credentials.client_sap)
        line = open_serial_tcp({"host": host, "port": port, "baud": 115_200})
        channel = HdlcChannel(line, Hdlc(information_field=128, window=7), self.credentials.client_sap)
        channel.connect()
        return channel

    def client(self, channel: ApduChannel | None = None, **more: bool) -> DlmsClient:
        """One for which most answers are too long for a single APDU."""
        return DlmsClient(channel or self.channel(), self.credentials, self.counters, max_pdu=256, **more)


@contextmanager
def simulated(credentials: Credentials, *, hdlc: bool) -> Iterator[Foreign]:
    """The meter, from when it listens."""
    task = {
        "mechanism": credentials.mechanism,
        "client_sap": credentials.client_sap,
        "password": credentials.password.hex(),
        "encryption_key": ENCRYPTION.hex(),
        "authentication_key": AUTHENTICATION.hex(),
        "hdlc": hdlc,
        "window": WINDOW,
    }
    command = [PYTHON, PEERS / "pydlms_meter.py"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(json.dumps(task) + "\n")
        process.stdin.flush()
        host, port = json.loads(process.stdout.readline())
        yield Foreign(credentials, hdlc, (host, port))  # it ends with its standard input


@pytest.fixture(scope="module", params=[False, True], ids=["wrapper", "hdlc"])
def hdlc(request: pytest.FixtureRequest) -> bool:
    return request.param


@pytest.fixture(scope="module", params=CREDENTIALS)
def foreign(request: pytest.FixtureRequest, hdlc: bool) -> Iterator[Foreign]:
    with simulated(CREDENTIALS[request.param], hdlc=hdlc) as meter:
        yield meter


def rows(read) -> list[tuple[datetime, int]]:
    return [
        (decode_date_time(when.value), energy.value) for when, energy in (row.value for row in read.value)
    ]


def test_clock_and_registers_are_what_the_meter_holds(foreign: Foreign) -> None:
    energy, missing = AttributeRef(3, "1-0:1.8.0", 2), AttributeRef(3, "1-0:9.9.9", 2)
    with foreign.client() as client:
        assert decode_date_time(client.get(CLOCK_TIME).value) == CLOCK
        assert client.get(energy).value == ENERGY
        read, refused = client.get_many([energy, missing])
        assert read.value == ENERGY
        assert isinstance(refused, AccessRefused)
        assert refused.result == "object-undefined"


def test_a_profile_comes_in_blocks(foreign: Foreign) -> None:
    with foreign.client() as client:
        assert rows(client.get(PROFILE)) == ROWS


def test_a_profile_comes_in_general_blocks(foreign: Foreign) -> None:
    channel = Overheard(foreign.channel())
    with foreign.client(channel, general_blocks=True) as client:
        assert rows(client.get(PROFILE)) == ROWS
    assert channel.tags.count(GENERAL_BLOCK) > WINDOW


def test_rows_are_selected_by_time_and_by_number(foreign: Foreign) -> None:
    with foreign.client() as client:
        assert rows(client.get(PROFILE, RangeSelector(ROWS[10][0], ROWS[20][0]))) == ROWS[10:21]
        assert rows(client.get(PROFILE, EntrySelector(3, 7))) == ROWS[2:7]


def test_the_list_of_its_objects_names_them(foreign: Foreign) -> None:
    with foreign.client() as client:
        listed = client.get(AttributeRef(15, "0-0:40.0.0", 2)).value
    names = {format_obis(entry.value[2].value) for entry in listed}
    assert {"0-0:1.0.0", "1-0:1.8.0", "1-0:99.1.0", SWITCH} <= names


def test_its_supply_is_switched(foreign: Foreign) -> None:
    state = AttributeRef(70, SWITCH, 2)
    with foreign.client() as client:
        client.set(state, boolean(True))
        assert client.get(state).value is True
        client.action(MethodRef(70, SWITCH, 1))
        assert client.get(state).value is False


def test_a_wrong_password_is_refused() -> None:
    with simulated(CREDENTIALS["lls"], hdlc=False) as foreign:
        foreign.credentials = replace(foreign.credentials, password=b"87654321")
        with pytest.raises(AssociationRefused, match="authentication-failure"), foreign.client():
            pass
