"""What a device says it is, held against what the lab file says it is (Clause 8.4(c)).

>>> from harness.domain.lab import DeviceModel, RigDevice
>>> from harness.domain.words import DeviceType
>>> model = DeviceModel(
...     id="alder-e", type=DeviceType.ESME, manufacturer="Alder", model="E1", hardware="2", firmware="4.02"
... )
>>> expected = RigDevice(type=DeviceType.ESME, device_id="00-DB-12-34-56-01-00-01", model=model)
>>> [str(each) for each in deviations(expected, Identity(expected.device_id, "Alder", "E1", "E1", "4.03"))]
["the ESME says its firmware is '4.03'; the baseline of alder-e is '4.02' (Clause 8.4(c))"]
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.domain.instruments import Identity, RigInHand
from harness.domain.lab import RigDevice
from harness.domain.words import DeviceType


@dataclass(frozen=True, slots=True)
class Deviation:
    """One thing in which a device is not what it should be; ``part`` is its name in :class:`Identity`."""

    device_type: DeviceType
    model: str  # the id of the Device Model that it is held against
    part: str
    found: str
    expected: str

    def __str__(self) -> str:
        return (
            f"the {self.device_type} says its {self.part.replace('_', ' ')} is {self.found!r}; "
            f"the baseline of {self.model} is {self.expected!r} (Clause 8.4(c))"
        )


def baseline(expected: RigDevice) -> Identity:
    """What the device should say it is; a serial number that the lab file does not name is empty."""
    model = expected.model
    return Identity(
        expected.device_id, model.manufacturer, model.model, expected.serial_number, model.firmware
    )


def baseline_kept(in_hand: RigInHand) -> list[Deviation]:
    """In what the devices in hand differ by now from the lab file: none where the baseline is kept.

    Each tells its whole identity, in one request where it can: on twins that takes half as long again as its
    firmware alone. Raises what :meth:`~harness.domain.instruments.Device.identity` does, for a device that
    has no power say.
    """
    return [
        deviation
        for type_, device in in_hand.devices.items()
        for deviation in deviations(in_hand.rig.devices[type_], device.identity())
    ]


def deviations(expected: RigDevice, found: Identity) -> tuple[Deviation, ...]:
    """All in which they differ."""
    wanted = baseline(expected)
    parts = ((part, getattr(found, part), getattr(wanted, part)) for part in Identity.__dataclass_fields__)
    return tuple(
        Deviation(expected.type, expected.model.id, part, is_, should_be)
        for part, is_, should_be in parts
        if is_ != should_be and (should_be or part != "serial_number")
    )
