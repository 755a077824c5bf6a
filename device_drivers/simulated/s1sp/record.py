"""What the S1SP itself keeps of each device, in memory, for the life of a run."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Notified:
    """A certificate that was notified for a device."""

    party_id: str  # the EUI-64 of its subject
    serial: int  # what a signature names it by
    sha1: bytes


@dataclass(slots=True)
class DeviceRecord:
    """The S1SP's own record of one device."""

    images: dict[str, str] = field(default_factory=dict)  # SHA-256 of a distributed image → its version
    counters: dict[str, int] = field(default_factory=dict)  # execution counter by originator
    late: set[tuple[str, int]] = field(default_factory=set)  # counters of requests that the DCC had held
    certificates: dict[tuple[str, str], Notified] = field(default_factory=dict)  # by role and usage
    floors: dict[str, int] = field(default_factory=dict)  # lowest counter by remote party role
