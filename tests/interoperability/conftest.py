"""A meter for other people's DLMS clients to read, each in a process and an environment of its own."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from device_drivers.dlms.counters import MemoryCounters
from device_drivers.dlms.security import Association
from device_drivers.dlms.server import DlmsServer
from device_drivers.simulated.clock import VirtualClock
from device_drivers.simulated.cosem import TwinModel
from device_drivers.simulated.meters.esme import EsmeTwin
from harness.domain.faults import Interceptions, Place
from harness.domain.lab import DeviceModel, DeviceModelCombination, Rig, RigDevice, Simulation
from harness.domain.words import CapabilityRelease, DeviceType

REPO = Path(__file__).parents[2]
PYTHON = REPO / ".venv-peers" / "bin" / "python"
PEERS = Path(__file__).parent / "peers"
needs_peers = pytest.mark.skipif(
    not (REPO / ".venv-peers" / ".installed").exists(),
    reason="no other DLMS stacks here: `make peers` installs them into .venv-peers",
)

DLMS_COSEM, GURUX, PYDLMS = "dlms_cosem_peer", "gurux_peer", "pydlms_peer"
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


class Attentive(DlmsServer):
    """Remembers the tag of each APDU that came."""

    heard: list[int]

    def handle(self, apdu: bytes, client_sap: int) -> tuple[bytes, ...]:
        self.heard.append(apdu[0])
        return super().handle(apdu, client_sap)


@dataclass
class Meter:
    """The twin and who may read it. Each reading ciphers under counters above those of the one before.

    ``where`` is how the peers find it: what README.md beside them says of a host or a line. ``heard`` are the
    tags of the APDUs that came.
    """

    twin: EsmeTwin
    mechanism: str
    server: Callable[[], DlmsServer]
    where: dict[str, Any]
    counters: Iterator[int]
    heard: list[int]

    def read_by(self, peer: str, **task: object) -> dict:
        """What the peer found; its complaint, as a failure, where it found nothing."""
        whole = {
            "mechanism": self.mechanism,
            "client_sap": ASSOCIATIONS[self.mechanism].client_sap,
            "max_pdu": 512,
            "password": PASSWORD.hex() if self.mechanism == "lls" else "",
            "title": CLIENT_TITLE.hex(),
            "encryption_key": ENCRYPTION.hex(),
            "authentication_key": AUTHENTICATION.hex(),
            "counter": next(self.counters),
            "registers": [],
            "profile": "1-0:99.1.0",
            "times": 0,
        }
        finished = subprocess.run(
            [PYTHON, PEERS / f"{peer}.py"],
            input=json.dumps(whole | self.where | task),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert finished.returncode == 0, f"{peer}: {finished.stderr[-2_000:]}"
        return json.loads(finished.stdout)

    def registers(self) -> dict[str, int]:
        return {
            "1-0:1.8.0": self.twin.get("active_import"),
            "1-0:2.8.0": self.twin.get("active_export"),
            "1-0:1.7.0": self.twin.get("active_power_import"),
        }

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


def with_servers(twin: EsmeTwin, mechanism: str) -> Meter:
    """The meter with a server for each session, and no door yet."""
    association = ASSOCIATIONS[mechanism]
    counters = MemoryCounters()
    model = TwinModel(twin, counters)
    heard: list[int] = []

    def server() -> DlmsServer:
        made = Attentive(model, {association.client_sap: association}, METER_TITLE, counters)
        made.heard = heard
        return made

    return Meter(twin, mechanism, server, {}, count(1_000, step=1_000), heard)


@pytest.fixture(scope="module", params=ASSOCIATIONS)
def unreached(request: pytest.FixtureRequest, twin: EsmeTwin) -> Meter:
    """Once for each mechanism."""
    return with_servers(twin, request.param)
