"""What runs under faults prove of the packs: which fault each catches, and by which tests.

A fault is caught where a test that can touch it fails and says that the device did wrong. A failure of any
other test, or one that is blamed on the harness, is a wrong one: it would send an engineer the wrong way.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from harness.assurance.survey import Surveyed
from harness.assurance.trials import Trial
from harness.domain.errors import HarnessError
from harness.domain.words import AttemptResult, Cause
from harness.records.run import Attempt, read_run


class Verdict(StrEnum):
    """What a pack made of a fault, from the worst to the best."""

    BROKEN = "broken"  # the run did not end as a run does: nothing is proven
    WRONG = "wrong"  # a test failed that cannot touch the fault, or the harness was blamed
    MISSED = "missed"  # no test failed
    CAUGHT = "caught"
    NOT_APPLICABLE = "not applicable"  # no test of the pack can touch it


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A test that did not pass under a fault; ``evidence`` is the folder of the attempt, in the proof's."""

    test: str  # planned
    name: str  # the function's
    srvs: tuple[str, ...]
    result: AttemptResult
    cause: str
    message: str
    evidence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PackProof:
    """A fault against one pack."""

    pack: str
    verdict: Verdict
    ran: tuple[str, ...] = ()  # planned tests that can touch the fault, and were run
    caught_by: tuple[Failure, ...] = ()
    wrong: tuple[Failure, ...] = ()
    blocked: tuple[Failure, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultProof:
    """A fault against all packs of the proof. ``trouble`` says why its run proves nothing."""

    name: str
    place: str
    point: str
    description: str
    srvs: tuple[str, ...]
    groups: tuple[str, ...]
    seconds: float
    packs: tuple[PackProof, ...]
    may_be_missed: str = ""
    trouble: str = ""

    @property
    def verdict(self) -> Verdict:
        """Over all packs: one that catches it is enough, one that is wrong about it is too much."""
        found = {each.verdict for each in self.packs}
        for verdict in (Verdict.BROKEN, Verdict.WRONG, Verdict.CAUGHT, Verdict.MISSED):
            if verdict in found:
                return verdict
        return Verdict.NOT_APPLICABLE

    @property
    def good(self) -> bool:
        """Caught by the right tests alone, or missed for a reason that the fault itself gives."""
        return self.verdict in {Verdict.CAUGHT, Verdict.NOT_APPLICABLE} or self.missed_with_reason

    @property
    def missed_with_reason(self) -> bool:
        return self.verdict is Verdict.MISSED and bool(self.may_be_missed)

    @property
    def unnoticed_srvs(self) -> tuple[str, ...]:
        """SRVs of the fault for which no test failed that is about them."""
        noticed = {srv for each in self.packs for failure in each.caught_by for srv in failure.srvs}
        return tuple(srv for srv in self.srvs if srv not in noticed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Idle:
    """A test function that caught nothing, in a pack; ``faults`` is under how many it was run."""

    pack: str
    name: str
    faults: int


@dataclass(frozen=True, kw_only=True)
class Proof:
    """All of it. ``interrupted`` where faults are left that nothing is known of: ``left``."""

    folder: Path
    lab: str
    seed: int
    began: str
    seconds: float
    processor_seconds: float  # of all its runs
    entries: Mapping[str, tuple[str, ...]]  # EPCL entries, by pack
    digests: Mapping[str, str]  # by pack
    controlled: int  # tests that passed without a fault
    faults: tuple[FaultProof, ...]
    idle: tuple[Idle, ...]
    left: tuple[str, ...] = field(default=())

    @property
    def counts(self) -> dict[str, int]:
        """Faults by verdict."""
        found = Counter(each.verdict for each in self.faults)
        return {verdict.value: found[verdict] for verdict in Verdict}

    @property
    def good(self) -> bool:
        """Whether every fault was."""
        return all(each.good for each in self.faults)

    @property
    def caught_share(self) -> float:
        """How many of the faults that any test can touch were caught: 0 to 1."""
        touched = [each for each in self.faults if each.verdict is not Verdict.NOT_APPLICABLE]
        caught = sum(each.verdict is Verdict.CAUGHT for each in touched)
        return caught / len(touched) if touched else 1.0


def judged(trial: Trial, packs: Sequence[str], proof: Path, seconds: float, trouble: str = "") -> FaultProof:
    """What the run of a trial proves; its run folder is in ``proof``. Without tests there was no run."""
    fault = trial.fault
    assert fault is not None
    tried: Mapping[str, Attempt] = {}
    if trial.tests and not trouble:
        tried, trouble = attempts_of(trial, proof)
    by_pack: defaultdict[str, list[Surveyed]] = defaultdict(list)
    for each in trial.all:
        by_pack[each.test.pack].append(each)
    touching = {each.test.id for each in trial.tests}
    return FaultProof(
        name=fault.name,
        place=fault.place.value,
        point=fault.point.value,
        description=fault.description,
        srvs=fault.srvs,
        groups=fault.groups,
        seconds=round(seconds, 1),
        packs=tuple(
            _against(pack, by_pack[pack], touching, tried, trial.name, broken=bool(trouble)) for pack in packs
        ),
        may_be_missed=fault.may_be_missed,
        trouble=trouble,
    )


def joined(some: FaultProof, rest: FaultProof) -> FaultProof:
    """A fault that some tests missed, with what all the others made of it."""
    packs = tuple(
        replace(
            of_rest,
            ran=(*of_some.ran, *of_rest.ran),
            verdict=of_some.verdict if of_rest.verdict is Verdict.NOT_APPLICABLE else of_rest.verdict,
            blocked=(*of_some.blocked, *of_rest.blocked),
        )
        for of_some, of_rest in zip(some.packs, rest.packs, strict=True)
    )
    return replace(rest, packs=packs, seconds=round(some.seconds + rest.seconds, 1))


def attempts_of(trial: Trial, proof: Path) -> tuple[Mapping[str, Attempt], str]:
    """The last attempt at each test of a trial, and why they prove nothing where that is so."""
    try:
        record = read_run(proof / trial.name)
    except (HarnessError, OSError) as error:
        return {}, f"there is no record of its run: {error}"
    if record.problems:
        return {}, f"its record is damaged: {record.problems[0]}"
    tried = {test: attempts[-1] for test, attempts in record.attempts.items() if attempts}
    missing = [each.test.id for each in trial.all if each.test.id not in tried]
    if missing:
        return tried, f"{len(missing)} of its tests were not run, the first is {missing[0]}"
    return tried, ""


def _against(
    pack: str,
    tests: Sequence[Surveyed],
    touching: set[str],
    tried: Mapping[str, Attempt],
    run: str,
    *,
    broken: bool,
) -> PackProof:
    ran = tuple(each.test.id for each in tests if each.test.id in touching)
    failures = [_failure(each, tried[each.test.id], run) for each in tests if _went_wrong(each, tried)]
    blocked = tuple(each for each in failures if each.result is not AttemptResult.FAILED)
    failed = [each for each in failures if each.result is AttemptResult.FAILED]
    right = tuple(each for each in failed if each.test in touching and each.cause == Cause.DEVICE)
    wrong = tuple(each for each in failed if each not in right)
    return PackProof(
        pack=pack,
        verdict=_verdict(ran, right, wrong, broken=broken),
        ran=ran,
        caught_by=right,
        wrong=wrong,
        blocked=blocked,
    )


def _went_wrong(each: Surveyed, tried: Mapping[str, Attempt]) -> bool:
    attempt = tried.get(each.test.id)
    return attempt is not None and attempt.result is not AttemptResult.PASSED


def _failure(each: Surveyed, attempt: Attempt, run: str) -> Failure:
    return Failure(
        test=each.test.id,
        name=each.name,
        srvs=each.test.srvs,
        result=attempt.result,
        cause=str(attempt.cause or ""),
        message=attempt.message,
        evidence=f"{run}/evidence/{attempt.id}",
    )


def _verdict(
    ran: Sequence[str], right: Sequence[Failure], wrong: Sequence[Failure], *, broken: bool
) -> Verdict:
    if not ran:
        return Verdict.NOT_APPLICABLE
    if broken:
        return Verdict.BROKEN
    if wrong:
        return Verdict.WRONG
    return Verdict.CAUGHT if right else Verdict.MISSED


def idle_tests(tests: Iterable[Surveyed], faults: Iterable[FaultProof]) -> Iterator[Idle]:
    """The test functions of each pack that caught nothing, on any device."""
    by_id = {each.test.id: each for each in tests}
    under: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    caught: set[tuple[str, str]] = set()
    for fault in faults:
        for pack in fault.packs:
            for test in pack.ran:
                under[pack.pack, by_id[test].name].add(fault.name)
            caught |= {(pack.pack, failure.name) for failure in pack.caught_by}
    for pack_and_name in dict.fromkeys((each.test.pack, each.name) for each in by_id.values()):
        if pack_and_name not in caught:
            yield Idle(pack=pack_and_name[0], name=pack_and_name[1], faults=len(under[pack_and_name]))
