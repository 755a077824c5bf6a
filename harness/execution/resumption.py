"""Taking up a run that was killed, interrupted or cut short: what of its frozen plan is left, and no more.

What the plan rests on must be what it was: the packs, byte by byte, and the rigs with their devices and
firmware (Clause 8.4(c)). Everything else of the lab file, such as the address of a door, may have changed
meanwhile; the journal tells the digest of the lab file that the resumption went by.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.config.packs import load_pack, manifests
from harness.domain.errors import ConfigurationError, HarnessError, UsageError
from harness.domain.lab import Lab
from harness.execution.chains import with_earlier_stages
from harness.records.canonical import digest_of_file
from harness.records.chain import Problem
from harness.records.plan import PLAN, Plan, PlannedPack, PlannedRig, PlannedTest, refuse_another_lab
from harness.records.run import ANOTHER_PLAN, RunRecord, read_run
from harness.records.run_lock import RunLock
from harness.records.seal import sealing_key
from harness.records.sealing import Seal, seal_of


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Resumption:
    """A run that is ours to go on with, and what is left of it: given to pytest as a plugin.

    ``lock`` is held for as long as it lasts. ``ended`` says whether the run had come to an end of its own,
    ``seal`` how the folder stands to its seal. ``problems``: what of the record cannot be believed, so that
    such tests are left.
    """

    folder: Path
    plan: Plan
    left: tuple[PlannedTest, ...]
    lock: RunLock
    ended: bool
    seal: Seal
    problems: tuple[Problem, ...] = ()

    def uses(self, rig_id: str) -> bool:
        """Whether a rig serves what is left: a rig of the plan, of a DMC that has a test left."""
        dmcs = {test.dmc for test in self.left}
        return any(rig.id == rig_id and rig.dmc in dmcs for rig in self.plan.rigs)


@contextlib.contextmanager
def taken_up(folder: Path, lab: Lab, *, blocked: bool = False) -> Iterator[Resumption]:
    """Hold a run to go on with it; with ``blocked``, what the lab blocked is left as well.

    :class:`~harness.records.run_lock.RunInUse` where it still runs, or somebody else resumes it.
    :class:`UsageError` that names everything that is not as it was planned. :class:`HarnessError` where the
    run is not what was sealed; by a resumption that was killed it may have grown. None changes anything.
    """
    folder = folder.resolve()
    Plan.read(folder)  # says plainly where there is no run, before anything is written there
    lock = RunLock.take(folder)
    try:
        record = read_run(folder)
        refuse_changed_plan(record)
        left = tuple(with_earlier_stages(record.left(blocked=blocked), record.plan.tests))
        refuse_changes(record.plan, lab, {test.dmc for test in left})
        ended = bool(record.parts and record.parts[-1].reason)
        seal = seal_of(folder, sealing_key(lab))
        if ended and seal is Seal.GROWN:
            raise HarnessError(
                f"{folder} has more in it than was sealed, and nobody who could have written it",
                remedy=f"see what: harness evidence verify {folder}",
            )
        yield Resumption(
            folder=folder,
            plan=record.plan,
            left=left,
            lock=lock,
            ended=ended,
            seal=seal,
            problems=record.problems,
        )
    finally:
        lock.release()


def refuse_changed_plan(record: RunRecord) -> None:
    """:class:`UsageError` where the plan is not the one that was frozen: its journals would not count."""
    plan, path = record.plan, record.folder / PLAN
    others = [problem for problem in record.problems if problem.what == ANOTHER_PLAN]
    if digest_of_file(path) != plan.digest or others:
        raise UsageError(
            f"{path} is not the plan that the run began with{''.join(f'; {each}' for each in others[:1])}",
            remedy="a plan is never edited; restore the file",
        )


def refuse_changes(plan: Plan, lab: Lab, dmcs: Collection[str]) -> None:
    """Raise :class:`UsageError` for what is not as it was planned: lab, packs, and the rigs of these DMCs."""
    refuse_another_lab(plan, lab)
    rigs = (rig for rig in plan.rigs if rig.dmc in dmcs)
    if changes := [*_changed_packs(plan.packs, lab), *_changed_rigs(rigs, lab)]:
        raise UsageError(
            f"run {plan.run_id} cannot be resumed: {'; '.join(changes)}",
            remedy="put back what was planned, or begin a new run",
        )


def _changed_packs(packs: Iterable[PlannedPack], lab: Lab) -> Iterator[str]:
    known = manifests(lab.packs)
    for planned in packs:
        if planned.name not in known:
            yield f"{lab.packs} has no pack {planned.name} any more"
            continue
        try:
            found = load_pack(known[planned.name], lab.packs)
        except ConfigurationError as error:
            yield f"pack {planned.name} cannot be read: {error.message}"
            continue
        if found.digest != planned.digest:
            was, is_ = planned.digest[:12], found.digest[:12]
            yield f"pack {planned.name} has changed: {was}… was planned, {is_}… is there"


def _changed_rigs(rigs: Iterable[PlannedRig], lab: Lab) -> Iterator[str]:
    there = {rig.id: PlannedRig.of(rig) for rig in lab.rigs}
    for planned in rigs:
        if planned.id not in there:
            yield f"{lab.file} has no rig {planned.id} any more"
            continue
        found = there[planned.id]
        if found.dmc != planned.dmc:
            yield f"rig {planned.id} is of DMC {found.dmc} now, {planned.dmc} was planned"
        yield from _changed_devices(planned, found)


def _changed_devices(planned: PlannedRig, found: PlannedRig) -> Iterator[str]:
    there = {device.type: device for device in found.devices}
    for device in planned.devices:
        if device.type not in there:
            yield f"rig {planned.id} has no {device.type} any more"
        elif (now := there[device.type]) != device:
            was, is_ = (f"{each.device_id} {each.model} {each.firmware}" for each in (device, now))
            yield f"the {device.type} of rig {planned.id} is {is_} now, {was} was planned"
