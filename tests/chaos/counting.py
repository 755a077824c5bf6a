"""What became of a round: results that were finished and kept, leases, benches, and what nobody may see."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from harness.domain.words import AttemptResult, Outcome
from harness.records.run import RunRecord, read_run
from harness.rigs.lease_words import RigState, RigStatus

from .judging import Heard, attempts, overlaps, results_over_time, wrong_with, wrong_with_the_output
from .labs import RIGS
from .processes import Run, Shown, TooLate
from .rounds import EXPIRY, Round

_FINISHED = {AttemptResult.PASSED, AttemptResult.FAILED, AttemptResult.BLOCKED}
_RESUMPTIONS = 4  # that a run may need: each may meet a lab fault of its own
_SAFE_WITHIN = 30.0  # seconds in which who is left brings a bench to the safe state


@dataclass(frozen=True)
class Counts:
    """The row of a round. ``wrong`` says what else was not as it must be, in sentences."""

    finished: int = 0
    kept: int = 0
    leaked: int = 0
    two_owners: int = 0
    left_live: int = 0
    twice: int = 0  # tests that one and the same run ran again although they had a result: nothing is lost
    wrong: tuple[str, ...] = ()

    @property
    def good(self) -> bool:
        faults = (self.leaked, self.two_owners, self.left_live, len(self.wrong))
        return self.finished > 0 and self.kept == self.finished and not any(faults)

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__))


def count(around: Round, runs: list[Run]) -> Counts:
    """Wait until nobody of the runs is left, resume each until nothing is left of it, and count.

    A result counts as finished when somebody outside of its process has been told of it: it was shown, by the
    run or its resumption, or its end stands in the journal when all of the run are dead. It is kept when the
    record has it in the end, the same.
    """
    tally = _Tally(around, runs)
    tally.look_at_the_dead()
    tally.resume()
    return tally.counted()


class _Tally:
    def __init__(self, around: Round, runs: list[Run]) -> None:
        self.around = around
        self.runs = runs
        self.live: list[str] = []
        self.leaked: list[str] = []
        self.before: list[RunRecord] = []  # as it was when all were dead
        self.finished: list[Counter[Shown]] = []  # of each run
        self.parts = [[run] for run in runs]  # each run and its resumptions

    def look_at_the_dead(self) -> None:
        around = self.around
        around.until(lambda: not around.processes(), "every process of the runs has ended")
        if around.puts_down:
            self.live += _left_live(around)
        self.leaked += _not_free(around) if around.gives_back else _held_by_the_dead(around)
        self.before = [read_run(folder_of(run)) for run in self.runs]
        for run, record in zip(self.runs, self.before, strict=True):
            self.finished.append(_shown(run) | _in_record(record))

    def resume(self) -> None:
        """Whoever resumes gives back what he used; the rest is for who comes next."""
        around, used = self.around, set[str]()
        for run, parts, finished in zip(self.runs, self.parts, self.finished, strict=True):
            for resumption in _resumed(around, run):
                parts.append(resumption)
                finished.update(_shown(resumption))
                used |= {each["rig"] for each in around.of("begun", resumption)}
        around.until(lambda: not around.processes(), "every process of the resumptions has ended")
        self.leaked += _not_free(around, used)
        _clean_up(around, self.runs[0])
        self.live += _left_live(around)
        self.leaked += [each for each in _not_free(around) if each not in self.leaked]

    def counted(self) -> Counts:
        around, records = self.around, [read_run(folder_of(run)) for run in self.runs]
        kept = [was & _in_record(record) for was, record in zip(self.finished, records, strict=True)]
        for was, is_ in zip(self.before, records, strict=True):
            around.wrong += _run_again(was, is_)
        around.wrong += wrong_with_the_output(around)
        results = []
        for record, parts in zip(records, self.parts, strict=True):
            heard = Heard.of(around, parts)
            around.wrong += wrong_with(record, around, heard)
            results += results_over_time(record, heard)
        fouls = around.of("foul")
        shared = overlaps(results)
        around.told += [f"{each['kind']}: {each['why']} (rig {each['rig']})" for each in fouls] + shared
        around.told += [f"left live: {each}" for each in self.live]
        around.told += [f"leaked: {each}" for each in self.leaked]
        for finished, found in zip(self.finished, kept, strict=True):
            around.told += [f"not kept: {each}" for each in (finished - found).elements()]
        kinds = Counter(each["kind"] for each in fouls)
        return Counts(
            finished=sum(each.total() for each in self.finished),
            kept=sum(each.total() for each in kept),
            leaked=len(self.leaked),
            two_owners=kinds["two owners"] + len(shared),
            left_live=len(self.live) + kinds["given live"],
            twice=sum(map(_twice, records)),
            wrong=tuple(around.wrong),
        )


def folder_of(run: Run) -> Path:
    """The run folder, as the run's own first line tells."""
    found = re.search(r"^run (\S+): \d+ planned", run.output, re.MULTILINE)
    assert found, f"it never said which run it is:\n{run.output}"
    return run.lab.runs / found[1]


