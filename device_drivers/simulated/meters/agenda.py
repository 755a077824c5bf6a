"""What falls due on a meter's own clock: half hours, hours, midnights, billing dates, tariff switches.

When the clock is set, what it jumps over happens once, and what it shows again is not done again, except for
entries that say so. That rule is kept here, so that no energy and no charge is lost or counted twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

NEVER: Final = 1 << 62


def every(period: int) -> Callable[[int], int]:
    """The next whole multiple of a period (microseconds) after a device time."""
    return lambda device: (device // period + 1) * period


@dataclass(slots=True)
class Entry:
    """One thing that recurs. All times are device times in microseconds.

    ``run`` gets the time at which it was due; ``after`` gives the next time after another.
    """

    run: Callable[[int], None]
    after: Callable[[int], int]
    again: bool = False  # whether it is done again when the clock, set back, shows its time again
    due: int = NEVER
    done: int = -NEVER

    def happen(self) -> None:
        """Do what is due, once for each time on the clock."""
        if self.again or self.due > self.done:
            self.done = max(self.done, self.due)
            self.run(self.due)


class Agenda:
    """The entries of one meter; those due at the same moment happen in the order in which they stand."""

    def __init__(self, *entries: Entry) -> None:
        self._entries = entries

    def next(self) -> int:
        """The device time of the earliest entry."""
        return min(entry.due for entry in self._entries)

    def happen(self, device: int) -> None:
        """Do all that is due by a device time."""
        for entry in self._entries:
            if entry.due <= device:
                entry.happen()
                entry.due = entry.after(device)

    def aim(self, device: int) -> None:
        """Find every entry's next time anew: the clock or a calendar has changed."""
        for entry in self._entries:
            entry.due = entry.after(device)

    def leap(self, device: int) -> None:
        """The clock is set to ``device``: do once what lies in between, if it was set forward."""
        for entry in self._entries:
            if entry.due <= device:
                entry.happen()
