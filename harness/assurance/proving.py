"""Proves packs: a control without a fault first, then each fault in a run of its own, several at once."""

from __future__ import annotations

import importlib
import itertools
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from harness.assurance.forking import Ended, Forks
from harness.assurance.proof import FaultProof, Proof, Verdict, attempts_of, idle_tests, joined, judged
from harness.assurance.survey import Surveyed
from harness.assurance.trials import Trial, controls, trial_of
from harness.domain.errors import HarnessError, LabFault
from harness.domain.faults import Fault
from harness.domain.lab import Lab
from harness.domain.packs import Pack
from harness.domain.words import AttemptResult
from harness.hooks import plugin_manager

_AS_A_RUN_ENDS = {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}


class ControlFailed(HarnessError):
    """Tests fail without a fault, so that a failure under one proves nothing: mend packs or twins first."""


class ControlBlocked(LabFault):
    """The lab blocks tests without a fault. Look at its record, and prove again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is to be proven, and how. ``arguments`` are pytest's for a trial; ``tell`` takes lines."""

    lab: Lab
    packs: Sequence[Pack]
    tests: Sequence[Surveyed]  # that may be run
    faults: Sequence[Fault]
    seed: int
    bystanders: int
    at_once: int
    folder: Path
    arguments: Callable[[Trial], Sequence[str]]
    tell: Callable[[str], None]


@dataclass(slots=True)
class _Progress:
    of: int
    proven: list[FaultProof] = field(default_factory=list)
    processor_seconds: float = 0.0
    controlled: int = 0


def prove(task: Task) -> Proof:
    """Prove the packs of a task; Ctrl-C ends it, and keeps what is proven by then.

    :class:`ControlFailed` or :class:`ControlBlocked` where the packs do not pass without a fault.
    """
    began, clock = datetime.now(UTC), time.monotonic()
    _import_all(task.lab)
    trials = [trial_of(fault, task.tests, task.bystanders, task.seed) for fault in task.faults]
    packs = [pack.name for pack in task.packs]
    progress = _Progress(len(trials))
    with Forks(task.folder, task.at_once, task.arguments, lambda trial: trial.name) as forks:
        try:
            _control(task, forks, controls(trials, task.at_once), progress)
            for trial in trials:
                if not trial.tests:
                    _say(task, progress, judged(trial, packs, task.folder, 0.0))
            _prove_all(task, forks, [trial for trial in trials if trial.tests], packs, progress)
        except KeyboardInterrupt:
            task.tell("interrupted: what is proven by now is kept")
    place = {fault.name: number for number, fault in enumerate(task.faults)}
    proven = sorted(progress.proven, key=lambda each: place[each.name])
    return Proof(
        folder=task.folder,
        lab=task.lab.name,
        seed=task.seed,
        began=began.isoformat(timespec="seconds"),
        seconds=round(time.monotonic() - clock, 1),
        processor_seconds=round(progress.processor_seconds, 1),
        entries=_entries(task.tests),
        digests={pack.name: pack.digest for pack in task.packs},
        controlled=progress.controlled,
        faults=tuple(proven),
        idle=tuple(idle_tests(task.tests, proven)),
        left=tuple(set(place).difference(each.name for each in proven)),
    )


def _prove_all(
    task: Task, forks: Forks[Trial], trials: Sequence[Trial], packs: Sequence[str], progress: _Progress
) -> None:
    """Longest first. Where some of many tests did not notice a fault, all others are run after the rest."""
    missed: dict[str, FaultProof] = {}
    widened: list[Trial] = []
    for ended in forks.run(sorted(trials, key=lambda trial: -len(trial.all))):
        progress.processor_seconds += ended.processor_seconds
        proof = judged(ended.of, packs, task.folder, ended.seconds, _trouble(ended))
        if proof.verdict is Verdict.MISSED and ended.of.rest:
            missed[proof.name] = proof
            widened.append(ended.of.widened())
        else:
            _say(task, progress, proof)
    try:
        _control(task, forks, controls(widened, task.at_once, "control-rest"), progress)
    except (ControlFailed, ControlBlocked) as error:  # what is proven by now stays so
        for proof in missed.values():
            _say(task, progress, replace(proof, trouble=str(error)))
        return
    for ended in forks.run(widened):
        progress.processor_seconds += ended.processor_seconds
        proof = judged(ended.of, packs, task.folder, ended.seconds, _trouble(ended))
        _say(task, progress, joined(missed[proof.name], proof))


def _import_all(lab: Lab) -> None:
    """Import what a run will need, for every fork has it then."""
    hook = plugin_manager(lab.plugins).hook
    names = itertools.chain(*hook.harness_preload(lab=lab), *hook.harness_preload_services(lab=lab))
    for name in ("harness.rigs.pool", "sqlalchemy.dialects.sqlite", *names):
        importlib.import_module(name)


def _control(task: Task, forks: Forks[Trial], runs: Sequence[Trial], progress: _Progress) -> None:
    """Run tests without a fault; all of them have to pass."""
    tests = sum(len(run.all) for run in runs)
    if tests:
        task.tell(f"control: {tests} tests without a fault")
    failed: list[str] = []
    blocked: list[str] = []
    for ended in forks.run(runs):
        progress.processor_seconds += ended.processor_seconds
        tried, trouble = attempts_of(ended.of, task.folder)
        trouble = _trouble(ended) or trouble
        if trouble:
            raise ControlFailed(
                f"the control run proves nothing: {trouble}",
                remedy=f"look at {task.folder / 'output'}",
            )
        for attempt in tried.values():
            if attempt.result is not AttemptResult.PASSED:
                line = f"{attempt.test} {attempt.result.value}: {attempt.message}"
                (failed if attempt.result is AttemptResult.FAILED else blocked).append(line)
    if failed:
        raise ControlFailed(
            f"without a fault {len(failed)} tests fail, the first is {failed[0]}",
            remedy=f"the evidence is in {task.folder}",
        )
    if blocked:
        raise ControlBlocked(
            f"without a fault {len(blocked)} tests are blocked, the first is {blocked[0]}",
            remedy=f"the evidence is in {task.folder}",
        )
    progress.controlled += tests


def _trouble(ended: Ended[Trial]) -> str:
    if ended.status in _AS_A_RUN_ENDS:
        return ""
    name = ended.of.name
    return f"its run ended with status {ended.status}: see output/{name}.txt"


def _say(task: Task, progress: _Progress, proof: FaultProof) -> None:
    progress.proven.append(proof)
    done = f"{len(progress.proven):>4}/{progress.of}"
    caught = sum(len(each.caught_by) for each in proof.packs)
    ran = sum(len(each.ran) for each in proof.packs)
    task.tell(f"{done} {proof.verdict:<14} {proof.name:<44} {caught} of {ran} tests, {proof.seconds:.1f} s")


def _entries(tests: Iterable[Surveyed]) -> Mapping[str, tuple[str, ...]]:
    found: dict[str, dict[str, None]] = {}
    for each in tests:
        found.setdefault(each.test.pack, {})[each.test.entry] = None
    return {pack: tuple(entries) for pack, entries in found.items()}


def chosen_faults(
    known: Mapping[str, Fault], names: Collection[str], places: Collection[str]
) -> tuple[Fault, ...]:
    """The faults of those names, or all; of those in these places, where some are named."""
    found = known.values() if not names else (known[name] for name in names)
    return tuple(fault for fault in found if not places or fault.place.value in places)
