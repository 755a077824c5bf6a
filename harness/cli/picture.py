"""How an overview of the lab is drawn on a terminal of any size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from harness.cli.overview import Overview, RigSeen
from harness.cli.rigs import told_reservation
from harness.rigs.health_words import HealthState
from harness.rigs.lease_words import RigState, Waiting

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.table import Table
    from rich.text import Text

_WIDE: Final = 120  # columns from which holders are told in full
_FEW: Final = 4  # runs, requests or reservations that are shown beside the rigs
_STYLES: Final = {
    HealthState.GOOD: "green",
    HealthState.UNKNOWN: "dim",
    HealthState.SUSPECT: "yellow",
    HealthState.BAD: "bold red",
    HealthState.MAINTENANCE: "cyan",
}


class Picture:
    """An overview, drawn to fit a terminal of any size: what needs somebody comes first."""

    def __init__(self, lab: str, seen: Overview | None = None, problem: str = "") -> None:
        self._lab = lab
        self.seen = seen or Overview(datetime.now(UTC))
        self.problem = problem

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        seen, wide = self.seen, options.max_width >= _WIDE
        few = max(1, min(_FEW, console.size.height // 8))
        above, below = list(self._above(seen, few)), list(_below(seen, few))
        around = len(above) + len(below) + 2  # the head of the table, and what is left out
        room = console.size.height - around
        rigs = sorted(seen.rigs, key=_urgency) if len(seen.rigs) > room else list(seen.rigs)
        shown = rigs[: max(room, 1)]
        yield from above
        if shown:
            yield _table(shown, [run.id for run in seen.runs], wide=wide)
        if left_out := rigs[len(shown) :]:
            yield _line(f"and {len(left_out)} more rigs: {_summary(left_out)}", "dim")
        yield from below

    def _above(self, seen: Overview, few: int) -> Iterator[Text]:
        yield _line(f"lab {self._lab} · {_summary(seen.rigs)} · {datetime.now(UTC):%T}Z", "bold")
        if self.problem:
            ago = _brief((datetime.now(UTC) - seen.at).total_seconds())
            yield _line(f"the store cannot be read, this is {ago} old: {self.problem}", "bold red")
        for number, run in enumerate(seen.runs[-few:], 1 + max(0, len(seen.runs) - few)):
            yield _line(f"#{number} run {run.id}: {run.results}", "dim" if run.over else "")
            rate = f"{run.rate:.1f} tests/min · " if run.rate is not None and not run.over else ""
            yield _line(f"   {rate}{run.end}", "dim" if run.over else "")
            if run.estimate is not None:
                yield _line(f"   {run.estimate}", "dim")


def _below(seen: Overview, few: int) -> Iterator[Text]:
    for told, more, style in (
        ([_waits(each) for each in seen.waiting], "wait", "yellow"),
        ([told_reservation(each) for each in seen.reservations], "reservations", "dim"),
    ):
        yield from (_line(each, style) for each in told[:few])
        if len(told) > few:
            yield _line(f"and {len(told) - few} more {more}", style)


def _waits(each: Waiting) -> str:
    since = (datetime.now(UTC) - datetime.fromisoformat(each.holder.since)).total_seconds()
    priority = f", priority {each.priority}" if each.priority else ""
    return f"{each.holder.purpose} of {each.holder.owner} waits for {each.wanted} ({_brief(since)}{priority})"


def _urgency(rig: RigSeen) -> int:
    """Trouble first, then what is at work, then the idle."""
    return 0 if rig.trouble else 1 if rig.status.holder else 2


def _summary(rigs: Sequence[RigSeen]) -> str:
    kinds = {"in trouble": 0, "at work": 0, "free": 0}
    for rig in rigs:
        kinds[tuple(kinds)[_urgency(rig)]] += 1
    return ", ".join(f"{count} {kind}" for kind, count in kinds.items() if count) or "no rig seen yet"


def _table(rigs: list[RigSeen], runs: list[str], *, wide: bool) -> Table:
    from rich.table import Table

    table = Table(box=None, expand=True, padding=(0, 1, 0, 0), header_style="dim", show_edge=False)
    for name in ("rig", "by", "since", "expires" if wide else "exp."):
        table.add_column(name, no_wrap=True, overflow="ellipsis")
    table.add_column("at", no_wrap=True, overflow="ellipsis", ratio=1)
    for name in ("for", "try", "health"):
        table.add_column(
            name, no_wrap=True, overflow="ellipsis", justify="left" if name == "health" else "right"
        )
    for rig in rigs:
        table.add_row(*_row(rig, runs, wide=wide))
    return table


def _row(rig: RigSeen, runs: list[str], *, wide: bool) -> Iterator[Text]:
    status, attempt, holder = rig.status, rig.in_hand, rig.status.holder
    yield _line(status.rig, "bold" if holder else "")
    yield _line(_by(rig, runs, wide=wide))
    yield _line(_since(datetime.fromisoformat(holder.since), wide=wide) if holder else "")
    yield _line(_brief(status.expires_in) if holder else "")
    yield _line(_doing(rig), "yellow" if rig.trouble and attempt is None else "")
    yield _line(_brief((datetime.now(UTC) - attempt.since).total_seconds()) if attempt else "")
    yield _line(str(attempt.number) if attempt else "")
    state = rig.health.state
    yield _line("maint." if state is HealthState.MAINTENANCE and not wide else state, _STYLES[state])


def _since(moment: datetime, *, wide: bool) -> str:
    """UTC; the day where it is another one."""
    if wide:
        return f"{moment:%F %T}Z" if moment.date() != datetime.now(UTC).date() else f"{moment:%T}Z"
    return f"{moment:%m-%d}" if moment.date() != datetime.now(UTC).date() else f"{moment:%R}"


def _by(rig: RigSeen, runs: list[str], *, wide: bool) -> str:
    holder = rig.status.holder
    if holder is None:
        return ""
    if rig.run not in runs:
        return holder.owner
    number = f"#{runs.index(rig.run) + 1}"
    return f"{number} {rig.run} of {holder.owner}" if wide else number


def _doing(rig: RigSeen) -> str:
    """What it is at, or why it is at nothing."""
    status, holder = rig.status, rig.status.holder
    if rig.in_hand is not None:
        return _label(rig.in_hand.test)
    if status.maintenance_by:
        return f"maintained by {status.maintenance_by}: {status.maintenance_reason}"
    if status.state is RigState.DIRTY:
        return f"{'being cleaned' if holder else 'dirty'}: {status.dirty_reason}"
    if holder is not None:
        return "between two tests" if rig.run else holder.purpose
    if rig.trouble:
        return rig.health.reason
    return f"free, reserved for {rig.reserved_for}" if rig.reserved_for else "free"


def _label(test: str) -> str:
    """A planned test's own name and what it runs on, without its module and pack.

    >>> _label("test_meter::test_reads[standard-srvt-ioc,ioc-alderwick,ESME]")
    'test_reads[ioc-alderwick,ESME]'
    """
    name, bracket, rest = test.rpartition("::")[2].partition("[")
    return f"{name}{bracket}{rest.partition(',')[2] or rest}"


def _brief(seconds: float) -> str:
    """A duration in four characters, mostly.

    >>> _brief(7.9), _brief(310), _brief(7500), _brief(200_000)
    ('7s', '5m', '2h05', '2d')
    """
    seconds = max(0, int(seconds))
    if seconds < 60:
        return f"{seconds}s"
    if seconds < 3600:
        return f"{seconds // 60}m"
    if seconds < 86_400:
        return f"{seconds // 3600}h{seconds // 60 % 60:02}"
    return f"{seconds // 86_400}d"


def _line(text: str, style: str = "") -> Text:
    """One line of the terminal, whatever its width."""
    from rich.text import Text

    return Text(" ".join(text.split()) if "\n" in text else text, style, no_wrap=True, overflow="ellipsis")
