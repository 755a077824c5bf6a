"""A physical rig in hand: what stands behind the doors that the lab file names, and real time."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from device_drivers.rigs.assembly import HeldRig, take_in_hand
from device_drivers.rigs.wall_clock import WallClock
from harness.domain.lab import Lab, Rig
from harness.hooks import WHOLE, Fence, RunContext, Trace, Wanted, unfenced


def open_physical_rig(
    lab: Lab,
    rig: Rig,
    services: Mapping[str, Any],
    _run: RunContext,
    trace: Trace,
    wanted: Wanted = WHOLE,
    fence: Fence = unfenced,
) -> HeldRig:
    """Open the rig's doors; :class:`~harness.domain.errors.LabFault` where one does not open."""
    with ExitStack() as held:
        return take_in_hand(lab, rig, services, real_time(trace), trace, held, wanted, fence=fence)


def real_time(trace: Trace) -> WallClock:
    """The lab time of a physical rig; what is waited for is told to the trace."""
    return WallClock(lambda what, left: trace.event("clock", f"waiting for {what}", seconds_left=round(left)))
