"""A house of twins whose bench is a real Modbus server, and drivers for it."""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from device_drivers.bench.controller import NoController
from device_drivers.bench.modbus.bench import ModbusBench, open_modbus_bench
from device_drivers.simulated.modbus_bench import ModbusBenchTwin, Request
from harness.config import load_lab
from harness.domain.bench import ModbusBenchSettings
from harness.domain.lab import Lab, Rig
from tests.device_drivers.simulated.conftest import House, build_house

REPO = Path(__file__).resolve().parents[3]
BENCH = """\
    bench:
      kind: modbus
      map: bench-map.yaml
      timeout: 0.5
      press: 0
      interlocks:
        - {never: load.on is on, while: supply.ESME is off}
        - {never: load.current above 90, while: temperature above 40}
      safe:
        load.on: off
        load.current: 0
        load.angle: 0
        gas.flow: 0
        tamper.ESME: off
        tamper.GSME: off
        tamper.CH: off
        button.ESME: off
        button.GSME: off
        mains.voltage: 230
        supply.CH: on
        supply.ESME: on
"""


class Notes:
    """A trace that remembers."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []

    def event(self, source: str, what: str, **detail: Any) -> None:
        self.events.append((what, detail))

    def message(self, source: str, name: str, content: bytes, media_type: str) -> None:
        """Nothing comes whole here."""

    def told(self, what: str) -> list[dict[str, Any]]:
        return [detail for told, detail in self.events if what in told]


@pytest.fixture(scope="session")
def modbus_lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """The shipped lab, with a Modbus bench on its first rig."""
    folder = tmp_path_factory.mktemp("lab")
    for file in (REPO / "lab_config").iterdir():
        if file.is_file():
            (folder / file.name).write_bytes(file.read_bytes())
    text = (folder / "simulated.yaml").read_text().replace("../test_packs", str(REPO / "test_packs"))
    file = folder / "lab.yaml"
    file.write_text(text.replace("    devices:\n", f"{BENCH}    devices:\n", 1))
    return load_lab(file, state=folder / "state")


@pytest.fixture
def lab(modbus_lab: Lab, tmp_path: Path) -> Lab:
    return replace(modbus_lab, state=tmp_path / "state")


@pytest.fixture
def settings(lab: Lab) -> ModbusBenchSettings:
    found = lab.rigs[0].modbus
    assert found is not None
    return found


@pytest.fixture
def notes() -> Notes:
    return Notes()


class Bay:
    """The twin side of a bay: a house without a hub, and a Modbus server. ``requests`` came to it."""

    def __init__(self, settings: ModbusBenchSettings) -> None:
        self.house: House = build_house()
        self.requests: list[Request] = []
        self.refuse: Callable[[Request], int | None] = lambda _: None
        self.twin = ModbusBenchTwin(self.house.bench, settings, self._watch)
        self.settings = self.twin.settings

    def _watch(self, request: Request) -> int | None:
        self.requests.append(request)
        return self.refuse(request)

    def heal(self) -> None:
        """No faults from now on."""
        self.refuse = lambda _: None
        for name in self.settings.map.points:
            self.twin.hold(name, None)

    @property
    def writes(self) -> list[Request]:
        return [request for request in self.requests if request.words is not None]

    def rig(self, lab: Lab, **settings: Any) -> Rig:
        devices = {type_: device for type_, device in lab.rigs[0].devices.items() if type_ != "CH"}
        return replace(lab.rigs[0], devices=devices, modbus=replace(self.settings, **settings))


@pytest.fixture
def stand_bay() -> Iterator[Callable[[ModbusBenchSettings], Bay]]:
    """Stands bays up, and ends them."""
    with ExitStack() as held:

        def stand(settings: ModbusBenchSettings) -> Bay:
            bay = Bay(settings)
            held.callback(bay.twin.close)
            return bay

        yield stand


@pytest.fixture
def bay(stand_bay: Callable[[ModbusBenchSettings], Bay], settings: ModbusBenchSettings) -> Bay:
    return stand_bay(settings)


Open = Callable[..., ModbusBench]


@pytest.fixture
def open_it(lab: Lab, bay: Bay, notes: Notes) -> Iterator[Open]:
    """Opens the driver on the bay, with other settings if told; closes it."""
    with ExitStack() as held:

        def open_bench(**changed: Any) -> ModbusBench:
            rig = bay.rig(lab, **changed)
            bench = open_modbus_bench(rig, lab, notes, NoController(rig.id))
            held.callback(bench.close)
            return bench

        yield open_bench
        bay.heal()


@pytest.fixture
def bench(open_it: Open, bay: Bay) -> ModbusBench:
    """The driver, open; what it did so far is forgotten at the server."""
    opened = open_it()
    bay.requests.clear()
    return opened


def guard_of_this_process() -> int:
    """The one guard that this process has posted.

    The kernel's list may lack a child for a moment, while another of ours ends.
    """
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        children = Path("/proc/self/task", str(os.getpid()), "children").read_text().split()
        guards = [int(pid) for pid in children if b"guard.py" in Path("/proc", pid, "cmdline").read_bytes()]
        if guards:
            [guard] = guards
            return guard
    raise AssertionError("no guard was posted")


def belongings() -> tuple[list[str], int, list[int]]:
    """Threads, file descriptors and children of this process, without what earlier tests let lie."""
    gc.collect()
    children = [
        int(pid)
        for task in Path("/proc/self/task").iterdir()
        for pid in (task / "children").read_text().split()
    ]
    descriptors = sum(1 for _ in Path("/proc/self/fd").iterdir())
    return sorted(thread.name for thread in threading.enumerate()), descriptors, children
