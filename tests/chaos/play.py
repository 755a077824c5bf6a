"""One round from its beginning to its end."""

from __future__ import annotations

from pathlib import Path

from harness.domain.errors import HarnessError

from .cases import ALL_RIGS, CASES
from .counting import Counts, count
from .rounds import stand_up


def play(
    case: str,
    seed: int,
    folder: Path,
    *,
    rigs: tuple[str, ...] = ALL_RIGS,
    tests: int = 12,
    seconds: float = 0.25,
) -> tuple[Counts, str, list[str]]:
    """One round: what is counted, what was done in it, and what is to be said of it."""
    with stand_up(case, seed, folder, rigs=rigs, tests=tests, seconds=seconds) as around:
        try:
            counts = count(around, CASES[case](around))
        except (AssertionError, HarnessError) as error:  # it took too long, or left nothing to read
            counts = Counts(wrong=(*around.wrong, str(error)))
        return counts, "; ".join(around.story), [*around.told, *counts.wrong]
