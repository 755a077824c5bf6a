"""Firmware images for tests: made up for twins, the lab's own for meters.

Twins take any content behind its SHA-256. A physical rig names two images for each meter in its bench's
settings, the baseline and another one: ``firmware: {ESME: {other: {version: "1.5", file: …}, baseline: …}}``.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from harness.domain.errors import LabFault
from harness.domain.instruments import Device, RigInHand

_BLOCK: Final = 4_096


@dataclass(frozen=True, slots=True)
class Image:
    """A firmware image and the version that a meter tells when it runs it."""

    version: str
    content: bytes

    @property
    def digest(self) -> str:
        """The hash by which SRV 11.3 names it: SHA-256 over the whole image, in hexadecimal digits."""
        return hashlib.sha256(self.content).hexdigest().upper()

    def broken(self) -> Image:
        """The image with its last byte changed."""
        return Image(self.version, self.content[:-1] + bytes([self.content[-1] ^ 0xFF]))

    def update(self, *devices: str) -> dict[str, Any]:
        """SRV 11.1 for devices."""
        return {
            "FirmwareImage": base64.b64encode(self.content).decode(),
            "FirmwareVersion": self.version,
            "DeviceIDList": ",".join(devices),
        }


def another(rig: RigInHand, device: Device) -> Image:
    """An image of another version than the baseline."""
    return _image(rig, device, "other", "X9.9.9")


def baseline(rig: RigInHand, device: Device) -> Image:
    """The image of the firmware that the phase is tested with."""
    return _image(rig, device, "baseline", rig.rig.devices[device.device_type].model.firmware)


def _image(rig: RigInHand, device: Device, which: str, version: str) -> Image:
    if rig.rig.simulation:
        content = f"{device.device_type} {version}\n".encode() * 2_000
        return Image(version, hashlib.sha256(content).digest() + content)
    try:
        settings = rig.rig.bench["firmware"][device.device_type][which]
        return Image(str(settings["version"]), Path(settings["file"]).read_bytes())
    except (KeyError, OSError) as problem:
        raise LabFault(
            f"rig {rig.rig.id} has no {which} firmware image for its {device.device_type}: {problem!r}",
            remedy="name version and file under firmware in the bench settings of the rig",
        ) from problem


def put_baseline_back(rig: RigInHand, meter: Device) -> None:
    """The meter on its baseline firmware, with no image waiting, by management access."""
    image = baseline(rig, meter)
    held = meter.read_many(("firmware_version", "firmware_pending"))
    if held["firmware_version"] != image.version or held["firmware_pending"]:
        install(meter, image)


def install(device: Device, image: Image) -> None:
    """Bring an image into a device and run it, through the lab's management access."""
    device.perform("image_initiate", {"version": image.version.encode(), "size": len(image.content)})
    for number, start in enumerate(range(0, len(image.content), _BLOCK)):
        device.perform("image_block", {"number": number, "block": image.content[start : start + _BLOCK]})
    device.perform("image_verify")
    device.perform("image_activate")
