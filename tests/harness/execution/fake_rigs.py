"""A harness plugin whose rigs are nothing but names: the orchestration is tested without a device."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from harness.domain.baseline import baseline
from harness.domain.errors import BenchFault, LabFault
from harness.domain.findings import BAD, GOOD, Finding
from harness.hooks import Renderer, Transport, hookimpl, still_ours


class FakeClock:
    """A second passes each time that somebody asks."""

    def __init__(self) -> None:
        self._now = datetime(2026, 3, 2, 9, tzinfo=UTC)

    def now(self) -> datetime:
        self._now += timedelta(seconds=1)
        return self._now


def modbus_bench(rig, lab, trace):
    """The real driver, on the server that a test has stood up: the one thing here that is not a fake."""
    from device_drivers.bench.controller import NoController
    from device_drivers.bench.modbus.bench import open_modbus_bench

    host, _, port = os.environ["MODBUS_BENCH"].partition(":")
    rig = replace(rig, modbus=replace(rig.modbus, host=host, port=int(port)))
    return open_modbus_bench(rig, lab, trace, NoController(rig.id))


class FakeDevice:
    """Says that it is what the lab file says; with other firmware once a test has given it some."""

    def __init__(self, device, folder: Path, fence) -> None:
        self._device = device
        self._fence = fence
        self._firmware = folder / f"firmware-{device.device_id}"

    def identity(self):
        self._fence()
        found = baseline(self._device)
        return replace(found, firmware=self._firmware.read_text()) if self._firmware.exists() else found


class FakeRig:
    def __init__(self, rig, folder: Path, fence, bench=None) -> None:
        self.rig = rig
        self.say = fence  # a word to a device is not even that here: what comes before it is all that counts
        self.clock = FakeClock()
        self.bench = bench
        self.user = None
        self.devices = {type_: FakeDevice(device, folder, fence) for type_, device in rig.devices.items()}
        self._mark = folder / "open" / rig.id
        self._mark.parent.mkdir(exist_ok=True)
        self._mark.touch(exist_ok=False)  # two workers on one rig would meet here

    def display(self, device) -> None:
        return None  # a person must look

    def close(self) -> None:
        self._mark.unlink()
        if not still_ours(self.say):
            Path("left-live").touch()
        if self.bench is not None:
            self.bench.close()
        if self.rig.id in os.environ.get("STUCK_BENCHES", "").split(","):
            raise BenchFault("load.on cannot be switched off")


class FakeServices:
    def __init__(self, folder: Path) -> None:
        self.addresses = {"controller": os.getpid()}
        self._folder = folder

    def close(self) -> None:
        (self._folder / "services-closed").touch()


@hookimpl(tryfirst=True)
def harness_start_lab(lab, run):
    if os.environ.get("INTERRUPT_START"):  # as Ctrl-C does
        os.kill(os.getpid(), signal.SIGINT)
    return FakeServices(run.folder)


def broken_export(folder: Path, lab) -> list[Path]:
    raise ZeroDivisionError("a third party's mistake")


@hookimpl
def harness_transports():
    return [Transport("theirs", None, "of a door that nobody opens")]


@hookimpl(tryfirst=True)
def harness_renderers():
    if os.environ.get("BROKEN_EXPORT"):
        return [Renderer("theirs", broken_export, "raises")]
    return []


@hookimpl(tryfirst=True)
def harness_check_rig(rig):
    broken = rig.id in os.environ.get("BROKEN_RIGS", "").split(",")
    state, found = (BAD, "its probe is not there") if broken else (GOOD, "answers")
    return [Finding(rig.id, "ESME", state, "look", found, "plug it in")]


@hookimpl(tryfirst=True)
def harness_open_rig(lab, rig, services, run, trace, fence):
    if rig.id in os.environ.get("BROKEN_RIGS", "").split(","):
        raise LabFault(f"rig {rig.id}: its probe is not there", remedy="plug it in")
    stale = run.folder / "open" / rig.id
    if stale.exists() and os.environ.get("RIGS_DIE"):  # left behind by a worker that was killed
        stale.unlink()
    time.sleep(float(os.environ.get("SLOW_OPEN", "0")))
    return FakeRig(rig, run.folder, fence, modbus_bench(rig, lab, trace) if rig.modbus else None)
