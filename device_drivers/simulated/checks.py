"""The check of a simulated rig: its twins are stood up, and then tried as any other rig's devices are."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from device_drivers.rigs.checks import AtHand, check_rig
from device_drivers.simulated.rig import stand_up_rig
from harness.domain.findings import Finding
from harness.domain.lab import Lab, Rig
from harness.hooks import Fence, RunContext, Trace, unfenced


def check_simulated_rig(
    lab: Lab,
    rig: Rig,
    services: Mapping[str, Any],
    run: RunContext,
    trace: Trace,
    fence: Fence = unfenced,
) -> list[Finding]:
    """What came of each part, the standing up of the twins among them."""

    def twins(held: ExitStack) -> AtHand:
        site = stand_up_rig(lab, rig, services, run, held)
        return AtHand(site.rig, site.twins.clock, site.bench)

    return check_rig(lab, rig, services, trace, fence, twins)
