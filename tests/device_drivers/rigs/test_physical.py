"""A rig behind doors, as a lab file describes a physical one: here twins stand behind the doors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from device_drivers.named.device import NoTrace
from device_drivers.rigs.physical import open_physical_rig
from device_drivers.simulated.keys import READER, key_ring
from device_drivers.simulated.rig import build_twins, stand_up
from harness.config import load_lab
from harness.domain.errors import AccessRefused, BenchFault, ConfigurationError, LabFault, TransportLost
from harness.domain.lab import Door, Lab, Rig
from harness.domain.words import DeviceType
from harness.hooks import RunContext

REPO = Path(__file__).parents[3]
ESME = DeviceType.ESME


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return load_lab(REPO / "lab_config" / "simulated.yaml", state=tmp_path / "state")


@pytest.fixture
def rig(lab: Lab) -> Iterator[Rig]:
    """A rig whose lab file names a door and credentials for each device, and says nothing of twins."""
    with ExitStack() as held:
        described = lab.rigs[0]
        site = stand_up(described, lab, build_twins(described, 7), held)
        yield replace(site.rig, simulation=None)


def open_(lab: Lab, rig: Rig, tmp_path: Path) -> Any:
    return open_physical_rig(lab, rig, {}, RunContext("run", tmp_path, 7), NoTrace())


def with_esme(rig: Rig, **changes: Any) -> Rig:
    return replace(rig, devices=rig.devices | {ESME: replace(rig.devices[ESME], **changes)})


def test_every_device_is_reached_through_its_door_in_real_time(lab: Lab, rig: Rig, tmp_path: Path) -> None:
    opened = open_(lab, rig, tmp_path)
    assert set(opened.devices) == set(rig.devices)
    assert opened.devices[ESME].identity().device_id == rig.devices[ESME].device_id
    assert abs(opened.clock.now() - datetime.now(UTC)) < timedelta(seconds=5)
    opened.close()
    opened.close()


def test_a_test_that_needs_the_bench_of_a_rig_without_one_is_blocked(
    lab: Lab, rig: Rig, tmp_path: Path
) -> None:
    opened = open_(lab, rig, tmp_path)
    with pytest.raises(BenchFault, match=f"rig {rig.id} has no bench"):
        opened.bench.load(1000)
    opened.close()


def test_a_reader_reads_with_its_password_and_may_not_write(lab: Lab, rig: Rig, tmp_path: Path) -> None:
    reader = key_ring(lab).security(rig.devices[ESME].device_id, READER)
    opened = open_(lab, with_esme(rig, security=reader), tmp_path)
    assert opened.devices[ESME].read("active_import") > 0
    with pytest.raises(AccessRefused):
        opened.devices[ESME].write("supplier_name", "Nobody")
    opened.close()


@pytest.mark.parametrize(
    ("door", "problem"),
    [
        (None, "has no door"),
        (Door(transport="carrier-pigeon", parameters={}), "no transport is called 'carrier-pigeon'"),
        (Door(transport="tpc"), r"no transport is called 'tpc' \(did you mean 'tcp'\?\)"),
        (Door(transport="tcp", parameters={}, protocol="smoke"), "no driver for ESME speaks 'smoke'"),
        (
            Door(transport="tcp", protocol="dlsm"),
            r"no driver for ESME speaks 'dlsm' \(did you mean 'dlms'\?\)",
        ),
    ],
)
def test_a_door_that_nobody_can_open_is_a_configuration_error(
    lab: Lab, rig: Rig, tmp_path: Path, door: Door | None, problem: str
) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        open_(lab, with_esme(rig, door=door), tmp_path)


def test_a_port_where_nobody_listens_is_a_lab_fault(lab: Lab, rig: Rig, tmp_path: Path) -> None:
    door = Door(transport="tcp", parameters={"host": "127.0.0.1", "port": 1, "connect_timeout": 1})
    with pytest.raises(TransportLost):
        open_(lab, with_esme(rig, door=door), tmp_path)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"mechanism": "telepathy"}, "no DLMS mechanism is called 'telepathy'"),
        ({"system_title": "4c41"}, "a system title is 16 hexadecimal digits"),
        ({"encryption_key": "0123456789abcdef"}, "must be a reference"),
    ],
)
def test_credentials_that_cannot_be_used_are_a_configuration_error(
    lab: Lab, rig: Rig, tmp_path: Path, changes: dict[str, str], problem: str
) -> None:
    security = replace(rig.devices[ESME].security, **changes)
    with pytest.raises(ConfigurationError, match=problem):
        open_(lab, with_esme(rig, security=security), tmp_path)


def test_another_firmware_than_the_baseline_keeps_the_rig_closed(lab: Lab, rig: Rig, tmp_path: Path) -> None:
    model = replace(rig.devices[ESME].model, firmware="9.9.9")
    with pytest.raises(LabFault, match=r"Clause 8\.4\(c\)"):
        open_(lab, with_esme(rig, model=model), tmp_path)
