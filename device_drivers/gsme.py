"""The driver of a gas meter (Gas Smart Metering Equipment) that speaks DLMS/COSEM."""

from __future__ import annotations

from typing import Self

from device_drivers.doors.opening import open_association
from device_drivers.named.device import NamedMeter
from harness.domain.instruments import LabClock
from harness.domain.lab import Door, Lab, RigDevice
from harness.hooks import Fence, Trace, unfenced


class GsmeDriver(NamedMeter):
    """A gas meter behind a door of its own; implements :class:`harness.domain.instruments.Gsme`.

    The local port answers at once: only what comes through the hub waits for the meter to wake.

    =============  =======================================================================================
    needs          a door whose transport carries the DLMS wrapper; credentials of a client that may do
                   what the test asks (management, SAP 1, for writes and commands)
    offers         the items, logs and commands of :data:`device_drivers.named.objects.GSME`, by name; volumes
                   in m3
    life cycle     :meth:`connect` (opens port and association) → reads, writes, commands → :meth:`close`
    errors         port or association lost: ``TransportLost`` · no answer: ``DeviceTimeout`` · refused:
                   ``AccessRefused`` · wrong bytes: ``ProtocolViolation`` · a name that the table lacks:
                   ``UsageError``
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
