"""``harness run``: plan, run over the rigs, record, and print a summary."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pluggy

from harness.cli.output import (
    DEFAULT_LAB,
    DEFAULT_RUNS,
    ExitCode,
    answer_json,
    answer_table,
    tell,
    tell_where,
)
from harness.domain.errors import LabFault
from harness.execution import fork_ahead

if TYPE_CHECKING:
    from harness.domain.lab import Lab


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What the command line says of a run."""

    packs: Sequence[str]
    lab: Path
    runs: Path
    faults: Sequence[str] = ()
    seed: int | None = None
    cycle: str = ""
    witnessed: str | None = None
    keyword: str = ""
    only: Mapping[str, Sequence[str]] = field(default_factory=dict)  # as harness.execution.narrowing has it
    one_process: bool = False
    answers: Sequence[Path] = ()
    record_answers: Path | None = None
    operator: str = ""
    wait: float | None = None
    priority: int = 0
    as_json: bool = False


def run(options: RunOptions) -> ExitCode:
    """Drive pytest as a user could by hand, then answer from the record that it left."""
    from harness.domain.run_ids import new_run_id

    return drive(options, new_run_id())


def drive(options: RunOptions, run_id: str, *plugins: object) -> ExitCode:
    """Run pytest with these options, and answer from the record: for a new run, or one that is resumed."""
    arguments = arguments_of(options, run_id)
    if not options.one_process:
        fork_ahead.begin(arguments)
    import pytest

    from harness.cli.progress import Progress
    from harness.execution.controller import BY_OUTCOMES
    from harness.records.plan import PLAN

    folder = options.runs / run_id
    progress = Progress(quiet=options.as_json)
    start = _Start()
    code = pytest.main(arguments, plugins=[progress, start, *plugins])
    if code == pytest.ExitCode.USAGE_ERROR:
        return start.refused
    for problem in progress.problems:
        tell(problem)
    if not (folder / PLAN).is_file():
        tell("ended before the plan was frozen: nothing was run, and nothing is recorded")
        return _of_no_outcomes(code)
    by_outcomes = code in BY_OUTCOMES
    if (lab := progress.lab_to_report_on) is not None:  # by the journals: an old file may lie there
        answered = answer(folder, lab, sealed=progress.sealed, as_json=options.as_json)
        if by_outcomes:
            return answered
    if not by_outcomes:
        tell_what_is_left(options, run_id)
    return _of_no_outcomes(code)


class _Start:
    """Notices that it was the lab that kept a run from its start: of pytest's it is one more usage error."""

    refused = ExitCode.USAGE

    @pluggy.HookimplMarker("pytest")(wrapper=True, tryfirst=True)
    def pytest_cmdline_main(self) -> Generator[None, object, object]:
        import pytest

        try:
            return (yield)
        except pytest.UsageError as error:
            if isinstance(error.__cause__, LabFault):
                self.refused = ExitCode.BLOCKED
            raise


def _of_no_outcomes(code: int) -> ExitCode:
    import pytest

    return ExitCode.INTERRUPTED if code == pytest.ExitCode.INTERRUPTED else ExitCode.BAD


def arguments_of(options: RunOptions, run_id: str) -> list[str]:
    """What pytest is called with."""
    # Of pytest's warning that the harness is imported already, nobody wants to know
    arguments = ["-o", "filterwarnings=ignore::pytest.PytestAssertRewriteWarning"]
    arguments += ["-o", "addopts=", "--import-mode=importlib", "--strict-markers"]
    arguments += ["-p", "no:terminal", "-p", "no:cacheprovider"]
    # What others have installed costs each worker its start, and has no part in a run
    arguments += ["-p", "no:allure_pytest", "-p", "no:anyio", "-p", "no:hypothesispytest"]
    arguments += ["-n", "0" if options.one_process else "rigs"]
    arguments += [f"--lab={options.lab}", f"--runs={options.runs}"]
    arguments += [f"--run-id={run_id}", f"--cycle={options.cycle}"]
    if options.witnessed is not None:
        arguments.append(f"--witnessed={options.witnessed}")
    arguments += [f"--pack={pack}" for pack in options.packs]
    arguments += [f"--fault={fault}" for fault in options.faults]
    arguments += [f"--answers={file}" for file in options.answers]
    arguments += [f"--operator={options.operator}"]
    if options.record_answers is not None:
        arguments.append(f"--record-answers={options.record_answers}")
    if options.wait is not None:
        arguments.append(f"--wait={options.wait}")
    if options.priority:
        arguments.append(f"--priority={options.priority}")
    if options.seed is not None:
        arguments.append(f"--seed={options.seed}")
    arguments += [f"--only-{kind}={word}" for kind, words in options.only.items() for word in words]
    if options.keyword:
        arguments += ["-k", options.keyword]
    return arguments


def tell_what_is_left(options: RunOptions, run_id: str) -> None:
    """How to go on with a run that was cut short."""
    from harness.records.run import read_run

    if left := len(read_run(options.runs / run_id).left()):
        words = ["harness resume", run_id]
        words += [f"--lab {options.lab}"] if options.lab != DEFAULT_LAB else []
        words += [f"--runs {options.runs}"] if options.runs.resolve() != DEFAULT_RUNS.resolve() else []
        tell(f"{left} planned tests are left; to go on: {' '.join(words)}")


def answer(folder: Path, lab: Lab, *, sealed: bool, as_json: bool) -> ExitCode:
    """What became of a run, by its journals."""
    from harness.records.run import read_run
    from harness.reports.summary import summary as summary_of

    summary = summary_of(read_run(folder), lab)
    if as_json:
        answer_json(summary)
    else:
        show(summary, folder)
    return verdict(summary["counts"], sealed=sealed)


def verdict(counts: dict[str, int], *, sealed: bool) -> ExitCode:
    """A failure outweighs what the lab blocked; a run that could not be sealed is not good either."""
    if counts["failed"] or not sealed:
        return ExitCode.BAD
    return ExitCode.BLOCKED if counts["blocked"] or counts["not_run"] else ExitCode.GOOD


def show(summary: dict[str, Any], folder: Path) -> None:
    """The summary table, and where to look."""
    outcomes = ("planned", "passed", "failed", "blocked", "not_run", "descoped")
    rows = [
        (f"{pack['name']} {pack['version']}", pack["capability_release"], *map(pack["counts"].get, outcomes))
        for pack in summary["packs"]
    ]
    rows.append(("all", "", *map(summary["counts"].get, outcomes)))
    words = (word.replace("_", " ").replace("descoped", "de-scoped") for word in outcomes)
    columns = ("pack", "release", *words)
    answer_table(f"run {summary['run_id']}", columns, rows)
    if summary["left_out"]:
        tell(f"{summary['left_out']} tests of the packs were not asked for, and are not in the plan")
    ttm = summary["ttm"]
    tell(
        f"TTM: {ttm['covered']} of {ttm['requirements']} requirements covered, "
        f"{ttm['passed']} passed, {ttm['failed']} failed, {ttm['incomplete']} incomplete, "
        f"{ttm['uncovered']} uncovered"
    )
    if count := summary["strays"]["count"]:
        tell(f"DCC messages that nobody waited for: {count}, in {folder / 'dcc' / 'strays.jsonl'}")
    tell_where(folder)
