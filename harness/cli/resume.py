"""``harness resume``: go on with a run that was killed, interrupted or cut short."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.cli.output import ExitCode, tell
from harness.cli.run import RunOptions, answer, drive
from harness.config import load_lab
from harness.domain.errors import UsageError
from harness.domain.lab import Lab
from harness.execution.resumption import Resumption, taken_up
from harness.records.sealing import Seal


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeOptions:
    """What the command line says of a resumption; the run's frozen plan says the rest."""

    run: Path
    lab: Path
    blocked: bool = False
    one_process: bool = False
    answers: Sequence[Path] = ()
    record_answers: Path | None = None
    operator: str = ""
    wait: float | None = None
    as_json: bool = False


def resume(options: ResumeOptions) -> ExitCode:
    """Run what is left of a run, in its own folder and by its own plan."""
    lab = load_lab(options.lab)
    with taken_up(options.run, lab, blocked=options.blocked) as resumption:
        for problem in resumption.problems:
            tell(str(problem))
        if resumption.left:
            return drive(_as_planned(options, resumption), resumption.plan.run_id, resumption)
        return _nothing_left(options, resumption, lab)


def _as_planned(options: ResumeOptions, resumption: Resumption) -> RunOptions:
    folder, plan = resumption.folder, resumption.plan
    if folder.name != plan.run_id:
        raise UsageError(
            f"{folder} has the plan of run {plan.run_id}",
            remedy="a run is resumed in a folder of its own name",
        )
    return RunOptions(
        packs=[pack.name for pack in plan.packs],
        lab=options.lab,
        runs=folder.parent,
        faults=plan.faults,
        seed=plan.seed,
        cycle=plan.cycle,
        witnessed=plan.witness or None,
        one_process=options.one_process,
        answers=options.answers,
        record_answers=options.record_answers,
        operator=options.operator,
        wait=options.wait,
        as_json=options.as_json,
    )


def _nothing_left(options: ResumeOptions, resumption: Resumption, lab: Lab) -> ExitCode:
    """A run may have been cut short after its last test: then its end, its exports and its seal are left."""
    folder = resumption.folder
    problems, sealed = _bring_to_its_end(resumption, lab)
    for problem in problems:
        tell(problem)
    tell(f"run {resumption.plan.run_id}: nothing is left to run")
    return answer(folder, lab, sealed=sealed, as_json=options.as_json)


def _bring_to_its_end(resumption: Resumption, lab: Lab) -> tuple[Sequence[str], bool]:
    from harness.hooks import plugin_manager
    from harness.records.exports import conclude
    from harness.records.journal import CONTROLLER, RUN_ENDED, Journal
    from harness.records.redaction import hide_secrets_of

    hide_secrets_of(lab)
    folder, plan = resumption.folder, resumption.plan
    if not resumption.ended or resumption.seal is not Seal.WHOLE:  # who seals it says so, for all to see
        with Journal.begin(
            folder, run_id=plan.run_id, plan_digest=plan.digest, process=CONTROLLER
        ) as journal:
            journal.write(RUN_ENDED, reason="completed: nothing was left to run")
    return conclude(plugin_manager(lab.plugins).hook.harness_renderers(), folder, lab)
