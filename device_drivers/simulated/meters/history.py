"""Seeded consumption of the months before a rig was opened, so that logs are as full as a real meter's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final

from device_drivers.simulated.logs import Row
from device_drivers.simulated.meters.tariff import Tariff

HALF_HOUR: Final = timedelta(minutes=30)
_SLOTS: Final = 48

# Watt-hours of a household in each half hour of a day, and litres of gas
ELECTRICITY: Final = (
    *(110,) * 4, *(90,) * 8, 120, 180, 260, 300, 280, 220, *(170,) * 8, 200, 210, 190, 180, 170, 180, 240,
    330, 430, 480, 470, 430, 390, 350, 320, 300, 280, 250, 220, 190, 160, 130,
)  # fmt: skip
GAS: Final = (
    *(0,) * 10, 20, 60, 220, 420, 380, 260, 120, *(40,) * 15, 80, 190, 320, 390, 410, 380, 340, 300, 260, 220,
    160, 90, 30, 0, 0, 0,
)  # fmt: skip
_WINTER: Final = (1.5, 1.45, 1.25, 1.0, 0.75, 0.6, 0.55, 0.55, 0.7, 0.95, 1.25, 1.45)
"""How much more is used in each month, January first; gas follows its square."""


@dataclass(frozen=True, slots=True)
class Past:
    """Half hours before a moment: their ends, what was used in each, and the register that counted it."""

    ends: Sequence[datetime]
    used: Sequence[int]
    registers: Sequence[int]  # TOU registers, from 1


def past(
    day_shape: Sequence[int], until: datetime, days: int, tariff: Tariff, random: Random, *, gas: bool = False
) -> Past:
    """Consumption of ``days`` up to the last half hour ended by ``until``, under the tariff's first day."""
    last = until.replace(minute=until.minute // 30 * 30, second=0, microsecond=0)
    count = days * _SLOTS
    ends = list(_moments(last - HALF_HOUR * (count - 1), count))
    slot_registers = [tariff.action_at(slot * 1_800_000_000).register for slot in range(_SLOTS)]
    used, registers = [], []
    uniform = random.random
    for end in ends:
        slot = (end.hour * 2 + end.minute // 30 - 1) % _SLOTS
        season = _WINTER[end.month - 1]
        used.append(int(day_shape[slot] * (season * season if gas else season) * (0.5 + uniform())))
        registers.append(slot_registers[slot])
    return Past(ends, used, registers)


def captures(
    past: Past, tou: list[int], columns: Callable[[], tuple[Any, ...]]
) -> tuple[list[Row], list[Row]]:
    """Let TOU registers count the past; rows of ``columns`` at each midnight, and on each month's first."""
    daily: list[Row] = []
    for end, used, register in zip(past.ends, past.used, past.registers, strict=True):
        tou[register - 1] += used
        if not end.hour and not end.minute:
            daily.append((end, *columns()))
    return daily, [row for row in daily if row[0].day == 1]


def _moments(first: datetime, count: int) -> Iterator[datetime]:
    end = first
    for _ in range(count):
        yield end
        end += HALF_HOUR
