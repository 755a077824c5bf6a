"""Who is served next: pure rules, of what is asked and how the rigs stand, without a store.

Requests are served by priority, then age. One that can be served is, whole or not at all. One that cannot be
served yet keeps for itself those free rigs that it will need: so a set of rigs is not starved by a stream of
requests for single ones, and two sets never wait for each other. It keeps nothing where a rig that it needs
is not merely held but out of service or reserved for somebody else, for nobody knows how long that takes.

>>> rigs = [Standing("a", "dmc-1"), Standing("b", "dmc-1", Obstacle.HELD), Standing("c", "dmc-2")]
>>> both, one, another = (Wish(name, tuple(map(named, name))) for name in ("ab", "a", "c"))
>>> next_served([both, one], rigs), next_served([both, another], rigs)
({}, {'c': ('c',)})
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum


class Obstacle(Enum):
    """Why a rig cannot be given to somebody now."""

    HELD = "held"  # it ends by itself, sooner or later
    DIRTY = "dirty"  # it ends when somebody has cleaned it
    RESERVED = "reserved"  # for somebody else, now or before this request would be done
    MAINTENANCE = "maintenance"


_PASSING = frozenset({None, Obstacle.HELD, Obstacle.DIRTY})


@dataclass(frozen=True, slots=True)
class Slot:
    """One rig that is wanted: any of those named, or any of a DMC."""

    rigs: tuple[str, ...] = ()
    dmc: str = ""

    def suits(self, rig: Standing) -> bool:
        """Whether the rig would do, as things stand with it or not."""
        return rig.name in self.rigs if self.rigs else rig.dmc == self.dmc

    def __str__(self) -> str:
        return " or ".join(self.rigs) if self.rigs else f"a rig of {self.dmc}"


def named(*rigs: str) -> Slot:
    """Any one of these rigs."""
    return Slot(rigs=rigs)


def worded(slots: Iterable[Slot]) -> str:
    """What is asked for, to be read."""
    return ", ".join(map(str, slots))


def of_dmc(dmc: str) -> Slot:
    """Any rig of this Device Model Combination."""
    return Slot(dmc=dmc)


def kept_out_by_maintenance(maintainer: str, owner: str, *, hands_on: bool) -> bool:
    """Whether a rig that somebody maintains is not for this owner: only who maintains it has it, by hand.

    Not so a run of theirs: it would drive the rig while their hands are in it.
    """
    return maintainer != "" and not (hands_on and maintainer == owner)


@dataclass(frozen=True, slots=True)
class Reserved:
    """A rig is somebody's for a time; seconds since 1970."""

    person: str
    starts: float
    ends: float

    def keeps_out(self, wish: Wish, at: float) -> bool:
        """Whether it is another's, and has begun or will before this asker would be done."""
        return self.person != wish.owner and self.starts <= at + wish.expected and at < self.ends


@dataclass(frozen=True, slots=True)
class Standing:
    """How a rig stands, for anybody; reservations and maintenance keep out all but the one they are for."""

    name: str
    dmc: str
    obstacle: Obstacle | None = None
    reserved: tuple[Reserved, ...] = field(default=())
    maintained_by: str = ""  # see kept_out_by_maintenance
    priority: int | None = None  # that it is held with

    def keeps_out(self, wish: Wish, at: float) -> Obstacle | None:
        """Why this asker cannot have the rig, ``at`` seconds since 1970; ``None`` where nothing does."""
        if kept_out_by_maintenance(self.maintained_by, wish.owner, hands_on=wish.hands_on):
            return Obstacle.MAINTENANCE
        if any(reserved.keeps_out(wish, at) for reserved in self.reserved):
            return Obstacle.RESERVED
        return self.obstacle


@dataclass(frozen=True, slots=True)
class Wish:
    """A request as the queue sees it; ``expected`` is for how many seconds the rigs will be needed."""

    id: str
    slots: tuple[Slot, ...]
    owner: str = ""
    expected: float = 0.0
    priority: int = 0
    hands_on: bool = False


