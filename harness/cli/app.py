"""The ``harness`` command. Each command is a thin shell; what it does stands in a module of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.output import (
    DEFAULT_LAB,
    DEFAULT_RUNS,
    ExitCode,
    JsonOption,
    LabOption,
    RunsOption,
    chosen_run,
    command,
)

app = typer.Typer(
    name="harness",
    help="Test-lab orchestration harness for SMETS1 device rigs (SEC Appendix AK).",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain lines: they survive a pipe, a log and a narrow terminal
)
lab_app = typer.Typer(help="The lab file: check it, or get its schema for an editor.", no_args_is_help=True)
ttm_app = typer.Typer(help="The Test Traceability Matrix.", no_args_is_help=True)
evidence_app = typer.Typer(help="The evidence of a run.", no_args_is_help=True)
app.add_typer(lab_app, name="lab")
app.add_typer(ttm_app, name="ttm")
app.add_typer(evidence_app, name="evidence")

RunArgument = Annotated[
    Path | None, typer.Argument(help="A run folder, or a run's id (default: the newest run).")
]
FaultOption = Annotated[
    list[str] | None, typer.Option("--fault", help="Switch a twin fault on (repeatable).")
]


@app.command("run")
@command
def run_command(
    packs: Annotated[
        list[str], typer.Argument(metavar="PACK...", help="The packs to run; see 'harness packs'.")
    ],
    lab: LabOption = DEFAULT_LAB,
    runs: RunsOption = DEFAULT_RUNS,
    fault: FaultOption = None,
    seed: Annotated[
        int | None, typer.Option(help="Seed of everything random (default: the lab file's).")
    ] = None,
    cycle: Annotated[str, typer.Option(help="The test cycle that the run belongs to.")] = "",
    keyword: Annotated[str, typer.Option("-k", help="Only planned tests that match, as pytest's -k.")] = "",
    one_process: Annotated[
        bool, typer.Option("--one-process", help="No workers: one rig of each DMC in turn, for a debugger.")
    ] = False,
    as_json: JsonOption = False,
) -> ExitCode:
    """Plan, run over the rigs, record, and print a summary."""
    from harness.cli.run import RunOptions, run

    return run(
        RunOptions(
            packs=packs,
            lab=lab,
            runs=runs,
            faults=fault or (),
            seed=seed,
            cycle=cycle,
            keyword=keyword,
            one_process=one_process,
            as_json=as_json,
        )
    )


@app.command("packs")
@command
def packs_command(lab: LabOption = DEFAULT_LAB, as_json: JsonOption = False) -> ExitCode:
    """Packs, kind, Capability Release, number of tests and digest."""
    from harness.cli.listings import list_packs

    return list_packs(lab, as_json=as_json)


@app.command("rigs")
@command
def rigs_command(lab: LabOption = DEFAULT_LAB, as_json: JsonOption = False) -> ExitCode:
    """Rigs, what they hold, and who holds each lease."""
    from harness.cli.listings import list_rigs

    return list_rigs(lab, as_json=as_json)


@app.command("faults")
@command
def faults_command(lab: LabOption = DEFAULT_LAB, as_json: JsonOption = False) -> ExitCode:
    """The catalogue of faults that a simulated lab can be given."""
    from harness.cli.listings import list_faults

    return list_faults(lab, as_json=as_json)


@app.command("simulate")
@command
def simulate_command(
    lab: LabOption = DEFAULT_LAB,
    runs: RunsOption = DEFAULT_RUNS,
    fault: FaultOption = None,
    rig: Annotated[
        list[str] | None,
        typer.Option("--rig", help="Only this rig (repeatable; default: every simulated one)."),
    ] = None,
    base_port: Annotated[
        int,
        typer.Option(
            help="The first port. Each rig of the lab file has a block of ten: ESME +0, GSME +1, CH +2. The "
            "block after the last rig: gateway +0, receive endpoint +1."
        ),
    ] = 4100,
    as_json: JsonOption = False,
) -> ExitCode:
    """Stand the twins up for other tools to talk to, until Ctrl-C."""
    from harness.cli.simulate import SimulateOptions, simulate

    return simulate(
        SimulateOptions(
            lab=lab,
            runs=runs,
            faults=fault or (),
            rigs=rig or (),
            base_port=base_port,
            as_json=as_json,
        )
    )


@lab_app.command("check")
@command
def lab_check_command(
    lab: LabOption = DEFAULT_LAB, runs: RunsOption = DEFAULT_RUNS, as_json: JsonOption = False
) -> ExitCode:
    """Validate the lab file, then open every rig and hold its devices against their baseline."""
    from harness.cli.lab import check

    return check(lab, runs, as_json=as_json)


@lab_app.command("schema")
@command
def lab_schema_command() -> ExitCode:
    """The lab file's JSON schema, for editors."""
    from harness.cli.lab import schema

    return schema()


@ttm_app.command("check")
@command
def ttm_check_command(lab: LabOption = DEFAULT_LAB, as_json: JsonOption = False) -> ExitCode:
    """The matrix against the packs: orphans on both sides."""
    from harness.cli.ttm import check

    return check(lab, as_json=as_json)


@ttm_app.command("coverage")
@command
def ttm_coverage_command(
    run: RunArgument = None,
    allure: Annotated[
        Path | None, typer.Option(help="Compute from this Allure results folder alone.")
    ] = None,
    lab: LabOption = DEFAULT_LAB,
    runs: RunsOption = DEFAULT_RUNS,
    as_json: JsonOption = False,
) -> ExitCode:
    """Results against the matrix."""
    from harness.cli.ttm import coverage

    return coverage(chosen_run(run, runs), allure, lab, as_json=as_json)


@ttm_app.command("heatmap")
@command
def ttm_heatmap_command(
    run: RunArgument = None,
    lab: LabOption = DEFAULT_LAB,
    runs: RunsOption = DEFAULT_RUNS,
) -> ExitCode:
    """Make a run's exports again from its journals, and say where the heatmap is."""
    from harness.cli.ttm import heatmap

    return heatmap(chosen_run(run, runs), lab)


@evidence_app.command("verify")
@command
def evidence_verify_command(
    run: RunArgument = None, runs: RunsOption = DEFAULT_RUNS, as_json: JsonOption = False
) -> ExitCode:
    """Is every recorded byte still what was recorded? Names each that is not."""
    from harness.cli.evidence import verify

    return verify(chosen_run(run, runs), as_json=as_json)


def main() -> None:
    """Entry point of the console script."""
    app()
