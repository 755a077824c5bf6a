"""What every command shares: options, tables, JSON, and errors as one plain line with an exit code.

With ``--json`` the answer goes to standard output as JSON; everything else goes to standard error.
"""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any, ParamSpec

import typer

from harness.domain.errors import ConfigurationError, HarnessError, LabFault, UsageError

P = ParamSpec("P")

LabOption = Annotated[Path, typer.Option("--lab", metavar="FILE", envvar="HARNESS_LAB", help="The lab file.")]
RunsOption = Annotated[
    Path, typer.Option("--runs", metavar="FOLDER", help="The folder that run folders are made in.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Machine-readable answer on standard output.")]
RunArgument = Annotated[
    Path | None, typer.Argument(help="A run folder, or a run's id (default: the newest run).")
]
DEFAULT_LAB = Path("lab_config/simulated.yaml")
DEFAULT_RUNS = Path("runs")
_WIDTH_OF_A_LOG = 160  # columns, where nobody sits at a terminal
_FOLDED = 9  # letters of a longer word that stay together, where there is not enough room


class ExitCode(IntEnum):
    """Exit codes of every command."""

    GOOD = 0
    BAD = 1  # it ran, and something failed or a gate is not met
    USAGE = 2  # a usage or configuration error
    BLOCKED = 3  # blocked by the lab
    INTERRUPTED = 4


def command(function: Callable[P, ExitCode | None]) -> Callable[P, None]:
    """Turn the harness's errors into a line on standard error, and the result into the exit code."""

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            code = function(*args, **kwargs) or ExitCode.GOOD
        except HarnessError as error:
            tell(f"error: {error}")
            code = exit_code_of(error)
        except KeyboardInterrupt:
            tell("interrupted")
            code = ExitCode.INTERRUPTED
        raise typer.Exit(code)

    return wrapped


def exit_code_of(error: HarnessError) -> ExitCode:
    """The family of an error decides the exit code."""
    if isinstance(error, ConfigurationError | UsageError):
        return ExitCode.USAGE
    return ExitCode.BLOCKED if isinstance(error, LabFault) else ExitCode.BAD


def refuse_options_of_the_group(context: typer.Context, group: str) -> None:
    """End with a usage error where options of a group of commands stand before one of its commands."""
    given = [each.opts[0] for each in context.command.params if _is_said(context, each.name or "")]
    if given:
        tell(f"error: {', '.join(given)} before {context.invoked_subcommand} is for 'harness {group}' alone")
        tell(f"say it after: harness {group} {context.invoked_subcommand} … {given[0]} …")
        raise typer.Exit(ExitCode.USAGE)


def _is_said(context: typer.Context, option: str) -> bool:
    """Whether the person typed it, by the name of its source: typer brings a click of its own."""
    source = context.get_parameter_source(option)
    return source is not None and source.name == "COMMANDLINE"


def chosen_run(run: Path | None, runs: Path) -> Path:
    """The folder of a run that the user named by its path or its id; the newest where none is named."""
    chosen = runs / "latest" if run is None else run
    return chosen if chosen.exists() or not (runs / chosen).exists() else runs / chosen


def tell_where(folder: Path) -> None:
    """Where to look in a run folder."""
    tell(f"heatmap:  {folder / 'heatmap.html'}")
    tell(f"Allure:   {folder / 'allure-results'}")
    tell(f"evidence: {folder / 'evidence'}")


def tell(line: str) -> None:
    """A line for the person, on standard error."""
    print(line, file=sys.stderr)


def answer_json(value: Any) -> None:
    """The answer, for a program."""
    print(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def answer_lines(lines: Iterable[str]) -> None:
    """The answer, for a person who reads it as text."""
    for line in lines:
        print(line)


def answer_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """The answer, for a person. It is as wide as the terminal, and hides nothing.

    On a terminal that is too narrow for its columns it is told in paragraphs.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(width=None if sys.stdout.isatty() else _WIDTH_OF_A_LOG)
    cells = [[str(cell) for cell in row] for row in rows]
    frame = 3 * len(columns) + 1  # two blanks and a line for each column, and a line
    in_columns = [[name, *(row[place] for row in cells)] for place, name in enumerate(columns)]
    table = Table(title=title, title_justify="left", header_style="bold")
    widths = _widths(in_columns, console.width - frame)
    if widths is None:
        answer_lines([title, *_paragraphs(columns, cells, console.width)])
        return
    for column, width in zip(columns, widths, strict=True):
        table.add_column(column, overflow="fold", width=width)
    for row in cells:
        table.add_row(*map(Text, row))
    console.print(table)


def _widths(columns: Sequence[Sequence[str]], room: int) -> list[int] | None:
    """How wide each column is; ``None`` where there is no room for that.

    No word is broken if there is room. If there is not, the first column, which has the names, keeps its
    words whole, and the longest words of the others are folded, to a length that can still be read.

    >>> _widths([["rig", "ioc-1"], ["DMC", "foc-cedarholt"], ["devices", "ESME, GSME, CH"]], 27)
    [5, 13, 9]
    >>> _widths([["fault", "esme-import-stuck"], ["digest", "31b66a46eabf7f58"]], 28)
    [17, 11]
    >>> _widths([["fault", "esme-import-stuck"], ["place", "esme"]], 20)
    """
    whole = [max(len(line) for cell in column for line in cell.splitlines() or [""]) for column in columns]
    if sum(whole) <= room:
        return whole
    widths = [max(len(word) for cell in column for word in cell.split() or [""]) for column in columns]
    least = [widths[0], *(min(width, _FOLDED) for width in widths[1:])]
    if sum(least) > room:
        return None
    while sum(widths) > room:
        longest = max(range(len(widths)), key=lambda each: (widths[each] > least[each], widths[each]))
        widths[longest] -= 1
    while sum(widths) < room:
        most_cramped = max(range(len(widths)), key=lambda each: whole[each] / max(widths[each], 1))
        widths[most_cramped] += 1
    return widths


def _paragraphs(columns: Sequence[str], rows: Iterable[Sequence[str]], width: int) -> Iterator[str]:
    """Each row for itself: its first cell, and below it the others, each with the name of its column."""
    import textwrap

    for name, *others in rows:
        yield name
        told = (f"{column}: {cell}" for column, cell in zip(columns[1:], others, strict=True) if cell)
        yield from textwrap.wrap(
            "; ".join(told), width, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False
        )
