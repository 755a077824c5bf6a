"""A physical rig in hand: what stands behind the doors that the lab file names, and real time."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import ExitStack
from typing import Any

from device_drivers.assembly import HeldRig, take_in_hand
from device_drivers.wall_clock import WallClock
from harness.domain.lab import Lab, Rig
from harness.domain.words import DeviceType
from harness.hooks import RunContext, Trace


def open_physical_rig(
    lab: Lab,
    rig: Rig,
    services: Mapping[str, Any],
    _run: RunContext,
    trace: Trace,
    devices: Collection[DeviceType] | None = None,
) -> HeldRig:
    """Open the rig's doors; :class:`~harness.domain.errors.LabFault` where one does not open."""
    clock = WallClock(
        lambda what, left: trace.event("clock", f"waiting for {what}", seconds_left=round(left))
    )
    with ExitStack() as held:
        return take_in_hand(lab, rig, services, clock, trace, held, devices=devices)
