"""Each device of a rig has a supply relay of its own, and they are switched in their order."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest

from device_drivers.bench.controller import NoController
from device_drivers.bench.modbus.bench import ModbusBench, open_modbus_bench
from device_drivers.simulated.bench import SimulatedBench
from device_drivers.simulated.modbus_bench import ModbusBenchTwin, Request
from device_drivers.simulated.rig import Twins, build_twins
from harness.domain.bench import Table
from harness.domain.words import DeviceType

ESME, CH = DeviceType.ESME, DeviceType.CH


@pytest.fixture
def twins(lab) -> Twins:
    return build_twins(lab.rigs[0], 1)


@pytest.fixture
def written() -> list[Request]:
    """The relays that were switched, in order."""
    return []


@pytest.fixture
def bench(lab, settings, notes, twins: Twins, written: list[Request]) -> Iterator[ModbusBench]:
    """The driver on the bench of a whole rig, its hub too."""
    simulated = SimulatedBench(twins.clock, twins.esme, twins.gsme, twins.hub)

    def watch(request: Request) -> None:
        if request.words is not None and request.table is Table.COIL and request.address < 2:
            written.append(request)

    with closing(ModbusBenchTwin(simulated, settings, watch)) as server:
        rig = replace(lab.rigs[0], modbus=server.settings)
        with closing(open_modbus_bench(rig, lab, notes, NoController(rig.id))) as bench:
            written.clear()
            yield bench


def powered(twins: Twins) -> tuple[bool, bool]:
    assert twins.esme is not None
    return twins.esme.powered, twins.hub.powered


def test_each_device_is_switched_by_its_own_relay(bench: ModbusBench, twins: Twins) -> None:
    bench.power(CH, False)
    assert powered(twins) == (True, False)
    bench.power(ESME, False)
    bench.power(CH, True)
    assert powered(twins) == (False, True)
    bench.power(ESME, True)
    assert powered(twins) == (True, True)


def test_the_mains_go_and_come_so_that_the_hub_hears_the_meters_last_words(
    bench: ModbusBench, twins: Twins, settings, written: list[Request]
) -> None:
    esme, hub = (settings.map.points[f"supply.{device}"].address for device in (ESME, CH))
    bench.mains(False)
    assert powered(twins) == (False, False)
    bench.mains(True)
    assert [(request.address, request.words) for request in written] == [
        (esme, (0,)),
        (hub, (0,)),
        (hub, (1,)),
        (esme, (1,)),
    ]
