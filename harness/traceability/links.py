"""Links between tests and requirements: stamped when they are made, suspect when a text changes, cleared."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import date

from harness.config.problems import nearest
from harness.config.ttm import Ttm
from harness.config.ttm_links import Key, Link, Links
from harness.domain.errors import UsageError

Tests = Mapping[str, Collection[str]]
"""The TTM ids of each test, by its name below the packs folder."""


@dataclass(frozen=True, slots=True)
class LinkNews:
    """What a matrix and its tests say that the links do not."""

    suspect: tuple[Link, ...]
    unstamped: tuple[Key, ...]  # tests with an id for which no link is kept
    gone: tuple[Key, ...]  # links whose test or id is there no more

    @property
    def sound(self) -> bool:
        """Whether every test was held against the text of now; a link that leads nowhere does no harm."""
        return not self.suspect and not self.unstamped


def news(ttm: Ttm, links: Links, tests: Tests) -> LinkNews:
    """Hold links against matrix and tests; without a file of links, nothing is known of any."""
    there = _there(ttm, tests)
    return LinkNews(
        suspect=tuple(link for link in links.suspects(ttm) if (link.test, link.id) in there),
        unstamped=tuple(key for key in there if links.kept and key not in links.links),
        gone=tuple(key for key in links.links if key not in there),
    )


def linked(ttm: Ttm, links: Links, tests: Tests) -> dict[Key, Link]:
    """All links, with a stamp for those that had none. Suspect ones stay so; what is gone is left out."""
    return {
        (test, id_): links.links.get((test, id_)) or Link(test=test, id=id_, stamp=ttm.by_id[id_].stamp)
        for test, id_ in _there(ttm, tests)
    }


def cleared(
    ttm: Ttm, links: Links, ids: Collection[str], *, test: str, by: str, reason: str, on: date
) -> dict[Key, Link]:
    """All links, with those of ``ids`` (of one test, where that is named) held against the text of now.

    :class:`UsageError` for an id that no suspect link leads to, and for nobody or no reason.
    """
    if not by.strip() or not reason.strip():
        raise UsageError("a link is cleared by a named person, with a reason", remedy="say --by and --reason")
    suspects = [link for link in links.suspects(ttm) if test in {"", link.test}]
    known = sorted({link.id for link in suspects})
    for id_ in ids:
        if id_ not in known:
            whose = f"of {test}" if test else "of any test"
            raise UsageError(f"{id_} is no suspect {whose}", remedy=nearest(id_, known))
    new = {
        (link.test, link.id): replace(
            link, stamp=ttm.by_id[link.id].stamp, cleared_by=by, cleared_on=on.isoformat(), reason=reason
        )
        for link in suspects
        if link.id in ids
    }
    return {**links.links, **new}


def _there(ttm: Ttm, tests: Tests) -> dict[Key, None]:
    return {(test, id_): None for test, ids in tests.items() for id_ in ids if id_ in ttm.by_id}
