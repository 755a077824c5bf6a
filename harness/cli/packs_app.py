"""The commands of ``harness packs``; what they do stands in modules beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from harness.cli.output import (
    DEFAULT_LAB,
    DEFAULT_RUNS,
    ExitCode,
    JsonOption,
    LabOption,
    RunsOption,
    command,
    refuse_options_of_the_group,
)

packs_app = typer.Typer(
    short_help="Packs: what each holds and what was agreed; diff, agree, prove, make them.",
    rich_markup_mode=None,
)


@packs_app.callback(invoke_without_command=True)
def packs_group(
    context: typer.Context,
    prove: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PACK", help="Prove this pack by the faults that twins can be given (repeatable)."
        ),
    ] = None,
    faults: Annotated[
        list[str] | None, typer.Option(metavar="A,B", help="Prove: only these faults; see 'harness faults'.")
    ] = None,
    place: Annotated[
        list[str] | None, typer.Option(help="Prove: only faults of this part of the lab (repeatable).")
    ] = None,
    entry: Annotated[
        list[str] | None,
        typer.Option(help="Prove: on this EPCL entry (repeatable; default: one for each pack)."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(metavar="NUMBER", help="Prove: seed of everything random.")
    ] = None,
    bystanders: Annotated[
        int,
        typer.Option(
            metavar="NUMBER", min=0, help="Prove: tests beside, which have no reason to notice the fault."
        ),
    ] = 2,
    workers: Annotated[
        int, typer.Option(metavar="NUMBER", min=0, help="Prove: runs at a time (default: one a core).")
    ] = 0,
    runs: RunsOption = DEFAULT_RUNS,
    lab: LabOption = DEFAULT_LAB,
    as_json: JsonOption = False,
) -> None:
    """Packs, kind, Capability Release, number of test functions and digest.

    A test function is planned once for each EPCL entry and device type that it fits, so plans are longer.

    With --prove, each pack is run once for each fault that its tests can touch, over twins, after a run
    without any. It ends with what was caught, missed, or caught by the wrong test, and with the tests that
    caught nothing. Exit code 1: something was missed, or a test failed that had no reason to.
    """
    if context.invoked_subcommand is None:
        if prove:
            _prove(
                packs=prove,
                lab=lab,
                runs=runs,
                faults=faults or (),
                places=place or (),
                entries=entry or (),
                seed=seed,
                bystanders=bystanders,
                workers=workers,
                as_json=as_json,
            )
        _packs(lab, as_json=as_json)
    refuse_options_of_the_group(context, "packs")


@command
def _packs(lab: Path, *, as_json: bool) -> ExitCode:
    from harness.cli.packs import list_packs

    return list_packs(lab, as_json=as_json)


@command
def _prove(**options: Any) -> ExitCode:
    from harness.cli.prove import ProveOptions, prove

    return prove(ProveOptions(**options))


@packs_app.command("agree")
@command
def packs_agree_command(
    packs: Annotated[list[str], typer.Argument(metavar="PACK", help="The packs; see 'harness packs'.")],
    reference: Annotated[
        str,
        typer.Option(help="The reference of the TAG's agreement (default: the manifest's tag_agreement)."),
    ] = "",
    by: Annotated[
        str, typer.Option(metavar="WHO", help="Who writes it down (default: who is logged in).")
    ] = "",
    lab: LabOption = DEFAULT_LAB,
    as_json: JsonOption = False,
) -> ExitCode:
    """Write down that packs are what was agreed with the TAG.

    As they stand now (Clauses 20.16 and 20.17). Runs then say where a pack is another one, and a witnessed
    run does not start with it.
    """
    from harness.cli.packs import agree
    from harness.execution.terminal import login_name

    return agree(packs, reference, by or login_name(), lab, as_json=as_json)


@packs_app.command("diff")
@command
def packs_diff_command(
    pack: Annotated[str, typer.Argument(metavar="A", help="The pack; alone, against what was agreed of it.")],
    other: Annotated[str, typer.Argument(metavar="B", help="The pack that is held against it.")] = "",
    against: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Take A from this packs folder, as of another checkout."),
    ] = None,
    lab: LabOption = DEFAULT_LAB,
    as_json: JsonOption = False,
) -> ExitCode:
    """How pack B differs from pack A, with the reason of each change."""
    from harness.cli.packs_diff import diff

    return diff(pack, other, against, lab, as_json=as_json)


@packs_app.command("new")
@command
def packs_new_command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Small letters, digits and hyphens.")],
    release: Annotated[str, typer.Option(help="The Capability Release: IOC, MOC or FOC.")] = "IOC",
    phase: Annotated[str, typer.Option(help="The Test Phase.")] = "SIT",
    lab: LabOption = DEFAULT_LAB,
) -> ExitCode:
    """Make a pack of your own, which runs at once and waits to be filled."""
    from harness.cli.packs_new import new

    return new(name, release, phase, lab)