def assign(slots: Sequence[Slot], *pools: Iterable[Standing]) -> tuple[str, ...] | None:
    """A rig for each slot, none twice, in the order of the slots; ``None`` where there are not enough.

    A rig of an earlier pool is preferred: whatever can be had from it is.
    """
    taken: dict[str, int] = {}
    reach: list[Standing] = []
    for pool in pools:
        reach.extend(pool)
        for number in range(len(slots)):
            if number not in taken.values():
                _place(slots, number, reach, taken, set())
    if len(taken) < len(slots):
        return None
    return tuple(sorted(taken, key=taken.__getitem__))


def _place(
    slots: Sequence[Slot], number: int, reach: Sequence[Standing], taken: dict[str, int], seen: set[str]
) -> bool:
    """Find the slot a rig, moving others to another of theirs if need be. A rig once used stays used."""
    for rig in reach:
        if rig.name in seen or not slots[number].suits(rig):
            continue
        seen.add(rig.name)
        if rig.name not in taken or _place(slots, taken[rig.name], reach, taken, seen):
            taken[rig.name] = number
            return True
    return False


def next_served(
    wishes: Iterable[Wish], rigs: Sequence[Standing], at: float = 0.0
) -> dict[str, tuple[str, ...]]:
    """The rigs of every wish that can be served now; ``wishes`` are in the order of their turn."""
    return {wish.id: got for wish, got in _turns(wishes, rigs, at) if got is not None}


def to_be_given_back(wishes: Iterable[Wish], rigs: Sequence[Standing], at: float = 0.0) -> dict[str, Wish]:
    """The held rigs that a wish of a higher priority is waiting for, and no others would do: by their names.

    Who holds one of several that would do is asked only if it comes first: one wish empties no whole lab.

    >>> held = [Standing(name, "dmc-1", Obstacle.HELD, priority=0) for name in "ab"]
    >>> to_be_given_back([Wish("urgent", (of_dmc("dmc-1"),), "ann", priority=1)], held).keys()
    dict_keys(['a'])
    """
    wanted: dict[str, Wish] = {}
    kept: set[str] = set()
    for wish in wishes:
        pick = _pick([rig for rig in rigs if rig.name not in kept], wish, at)
        held = pick(lambda obstacle: obstacle is Obstacle.HELD)
        lower = [rig for rig in held if rig.priority is not None and rig.priority < wish.priority]
        free = pick(lambda obstacle: obstacle is None)
        dirty = pick(lambda obstacle: obstacle is Obstacle.DIRTY)
        needed = assign(wish.slots, free, dirty, lower) or ()
        kept |= set(needed)
        wanted |= {rig.name: wish for rig in lower if rig.name in needed}
    return wanted


def _turns(
    wishes: Iterable[Wish], rigs: Sequence[Standing], at: float
) -> Iterator[tuple[Wish, tuple[str, ...] | None]]:
    kept: set[str] = set()
    for wish in wishes:
        pick = _pick(rigs, wish, at)
        free = [rig for rig in pick(lambda obstacle: obstacle is None) if rig.name not in kept]
        got = assign(wish.slots, free)
        yield wish, got
        if got is None:
            others = [rig for rig in pick(lambda obstacle: obstacle in _PASSING) if rig not in free]
            needed = set(assign(wish.slots, free, others) or ())
            kept |= needed & {rig.name for rig in free}
        else:
            kept |= set(got)


def _pick(
    rigs: Sequence[Standing], wish: Wish, at: float
) -> Callable[[Callable[[Obstacle | None], bool]], list[Standing]]:
    obstacles = [(rig, rig.keeps_out(wish, at)) for rig in rigs]
    return lambda wanted: [rig for rig, obstacle in obstacles if wanted(obstacle)]
