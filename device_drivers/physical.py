"""A physical rig in hand: drivers behind the doors that the lab file names, a bench, and real time."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from device_drivers.assembly import HeldRig, connect_devices
from device_drivers.bench import open_bench
from device_drivers.user import open_user
from device_drivers.wall_clock import WallClock
from harness.domain.lab import Lab, Rig
from harness.hooks import RunContext, Trace


def open_physical_rig(
    lab: Lab, rig: Rig, services: Mapping[str, Any], _run: RunContext, trace: Trace
) -> HeldRig:
    """Open every door of the rig; :class:`~harness.domain.errors.LabFault` where one does not open."""
    clock = WallClock(
        lambda what, left: trace.event("clock", f"waiting for {what}", seconds_left=round(left))
    )
    with ExitStack() as held:
        bench = open_bench(rig, trace)
        held.callback(bench.safe)
        devices = connect_devices(lab, rig, clock, trace, held)
        user = open_user(services, rig, clock, trace, lab, held)
        return HeldRig(rig, devices, bench, clock, user, held.pop_all())
