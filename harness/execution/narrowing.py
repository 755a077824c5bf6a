"""Only some of what the packs plan: what the command line chooses, and what the plan then says of it.

Words of one kind widen each other, kinds narrow each other: ``--srv 2.2 --srv 2.3 --device GSME`` leaves the
gas meter's tests of either SRV.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final

import pytest

from harness.domain.errors import UsageError
from harness.execution.planning import CASE, Case, marked, planned_id

OPTIONS: Final = ("entry", "srv", "group", "device", "test")
"""Kinds of words: ``--srv`` of ``harness run``, which pytest knows as ``--only-srv``."""

_TOLD: Final = {
    "entry": "EPCL entry",
    "srv": "SRV",
    "group": "functional group",
    "device": "device",
    "test": "name",
}
_MANY: Final = 150  # names that a complaint lists


class Narrowing:
    """The wanted ones among planned tests. ``words`` has, by kind, what is wanted; no word, no limit."""

    def __init__(self, words: Mapping[str, Collection[str]]) -> None:
        self._words = {kind: tuple(dict.fromkeys(words.get(kind, ()))) for kind in OPTIONS}

    @classmethod
    def of(cls, config: pytest.Config) -> Narrowing:
        """As pytest's options say."""
        return cls({kind: config.getoption(f"only_{kind}") for kind in OPTIONS})

    @property
    def words(self) -> dict[str, tuple[str, ...]]:
        """What limits the plan, by kind."""
        return {kind: words for kind, words in self._words.items() if words}

    def wanted(self, items: Sequence[pytest.Item]) -> list[pytest.Item]:
        """Those of the planned items, in the order in which tests are named where some are.

        :class:`UsageError` for a word that none of them answers to.
        """
        left = list(items)
        for kind, words in self.words.items():
            names = _NAMES[kind]
            self._refuse_unknown(kind, words, (name for item in items for name in names(item)))
            left = [item for item in left if not names(item).isdisjoint(words)]
        if named := self._words["test"]:
            place = {word: number for number, word in enumerate(named)}
            left.sort(key=lambda item: min(place[name] for name in _test(item) if name in place))
        return left

    def _refuse_unknown(self, kind: str, words: Iterable[str], names: Iterable[str]) -> None:
        known = sorted({*names})
        for word in words:
            if word not in known:
                raise UsageError(f"--{kind} {word}: the packs plan no such test", remedy=_remedy(word, known))


def _remedy(word: str, known: Sequence[str]) -> str:
    """The nearest name, or all there are; of tests there may be more than anybody reads."""
    from harness.config.problems import nearest

    remedy = nearest(word, known)
    if len(known) > _MANY and remedy.startswith("choose"):
        return "pytest --pack PACK --collect-only -q shows what is planned"
    return remedy


def asked_for(config: pytest.Config) -> dict[str, tuple[str, ...]]:
    """What narrows the plan, for its record: by kind, and pytest's own ``-k``."""
    keyword = str(config.getoption("keyword", default=""))
    return Narrowing.of(config).words | ({"keyword": (keyword,)} if keyword else {})


def told(asked: Mapping[str, Collection[str]]) -> str:
    """What was asked for, as it ends a sentence about a planned test.

    >>> told({"srv": ["2.2", "7.1"], "device": ["CH"], "keyword": ["power"]})
    "has SRV 2.2 or 7.1 and device CH and matches -k 'power'"
    """
    had = [f"{_TOLD[kind]} {' or '.join(words)}" for kind, words in asked.items() if kind in _TOLD]
    parts = [f"has {' and '.join(had)}"] if had else []
    parts += [f"matches -k {keyword!r}" for keyword in asked.get("keyword", ())]
    return " and ".join(parts) or "is left"


def _entry(item: Any) -> set[str]:
    case: Case = item.callspec.params[CASE]
    return {case.entry.id}


def _device(item: Any) -> set[str]:
    case: Case = item.callspec.params[CASE]
    return {case.device.value}


def _test(item: Any) -> set[str]:
    """A test by its function, with its module before it or not, or by the id of one planned test."""
    function = str(item.originalname)
    return {function, f"{item.path.stem}::{function}", planned_id(item)}


_NAMES: Final[Mapping[str, Callable[[Any], set[str]]]] = {
    "entry": _entry,
    "srv": lambda item: {*marked(item, "srv")},
    "group": lambda item: {*marked(item, "functional_group")},
    "device": _device,
    "test": _test,
}
