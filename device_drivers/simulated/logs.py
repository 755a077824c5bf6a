"""A twin's logs: rows as plain tuples, the time first; encoded only when somebody reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from device_drivers.named.objects import Log
from harness.domain.faults import DROP

Row = tuple[Any, ...]
Passing = Callable[[str, Row], Any]
"""Gives what is really entered for a log's name and row: the twin's faults at Point.LOG."""

_SPARE = 512  # rows beyond the capacity before the oldest are let go all at once: cheaper than one by one


class LogBook:
    """One log, which keeps its newest ``capacity`` rows. Each new row passes Point.LOG on its way in."""

    def __init__(self, log: Log, passing: Passing) -> None:
        self.log = log
        self._passing = passing
        self._rows: list[Row] = []

    def rows(self) -> list[Row]:
        """What the log holds, oldest first."""
        return self._rows[-self.log.capacity :]

    def __len__(self) -> int:
        return min(len(self._rows), self.log.capacity)

    def fill(self, rows: Iterable[Row]) -> None:
        """Put rows there as they are; what stood there is gone."""
        self._rows = list(rows)[-self.log.capacity :]

    def append(self, row: Row) -> None:
        """Enter a row as the newest."""
        entered = self._passing(self.log.name, row)
        if entered is not DROP:
            self._keep(entered)

    def add_to(self, row: Row) -> None:
        """Enter a row, or add its values to the row that already has its time.

        A period that the clock shows twice, because it was set back, is one row holding all of it.
        """
        self._put(row, _sum)

    def replace(self, row: Row) -> None:
        """Enter a row in its place by time, instead of one that has the same time."""
        self._put(row, lambda _, new: new)

    def _put(self, row: Row, both: Callable[[Row, Row], Row]) -> None:
        """Enter a row in its place by time; ``both`` makes one row of it and one that has the same time."""
        entered = self._passing(self.log.name, row)
        if entered is DROP:
            return
        place = self._place(entered[0])
        if place is None:
            self._keep(entered)
        elif self._rows[place][0] == entered[0]:
            self._rows[place] = both(self._rows[place], entered)
        else:
            self._rows.insert(place, entered)

    def _place(self, moment: datetime) -> int | None:
        """Where a row of that moment stands or belongs; ``None`` for behind the newest."""
        place = len(self._rows)
        while place and self._rows[place - 1][0] >= moment:
            place -= 1
        return place if place < len(self._rows) else None

    def _keep(self, row: Row) -> None:
        self._rows.append(row)
        if len(self._rows) > self.log.capacity + _SPARE:
            del self._rows[: -self.log.capacity]


def _sum(old: Row, new: Row) -> Row:
    return (old[0], *(a + b for a, b in zip(old[1:], new[1:], strict=True)))
