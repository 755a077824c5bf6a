"""Service group 11, firmware (SRV 11.1, 11.2, 11.3).

SRV 11.1 is answered by the DCC; what is left for the S1SP is to bring the image to each device
(:func:`distribute`). The hash that SRV 11.3 names is taken to be SHA-256 over the whole image.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final

from device_drivers.simulated.s1sp.record import DeviceRecord
from device_drivers.simulated.s1sp.refusal import OUT_OF_RANGE, Refused
from device_drivers.simulated.s1sp.steps import Job, Step
from harness.domain.instruments import Body, Device

_BLOCK: Final = 8192
_VERSION_LIMIT: Final = 8  # characters that the schema has room for


def distribute(device: Device, record: DeviceRecord, version: str, image: bytes) -> None:
    """Transfer an image in blocks and let the device verify it; :class:`AccessRefused` if it does not."""
    device.perform("image_initiate", {"version": version.encode(), "size": len(image)})
    for number, start in enumerate(range(0, len(image), _BLOCK)):
        device.perform("image_block", {"number": number, "block": image[start : start + _BLOCK]})
    device.perform("image_verify")
    record.images[hashlib.sha256(image).hexdigest()] = version


def running(device: Device) -> str:
    """The version that a device runs, as far as the schema has room for it."""
    return str(device.read("firmware_version"))[:_VERSION_LIMIT]


def read_version(job: Job) -> Body:
    """SRV 11.2: the version that runs."""
    return {"FirmwareVersion": running(job.device)}


def activate(job: Job) -> Body:
    """SRV 11.3: let the device run the image that was distributed under the hash given."""
    wanted = job.body.text("FirmwareHash").lower()
    version = job.record.images.get(wanted)
    if version is None:
        raise Refused(OUT_OF_RANGE, f"no image with the hash {wanted} was distributed to the device")
    pending = job.device.read("firmware_pending")
    if pending != version:
        raise Refused(OUT_OF_RANGE, f"the device holds {pending or 'no image'}, not {version}")
    if job.at is not None:
        job.device.perform("image_activate_at", {"name": job.srv, "at": job.at})
        return None  # no details of an execution that is to come, as the MMC schema says
    job.device.perform("image_activate")
    return {
        "ActivateImageResponseCode": {"@ResponseCode": 0, "ASN1Status": "success"},
        "FirmwareVersion": running(job.device),
    }


STEPS: Final[Mapping[str, Step]] = {"11.2": read_version, "11.3": activate}
