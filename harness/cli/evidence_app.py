"""``harness evidence``: what it takes. What its commands do stands in :mod:`harness.cli.evidence`."""

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
    RunArgument,
    RunsOption,
    chosen_run,
    command,
)

evidence_app = typer.Typer(help="The evidence of a run.", no_args_is_help=True)


@evidence_app.command("verify")
@command
def evidence_verify_command(
    run: RunArgument = None,
    key: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The lab's public key (PEM): only a run that it signed is good."),
    ] = None,
    runs: RunsOption = DEFAULT_RUNS,
    as_json: JsonOption = False,
) -> ExitCode:
    """Tell what was changed since it was recorded, and who signed it.

    Lists each file, line and byte range that was changed, removed, added or put in another order.
    """
    from harness.cli.evidence import verify

    return verify(chosen_run(run, runs), key, as_json=as_json)


@evidence_app.command("messages")
@command
def evidence_messages_command(
    run: RunArgument = None,
    lab: LabOption = DEFAULT_LAB,
    runs: RunsOption = DEFAULT_RUNS,
    as_json: JsonOption = False,
) -> ExitCode:
    """Check each message of the DCC once more, both ways.

    It is held against schema, signature and counters, as when it passed.
    The lab's keys must be those of the run. What a test made wrong on purpose must have been seen to be.
    """
    from harness.cli.evidence import messages

    return messages(chosen_run(run, runs), lab, as_json=as_json)


@evidence_app.command("pack")
@command
def evidence_pack_command(
    run: RunArgument = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The archive (default: RUN-ID.tar.gz, beside the run folder)."),
    ] = None,
    lab: LabOption = DEFAULT_LAB,
    runs: RunsOption = DEFAULT_RUNS,
    as_json: JsonOption = False,
) -> ExitCode:
    """Make one archive of a run, to hand to an auditor.

    It can be verified without the harness: VERIFY.md in it has the commands. A run that is not as it was
    recorded, or has one of the lab's secrets in it, is not packed.
    """
    from harness.cli.evidence import pack

    return pack(chosen_run(run, runs), lab, out, as_json=as_json)


@evidence_app.command("key")
@command
def evidence_key_command(lab: LabOption = DEFAULT_LAB, as_json: JsonOption = False) -> ExitCode:
    """Show the public key that the lab's runs are signed with.

    Hand it, or its fingerprint, to whoever is to trust the runs; not together with a run.
    """
    from harness.cli.evidence import key

    return key(lab, as_json=as_json)
