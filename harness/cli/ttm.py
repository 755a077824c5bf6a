"""``harness ttm``: the matrix against the packs, and results against the matrix."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from harness.cli.output import ExitCode, answer_json, answer_table, tell, tell_where
from harness.config import load_lab
from harness.config.packs import find_packs, manifests, selected_tests
from harness.config.ttm import load_ttm
from harness.domain.errors import UsageError
from harness.hooks import plugin_manager
from harness.records.exports import make_exports
from harness.records.run import read_run
from harness.traceability.allure import of_allure
from harness.traceability.check import orphans
from harness.traceability.coverage import Counts, of_run


def check(file: Path, *, as_json: bool) -> ExitCode:
    """Orphans on both sides; 1 where a test names nothing, or something that the matrix lacks."""
    lab = load_lab(file)
    ttm = load_ttm(lab.ttm, srvs=lab.catalogue)
    packs = find_packs(lab.packs, manifests(lab.packs))
    found = orphans(ttm, {test: ids for pack in packs for test, ids in selected_tests(pack).items()})
    rows = [("unknown id", unknown.test, f"{unknown.id}: {unknown.remedy}") for unknown in found.unknown]
    rows += [("no id", test, "mark it with @pytest.mark.ttm(…)") for test in found.unnamed]
    rows += [("no test", row.id, row.requirement) for row in found.untested]
    columns = ("what", "where", "detail")
    if as_json:
        answer_json([dict(zip(columns, row, strict=True)) for row in rows])
    elif rows:
        answer_table("orphans", columns, rows)
    tell(
        f"{len(ttm.rows)} requirements, {len(found.untested)} without a test; "
        f"{len(found.unknown)} unknown ids, {len(found.unnamed)} tests without an id"
    )
    return ExitCode.GOOD if found.sound else ExitCode.BAD


def coverage(run: Path, allure: Path | None, file: Path, *, as_json: bool) -> ExitCode:
    """The numbers, from a run's records or from Allure results alone."""
    ttm = load_ttm(load_lab(file).ttm)
    if allure is not None and not allure.is_dir():
        raise UsageError(f"{allure} is no folder", remedy="name a folder of Allure results")
    found = of_allure(ttm, allure) if allure else of_run(ttm, read_run(run))
    if as_json:
        counts = {"total": found.total, **found.groups}
        answer_json({name: asdict(each) for name, each in counts.items()})
        return ExitCode.GOOD
    columns = ("requirements", "covered", "passed", "failed", "uncovered")

    def row(name: str, counts: Counts) -> tuple[object, ...]:
        return (name, *(getattr(counts, column) for column in columns))

    rows = [row(group, counts) for group, counts in found.groups.items()]
    answer_table("TTM coverage", ("functional group", *columns), [*rows, row("all", found.total)])
    return ExitCode.GOOD


def heatmap(run: Path, file: Path) -> ExitCode:
    """Every export of a run, made again from its journals; also of one whose controller was killed."""
    lab = load_lab(file)
    folder = run.resolve()
    read_run(folder)  # says plainly where there is no run
    problems = make_exports(plugin_manager(lab.plugins).hook.harness_renderers(), folder, lab)
    for problem in problems:
        tell(problem)
    tell_where(run)
    return ExitCode.BAD if problems else ExitCode.GOOD
