"""``harness ttm``: the matrix against the packs, and results against the matrix."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

from harness.cli.output import ExitCode, answer_json, answer_table, tell, tell_where
from harness.cli.ttm_matrix import Part, ids_of
from harness.config import load_lab
from harness.config.pack_selection import modules_in
from harness.config.pack_sources import tests_in, tests_of
from harness.config.packs import find_packs, manifests
from harness.config.ttm import load_ttm
from harness.config.ttm_links import read_links
from harness.domain.errors import UsageError
from harness.domain.packs import Pack
from harness.hooks import plugin_manager
from harness.records.exports import make_again
from harness.records.plan import Plan, refuse_another_lab
from harness.records.run import read_run
from harness.records.sealing import Seal
from harness.traceability.allure import of_allure
from harness.traceability.check import Orphans, orphans
from harness.traceability.coverage import Counts, of_run
from harness.traceability.links import LinkNews, news

_Rows = Iterator[tuple[str, str, str]]


def check(file: Path, *, as_json: bool) -> ExitCode:
    """Orphans on both sides, and suspect tests; 1 where the matrix cannot be relied on."""
    lab = load_lab(file)
    ttm = load_ttm(lab.ttm, srvs=lab.catalogue)
    packs = find_packs(lab.packs, manifests(lab.packs))
    tests = ids_of(packs)
    links = read_links(lab.ttm)
    found, linked = orphans(ttm, tests), news(ttm, links, tests)
    rows = [*_wrong(found), *_of_links(linked), *_gaps(found, packs, lab.packs)]
    columns = ("what", "where", "detail")
    if as_json:
        answer_json([dict(zip(columns, row, strict=True)) for row in rows])
    elif rows:
        answer_table("orphans and suspects", columns, rows)
    tell(
        f"{len(ttm.rows)} requirements, {len(found.untested)} without a test; {len(tests)} tests, "
        f"{len(found.unknown)} unknown ids, {len(found.unnamed)} without an id, "
        f"{len(linked.suspect)} links suspect, {len(linked.unstamped)} without a stamp"
    )
    if not links.kept:
        tell(f"there is no {links.file.name}, so that no test can be suspect: harness ttm link makes it")
    return ExitCode.GOOD if found.sound and linked.sound else ExitCode.BAD


def _wrong(found: Orphans) -> _Rows:
    for unknown in found.unknown:
        yield "unknown id", unknown.test, f"{unknown.id}: {unknown.remedy}"
    for test in found.unnamed:
        yield "no id", test, "mark it with @pytest.mark.ttm(…)"


def _of_links(linked: LinkNews) -> _Rows:
    for link in linked.suspect:
        detail = (
            f"the text of {link.id} has changed: hold the test against it, then harness ttm clear {link.id} …"
        )
        yield "suspect", link.test, detail
    for test, id_ in linked.unstamped:
        yield "no stamp", test, f"{id_}: harness ttm link"
    for test, id_ in linked.gone:
        yield "link is gone", test, f"{id_}: harness ttm link drops it"


def _gaps(found: Orphans, packs: Iterable[Pack], folder: Path) -> _Rows:
    for row in found.untested:
        yield "no test", row.id, row.requirement
    selected = {test.id for pack in packs for test in tests_of(pack)}
    for module in modules_in(folder):
        for test in tests_in(module):
            name = f"{module.relative_to(folder.resolve()).as_posix()}::{test.name}"
            if name not in selected:
                yield "in no pack", name, "select it in a manifest"


def coverage(run: Path, allure: Path | None, part: Part, file: Path, *, as_json: bool) -> ExitCode:
    """The numbers, from a run's records or from Allure results alone."""
    lab = load_lab(file)
    whole = load_ttm(lab.ttm)
    ttm = whole.only(group=part.group, source=part.source)
    phase, suspect = part.test_phase(), read_links(lab.ttm).suspect_ids(whole)
    if allure is not None and not allure.is_dir():
        raise UsageError(f"{allure} is not a folder", remedy="name a folder of Allure results")
    found = of_allure(ttm, allure, suspect, phase) if allure else of_run(ttm, read_run(run), suspect, phase)
    if as_json:
        counts = {"total": found.total, **found.groups}
        answer_json({name: asdict(each) for name, each in counts.items()} | {"suspect": found.suspect})
        return ExitCode.GOOD
    columns = ("requirements", "covered", "passed", "failed", "incomplete", "uncovered")

    def row(name: str, counts: Counts) -> tuple[object, ...]:
        return (name, *(getattr(counts, column) for column in columns))

    rows = [row(group, counts) for group, counts in found.groups.items()]
    answer_table("TTM coverage", ("functional group", *columns), [*rows, row("all", found.total)])
    if found.suspect:
        tell(f"suspect, since their text has changed: {', '.join(found.suspect)}")
    return ExitCode.GOOD


def heatmap(run: Path, file: Path) -> ExitCode:
    """Every export of a run, made again from its journals; also of one whose controller was killed."""
    lab = load_lab(file)
    folder = run.resolve()
    refuse_another_lab(Plan.read(folder), lab)
    problems, seal = make_again(plugin_manager(lab.plugins).hook.harness_renderers(), folder, lab)
    for problem in problems:
        tell(problem)
    if seal is not Seal.WHOLE:
        why = "it has no seal yet" if seal is Seal.NONE else "a resumption that never ended has added to it"
        tell(f"not sealed: {why}; harness resume {run} brings it to its end")
    tell_where(run)
    return ExitCode.BAD if problems else ExitCode.GOOD
