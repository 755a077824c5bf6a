"""The commands of ``harness device``; what they do stands in :mod:`harness.cli.device`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.output import DEFAULT_LAB, ExitCode, JsonOption, LabOption, command, tell

if TYPE_CHECKING:
    from harness.cli.device import Target

device_app = typer.Typer(
    short_help="One device of a rig: read it, set it, switch it.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
_EXAMPLE = "harness device ioc-1 ESME read active_import"


@device_app.callback(invoke_without_command=True)
def device_group(
    context: typer.Context,
    rig: Annotated[str, typer.Argument(metavar="RIG", help="The rig; see 'harness rigs'.")],
    device: Annotated[str, typer.Argument(metavar="DEVICE", help="ESME, GSME or CH.")],
) -> None:
    """One device of a rig: read it, set it, switch it.

    As in: harness device ioc-1 ESME read active_import

    The command holds the rig's lease while it acts, and refuses a rig that is in use, naming its holder. A
    dirty rig is cleaned first: its bench made safe, each door tried; who maintains a rig has it as it is. It
    opens that device alone, and leaves the bench in its safe state. What changes a device refuses one that is
    not the lab file's baseline. On a simulated rig each call stands the twins up anew: what one call changed,
    the next does not find; use 'shell' to do several things to the same twins.
    """
    context.obj = (rig, device)
    if context.invoked_subcommand is None:
        commands = ", ".join(context.command.commands)  # type: ignore[attr-defined]  # it is a group's
        tell(f"error: say what to do with the {device.upper()}: {commands}; as in: {_EXAMPLE}")
        raise typer.Exit(ExitCode.USAGE)


def _target(context: typer.Context, lab: Path, *, as_json: bool = False) -> Target:
    from harness.cli.device import Target

    rig, device = context.obj
    return Target(lab=lab, rig=rig, device=device, as_json=as_json)


@device_app.command("read")
@command
def read_command(
    context: typer.Context,
    items: Annotated[list[str], typer.Argument(metavar="ITEM", help="What to read; see 'items'.")],
    lab: LabOption = DEFAULT_LAB,
    as_json: JsonOption = False,
) -> ExitCode:
    """Read items by name, with their units."""
    from harness.cli.device import read

    return read(_target(context, lab, as_json=as_json), items)


@device_app.command("write")
@command
def write_command(
    context: typer.Context,
    item: Annotated[str, typer.Argument(metavar="ITEM", help="What to write; see 'items'.")],
    value: Annotated[
        str, typer.Argument(metavar="VALUE", help="In the item's unit; lists and records as JSON.")
    ],
    lab: LabOption = DEFAULT_LAB,
    as_json: JsonOption = False,
) -> ExitCode:
    """Write an item, and read it back.

    Put -- before a negative value, as in: write -- ITEM -5
    """
    from harness.cli.device import write

    return write(_target(context, lab, as_json=as_json), item, value)


@device_app.command("clock")
@command
def clock_command(
    context: typer.Context,
    set_: Annotated[bool, typer.Option("--set", help="Set it to lab time first.")] = False,
    lab: LabOption = DEFAULT_LAB,
    as_json: JsonOption = False,
) -> ExitCode:
    """The device's clock beside lab time."""
    from harness.cli.device import clock

    return clock(_target(context, lab, as_json=as_json), set_=set_)


@device_app.command("profile")
@command
def profile_command(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The log; see 'items --kind log'.")],
    start: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="TIME", help="The first moment, ISO 8601, in UTC where it names no zone."
        ),
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", metavar="TIME", help="The last moment, likewise.")
    ] = None,
    lab: LabOption = DEFAULT_LAB,
    as_json: JsonOption = False,
) -> ExitCode:
    """Rows of a log: profile, daily_read_log, event_log."""
    from harness.cli.device import profile

    return profile(_target(context, lab, as_json=as_json), name, start, end)


@device_app.command("supply")
@command
def supply_command(
    context: typer.Context,
    state: Annotated[
        str | None, typer.Argument(metavar="[enabled|disabled|armed]", help="Bring it into this state first.")
    ] = None,
    lab: LabOption = DEFAULT_LAB,
    as_json: JsonOption = False,
) -> ExitCode:
    """The state of a meter's contactor or valve, or bring it there."""
    from harness.cli.device import supply

    return supply(_target(context, lab, as_json=as_json), state)


@device_app.command("power")
@command
def power_command(
    context: typer.Context,
    on: Annotated[str, typer.Argument(metavar="on|off", help="Whether it has power.")],
    seconds: Annotated[
        float | None,
        typer.Option("--for", metavar="SECONDS", min=0, help="To stay off (default: until Enter)."),
    ] = None,
    lab: LabOption = DEFAULT_LAB,
    as_json: JsonOption = False,
) -> ExitCode:
    """Switch the device's power at the bench.

    No device's door is opened. The bench never stays out of its safe state
    without somebody at it: 'off' lasts until you press Enter, or for so many seconds, and the rig stays yours
    meanwhile. Without a terminal say --for.
    """
    from harness.cli.device import power

    return power(_target(context, lab, as_json=as_json), on, seconds)


@device_app.command("info")
@command
def info_command(
    context: typer.Context, lab: LabOption = DEFAULT_LAB, as_json: JsonOption = False
) -> ExitCode:
    """Who it is, beside its baseline; its clock, supply and door."""
    from harness.cli.device import info

    return info(_target(context, lab, as_json=as_json))


@device_app.command("items")
@command
def items_command(
    context: typer.Context,
    kind: Annotated[
        str | None, typer.Option(help="register, setting, state, identity, log or command (default: all).")
    ] = None,
    lab: LabOption = DEFAULT_LAB,
    as_json: JsonOption = False,
) -> ExitCode:
    """All that can be named: items, logs and commands, with units."""
    from harness.cli.device import items

    return items(_target(context, lab, as_json=as_json), kind)


@device_app.command("shell")
@command
def shell_command(context: typer.Context, lab: LabOption = DEFAULT_LAB) -> ExitCode:
    """A Python prompt with the drivers in it; Ctrl-D ends it.

    At it are rig, device, bench and clock, and the rig stays yours. When it ends the bench is safe.
    """
    from harness.cli.shell import shell

    return shell(_target(context, lab))
