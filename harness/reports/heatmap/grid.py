"""The heatmap as numbers: functional groups and their SRVs by DMC and installation type.

A test with several SRVs stands in the row of each; a group and a total count it once. ``run`` means that a
test ran to a verdict: planned = run + blocked + not run + de-scoped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from harness.domain.words import CapabilityRelease, InstallationType, Outcome
from harness.records.plan import Plan, PlannedTest
from harness.records.run import RunRecord

NO_SRV = "–"


@dataclass(frozen=True, slots=True)
class Tally:
    """How many of some planned tests came out how."""

    counts: Mapping[Outcome, int]
    tests: tuple[int, ...] = field(repr=False)  # places in the plan

    @property
    def planned(self) -> int:
        """All of them."""
        return len(self.tests)

    @property
    def run(self) -> int:
        """Those that ran to a verdict."""
        return self.counts[Outcome.PASSED] + self.counts[Outcome.FAILED]

    def __getitem__(self, outcome: str) -> int:
        return self.counts[Outcome(outcome)]

    @property
    def state(self) -> str:
        """What the cell is coloured by: the gravest outcome in it; ``none`` where nothing is planned."""
        for outcome in (Outcome.FAILED, Outcome.BLOCKED, Outcome.NOT_RUN, Outcome.PASSED, Outcome.DESCOPED):
            if self.counts[outcome]:
                return outcome.value
        return "none"


@dataclass(frozen=True, slots=True)
class Column:
    """A DMC with an installation type: one EPCL entry, or several that differ in their provider."""

    key: str
    dmc: str
    release: CapabilityRelease
    models: str
    installation_type: InstallationType
    entries: str
    first_of_dmc: bool
    span: int  # columns of this DMC


@dataclass(frozen=True, slots=True)
class Row:
    """A functional group, an SRV in it, or the total, with a tally for each column and one for all."""

    key: str
    label: str
    name: str
    cells: tuple[Tally, ...]
    total: Tally
    rows: tuple[Row, ...] = ()

    @property
    def all_passed(self) -> bool:
        """Nothing in it needs a look."""
        return self.total.planned == self.total["passed"] + self.total["descoped"]


@dataclass(frozen=True, slots=True)
class Grid:
    """The whole heatmap."""

    columns: tuple[Column, ...]
    groups: tuple[Row, ...]
    total: Row


class _Tests:
    """The planned tests with their outcomes, and tallies of any selection of them."""

    def __init__(self, record: RunRecord, columns: Sequence[Column]) -> None:
        self.tests = record.plan.tests
        self.outcomes = [record.outcome(test.id) for test in self.tests]
        self.columns = columns

    def tally(self, places: Iterable[int]) -> Tally:
        chosen = tuple(places)
        counts = dict.fromkeys(Outcome, 0)
        for place in chosen:
            counts[self.outcomes[place]] += 1
        return Tally(counts, chosen)

    def row(self, key: str, label: str, name: str, places: Sequence[int], rows: Iterable[Row] = ()) -> Row:
        cells = [[p for p in places if column_key(self.tests[p]) == column.key] for column in self.columns]
        return Row(key, label, name, tuple(map(self.tally, cells)), self.tally(places), tuple(rows))


def make_grid(record: RunRecord, names: Mapping[str, str], ttm: Iterable[str]) -> Grid:
    """The heatmap of a run; ``names`` gives the name of each SRV, ``ttm`` the functional groups of the TTM.

    Groups stand by number, then name: each has its place, whatever was planned. A functional group of the TTM
    for which nothing was planned has a row as well, and it is empty.
    """
    columns = tuple(_columns(record.plan))
    tests = _Tests(record, columns)
    groups: dict[str, list[int]] = {group: [] for group in ttm}
    for place, test in enumerate(tests.tests):
        groups.setdefault(test.functional_group, []).append(place)
    rows = [
        tests.row(f"g{at}", group, "", groups[group], _srv_rows(tests, f"g{at}", groups[group], names))
        for at, group in enumerate(sorted(groups, key=_group_order))
    ]
    return Grid(columns, tuple(rows), tests.row("all", "All functional groups", "", range(len(tests.tests))))


def _srv_rows(tests: _Tests, key: str, places: Sequence[int], names: Mapping[str, str]) -> Iterator[Row]:
    for srv in sorted(_srvs(tests, places), key=_order):
        of_srv = [place for place in places if srv in (tests.tests[place].srvs or (NO_SRV,))]
        yield tests.row(f"{key}-{srv}", srv, names.get(srv, "without an SRV"), of_srv)


def _srvs(tests: _Tests, places: Iterable[int]) -> set[str]:
    return {srv for place in places for srv in tests.tests[place].srvs or (NO_SRV,)}


def _order(srv: str) -> tuple[tuple[int, ...], str]:
    """SRVs in the order of their numbers: 4.2 before 4.10; what has no number comes last."""
    return tuple(int(part) for part in re.findall(r"\d+", srv)) or (10**6,), srv


def _group_order(group: str) -> tuple[int, str]:
    """Functional groups in the order of the numbers that they begin with; what has none comes last."""
    number = re.match(r"\d+", group)
    return int(number[0]) if number else 10**6, group


def column_key(test: PlannedTest) -> str:
    """The column that a planned test stands in."""
    return f"{test.dmc}/{test.installation_type}"


def _columns(plan: Plan) -> Iterator[Column]:
    for dmc in plan.dmcs:
        entries: dict[InstallationType, list[str]] = {}
        for entry in plan.epcl_entries:
            if entry.dmc == dmc.id:
                entries.setdefault(entry.installation_type, []).append(
                    f"{entry.id} ({entry.communications_provider})"
                )
        for at, (kind, ids) in enumerate(entries.items()):
            models = ", ".join(f"{type_}: {model}" for type_, model in dmc.models.items())
            yield Column(
                key=f"{dmc.id}/{kind}",
                dmc=dmc.id,
                release=dmc.release,
                models=models,
                installation_type=kind,
                entries="; ".join(ids),
                first_of_dmc=at == 0,
                span=len(entries),
            )
