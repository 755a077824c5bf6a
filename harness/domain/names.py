"""What is called by a name: found, or missed with the nearest name that there is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import TypeVar

from harness.domain.errors import ConfigurationError

T = TypeVar("T")


def named(name: str, known: Mapping[str, T], complaint: str, otherwise: str = "") -> T:
    """What is known by that name. Where nothing is, the complaint, with :func:`nearest` for a remedy.

    >>> named("tpc", {"tcp": 1, "serial": 2}, "no transport is called 'tpc'")
    Traceback (most recent call last):
    harness.domain.errors.ConfigurationError: no transport is called 'tpc' (did you mean 'tcp'?)
    """
    if name not in known:
        raise ConfigurationError(complaint, remedy=nearest(name, known, otherwise))
    return known[name]


def nearest(word: str, words: Iterable[str], otherwise: str = "") -> str:
    """``did you mean 'x'?``, or ``otherwise``, which by default is what there is to choose from.

    >>> nearest("recieve", ["gateway", "receive"])
    "did you mean 'receive'?"
    >>> nearest("colour", ["gateway", "receive"])
    "choose from 'gateway', 'receive'"
    >>> nearest("colour", ["gateway", "receive"], "correct it")
    'correct it'
    """
    choice = [str(each) for each in words]
    close = get_close_matches(word.lower(), [each.lower() for each in choice], n=1, cutoff=0.6)
    for each in choice:
        if [each.lower()] == close:
            return f"did you mean {each!r}?"
    if otherwise:
        return otherwise
    return f"choose from {listed(choice)}" if choice else "there is none to choose from"


def listed(words: Iterable[str]) -> str:
    """The words quoted and joined by commas."""
    return ", ".join(repr(str(word)) for word in words)
