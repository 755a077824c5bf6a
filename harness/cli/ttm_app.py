"""The commands of ``harness ttm``; what they do stands in modules beside it."""

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

ttm_app = typer.Typer(help="The Test Traceability Matrix.", no_args_is_help=True, rich_markup_mode=None)
GroupOption = Annotated[
    str, typer.Option(help="Only requirements of this functional group, or part of its name.")
]
SourceOption = Annotated[str, typer.Option(help="Only requirements from this source, or part of its name.")]
PhaseOption = Annotated[str, typer.Option(help="Only tests of this Test Phase, such as SIT.")]


@ttm_app.command("check")
@command
def ttm_check_command(lab: LabOption = DEFAULT_LAB, as_json: JsonOption = False) -> ExitCode:
    """Matrix against packs: orphans on both sides, suspect links.

    An id that the matrix lacks, a test without an id, a suspect test and a link without a stamp are errors;
    a requirement without a test is a gap.
    """
    from harness.cli.ttm import check

    return check(lab, as_json=as_json)


@ttm_app.command("link")
@command
def ttm_link_command(lab: LabOption = DEFAULT_LAB, as_json: JsonOption = False) -> ExitCode:
    """Stamp the links of new tests; drop those of tests that are gone.

    A link that is suspect stays so: 'harness ttm clear'.
    """
    from harness.cli.ttm_links import link

    return link(lab, as_json=as_json)


@ttm_app.command("clear")
@command
def ttm_clear_command(
    ids: Annotated[list[str], typer.Argument(metavar="ID", help="The requirements.")],
    by: Annotated[str, typer.Option(metavar="WHO", help="Who held the tests against the new text.")],
    reason: Annotated[str, typer.Option(help="What was found.")],
    test: Annotated[str, typer.Option(help="Only this test, module.py::test_name.")] = "",
    lab: LabOption = DEFAULT_LAB,
    as_json: JsonOption = False,
) -> ExitCode:
    """Say that tests were held against a requirement's new text."""
    from harness.cli.ttm_links import clear

    return clear(ids, by, reason, test, lab, as_json=as_json)


@ttm_app.command("coverage")
@command
def ttm_coverage_command(
    run: RunArgument = None,
    allure: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Compute from this Allure results folder alone.")
    ] = None,
    group: GroupOption = "",
    source: SourceOption = "",
    phase: PhaseOption = "",
    lab: LabOption = DEFAULT_LAB,
    runs: RunsOption = DEFAULT_RUNS,
    as_json: JsonOption = False,
) -> ExitCode:
    """Results against the matrix."""
    from harness.cli.ttm import coverage
    from harness.cli.ttm_matrix import Part

    return coverage(chosen_run(run, runs), allure, Part(group, source, phase), lab, as_json=as_json)


@ttm_app.command("matrix")
@command
def ttm_matrix_command(
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write it to this file, .csv or .xlsx (default: show it)."),
    ] = None,
    group: GroupOption = "",
    source: SourceOption = "",
    phase: PhaseOption = "",
    lab: LabOption = DEFAULT_LAB,
    as_json: JsonOption = False,
) -> ExitCode:
    """Each requirement with the tests and packs that show it.

    The matrix that Clause 6.4(c) asks for in a Test Phase: --group security --phase SIT.
    """
    from harness.cli.ttm_matrix import Part, matrix

    return matrix(out, Part(group, source, phase), lab, as_json=as_json)


@ttm_app.command("export")
@command
def ttm_export_command(
    file: Annotated[Path, typer.Argument(help="The file that is written, .csv or .xlsx.")],
    lab: LabOption = DEFAULT_LAB,
) -> ExitCode:
    """Write the matrix into a file, to be imported again."""
    from harness.cli.ttm_files import export_ttm

    return export_ttm(file, lab)


@ttm_app.command("import")
@command
def ttm_import_command(
    file: Annotated[Path, typer.Argument(help="The file that is read, .csv or .xlsx.")],
    write: Annotated[
        bool, typer.Option("--write", help="Replace the lab's matrix (default: show what would change).")
    ] = False,
    lab: LabOption = DEFAULT_LAB,
    as_json: JsonOption = False,
) -> ExitCode:
    """Show what a file would change in the matrix, or take it.

    Tests of a requirement whose text changes are suspect from then on: 'harness ttm check'.
    """
    from harness.cli.ttm_files import import_ttm

    return import_ttm(file, lab, write=write, as_json=as_json)


@ttm_app.command("heatmap")
@command
def ttm_heatmap_command(
    run: RunArgument = None,
    lab: LabOption = DEFAULT_LAB,
    runs: RunsOption = DEFAULT_RUNS,
) -> ExitCode:
    """Make a run's exports again, and say where the heatmap is.

    They are made from its journals, which are left as they are.
    """
    from harness.cli.ttm import heatmap

    return heatmap(chosen_run(run, runs), lab)
