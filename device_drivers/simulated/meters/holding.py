"""What a meter holds until a time on its own clock: settings to take effect, an image to be activated.

One thing under each name: what comes later under the same name takes the place of what is held.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from device_drivers.named.forms import UNSET
from device_drivers.simulated.meters.agenda import NEVER
from device_drivers.simulated.meters.energy import moment


@dataclass(frozen=True, slots=True)
class Held:
    """One thing that a meter holds."""

    name: str
    at: int  # device time in microseconds
    settings: Mapping[str, Any] | None  # none: the verified image is activated


@dataclass(slots=True)
class Holding:
    """Everything that a meter holds, by name."""

    by_name: dict[str, Held] = field(default_factory=dict)

    def put(self, held: Held) -> None:
        """Hold something, in the place of what had its name."""
        self.by_name[held.name] = held

    def due(self, device: int) -> tuple[Held, ...]:
        """What is to be done by a device time, in order; it is held no longer."""
        found = sorted(
            (held for held in self.by_name.values() if held.at <= device), key=lambda held: held.at
        )
        for held in found:
            del self.by_name[held.name]
        return tuple(found)

    def next(self) -> int:
        """When the next thing is to be done."""
        return min((held.at for held in self.by_name.values()), default=NEVER)

    def shown(self) -> datetime:
        """The same, as the meter tells it."""
        return moment(self.next()) if self.by_name else UNSET
