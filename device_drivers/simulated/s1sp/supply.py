"""Service group 7, supply (SRV 7.1, 7.2, 7.3, 7.4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from device_drivers.simulated.s1sp.steps import Job, Step
from harness.domain.instruments import Body


def enable(job: Job) -> Body:
    """SRV 7.1: close the contactor."""
    job.device.perform("enable_supply")
    return None


def disable(job: Job) -> Body:
    """SRV 7.2: open the contactor or close the valve."""
    job.device.perform("disable_supply")
    return None


def arm(job: Job) -> Body:
    """SRV 7.3: let the customer restore the supply at the meter."""
    job.device.perform("arm_supply")
    return None


def read_status(job: Job) -> Body:
    """SRV 7.4: the state of the supply, and the days that a gas meter's battery has left."""
    content: dict[str, object] = {"SupplyState": job.device.read("supply_state")}
    if job.gas:
        content["Gas"] = {"RemainingBatteryCapacity": job.device.read("battery_capacity")}
    return content


STEPS: Final[Mapping[str, Step]] = {"7.1": enable, "7.2": disable, "7.3": arm, "7.4": read_status}
