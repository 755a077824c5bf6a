"""What is wrong with the order of a journal's lines: which were lost, added or moved, to the byte.

A journal's reader believes a line or does not; this says what was done to the file.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise


def printable(text: str) -> str:
    r"""The text with what is not printable as escapes: a file's name may be no Unicode, or move the cursor.

    >>> print(printable("a\x1b[2J\udcff"))
    a\x1b[2J\udcff
    """
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


@dataclass(frozen=True, slots=True)
class Problem:
    """Something about a record that cannot be trusted: which file, and where in it as far as that is known.

    ``line`` counts from 1; 0 is the file as a whole. Bytes count from 0, and ``end`` is the first one after;
    where both are the same, something is missing there.
    """

    file: str
    line: int
    what: str
    start: int | None = None
    end: int | None = None

    def __str__(self) -> str:
        line = f" line {self.line}" if self.line else ""
        return printable(f"{self.file}{line}{self._bytes()}: {self.what}")

    def _bytes(self) -> str:
        if self.start is None or self.end is None:
            return ""
        if self.start == self.end:
            return f", at byte {self.start}"
        return f", bytes {self.start} to {self.end - 1}"


@dataclass(frozen=True, slots=True)
class Link:
    """A line of a journal as its chain sees it. One whose digest does not hold has no place in the order."""

    line: int
    start: int
    end: int
    seq: int = -1
    prev: str = ""
    sha: str = ""
    held: bool = False


def order_problems(file: str, links: Sequence[Link]) -> Iterator[Problem]:
    """Lines that were lost, added, moved or forged; a line whose digest does not hold is told elsewhere."""
    if _is_whole(links):
        return
    kept, seen = [], set[int]()
    for link in (link for link in links if link.held):
        if link.seq in seen:
            yield _at(file, link, f"event {link.seq} stands here a second time: this line was added")
        else:
            seen.add(link.seq)
            kept.append(link)
    yield from _moved(file, kept)
    yield from _missing(file, links, kept)
    for before, after in pairwise(links):
        if before.held and after.held and after.seq == before.seq + 1 and after.prev != before.sha:
            yield _at(file, after, "the chain is broken: this event does not follow the line before it")


def _is_whole(links: Sequence[Link]) -> bool:
    """Whether nothing is wrong, as nearly always: each line held, and follows the one before it."""
    prev = links[0].prev if links else ""
    for seq, link in enumerate(links):
        if not link.held or link.seq != seq or link.prev != prev:
            return False
        prev = link.sha
    return True


def _moved(file: str, links: Sequence[Link]) -> Iterator[Problem]:
    due = sorted(links, key=lambda link: link.seq)
    displaced = [at for at, link in enumerate(links) if link is not due[at]]
    if len(displaced) == 2:
        lines = " and ".join(str(links[at].line) for at in displaced)
        for at in displaced:
            what = f"event {links[at].seq} stands where {due[at].seq} is due: lines {lines} are swapped"
            yield _at(file, links[at], what)
        return
    in_order = set(_longest_rise([link.seq for link in links]))
    for link in (link for link in links if link.seq not in in_order):
        yield _at(file, link, f"event {link.seq} was moved here: it is not in the order of writing")


def _missing(file: str, links: Sequence[Link], kept: Sequence[Link]) -> Iterator[Problem]:
    """Events that should be there. A line that cannot be believed may be one of them, at its place."""
    top = max((link.seq for link in kept), default=-1)
    there = {-1}
    last = -1
    for link in links:
        last = link.seq if link.held else last + 1
        there.add(last)
    for before, next_ in pairwise(sorted(seq for seq in there if -1 <= seq <= top)):
        first, end = before + 1, next_ - 1
        if first > end:
            continue
        after = next(link for link in kept if link.seq > end)
        which = f"event {first} is" if first == end else f"events {first} to {end} are"
        yield Problem(file, after.line, f"{which} missing before this line", after.start, after.start)


def _longest_rise(numbers: Sequence[int]) -> list[int]:
    """The longest choice of the numbers that rises from first to last: what is not in it was moved.

    >>> _longest_rise([0, 1, 4, 2, 3, 5])
    [0, 1, 2, 3, 5]
    """
    tails: list[int] = []  # the smallest last number of a rise of each length
    places: list[int] = []
    for number in numbers:
        place = bisect_left(tails, number)
        tails[place : place + 1] = [number]
        places.append(place)
    chosen: list[int] = []
    wanted = len(tails) - 1
    for number, place in zip(reversed(numbers), reversed(places), strict=True):
        if place == wanted:
            chosen.append(number)
            wanted -= 1
    return chosen[::-1]


def _at(file: str, link: Link, what: str) -> Problem:
    return Problem(file, link.line, what, link.start, link.end)
