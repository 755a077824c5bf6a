"""The short form of ``make chaos``: a seeded round of each case, some at the same time."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from .cases import CASES, CannotBeDone
from .counting import Counts
from .play import play

RIGS = ("ioc-1", "ioc-2", "moc-1")
TESTS = 3
SECONDS = 0.15
AT_A_TIME = 3
SEEDS = {
    "worker killed": 7,  # as its result is shown
    "group killed": 2,  # the guards too
    "database locked": 8,  # for a short time
    "hung test": 4,  # asleep: which is over soonest
}
"""Other seeds than the first, whose stories are short or worth to be told."""

Played = tuple[Counts, str, list[str]]


@pytest.fixture(scope="module")
def rounds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Played]]]:
    """All of them, begun."""
    folder = tmp_path_factory.mktemp("chaos")
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        yield {
            case: pool.submit(
                play,
                case,
                SEEDS.get(case, 1),
                folder / str(place),
                rigs=RIGS,
                tests=TESTS,
                seconds=SECONDS,
            )
            for place, case in enumerate(CASES)
        }


@pytest.mark.parametrize("case", CASES)
def test_what_was_finished_is_kept_and_nothing_is_left_behind(case: str, rounds) -> None:
    try:
        counts, story, told = rounds[case].result()
    except CannotBeDone as lacking:
        pytest.skip(str(lacking))
    assert counts.good, "\n".join(map(str, [counts, story, *told]))
