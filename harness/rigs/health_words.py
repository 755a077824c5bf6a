"""The words of health: how a rig, or a part of one, can be, and what is told of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class HealthState(StrEnum):
    """What is known of a rig, or of a part of one."""

    GOOD = "good"  # the last check or attempt found nothing wrong
    UNKNOWN = "unknown"  # never checked, or a lab fault was met since
    SUSPECT = "suspect"  # two lab faults in a row: it is checked before it gets another test
    BAD = "bad"  # a check found something wrong, or three lab faults in a row: no test until a check is good
    MAINTENANCE = "maintenance"  # somebody has taken it out of service


@dataclass(frozen=True, slots=True)
class Health:
    """How a rig, or a part of one, is. In a history, ``since`` is when that was written down."""

    rig: str
    part: str = ""  # empty: the rig itself; else "ESME", "GSME", "CH", "bench", "controller" or "capture"
    state: HealthState = HealthState.UNKNOWN
    since: str = ""  # UTC, ISO 8601; empty where nothing was ever written down
    by: str = ""  # the run, check, command or person that it is so by
    family: str = ""  # the class of the error, where one was met
    reason: str = "never checked"
    remedy: str = ""
    faults: int = 0  # lab faults in a row

    def __str__(self) -> str:
        if self.state is HealthState.GOOD or not self.since:
            return f"{self.state}{f': {self.reason}' if not self.since else ''}"
        why = f"{self.family}: {self.reason}" if self.family else self.reason
        return f"{self.state} since {self.since}, {self.by}: {why}"
