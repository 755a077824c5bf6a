"""A harness plugin whose rigs are nothing but names: the orchestration is tested without a device."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path

from harness.domain.errors import LabFault
from harness.hooks import hookimpl


class FakeClock:
    def now(self) -> datetime:
        return datetime(2026, 3, 2, 9, tzinfo=UTC)


class FakeRig:
    def __init__(self, rig, folder: Path) -> None:
        self.rig = rig
        self.clock = FakeClock()
        self.bench = None
        self.user = None
        self.devices = dict.fromkeys(rig.devices)
        self._mark = folder / "open" / rig.id
        self._mark.parent.mkdir(exist_ok=True)
        self._mark.touch(exist_ok=False)  # two workers on one rig would meet here

    def close(self) -> None:
        self._mark.unlink()


class FakeServices:
    def __init__(self, folder: Path) -> None:
        self.addresses = {"controller": os.getpid()}
        self._folder = folder

    def close(self) -> None:
        (self._folder / "services-closed").touch()


@hookimpl(tryfirst=True)
def harness_start_lab(lab, run):
    return FakeServices(run.folder)


@hookimpl(tryfirst=True)
def harness_open_rig(lab, rig, services, run, trace):
    if rig.id in os.environ.get("BROKEN_RIGS", "").split(","):
        raise LabFault(f"rig {rig.id}: its probe is not there", remedy="plug it in")
    stale = run.folder / "open" / rig.id
    if stale.exists() and os.environ.get("RIGS_DIE"):  # left behind by a worker that was killed
        stale.unlink()
    time.sleep(float(os.environ.get("SLOW_OPEN", "0")))
    return FakeRig(rig, run.folder)
