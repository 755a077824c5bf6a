"""Which register counts now, and at what price: the switching table of an import tariff. Times are UTC.

Each day profile switches, at times of day, to a TOU register or to a block register. TOU registers hold
everything that was counted under their number, so that they always add up to the whole import; what ran
under a block action is counted by block as well, by the thresholds that the block counter has passed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from device_drivers.simulated.meters import calendars
from device_drivers.simulated.meters.energy import DAY, HOUR, MINUTE, moment

BLOCKS = 4


@dataclass(frozen=True, slots=True)
class Action:
    """A switch: from this microsecond of the day on, this register."""

    at: int
    kind: str  # "tou" or "block"
    register: int  # from 1


_ALWAYS_FIRST = Action(0, "tou", 1)


class Tariff:
    """The tariff of one meter. ``terms`` are the meter's settings, read where they stand.

    ``sizes``: the number of TOU registers and of block registers (48 and 8, gas 4 and 1).
    """

    def __init__(self, terms: Mapping[str, Any], sizes: tuple[int, int]) -> None:
        self._terms = terms
        self.tou = [0] * sizes[0]
        self.blocks = [[0] * sizes[1] for _ in range(BLOCKS)]
        self.counters = [0] * sizes[1]
        self.action = _ALWAYS_FIRST
        self._season: tuple[date, int] | None = None  # the day last looked at, and its week profile
        self._days: dict[int, tuple[Action, ...]] = {}
        self._today: tuple[int, tuple[Action, ...]] = (-1, ())

    def reload(self, device: int) -> None:
        """The settings have changed: forget what was derived from them."""
        self._season = None
        self._today = (-1, ())
        self._days = {
            profile["day"]: tuple(
                sorted((_action(action) for action in profile["actions"]), key=lambda action: action.at)
            )
            for profile in self._terms["day_profiles"]
        }
        self.switch(device)

    def switch(self, device: int) -> None:
        """Take the action that holds at a device time (microseconds)."""
        self.action = self.action_at(device)

    def action_at(self, device: int) -> Action:
        """The last switch up to that time; before a day's first one, the last of the day before."""
        day, time = divmod(device, DAY)
        for on, until in ((day, time), (day - 1, DAY)):
            past = [action for action in self._actions(on) if action.at <= until]
            if past:
                return past[-1]
        return _ALWAYS_FIRST

    def next_switch(self, device: int) -> int:
        """The next device time at which the register may change; midnight at the latest."""
        day, time = divmod(device, DAY)
        later = [action.at for action in self._actions(day) if action.at > time]
        return day * DAY + (later[0] if later else DAY)

    def _actions(self, day: int) -> tuple[Action, ...]:
        if self._today[0] != day:
            calendar_day = moment(day * DAY).date()
            self._today = (day, self._days.get(self._day_profile(calendar_day), ()))
        return self._today[1]

    def _day_profile(self, day: date) -> int:
        for special in self._terms["special_days"]:
            if calendars.fits(special["date"], day):
                return int(special["day"])
        week = self._week(day)
        for profile in self._terms["week_profiles"]:
            if profile["week"] == week and len(profile["days"]) == 7:
                return int(profile["days"][day.weekday()])
        return 0

    def _week(self, day: date) -> int:
        """The week profile of the season that began last."""
        if self._season and self._season[0] == day - timedelta(days=1):
            week = self._begins(day) or self._season[1]
        else:
            week = next(filter(None, map(self._begins, calendars.backwards(day))), 0)
        self._season = (day, week)
        return week

    def _begins(self, day: date) -> int:
        for season in self._terms["seasons"]:
            if calendars.fits(season["start"], day):
                return int(season["week"])
        return 0

    # What was counted

    def count(self, amount: int) -> list[tuple[int, int]]:
        """Count so many pulses in the registers of the hour; the parts at each price, in order."""
        register = self.action.register - 1
        self.tou[register] += amount
        if self.action.kind == "tou":
            return [(amount, self.price())]
        parts = []
        while amount:
            block = self._block(register)
            left = self.left_in_block()
            part = amount if left is None else min(amount, left)
            parts.append((part, self.price()))
            self.blocks[block][register] += part
            self.counters[register] += part
            amount -= part
        return parts

    def price(self) -> int:
        """The price in force, in the unit that the price scale tells; 0 where none was set."""
        register = self.action.register - 1
        if self.action.kind == "tou":
            return _item(self._terms["tou_prices"], register)
        prices = self._terms["block_prices"]
        return _item(prices[register], self._block(register)) if register < len(prices) else 0

    def left_in_block(self) -> int | None:
        """Pulses until the next block begins; ``None`` in the last block or without blocks."""
        if self.action.kind != "block":
            return None
        register = self.action.register - 1
        counter = self.counters[register]
        return min((limit - counter for limit in self._thresholds(register) if limit > counter), default=None)

    def reset_counters(self) -> None:
        """Begin a new block period."""
        self.counters = [0] * len(self.counters)

    def _block(self, register: int) -> int:
        return sum(1 for limit in self._thresholds(register) if self.counters[register] >= limit)

    def _thresholds(self, register: int) -> Sequence[int]:
        """Up to three rising limits; 0 stands for none."""
        rows = self._terms["block_thresholds"]
        return (
            sorted(limit for limit in rows[register][: BLOCKS - 1] if limit) if register < len(rows) else ()
        )


def _action(entry: Mapping[str, Any]) -> Action:
    return Action(entry["hour"] * HOUR + entry["minute"] * MINUTE, entry["kind"], entry["register"])


def _item(values: Sequence[int], index: int) -> int:
    return int(values[index]) if index < len(values) else 0


def two_rates(night: int, day: int) -> dict[str, Any]:
    """Settings of a plain two-rate tariff: register 2 from 00:00 to 07:00 UTC, else register 1."""
    return single_week(((0, 0, 2), (7, 0, 1))) | {"tou_prices": (day, night)}


def single_week(switches: Iterable[tuple[int, int, int]]) -> dict[str, Any]:
    """Settings of a switching table in which each day is the same: (hour, minute, TOU register)."""
    actions = tuple(
        {"hour": hour, "minute": minute, "kind": "tou", "register": register}
        for hour, minute, register in switches
    )
    return {
        "day_profiles": ({"day": 1, "actions": actions},),
        "week_profiles": ({"week": 1, "days": (1,) * 7},),
        "seasons": ({"name": "year", "start": calendars.yearly(1, 1), "week": 1},),
        "special_days": (),
    }
