"""The keys of a simulated lab's devices."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import pytest

from device_drivers.secrets import resolve_key
from device_drivers.simulated.keys import MANAGEMENT, PUBLIC, READER, S1SP, KeyRing, key_ring, server_title

METER, OTHER = "00-DB-12-34-56-78-90-A0", "00-DB-12-34-56-78-90-A1"


@dataclass
class StateOnly:
    """As much of a lab as keys need."""

    state: Path


@pytest.fixture
def lab(tmp_path: Path) -> Any:
    return StateOnly(tmp_path / "state")


def test_every_process_comes_to_the_same_keys(lab: Any) -> None:
    rings: list[KeyRing] = []
    together = Barrier(8)

    def make() -> None:
        together.wait()
        rings.append(key_ring(lab))

    threads = [Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({ring.credentials(METER, S1SP).encryption_key for ring in rings}) == 1


def test_another_lab_has_other_keys(lab: Any, tmp_path: Path) -> None:
    other = key_ring(StateOnly(tmp_path / "other"))  # type: ignore[arg-type]
    assert key_ring(lab).credentials(METER, S1SP) != other.credentials(METER, S1SP)


def test_no_two_devices_clients_or_uses_share_a_key(lab: Any) -> None:
    ring = key_ring(lab)
    clients = [ring.credentials(name, sap) for name in (METER, OTHER) for sap in (MANAGEMENT, S1SP)]
    keys = [key for client in clients for key in (client.encryption_key, client.authentication_key)]
    assert len(set(keys)) == 8


def test_each_client_proves_itself_in_its_own_way(lab: Any) -> None:
    ring = key_ring(lab)
    mechanisms = {sap: ring.credentials(METER, sap).mechanism for sap in (PUBLIC, MANAGEMENT, S1SP, READER)}
    assert mechanisms == {PUBLIC: "none", MANAGEMENT: "hls-gmac", S1SP: "hls-gmac", READER: "lls"}
    assert len(ring.credentials(METER, READER).password) == 16


def test_the_drivers_references_lead_to_the_same_keys(lab: Any) -> None:
    ring = key_ring(lab)
    security = ring.security(METER)
    client = ring.credentials(METER, MANAGEMENT)
    assert resolve_key(security.encryption_key, 16) == client.encryption_key
    assert resolve_key(security.authentication_key, 16) == client.authentication_key
    assert bytes.fromhex(security.system_title) == client.system_title


def test_only_the_owner_can_read_what_is_kept(lab: Any) -> None:
    ring = key_ring(lab)
    ring.security(METER)
    ring.security(METER, READER)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in ring.folder.iterdir()}
    assert set(modes.values()) == {0o600}
    assert len(modes) == 4
    assert stat.S_IMODE(ring.folder.stat().st_mode) == 0o700


def test_a_ring_does_not_show_its_secret(lab: Any) -> None:
    assert "seed" not in repr(key_ring(lab))


def test_a_devices_system_title_is_its_eui_64() -> None:
    assert server_title(METER).hex() == "00db1234567890a0"
