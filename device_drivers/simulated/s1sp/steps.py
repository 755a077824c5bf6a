"""What a step works with.

A step performs the equivalent steps (SEC) of one SRV on a SMETS1 meter and returns the content of its
response. No public source lists the equivalent steps of a device model: **every mapping in this package is
our inference** from the DUIS and MMC schemas, not the DCC's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from device_drivers.simulated.s1sp.record import DeviceRecord
from device_drivers.simulated.s1sp.refusal import NOT_FOR_THIS_DEVICE, Refused
from harness.domain.errors import AccessRefused, UsageError
from harness.domain.instruments import Body, Device, LogEntry
from harness.domain.payload import Payload
from harness.domain.words import DeviceType, UserRole


@dataclass(frozen=True, slots=True)
class Job:
    """One request in hand."""

    device: Device  # through the hub, over the S1SP's own association
    type: DeviceType
    body: Payload
    now: Callable[[], datetime]  # the rig's lab time
    record: DeviceRecord
    roles: frozenset[UserRole]  # of the User that asks
    counter: int  # the request's
    srv: str = ""
    at: datetime | None = None  # when it is to take effect, where that is to come: the device holds it

    @property
    def gas(self) -> bool:
        """Whether the device is a gas meter."""
        return self.type is DeviceType.GSME

    def branch(self, electricity: str, gas: str, below: Payload | None = None) -> Payload:
        """The part of the body for this device's fuel; a request for the other fuel is refused."""
        body = self.body if below is None else below
        wanted, other = (gas, electricity) if self.gas else (electricity, gas)
        if wanted not in body.names():
            found = other if other in body.names() else "neither"
            raise Refused(NOT_FOR_THIS_DEVICE, f"the request holds {found}; this device takes {wanted}")
        content = body.find(wanted)
        return Payload(content if isinstance(content, Mapping) else {"": content})

    def fuel(self, content: Mapping[str, Any]) -> Body:
        """Content under the element that the schemas give this device's fuel."""
        return {"Gas" if self.gas else "Electricity": content}

    def read(self, elements: Mapping[str, str]) -> dict[str, Any]:
        """Elements with the values of the items that they stand for, in one reading."""
        held = self.device.read_many(tuple(elements.values()))
        return {element: held[item] for element, item in elements.items()}

    def rows(self, log: str) -> tuple[LogEntry, ...]:
        """The rows of a log in the request's ReadLogPeriod, both ends included."""
        start, end = (
            self.body.time("ReadLogPeriod/StartDateTime"),
            self.body.time("ReadLogPeriod/EndDateTime"),
        )
        return self.device.log(log, start, end)

    def write(self, settings: Mapping[str, Any]) -> None:
        """Write settings that take effect together, or none of them where the device refuses one.

        Where they are to take effect later, the device holds them; a later request of the same SRV takes
        the place of an earlier one that is still held (inferred).
        """
        self.device.perform("hold_settings")
        try:
            for name, value in settings.items():
                self.device.write(name, value)
        except (AccessRefused, UsageError):
            self.device.perform("hold_settings")  # forgets what was staged
            self.device.perform("release_settings")
            raise
        if self.at is None:
            self.device.perform("release_settings")
        else:
            self.device.perform("release_settings_at", {"name": self.srv, "at": self.at})


Step = Callable[[Job], Body]
