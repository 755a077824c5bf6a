"""The built-in fault catalogue: ways in which a simulated lab can be wrong, switched on by name.

One module a part of the lab, or a subject where a part has many. ``srvs`` names the SRVs whose tests have
reason to notice, ``groups`` the functional groups for what is about no SRV; a pack that passes one of these
is a defect in the pack. See :mod:`harness.domain.faults` for the points, and for how to write one.
"""

from __future__ import annotations

from device_drivers.simulated.faults import (
    electricity,
    gas,
    gateway,
    hub,
    memory,
    migration,
    misuse,
    performing,
    prepayment,
    recording,
    s1sp,
    settings,
    supply,
    timetable,
)
from harness.domain.faults import Fault

FAULTS: tuple[Fault, ...] = (
    *electricity.FAULTS,
    *recording.FAULTS,
    *settings.FAULTS,
    *supply.FAULTS,
    *memory.FAULTS,
    *prepayment.FAULTS,
    *gas.FAULTS,
    *hub.FAULTS,
    *s1sp.FAULTS,
    *performing.FAULTS,
    *gateway.FAULTS,
    *migration.FAULTS,
    *timetable.FAULTS,
    *misuse.FAULTS,
)
