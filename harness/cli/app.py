"""The ``harness`` command. Each command is a thin shell; what it does stands in a module of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.device_app import device_app
from harness.cli.evidence_app import evidence_app
from harness.cli.output import (
    DEFAULT_LAB,
    DEFAULT_RUNS,
    ExitCode,
    JsonOption,
    LabOption,
    RunArgument,
    RunsOption,
    answer_lines,
    chosen_run,
    command,
)
from harness.cli.packs_app import packs_app
from harness.cli.plain_help import PlainHelp
from harness.cli.rigs_app import rigs_app
from harness.cli.ttm_app import ttm_app

app = typer.Typer(
    name="harness",
    cls=PlainHelp,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Test-lab orchestration harness for SMETS1 device rigs (SEC Appendix AK).",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain lines: they survive a pipe, a log and a narrow terminal
)
lab_app = typer.Typer(help="The lab file: check it, or get its schema for an editor.", no_args_is_help=True)
driver_app = typer.Typer(help="Drivers of your own.", no_args_is_help=True)
app.add_typer(packs_app, name="packs")
app.add_typer(rigs_app, name="rigs")
app.add_typer(lab_app, name="lab")
app.add_typer(ttm_app, name="ttm")
app.add_typer(evidence_app, name="evidence")
app.add_typer(device_app, name="device")
app.add_typer(driver_app, name="driver")

FaultOption = Annotated[
    list[str] | None, typer.Option("--fault", metavar="NAME", help="Switch a twin fault on (repeatable).")
]

WitnessedOption = Annotated[
    str | None,
    typer.Option(
        metavar="WHO",
        help="Who witnesses the run: it starts only if its packs are what was agreed with the TAG.",
    ),
]
OneProcessOption = Annotated[
    bool, typer.Option("--one-process", help="No workers: one rig of each DMC in turn, for a debugger.")
]
AnswersOption = Annotated[
    list[Path] | None,
    typer.Option(metavar="FILE", help="A file of answers to what tests ask of the engineer (repeatable)."),
]
RecordAnswersOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Keep the answers given at this terminal, as JSON lines."),
]
OperatorOption = Annotated[
    str, typer.Option(metavar="WHO", help="Who answers at this terminal (default: who is logged in).")
]
WaitOption = Annotated[
    float | None,
    typer.Option(
        metavar="SECONDS",
        min=0.0,
        help="How long to wait for a rig that somebody else has (default: as long as it takes).",
    ),
]


def _show_version(*, asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        answer_lines([f"smets1-harness {version('smets1-harness')}"])
        raise typer.Exit


@app.callback()
def harness_group(
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_show_version, help="Show the version and exit."),
    ] = False,
) -> None:
    """What the options before a command do, each has done by itself."""
    del version


@app.command("run")
@command
def run_command(
    packs: Annotated[
        list[str], typer.Argument(metavar="PACK", help="The packs to run; see 'harness packs'.")
    ],
    lab: LabOption = DEFAULT_LAB,
    runs: RunsOption = DEFAULT_RUNS,
    fault: FaultOption = None,
    seed: Annotated[
        int | None,
        typer.Option(metavar="NUMBER", help="Seed of everything random (default: the lab file's)."),
    ] = None,
    cycle: Annotated[str, typer.Option(help="The test cycle that the run belongs to.")] = "",
    witnessed: WitnessedOption = None,
    keyword: Annotated[
        str, typer.Option("-k", metavar="WORDS", help="Only planned tests that match, as pytest's -k.")
    ] = "",
    entry: Annotated[
        list[str] | None, typer.Option(help="Only tests on this EPCL entry (repeatable, as all that follow).")
    ] = None,
    srv: Annotated[list[str] | None, typer.Option(help="Only tests of this SRV.")] = None,
    group: Annotated[list[str] | None, typer.Option(help="Only tests of this functional group.")] = None,
    device: Annotated[list[str] | None, typer.Option(help="Only tests about this device type.")] = None,
    test: Annotated[
        list[str] | None, typer.Option(help="Only this test: its function, or the id of a planned test.")
    ] = None,
    one_process: OneProcessOption = False,
    answers: AnswersOption = None,
    record_answers: RecordAnswersOption = None,
    operator: OperatorOption = "",
    wait: WaitOption = None,
    priority: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="Who waits for a rig with a greater one gets it first; a run gives it back between tests.",
        ),
    ] = 0,
    as_json: JsonOption = False,
) -> ExitCode:
    """Plan, run over the rigs, record, and print a summary.

    Options that begin with "Only" narrow the plan: words of one kind widen each other, kinds narrow each
    other. The plan says what was asked for, and how many tests that left out.
    """
    from harness.cli.run import RunOptions, run

    return run(
        RunOptions(
            packs=packs,
            lab=lab,
            runs=runs,
            faults=fault or (),
            seed=seed,
            cycle=cycle,
            witnessed=witnessed,
            keyword=keyword,
            only={
                kind: words
                for kind, words in (
                    ("entry", entry),
                    ("srv", srv),
                    ("group", group),
                    ("device", device),
                    ("test", test),
                )
                if words
            },
            one_process=one_process,
            answers=answers or (),
            record_answers=record_answers,
            operator=operator,
            wait=wait,
            priority=priority,
            as_json=as_json,
        )
    )


@app.command("resume")
@command
def resume_command(
    run: RunArgument = None,
    lab: LabOption = DEFAULT_LAB,
    runs: RunsOption = DEFAULT_RUNS,
    blocked: Annotated[
        bool, typer.Option("--blocked", help="Take the tests again that the lab blocked.")
    ] = False,
    one_process: OneProcessOption = False,
    answers: AnswersOption = None,
    record_answers: RecordAnswersOption = None,
    operator: OperatorOption = "",
    wait: WaitOption = None,
    as_json: JsonOption = False,
) -> ExitCode:
    """Go on with a run that was killed, interrupted or cut short.

    What is left of it is run by its own frozen plan: packs, faults, seed, cycle. A test that passed, failed
    or was blocked is finished. Packs, rigs, devices and firmware must be what was planned.
    """
    from harness.cli.resume import ResumeOptions, resume

    return resume(
        ResumeOptions(
            run=chosen_run(run, runs),
            lab=lab,
            blocked=blocked,
            one_process=one_process,
            answers=answers or (),
            record_answers=record_answers,
            operator=operator,
            wait=wait,
            as_json=as_json,
        )
    )


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
            metavar="PORT",
            help="The first port. Each rig of the lab file has a block of ten: ESME +0, GSME +1, CH +2. The "
            "block after the last rig: gateway +0, receive endpoint +1.",
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
    rigs: Annotated[
        list[str] | None, typer.Argument(metavar="RIG", help="Only these rigs (default: every one).")
    ] = None,
    lab: LabOption = DEFAULT_LAB,
    runs: RunsOption = DEFAULT_RUNS,
    as_json: JsonOption = False,
) -> ExitCode:
    """Validate the lab file, then try every door of each rig.

    Controller, bench, each device (who it is, its firmware against the baseline, its clock) and captures,
    each by itself: one that is wrong hides no other. It says what was tried, what came back, and what to do.

    A rig that is in use is left alone. What passed over the ports is kept in the check's run folder. A rig
    with nothing wrong is well again; see 'harness rigs'.
    """
    from harness.cli.lab import check

    return check(lab, runs, rigs or (), as_json=as_json)


@lab_app.command("schema")
@command
def lab_schema_command() -> ExitCode:
    """The lab file's JSON schema, for editors."""
    from harness.cli.lab import schema

    return schema()


@driver_app.command("new")
@command
def driver_new_command(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="The package's name, as Python takes it: acme_meter.")
    ],
    device_type: Annotated[str, typer.Option("--type", help="ESME, GSME or CH.")] = "ESME",
    folder: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Where the package's folder is made.")
    ] = Path(),
) -> ExitCode:
    """Make a driver package for a device of your own.

    It works, it is tested, and it waits to be filled.
    """
    from harness.cli.driver import new

    return new(name, device_type, folder)
