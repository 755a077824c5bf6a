"""The words of leases: how a rig stands, who holds it, and what can be wrong with a lease."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from harness.domain.errors import LabFault
from harness.rigs.queue import Slot, worded

EXPIRY: Final = 15.0  # seconds without a heartbeat after which an owner counts as gone


class RigState(StrEnum):
    """Whether a rig can be given out."""

    FREE = "free"  # its bench is in the safe state: given to the next who asks
    HELD = "held"  # somebody's, until released or until the owner's heartbeat has stopped for an expiry
    DIRTY = "dirty"  # its owner is gone, or left it so: given only to who cleans it


class StaleLease(LabFault):
    """The lease is no longer ours: write nothing more to bench or devices. Another may hold the rig."""

    suspect = False


class RigTaken(LabFault):
    """The rig is not to be had now. The message says why; wait, or use another rig of the DMC."""

    suspect = False


class NoSuchRig(LabFault):
    """What is asked for can never be served: the lab has no such rig, or not so many. Correct the request."""

    suspect = False


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a rig, or waits for one."""

    owner: str  # a person or a run
    host: str
    process: int
    purpose: str
    since: str  # UTC, ISO 8601

    @classmethod
    def this_process(cls, owner: str, purpose: str) -> Holder:
        """Ourselves, from now on."""
        return cls(owner, socket.gethostname(), os.getpid(), purpose, f"{datetime.now(UTC):%FT%TZ}")

    def __str__(self) -> str:
        return f"{self.owner} ({self.purpose}; process {self.process} on {self.host}, since {self.since})"


@dataclass(frozen=True, slots=True)
class Ask:
    """A request for rigs. Its id is that of the lease which serves it."""

    id: str
    by: Holder
    slots: tuple[Slot, ...]
    priority: int  # a greater one is served first
    expected: float  # for how many seconds the rigs will be needed
    expiry_us: int
    hands_on: bool = False  # a person does what is done with them, and no run

    @property
    def wanted(self) -> str:
        """What is asked for, to be read."""
        return worded(self.slots)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A request in the queue, as people read it."""

    holder: Holder  # who waits, and since when
    wanted: str
    priority: int
    expected: float  # for how many seconds the rigs will be needed

    def __str__(self) -> str:
        return f"{self.holder} waits for {self.wanted}"


@dataclass(frozen=True, slots=True)
class Grant:
    """The fencing token of each rig that was given."""

    tokens: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Reservation:
    """A rig is one person's for a time. The times are of the wall clock, as people tell them."""

    id: str
    rig: str
    person: str
    reason: str
    starts: datetime
    ends: datetime


@dataclass(frozen=True, slots=True)
class RigStatus:
    """How a rig stands. A dirty rig with a holder is being cleaned by it."""

    rig: str
    dmc: str
    state: RigState
    token: int  # the last that was given out
    holder: Holder | None = None
    expires_in: float = 0.0  # seconds until the holder counts as gone, unless it sends a heartbeat
    dirty_reason: str = ""
    maintenance_by: str = ""  # empty: it is in service
    maintenance_reason: str = ""

    def __str__(self) -> str:
        if self.maintenance_by:
            return f"{self.rig} is in maintenance by {self.maintenance_by}: {self.maintenance_reason}"
        if self.state is RigState.DIRTY:
            cleaner = f", being cleaned by {self.holder}" if self.holder else ""
            return f"{self.rig} is dirty: {self.dirty_reason}{cleaner}"
        return f"{self.rig} is held by {self.holder}" if self.holder else f"{self.rig} is free"
