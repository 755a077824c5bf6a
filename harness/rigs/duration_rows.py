"""Durations as rows: each function is a transaction's work.

This module loads SQLAlchemy: import it inside the functions that need it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from harness.rigs.tables import DURATION

_AT_ONCE: Final = 500  # tests that a query asks for
_NEWEST: Final = 5  # the newest measurement counts this part at least
_KNOWN: Final = select(DURATION).where(DURATION.c.test.in_(bindparam("tests", expanding=True)))
_UPDATE: Final = (
    update(DURATION)
    .where(DURATION.c.test == bindparam("of"))
    .values(mean_s=bindparam("mean"), measured=DURATION.c.measured + 1)
)


def expected(tests: Sequence[str]) -> Callable[[Connection, int], dict[str, float]]:
    """The mean of each test that was ever measured."""
    return lambda connection, _: {row.test: row.mean_s for row in _known(connection, tests)}


def keep(measured: Mapping[str, float]) -> Callable[[Connection, int], None]:
    """Take measurements into the means."""

    def work(connection: Connection, _: int) -> None:
        known = {row.test: row for row in _known(connection, tuple(measured))}
        changed, new = [], []
        for test, seconds in measured.items():
            if (row := known.get(test)) is None:
                new.append({"test": test, "mean_s": seconds, "measured": 1})
            else:
                mean = row.mean_s + (seconds - row.mean_s) / min(row.measured + 1, _NEWEST)
                changed.append({"of": test, "mean": mean})
        if changed:
            connection.execute(_UPDATE, changed)
        if new:
            connection.execute(insert(DURATION), new)

    return work


def _known(connection: Connection, tests: Sequence[str]) -> Iterator[Row[Any]]:
    for start in range(0, len(tests), _AT_ONCE):
        yield from connection.execute(_KNOWN, {"tests": tests[start : start + _AT_ONCE]})
