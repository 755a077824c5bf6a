"""Which planned tests are run under which fault: those that can touch it, and a few bystanders."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from harness.assurance.survey import Surveyed
from harness.domain.faults import Fault, Place
from harness.domain.words import DeviceType
from harness.execution.chains import with_earlier_stages

_SITS_IN: Final = {
    Place.ESME: DeviceType.ESME,
    Place.GSME: DeviceType.GSME,
}
"""Everything passes through the hub, and the DCC's side answers for every device."""
_MANY: Final = 5
"""SRVs. A test about more of them (who may send them, say) tells nothing of what a meter does for one."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One run under one fault, or under none: the control. ``tests`` can touch it, ``bystanders`` cannot.

    Where any test may notice, some are run first; ``rest`` are those that are left if none of them does.
    """

    name: str
    fault: Fault | None
    tests: tuple[Surveyed, ...]
    bystanders: tuple[Surveyed, ...] = ()
    rest: tuple[Surveyed, ...] = ()

    def widened(self) -> Trial:
        """The run of the rest."""
        return Trial(f"{self.name}-rest", self.fault, self.rest)

    @property
    def all(self) -> tuple[Surveyed, ...]:
        """Everything that is run, in that order: what a fault has damaged no bystander has to suffer."""
        return (*self.bystanders, *self.tests)


def can_touch(fault: Fault, test: Surveyed) -> bool:
    """Whether a test has reason to notice a fault: it looks where that sits, and is about what that is about.

    A fault that names no SRV and no functional group is any test's to notice.
    """
    if not _reaches(fault, test):
        return False
    if not fault.srvs and not fault.groups:
        return True
    return shares_subject(fault, test)


def shares_subject(fault: Fault, test: Surveyed) -> bool:
    """Whether an SRV or a functional group of the fault is the test's as well."""
    srvs = test.test.srvs if len(test.test.srvs) <= _MANY else ()
    return not test.groups.isdisjoint(fault.groups) or not set(srvs).isdisjoint(fault.srvs)


def _reaches(fault: Fault, test: Surveyed) -> bool:
    return fault.place not in _SITS_IN or _SITS_IN[fault.place] in test.touches


def trial_of(fault: Fault, tests: Sequence[Surveyed], bystanders: int, seed: int) -> Trial:
    """The run that proves a fault. Bystanders are drawn by the seed and the fault's name, always the same."""
    touching = tuple(test for test in tests if can_touch(fault, test))
    if not fault.srvs and not fault.groups:
        some = _some_of_each_group(touching, Random(f"{seed}:{fault.name}"))
        rest = tuple(test for test in touching if test not in some)
        return Trial(fault.name, fault, some, _rested_on(some, tests), (*rest, *_rested_on(rest, tests)))
    if not touching:
        return Trial(fault.name, fault, ())
    others = [
        test
        for test in tests
        if _reaches(fault, test) and not can_touch(fault, test) and len(test.test.srvs) <= _MANY
    ]
    drawn = Random(f"{seed}:{fault.name}").sample(others, min(bystanders, len(others)))
    return Trial(fault.name, fault, touching, (*drawn, *_rested_on((*touching, *drawn), tests)))


def _some_of_each_group(tests: Sequence[Surveyed], random: Random) -> tuple[Surveyed, ...]:
    """A test of each functional group of each pack."""
    groups: dict[tuple[str, str], list[Surveyed]] = {}
    for each in tests:
        groups.setdefault((each.test.pack, each.test.functional_group), []).append(each)
    return tuple(random.choice(group) for group in groups.values())


def _rested_on(chosen: Sequence[Surveyed], tests: Sequence[Surveyed]) -> tuple[Surveyed, ...]:
    """What has to be run before them, in packs that declare an order."""
    by_id = {each.test.id: each for each in tests}
    whole = with_earlier_stages([each.test for each in chosen], [each.test for each in tests])
    ids = {each.test.id for each in chosen}
    return tuple(by_id[test.id] for test in whole if test.id not in ids)


def controls(trials: Iterable[Trial], parts: int, name: str = "control") -> tuple[Trial, ...]:
    """Every test of these trials once, without a fault, in as many runs as can be made at a time."""
    tests = {each.test.id: each for trial in trials for each in trial.all}
    ordered = sorted(tests.values(), key=lambda each: (each.test.dmc, each.test.id))
    size = -(-len(ordered) // parts)  # a run keeps to one DMC as far as can be: each costs it a rig
    runs = [tuple(ordered[start : start + size]) for start in range(0, len(ordered), max(size, 1))]
    return tuple(
        Trial(f"{name}-{number}", None, run, _rested_on(run, ordered)) for number, run in enumerate(runs, 1)
    )


def one_entry(tests: Iterable[Surveyed]) -> tuple[Surveyed, ...]:
    """Of each pack, the tests on one EPCL entry: the first of those on which it plans most."""
    by_entry: dict[tuple[str, str], list[Surveyed]] = {}
    for each in tests:
        if not each.test.not_run:
            by_entry.setdefault((each.test.pack, each.test.entry), []).append(each)
    fullest: dict[str, list[Surveyed]] = {}
    for (pack, _), planned in by_entry.items():
        if len(planned) > len(fullest.get(pack, ())):
            fullest[pack] = planned
    return tuple(each for planned in fullest.values() for each in planned)
