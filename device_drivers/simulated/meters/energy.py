"""Exact counting of what flows: whole numbers only, so that nothing is ever rounded away.

A demand of so many watts over so many microseconds is a whole number of microjoules. A counter turns those
into joules, keeps the rest for the next time, and tells how many whole watt-hours were completed.

>>> counter = Counter("active_import", per_tick=MICRO, per_pulse=JOULES_PER_WH)
>>> counter.add(1_000 * 1_800 * MICRO)  # 1 kW for half an hour
500
>>> counter.pulses
500
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

MICRO: Final = 1_000_000
SECOND: Final = MICRO
MINUTE: Final = 60 * SECOND
HOUR: Final = 3_600 * SECOND
DAY: Final = 86_400 * SECOND
HALF_HOUR: Final = 1_800 * SECOND
JOULES_PER_WH: Final = 3_600
LITRE_HOURS_PER_ML: Final = 3_600 * 1_000  # l/h over microseconds, in each millilitre
ML_PER_LITRE: Final = 1_000

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

Tick = Callable[[str, int], int]
"""What a counter adds for a quantity's name and its increment; the twin passes it through its faults."""


def micros(moment: datetime) -> int:
    """Microseconds since 1970 of an aware moment."""
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * MICRO + since.microseconds


def moment(microseconds: int) -> datetime:
    """The aware UTC moment so many microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=microseconds)


def _as_it_is(_: str, increment: int) -> int:
    return increment


class Counter:
    """A register that only adds, in ticks (J or ml), and shows whole pulses (Wh or litres).

    ``per_tick`` is how much of the raw amount (µJ, or l/h · µs) makes a tick, ``per_pulse`` how many ticks
    make a pulse. What is short of a tick waits in ``rest``.
    """

    __slots__ = ("name", "per_pulse", "per_tick", "rest", "tick", "ticks")

    def __init__(self, name: str, *, per_tick: int, per_pulse: int, tick: Tick = _as_it_is) -> None:
        self.name = name
        self.per_tick = per_tick
        self.per_pulse = per_pulse
        self.tick = tick
        self.ticks = 0
        self.rest = 0

    @property
    def pulses(self) -> int:
        """What the register shows: whole Wh, varh or litres."""
        return self.ticks // self.per_pulse

    def add(self, amount: int) -> int:
        """Count a raw amount; how many pulses it completed."""
        ticks, self.rest = divmod(self.rest + amount, self.per_tick)
        if not ticks:
            return 0
        before = self.ticks
        self.ticks = before + self.tick(self.name, ticks)
        return self.ticks // self.per_pulse - before // self.per_pulse

    def duration(self, pulses: int, rate: int) -> int:
        """Microseconds at a steady ``rate`` (W or l/h, above 0) until so many more pulses are complete."""
        ticks = (self.ticks // self.per_pulse + pulses) * self.per_pulse - self.ticks
        return -(-(ticks * self.per_tick - self.rest) // rate)
