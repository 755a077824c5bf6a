"""Help that says in words of the command line what an option or argument takes, and in no Python type."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from typer.core import TyperGroup


class PlainHelp(TyperGroup):
    """The root of all commands. What no metavar is given for takes its own name for one: ``--srv SRV``."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for parameter in _parameters(self):
            if parameter.param_type_name == "argument":
                parameter.metavar = parameter.metavar or parameter.name.upper()
                parameter.display_type_rich = _nothing  # what typer would show beside the metavar
            elif parameter.metavar is None and not parameter.is_flag:
                parameter.metavar = parameter.opts[0].lstrip("-").upper()


def _parameters(command: Any) -> Iterator[Any]:
    yield from command.params
    for each in getattr(command, "commands", {}).values():
        yield from _parameters(each)


def _nothing(ctx: object) -> None:
    """An argument's metavar says it all."""
