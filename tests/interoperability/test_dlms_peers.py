"""Other people's DLMS clients read our electricity meter, each in a process and environment of its own."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from device_drivers.dlms.counters import MemoryCounters
from device_drivers.dlms.security import Association
from device_drivers.dlms.server import DlmsServer
from device_drivers.dlms.tcp_server import TcpDlmsServer
from device_drivers.simulated.clock import VirtualClock
from device_drivers.simulated.cosem import TwinModel
from device_drivers.simulated.meters.esme import EsmeTwin
from harness.domain.faults import Interceptions, Place
from harness.domain.lab import DeviceModel, DeviceModelCombination, Rig, RigDevice, Simulation
from harness.domain.words import CapabilityRelease, DeviceType

REPO = Path(__file__).parents[2]
PYTHON = REPO / ".venv-peers" / "bin" / "python"
PEERS = Path(__file__).parent / "peers"
pytestmark = pytest.mark.skipif(
    not (REPO / ".venv-peers" / ".installed").exists(),
    reason="no other DLMS clients here: `make peers` installs them into .venv-peers",
)

DLMS_COSEM, GURUX = "dlms_cosem_peer", "gurux_peer"
STARTS = datetime(2026, 3, 2, 9, 10, tzinfo=UTC)
HISTORY_DAYS = 10
ENCRYPTION, AUTHENTICATION = bytes(range(16)), bytes(range(0xD0, 0xE0))
METER_TITLE, CLIENT_TITLE = b"MTR\x00\x00\x00\x00\x01", b"LAB\x00\x00\x00\x00\x01"
PASSWORD = b"12345678"
MANAGEMENT, READER = 1, 3

ASSOCIATIONS = {
    "none": Association(READER),  # the reader's rights, without its password
    "lls": Association(READER, "lls", password=PASSWORD),
    "hls-gmac": Association(
        MANAGEMENT, "hls-gmac", encryption_key=ENCRYPTION, authentication_key=AUTHENTICATION
    ),
}


@dataclass
class Meter:
    """The twin and its port. Each reading ciphers under counters above those of the one before."""

    twin: EsmeTwin
    address: tuple[str, int]
    mechanism: str
    counter: int = 0

    def read_by(self, peer: str, **task: object) -> dict:
        """What the peer found; its complaint, as a failure, where it found nothing."""
        self.counter += 1_000
        client_sap = ASSOCIATIONS[self.mechanism].client_sap
        whole = {
            "host": self.address[0],
            "port": self.address[1],
            "mechanism": self.mechanism,
            "client_sap": client_sap,
            "max_pdu": 512,
            "password": PASSWORD.hex() if self.mechanism == "lls" else "",
            "title": CLIENT_TITLE.hex(),
            "encryption_key": ENCRYPTION.hex(),
            "authentication_key": AUTHENTICATION.hex(),
            "counter": self.counter,
            "registers": [],
            "profile": "1-0:99.1.0",
            "times": 0,
        }
        finished = subprocess.run(
            [PYTHON, PEERS / f"{peer}.py"],
            input=json.dumps(whole | task),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert finished.returncode == 0, f"{peer}: {finished.stderr[-2_000:]}"
        return json.loads(finished.stdout)

    def rows(self) -> list[list]:
        return [[row[0].isoformat(), *row[1:]] for row in self.twin.rows("profile")]


@pytest.fixture(scope="module")
def twin() -> EsmeTwin:
    """A meter with ten days of half hours behind it."""
    model = DeviceModel(
        id="model", type=DeviceType.ESME, manufacturer="Example", model="X1", hardware="A", firmware="1.0.0"
    )
    device = RigDevice(type=DeviceType.ESME, device_id="00-DB-12-34-56-78-90-A0", model=model)
    rig = Rig(
        id="rig",
        dmc=DeviceModelCombination(id="dmc", release=CapabilityRelease.IOC, models={}),
        devices={DeviceType.ESME: device},
        mpan="1900012345678",
        simulation=Simulation(starts=STARTS, history_days=HISTORY_DAYS),
    )
    return EsmeTwin(device, rig, VirtualClock(STARTS), Interceptions(Place.ESME, 1), 1)


@pytest.fixture(scope="module", params=ASSOCIATIONS)
def meter(request, twin: EsmeTwin) -> Iterator[Meter]:
    association = ASSOCIATIONS[request.param]
    counters = MemoryCounters()
    model = TwinModel(twin, counters)

    def serve() -> DlmsServer:
        return DlmsServer(model, {association.client_sap: association}, METER_TITLE, counters)

    with TcpDlmsServer(serve, lock=twin.clock.lock) as server:
        yield Meter(twin, server.address, request.param)


@pytest.mark.parametrize("peer", [DLMS_COSEM, GURUX])
def test_clock_registers_profile_and_range_are_what_the_meter_holds(meter: Meter, peer: str) -> None:
    first, last = STARTS - timedelta(days=2, minutes=10), STARTS - timedelta(days=1)
    found = meter.read_by(
        peer,
        registers=["1-0:1.8.0", "1-0:2.8.0", "1-0:1.7.0"],
        range=[first.isoformat(), last.isoformat()],
        times=1,
    )
    assert datetime.fromisoformat(found["clock"]) == meter.twin.clock.now()
    assert found["registers"] == {
        "1-0:1.8.0": meter.twin.get("active_import"),
        "1-0:2.8.0": meter.twin.get("active_export"),
        "1-0:1.7.0": meter.twin.get("active_power_import"),
    }
    assert found["registers"]["1-0:1.8.0"] > 0
    rows = meter.rows()
    assert len(rows) == 48 * HISTORY_DAYS  # far more than an APDU of 512 bytes holds: it came in blocks
    assert found["profile"] == rows
    wanted = [row for row in rows if first <= datetime.fromisoformat(row[0]) <= last]
    assert len(wanted) == 49
    assert found["range"] == wanted


def test_rows_are_read_by_their_numbers(meter: Meter) -> None:
    """By Gurux alone: dlms-cosem does not know this selection."""
    assert meter.read_by(GURUX, entries=[3, 7])["entries"] == meter.rows()[2:7]


@pytest.mark.parametrize("peer", [DLMS_COSEM, GURUX])
@pytest.mark.parametrize("max_pdu", [128, 65_535])
def test_the_size_of_blocks_does_not_matter(meter: Meter, peer: str, max_pdu: int) -> None:
    assert meter.read_by(peer, max_pdu=max_pdu, times=1)["profile"] == meter.rows()
