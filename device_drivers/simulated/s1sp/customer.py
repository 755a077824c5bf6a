"""Service group 3, customer management (SRV 3.2, 3.3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from device_drivers.simulated.s1sp.refusal import NOT_FOR_THIS_DEVICE, OUT_OF_RANGE, Refused
from device_drivers.simulated.s1sp.steps import Job, Step
from harness.domain.instruments import Body


def restrict_access(job: Job) -> Body:
    """SRV 3.2: what the meter recorded before the change of tenancy is shown to nobody at the meter.

    A change that is still to come is refused.
    """
    moment = job.body.time("RestrictionDateTime")
    if moment > job.now():
        raise Refused(OUT_OF_RANGE, f"the restriction at {moment:%F %T} UTC lies in the future")
    job.device.write("access_restricted_before", moment)
    return None


def clear_event_log(job: Job) -> Body:
    """SRV 3.3: empty the event log."""
    if job.body.find("ESMEEventLogType") == "ALCS":
        raise Refused(NOT_FOR_THIS_DEVICE, "a SMETS1 meter has no ALCS event log")
    job.device.clear_log("event_log")
    return None


STEPS: Final[Mapping[str, Step]] = {"3.2": restrict_access, "3.3": clear_event_log}
