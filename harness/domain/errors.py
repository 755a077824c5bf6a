"""One base for every error, and the two families that decide an outcome.

A :class:`LabFault` blocks the attempt: the lab stood in the way, the device is not blamed. A
:class:`DeviceFault` fails it: the lab was proven well and the device, or the DCC, did wrong. Drivers
raise one of the two; nothing else decides between ``blocked`` and ``failed``.
"""

from __future__ import annotations


class HarnessError(Exception):
    """What happened and where (the message), and what to do now (:attr:`remedy`)."""

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} ({self.remedy})" if self.remedy else self.message


class ConfigurationError(HarnessError):
    """A lab file, pack or matrix is wrong. Correct the place that the message names; exit code 2."""


class UsageError(HarnessError):
    """A command was called in a way that cannot work; exit code 2."""


class LabFault(HarnessError):
    """The lab stood in the way: the attempt is *blocked* and another rig may take the test.

    ``suspect`` says whether the rig's health suffers by it. It does not where something outside the rig
    failed, or where the rig merely was never given what is asked of it. ``part`` is where it was met: a
    device type, ``bench``, ``controller`` or ``capture``; empty where it was at no part of a rig.
    """

    suspect: bool = True
    part: str = ""

    def __init__(
        self, message: str, *, remedy: str = "", suspect: bool | None = None, part: str = ""
    ) -> None:
        super().__init__(message, remedy=remedy)
        if suspect is not None:
            self.suspect = suspect
        if part:
            self.part = part


class TransportLost(LabFault):
    """A port, socket or probe went away, or never answered to open. Check cable, probe and power."""


class LinkLost(LabFault):
    """The DCC link (gateway, receive address or the run's shared link process) cannot be reached."""

    suspect = False


class BeyondLab(LabFault):
    """The test asks for what this lab or rig has not, twins for one or the DCC's keys; nothing has failed."""

    suspect = False


class BenchFault(LabFault):
    """Bench I/O refused, did not answer, or read back something other than was written."""

    part = "bench"


class BeyondBench(BenchFault):
    """More is asked of the bench than it has, or than the lab file allows; the rig is well. Use another."""

    suspect = False


class ControllerFault(LabFault):
    """The rig's controller refused, is not the one that is pinned, or lacks what was asked of it."""

    part = "controller"


class CaptureUnavailable(LabFault):
    """Traffic cannot be captured or read: a tool, a privilege or a library is missing."""

    suspect = False
    part = "capture"


class OperatorAbsent(LabFault):
    """Nobody did or answered what the test asked of the engineer within its deadline."""

    suspect = False


class DeviceFault(HarnessError):
    """The device or the DCC did wrong while the lab is well: the attempt is *failed*."""


class DeviceTimeout(DeviceFault):
    """What was due within a deadline did not come."""


class ProtocolViolation(DeviceFault):
    """Bytes came that the protocol does not allow. The evidence holds them."""


class AccessRefused(DeviceFault):
    """The device refused a read, write or action; ``result`` is the name of its refusal."""

    def __init__(self, message: str, *, result: str, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.result = result
