"""The commands of ``harness rigs``; what they do stands in ``rigs``, ``watch`` and ``rig_logs`` beside it."""

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
    command,
    refuse_options_of_the_group,
)
from harness.domain.errors import UsageError

rigs_app = typer.Typer(
    short_help="Rigs: who holds each, how each is; reserve, maintain, watch them.", rich_markup_mode=None
)


def _not_blank(text: str | None) -> str | None:
    """What is asked for so that others read it says something."""
    if text is not None and not text.strip():
        raise typer.BadParameter("it is blank")
    return text


RigArgument = Annotated[str, typer.Argument(metavar="RIG", help="The rig; see 'harness rigs'.")]
ReasonOption = Annotated[str, typer.Option(help="Why: everybody who waits is told.", callback=_not_blank)]
PersonOption = Annotated[
    str | None,
    typer.Option(
        "--as", metavar="PERSON", help="In whose name (default: who is logged in).", callback=_not_blank
    ),
]


@rigs_app.callback(invoke_without_command=True)
def rigs_group(
    context: typer.Context,
    watch: Annotated[
        bool, typer.Option("--watch", help="Keep looking, refreshed in place, until Ctrl-C.")
    ] = False,
    every: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            min=0.1,
            help="How often --watch looks (default: 1 on a terminal, 10 elsewhere).",
        ),
    ] = None,
    lab: LabOption = DEFAULT_LAB,
    runs: RunsOption = DEFAULT_RUNS,
    as_json: JsonOption = False,
) -> None:
    """Rigs, what they hold, who holds each lease and who waits for it, and how each is.

    With --watch also what each is at and for how long, results and speed of the runs, and when they will
    have ended: the DMC that takes longest decides, by what its tests took before and how many rigs it has.
    """
    if context.invoked_subcommand is None:
        _rigs(lab, runs, every, watch=watch, as_json=as_json)
    refuse_options_of_the_group(context, "rigs")


@command
def _rigs(lab: Path, runs: Path, every: float | None, *, watch: bool, as_json: bool) -> ExitCode:
    from harness.execution.terminal import login_name

    if every is not None and not watch:
        raise UsageError("--every says how often --watch looks", remedy="add --watch, or leave it out")
    if watch:
        from harness.cli import watch as watching

        return watching.watch(lab, runs, login_name(), every, as_json=as_json)
    from harness.cli.rigs import list_rigs

    return list_rigs(lab, as_json=as_json)


@rigs_app.command("log")
@command
def log_command(
    rig: RigArgument,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with it as it grows, until Ctrl-C.")
    ] = False,
    run: Annotated[
        Path | None,
        typer.Option(help="A run folder, or a run's id (default: the run that had the rig last)."),
    ] = None,
    last: Annotated[int, typer.Option(metavar="LINES", min=0, help="How many of its lines; 0: all.")] = 40,
    lab: LabOption = DEFAULT_LAB,
    runs: RunsOption = DEFAULT_RUNS,
) -> ExitCode:
    """What happened on a rig, a line an event.

    Attempts, what drivers did, messages, warnings. Each line has the wall clock, the end of the attempt's id,
    lab time where it is known, who, and what.
    """
    from harness.cli.rig_logs import show_log

    return show_log(lab, runs, rig, run, last, follow=follow)


@rigs_app.command("history")
@command
def history_command(
    rig: RigArgument,
    last: Annotated[int, typer.Option(metavar="CHANGES", min=1, help="How many of them.")] = 20,
    lab: LabOption = DEFAULT_LAB,
    as_json: JsonOption = False,
) -> ExitCode:
    """The changes of a rig's health, and why."""
    from harness.cli.rigs import history

    return history(lab, rig, last, as_json=as_json)


@rigs_app.command("reserve")
@command
def reserve_command(
    rig: RigArgument,
    end: Annotated[str, typer.Option("--to", metavar="TIME", help="Until when, as --from.")],
    reason: ReasonOption,
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="TIME",
            help="From when: 2026-03-02 or 2026-03-02T09:15 (UTC, unless it says otherwise; default: now).",
        ),
    ] = None,
    person: PersonOption = None,
    lab: LabOption = DEFAULT_LAB,
    as_json: JsonOption = False,
) -> ExitCode:
    """Keep a rig for a person for a time.

    Who holds it when that begins is not driven out; a run gives it back between two tests. A run is given it
    before only if it will be done by then.
    """
    from harness.cli.rigs import reserve

    return reserve(lab, rig, start, end, reason, person, as_json=as_json)


@rigs_app.command("unreserve")
@command
def unreserve_command(
    rig: RigArgument,
    start: Annotated[
        str | None,
        typer.Option("--from", metavar="TIME", help="Only the reservation that begins then (default: all)."),
    ] = None,
    person: PersonOption = None,
    lab: LabOption = DEFAULT_LAB,
    as_json: JsonOption = False,
) -> ExitCode:
    """Give a person's reservations of a rig back."""
    from harness.cli.rigs import unreserve

    return unreserve(lab, rig, start, person, as_json=as_json)


@rigs_app.command("maintain")
@command
def maintain_command(
    rig: RigArgument,
    reason: ReasonOption,
    person: PersonOption = None,
    lab: LabOption = DEFAULT_LAB,
    as_json: JsonOption = False,
) -> ExitCode:
    """Take a rig out of service: nobody is given it until it is back.

    Who holds it goes on; a run gives it back between two tests.
    """
    from harness.cli.rigs import maintain

    return maintain(lab, rig, reason, person, as_json=as_json)


@rigs_app.command("back")
@command
def back_command(
    rig: RigArgument,
    force: Annotated[
        bool, typer.Option("--force", help="Also out of another's maintenance: are their hands off it?")
    ] = False,
    person: PersonOption = None,
    lab: LabOption = DEFAULT_LAB,
    as_json: JsonOption = False,
) -> ExitCode:
    """The rig is in service again: who maintains it says so.

    It is checked before anybody gets it.
    """
    from harness.cli.rigs import back

    return back(lab, rig, person, force=force, as_json=as_json)


@rigs_app.command("evict")
@command
def evict_command(
    rig: RigArgument,
    reason: ReasonOption,
    person: PersonOption = None,
    lab: LabOption = DEFAULT_LAB,
    as_json: JsonOption = False,
) -> ExitCode:
    """End the lease of somebody who does not give a rig back.

    A run gives it back after the test in hand, goes on with its other rigs, and does not take it again.
    Anybody else may act until the lease has expired; then the rig is dirty, and checked before the next gets
    it. To be the next, reserve it first.
    """
    from harness.cli.rigs import evict

    return evict(lab, rig, reason, person, as_json=as_json)


@rigs_app.command("adopt")
@command
def adopt_command(lab: LabOption = DEFAULT_LAB) -> ExitCode:
    """Take the lab's store of leases over from a host that was renamed, or is gone for good.

    Only where 'belongs to host …' is what every command says. Never while that host still works with its
    rigs: every lease in the store counts as expired, and two hosts would drive one rig.
    """
    from harness.cli.rigs import adopt

    return adopt(lab)
