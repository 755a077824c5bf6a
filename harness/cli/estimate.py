"""When a run will have ended, as far as that can be told from how long its tests took before.

Tests are tied to the rigs of their DMC, so each DMC is a queue of its own, and the slowest one decides: what
is left of it, shared out evenly over the rigs of that DMC which the run holds now, but never less than its
longest test. A test that was never measured is taken for the mean of those of its DMC that were, in this run
or before; else for the mean of all.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from harness.records.plan import PlannedTest


@dataclass(frozen=True, slots=True)
class Estimate:
    """How long the DMC that decides will still take."""

    dmc: str
    tests: int  # that are left of it
    measured: int  # how many of them were measured before
    rigs: int  # of it that the run holds now
    seconds: float | None  # until its end; none where nobody can tell

    def __str__(self) -> str:
        rigs = f"{self.rigs or 'no'} rig{'' if self.rigs == 1 else 's'}"
        measured = "all" if self.measured == self.tests else self.measured or "none"
        return f"last is {self.dmc}: {self.tests} left for {rigs}, {measured} of them measured before"


def estimate(
    tests: Iterable[PlannedTest],
    left: Collection[str],
    elapsed: Mapping[str, float],
    expected: Mapping[str, float],
    rigs: Mapping[str, int],
) -> Estimate | None:
    """The DMC that ends last; ``None`` where nothing is left.

    ``left`` are those of the planned tests that have no result, ``elapsed`` how long the ones in hand have
    taken, ``expected`` what tests take, ``rigs`` how many the run holds, by DMC; times are in seconds.

    >>> from types import SimpleNamespace as Test
    >>> tests = [Test(id="a", dmc="one"), Test(id="b", dmc="one"), Test(id="c", dmc="two")]
    >>> found = estimate(tests, ["a", "b", "c"], {"a": 20.0}, {"a": 60.0, "c": 30.0}, {"one": 2, "two": 1})
    >>> found.seconds
    60.0
    >>> print(found)
    last is one: 2 left for 2 rigs, 1 of them measured before
    """
    by_dmc: defaultdict[str, list[str]] = defaultdict(list)
    for test in tests:
        by_dmc[test.dmc].append(test.id)
    found = [
        _of_dmc(dmc, [test for test in ids if test in left], ids, elapsed, expected, rigs.get(dmc, 0))
        for dmc, ids in sorted(by_dmc.items())
    ]
    return max((each for each in found if each.tests), key=_seconds, default=None)


def _of_dmc(
    dmc: str,
    left: Sequence[str],
    tests: Iterable[str],
    elapsed: Mapping[str, float],
    expected: Mapping[str, float],
    rigs: int,
) -> Estimate:
    measured = [test for test in left if test in expected]
    known = [expected[test] for test in tests if test in expected] or list(expected.values())
    if not (known and rigs and left):
        return Estimate(dmc, len(left), len(measured), rigs, None)
    usual = fmean(known)
    each = [max(0.0, expected.get(test, usual) - elapsed.get(test, 0.0)) for test in left]
    return Estimate(dmc, len(left), len(measured), rigs, max(sum(each) / rigs, *each))


def _seconds(each: Estimate) -> float:
    """An end that nobody can tell comes after all others."""
    return float("inf") if each.seconds is None else each.seconds
