"""What a check of the lab came to: what was tried, what came back, what to do now."""

from __future__ import annotations

from dataclasses import dataclass

GOOD, IN_USE, BAD = "good", "in use", "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: ``part`` is a device type, "bench", "controller", "capture", "DCC", or empty for a rig.

    ``tried`` says how far it came, step after step.
    """

    rig: str
    part: str
    state: str  # GOOD, IN_USE or BAD
    tried: str
    found: str
    remedy: str = ""
    family: str = ""  # the class of the error that was raised, where one was
