"""Service group 8, commissioning and the hub's device log (SRV 8.1.1, 8.9, 8.11); the clock (SRV 6.11)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from device_drivers.named.forms import UNSET
from device_drivers.simulated.s1sp.content import chosen, hexadecimal
from device_drivers.simulated.s1sp.refusal import OUT_OF_RANGE, Refused
from device_drivers.simulated.s1sp.steps import Job, Step
from harness.domain.instruments import Body


def synchronise_clock(job: Job) -> Body:
    """SRV 6.11 and 8.1.1: set the meter's clock, where the time in the request is right.

    The S1SP holds the request's time against its own, the rig's lab time, within the tolerance that the
    request gives, and sets the meter to its own: the time in the request has aged on its way.
    """
    now = job.now()
    given = job.body.time("CurrentDateTime")
    tolerance = timedelta(seconds=job.body.integer("TolerancePeriod"))
    if abs(now - given) > tolerance:
        raise Refused(
            OUT_OF_RANGE,
            f"CurrentDateTime {given:%F %T} is {abs(now - given)} from the time {now:%F %T} UTC; "
            f"the tolerance is {tolerance}",
        )
    job.device.clock()  # wakes hub and meter first, so that the time is not old when it arrives
    job.device.write("clock", job.now())
    if job.gas:
        status = {"GasClockTimeStatus": {"@ResponseCode": 0, "ASN1Status": "success"}}
    else:
        status = {"ElecClockTimeStatus": {"@TimeStatusCode": 0, "TimeStatus": "reliable"}}
    return {"DeviceTime": job.device.clock(), **(job.fuel(status) or {})}


def read_device_log(job: Job) -> Body:
    """SRV 8.9: the devices on the hub's HAN Device Log and when each last communicated."""
    entries = [_log_entry(entry) for entry in job.device.read("han_devices")]
    return {"CHFDeviceLog": {"CHFDeviceLogEntry": entries}}


def _log_entry(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """One device; one that never communicated has no time."""
    seen = entry["last_communication"]
    when = {} if seen == UNSET else {"LastCommunicationsDateTime": seen}
    return {"DeviceID": entry["device_id"], **when}


def update_device_log(job: Job) -> Body:
    """SRV 8.11: put a device on the hub's HAN Device Log with its install code, or take it off."""
    device_id = job.body.text("DeviceID").upper()
    if job.body.text("RequestType") == "Remove":
        job.device.perform("han_remove", device_id)
        return None
    chosen(job.body, "AddDeviceToCHFWhitelist")
    job.device.perform(
        "han_add",
        {
            "device_id": device_id,
            "install_code": hexadecimal(job.body, "AddDeviceToCHFWhitelist/InstallCode"),
            "period": job.body.integer("AddDeviceToCHFWhitelist/JoinTimePeriod"),
        },
    )
    return None


STEPS: Final[Mapping[str, Step]] = {
    "6.11": synchronise_clock,
    "8.1.1": synchronise_clock,
    "8.9": read_device_log,
    "8.11": update_device_log,
}