# -- results ---------------------------------------------------------------------------------------


def _shown(run: Run) -> Counter[Shown]:
    return Counter(shown for shown in run.shown if shown.result != "interrupted")


def _in_record(record: RunRecord) -> Counter[Shown]:
    return Counter(
        Shown(each.test, each.rig, each.result.value) for each in attempts(record) if each.result in _FINISHED
    )


def _twice(record: RunRecord) -> int:
    again = 0
    for tried in record.attempts.values():
        results = [each.result in {AttemptResult.PASSED, AttemptResult.FAILED} for each in tried]
        again += any(results[:-1])
    return again


def _run_again(before: RunRecord, after: RunRecord) -> Iterator[str]:
    """What a resumption has run although there was nothing left of it."""
    for test in before.tests(Outcome.PASSED, Outcome.FAILED):
        if len(after.of(test.id)) > len(before.of(test.id)):
            yield f"{test.id} had a result, and was run again when the run was resumed"


def _resumed(around: Round, run: Run) -> Iterator[Run]:
    """As a person would who wants every planned test to come to an outcome; each resumption, ended."""
    folder = folder_of(run)
    for number in range(1, _RESUMPTIONS + 1):
        record = read_run(folder)
        blocked = around.resume_blocked and bool(record.left(blocked=True))
        if number > 1 and not (record.left() or blocked):
            return
        arguments = ["resume", folder.name, f"--runs={folder.parent}", f"--lab={run.lab.file}"]
        resumed = around.start(f"{run.name}-{number}", *arguments, *["--blocked"] * blocked, like=run)
        code = resumed.ended()
        yield resumed
        if code not in {0, 1, 3}:
            around.wrong.append(f"{resumed.name} ended with {code}: {resumed.output[-800:]}")
            return


def _clean_up(around: Round, run: Run) -> None:
    """A rig that nothing was left for is still dirty: as a person would who wants it for something else."""
    if dirty := [status.rig for status in _rigs(around) if status.state is RigState.DIRTY]:
        around.start("check", "lab", "check", f"--lab={run.lab.file}", *dirty, like=run).ended()


# -- rigs ------------------------------------------------------------------------------------------


def _left_live(around: Round) -> list[str]:
    """The benches that are not in the safe state although whoever is to see to it has had his time."""
    with suppress(TooLate):
        around.until(lambda: not around.live(), "every bench is safe", _SAFE_WITHIN)
    return [f"{rig}: {', '.join(live)}" for rig, live in around.live().items()]


def _held_by_the_dead(around: Round) -> list[str]:
    """The rigs that are still somebody's an expiry after everybody has gone."""
    ends = time.monotonic() + EXPIRY + 2
    while held := [str(status) for status in _rigs(around) if status.state is RigState.HELD]:
        if time.monotonic() >= ends:
            break
        time.sleep(0.1)
    return held


def _not_free(around: Round, rigs: Collection[str] = RIGS) -> list[str]:
    """Those of the rigs that whoever has ended well has not given back."""
    found = (status for status in _rigs(around) if status.rig in rigs)
    return [str(status) for status in found if status.state is not RigState.FREE]


def _rigs(around: Round) -> tuple[RigStatus, ...]:
    from harness.rigs.leases import Leases
    from harness.rigs.store import Store

    if around.store_file is not None and not around.store_file.exists():
        return ()  # nobody ever came so far
    with Store(around.store) as store, Leases(store, "the referee") as leases:
        return leases.rigs()
