"""Orphans on both sides: requirements that no test names, tests that name what the matrix lacks."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from harness.config.ttm import Requirement, Ttm


@dataclass(frozen=True, slots=True)
class UnknownId:
    """A test names an id that the matrix lacks."""

    test: str
    id: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Orphans:
    """What a matrix and a set of tests do not agree on."""

    untested: tuple[Requirement, ...]  # requirements that no test names
    unknown: tuple[UnknownId, ...]  # ids that tests name and the matrix lacks
    unnamed: tuple[str, ...]  # tests that name no id

    @property
    def sound(self) -> bool:
        """Whether every test is traceable; an untested requirement is a gap, not an error."""
        return not self.unknown and not self.unnamed


def orphans(ttm: Ttm, tests: Mapping[str, Collection[str]]) -> Orphans:
    """Hold a matrix against tests: their ids by test name."""
    named = {id_ for ids in tests.values() for id_ in ids}
    return Orphans(
        untested=tuple(row for row in ttm.rows if row.id not in named),
        unknown=tuple(
            UnknownId(test, id_, ttm.nearest(id_))
            for test, ids in tests.items()
            for id_ in sorted(set(ids) - ttm.by_id.keys())
        ),
        unnamed=tuple(test for test, ids in tests.items() if not ids),
    )
