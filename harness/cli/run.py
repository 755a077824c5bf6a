"""``harness run``: plan, run over the rigs, record, and print a summary."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.cli.output import ExitCode, answer_json, answer_table, tell


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What the command line says of a run."""

    packs: Sequence[str]
    lab: Path
    runs: Path
    faults: Sequence[str] = ()
    seed: int | None = None
    cycle: str = ""
    keyword: str = ""
    one_process: bool = False
    as_json: bool = False


def run(options: RunOptions) -> ExitCode:
    """Drive pytest as a user could by hand, then answer from the record that it left."""
    import pytest

    from harness.cli.progress import Progress
    from harness.execution.context import new_run_id

    run_id = new_run_id()
    code = pytest.main(_arguments(options, run_id), plugins=[Progress(quiet=options.as_json)])
    summary_file = options.runs / run_id / "run.json"
    if code in (pytest.ExitCode.USAGE_ERROR, pytest.ExitCode.NO_TESTS_COLLECTED):
        return ExitCode.USAGE
    if not summary_file.is_file():
        return ExitCode.INTERRUPTED if code == pytest.ExitCode.INTERRUPTED else ExitCode.BAD
    summary = json.loads(summary_file.read_text())
    if options.as_json:
        answer_json(summary)
    else:
        show(summary, options.runs / run_id)
    if code == pytest.ExitCode.INTERRUPTED:
        return ExitCode.INTERRUPTED
    return ExitCode.BAD if code == pytest.ExitCode.INTERNAL_ERROR else verdict(summary["counts"])


def _arguments(options: RunOptions, run_id: str) -> list[str]:
    # Of pytest's warning that the harness is imported already, nobody wants to know
    arguments = ["-o", "filterwarnings=ignore::pytest.PytestAssertRewriteWarning"]
    arguments += ["-o", "addopts=", "--import-mode=importlib", "--strict-markers"]
    arguments += ["-p", "no:terminal", "-p", "no:cacheprovider", "-p", "no:allure_pytest"]
    arguments += ["-n", "0" if options.one_process else "rigs"]
    arguments += [f"--lab={options.lab}", f"--runs={options.runs}"]
    arguments += [f"--run-id={run_id}", f"--cycle={options.cycle}"]
    arguments += [f"--pack={pack}" for pack in options.packs]
    arguments += [f"--fault={fault}" for fault in options.faults]
    if options.seed is not None:
        arguments.append(f"--seed={options.seed}")
    if options.keyword:
        arguments += ["-k", options.keyword]
    return arguments


def verdict(counts: dict[str, int]) -> ExitCode:
    """A failure outweighs what the lab blocked."""
    if counts["failed"]:
        return ExitCode.BAD
    return ExitCode.BLOCKED if counts["blocked"] or counts["not_run"] else ExitCode.GOOD


def show(summary: dict[str, Any], folder: Path) -> None:
    """The summary table, and where to look."""
    outcomes = ("planned", "passed", "failed", "blocked", "not_run", "descoped")
    by_pack = _counts_by_pack(folder)
    rows = [
        (
            f"{pack['name']} {pack['version']}",
            pack["capability_release"],
            *map(by_pack[pack["name"]].get, outcomes),
        )
        for pack in summary["packs"]
    ]
    rows.append(("all", "", *(summary["counts"][name] for name in outcomes)))
    columns = ("pack", "release", *(name.replace("_", " ") for name in outcomes))
    answer_table(f"run {summary['run_id']}", columns, rows)
    ttm = summary["ttm"]
    tell(
        f"TTM: {ttm['covered']} of {ttm['requirements']} requirements covered, "
        f"{ttm['passed']} passed, {ttm['failed']} failed, {ttm['uncovered']} uncovered"
    )
    tell(f"heatmap:  {folder / 'heatmap.html'}")
    tell(f"Allure:   {folder / 'allure-results'}")
    tell(f"evidence: {folder / 'evidence'}")


def _counts_by_pack(folder: Path) -> dict[str, dict[str, int]]:
    from harness.domain.words import Outcome
    from harness.records.run import read_run

    record = read_run(folder)
    none = {"planned": 0} | {outcome.value: 0 for outcome in Outcome}
    counts = {pack.name: dict(none) for pack in record.plan.packs}
    for test in record.plan.tests:
        counts[test.pack]["planned"] += 1
        counts[test.pack][record.outcome(test.id).value] += 1
    return counts
