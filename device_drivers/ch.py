"""The driver of a communications hub whose lab port speaks DLMS/COSEM."""

from __future__ import annotations

from typing import Self

from device_drivers.doors.opening import open_association
from device_drivers.named.device import NamedDevice
from harness.domain.instruments import LabClock
from harness.domain.lab import Door, Lab, RigDevice
from harness.hooks import Fence, Trace, unfenced


class HubDriver(NamedDevice):
    """A communications hub; implements :class:`harness.domain.instruments.CommunicationsHub`.

    =============  =======================================================================================
    needs          a door whose transport carries the DLMS wrapper; credentials of a client that may do
                   what the test asks (management, SAP 1, for commands)
    offers         the items, logs and commands of :data:`device_drivers.named.objects.CH`, by name; the HAN
                   Device Log; how often the WAN woke the hub
    life cycle     :meth:`connect` (opens port and association) → reads, commands → :meth:`close`
    errors         as of the meters' drivers
    evidence       every APDU deciphered, every value read and written, in the attempt in hand
    =============  =======================================================================================
    """

    @classmethod
    def connect(
        cls,
        device: RigDevice,
        door: Door,
        lab: Lab,
        _clock: LabClock,
        trace: Trace,
        fence: Fence = unfenced,
    ) -> Self:
        """Open the door and the association."""
        session = open_association(device, door, lab, trace, fence)
        return cls(session, device.device_id, device.type, trace=trace, renew=session.renew)

    def han_devices(self) -> tuple[str, ...]:
        return tuple(entry["device_id"] for entry in self.read("han_devices"))

    def wake_ups(self) -> int:
        return int(self.read("wake_ups"))
