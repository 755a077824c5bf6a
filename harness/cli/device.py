"""``harness device``: one device of a rig in the bench engineer's hand, under the rig's lease.

Only that device's door is opened, without the DCC. A twin is stood up anew for every call: what one call
did to it, the next does not find. The bench is in its safe state when a call ends.
"""

from __future__ import annotations

import json
import select
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.cli.choosing import chosen, moment
from harness.cli.grip import grip, self_check
from harness.cli.output import ExitCode, answer_json, answer_table, tell
from harness.config import load_lab
from harness.domain.baseline import baseline, deviations
from harness.domain.errors import AccessRefused, ConfigurationError, UsageError
from harness.domain.instruments import Device, Identity, Meter, RigInHand
from harness.domain.lab import Lab, Rig
from harness.domain.run_ids import new_run_id
from harness.domain.words import DeviceType, SupplyState
from harness.execution.rig_keeper import open_rig
from harness.execution.terminal import login_name
from harness.hooks import RunContext, Wanted, plugin_manager
from harness.records.canonical import plain
from harness.records.evidence import TraceRouter
from harness.rigs.pool import Pool


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What the command line says of the device."""

    lab: Path
    rig: str
    device: str
    as_json: bool = False


@dataclass(frozen=True, slots=True)
class Held:
    """The device in hand, and the rig that it is on. ``type`` is also set where no door was opened."""

    lab: Lab
    pool: Pool
    run: str  # the name under which faults are written into the rig's health
    type: DeviceType
    rig: RigInHand

    @property
    def device(self) -> Device:
        """Its driver."""
        return self.rig.devices[self.type]


@contextmanager
def in_hand(target: Target, *, acts: bool = False, door: bool = True, bench: bool = False) -> Iterator[Held]:
    """The device, its rig leased; a lab fault on the way is written into the rig's health.

    Who ``acts`` on a device must have the right one in hand: it is held to its baseline. Who looks may look
    at any. The bench is opened, and made safe at the end, only where it is asked for.
    """
    lab = load_lab(target.lab)
    rig = chosen({rig.id: rig for rig in lab.rigs}, target.rig, "rig")
    type_ = chosen({type_.value: type_ for type_ in rig.devices}, target.device, "device", f"on rig {rig.id}")
    name = f"device-{new_run_id()}"
    run = RunContext(name, Path(name), lab.seed)
    hooks = plugin_manager(lab.plugins)
    wanted = Wanted(devices=(type_,) if door else (), bench=bench, baseline=acts)
    with ExitStack() as held:
        pool = held.enter_context(Pool(lab, login_name()))
        purpose = f"harness device {rig.id} {type_}"
        hold = grip(pool, rig, purpose, self_check(hooks, lab, rig, run))
        held.callback(hold.release)
        held.enter_context(pool.health.watched(rig.id, name))
        on_the_bench = hold.in_doubt if bench else nullcontext
        with on_the_bench():
            opened = open_rig(hooks, lab, rig, {}, run, TraceRouter(), wanted, hold.fence)
        held.callback(_put_down, opened, on_the_bench)
        yield Held(lab, pool, name, type_, opened)


def _put_down(opened: RigInHand, on_the_bench: Callable[[], AbstractContextManager[None]]) -> None:
    with on_the_bench():
        opened.close()


def read(target: Target, items: Sequence[str]) -> ExitCode:
    """Items by name, with their units."""
    with in_hand(target) as held:
        items = [_item(held, item) for item in items]
        found = held.device.read_many(items)
        units = {item: held.device.unit(item) for item in items}
    _answer(target, ("item", "value", "unit"), [(item, found[item], units[item]) for item in items])
    return ExitCode.GOOD


def write(target: Target, item: str, text: str) -> ExitCode:
    """Write an item, and read it back."""
    with in_hand(target, acts=True) as held:
        item = _item(held, item)
        value = held.device.parse(item, text)
        held.device.write(item, value)
        found, unit = held.device.read(item), held.device.unit(item)
    _answer(target, ("item", "written", "reads back", "unit"), [(item, value, found, unit)])
    if found == value:
        return ExitCode.GOOD
    tell(f"{item} reads back another value than was written")
    return ExitCode.BAD


def clock(target: Target, *, set_: bool) -> ExitCode:
    """The device's clock beside lab time, set to it first where that is asked for."""
    with in_hand(target, acts=set_) as held:
        if set_:
            held.device.write("clock", held.rig.clock.now())
        found, lab_time = held.device.clock(), held.rig.clock.now()
    ahead = round((found - lab_time).total_seconds(), 1) + 0.0  # no minus before a zero
    rows = [
        ("device clock", found, ""),
        ("lab time", lab_time.replace(microsecond=0), ""),
        ("device ahead", ahead, "s"),
    ]
    _answer(target, ("what", "value", "unit"), rows)
    return ExitCode.GOOD


def profile(target: Target, log: str, start: str | None, end: str | None) -> ExitCode:
    """Rows of a log, oldest first."""
    since = moment(start, "--from") if start is not None else None
    until = moment(end, "--to") if end is not None else None
    if since and until and since > until:
        raise UsageError(f"--from {start} is after --to {end}", remedy="say them the other way round")
    with in_hand(target) as held:
        logs = {offer.name: offer.columns for offer in held.device.offers() if offer.kind == "log"}
        log = chosen({name: name for name in logs}, log, "log", f"of the {held.type}")
        rows = held.device.log(log, since, until)
        units = logs[log]
    if target.as_json:
        told = [{"timestamp": row.timestamp, "values": row.values} for row in rows]
        answer_json(plain({"log": log, "units": units, "rows": told}))
        return ExitCode.GOOD
    columns = ("time", *(f"{name} ({unit})" if unit else name for name, unit in units.items()))
    cells = ((shown(row.timestamp), *(shown(row.values.get(name, "")) for name in units)) for row in rows)
    answer_table(f"{target.rig} {held.type} {log}", columns, cells)
    tell(f"{len(rows)} rows")
    return ExitCode.GOOD


def supply(target: Target, state: str | None) -> ExitCode:
    """The state of the contactor or valve; disabled, enabled or armed first where that is asked for."""
    wanted = chosen({each.value: each for each in SupplyState}, state, "supply state") if state else None
    with in_hand(target, acts=wanted is not None) as held:
        meter = _meter(held)
        if wanted is not None:
            meter.operate_supply(wanted)
        found = meter.supply()
    _answer(target, ("what", "value", "unit"), [("supply", found, "")])
    if wanted is None or found is wanted:
        return ExitCode.GOOD
    tell(f"the supply is {found}, not {wanted} as was asked for")
    return ExitCode.BAD


def power(target: Target, on: str, seconds: float | None) -> ExitCode:
    """Switch the device's power at the bench, whose safe state comes back when the command ends."""
    wanted = chosen({"on": True, "off": False}, on, "power state")
    if not wanted and seconds is None and not sys.stdin.isatty():
        raise UsageError(
            "without a terminal 'power off' needs a duration", remedy="say for how long: --for SECONDS"
        )
    with in_hand(target, door=False, bench=True) as held:
        held.rig.bench.power(held.type, wanted)
        _answer(target, ("what", "value", "unit"), [("power", "on" if wanted else "off", "")])
        if not wanted:
            sys.stdout.flush()
            _stay(seconds)
    if not wanted:
        tell(f"the bench of rig {held.rig.rig.id} is in its safe state again")
    return ExitCode.GOOD


def _stay(seconds: float | None) -> None:
    """Hold the bench for so long, or until the engineer says so."""
    asked = [sys.stdin] if sys.stdin.isatty() else []
    ends = [*(["on Enter"] if asked else []), *([] if seconds is None else [f"in {seconds:g} s"])]
    tell(f"off; back to the bench's safe state {' or '.join(ends)}")
    if select.select(asked, [], [], seconds)[0]:
        sys.stdin.readline()


def info(target: Target) -> ExitCode:
    """Who the device is, beside its baseline, and how it and its rig are."""
    with in_hand(target) as held:
        expected = held.rig.rig.devices[held.type]
        found, wanted = held.device.identity(), baseline(expected)
        rows: list[tuple[str, Any, Any]] = [
            (part.replace("_", " "), getattr(found, part), getattr(wanted, part))
            for part in Identity.__dataclass_fields__
        ]
        rows += [
            ("clock", _told(held.device.clock), held.rig.clock.now().replace(microsecond=0)),
            ("device model", "", expected.model.id),
            ("door", _door(held.rig.rig, held.type), ""),
            ("health of the rig", str(held.pool.health.of(held.rig.rig.id)), ""),
        ]
        if held.type is not DeviceType.CH:
            rows.insert(-3, ("supply", _told(_meter(held).supply), ""))
    _answer(target, ("what", "found", "expected"), rows)
    wrong = deviations(expected, found)
    for deviation in wrong:
        tell(str(deviation))
    return ExitCode.BLOCKED if wrong else ExitCode.GOOD


def items(target: Target, kind: str | None) -> ExitCode:
    """All that can be named: items, logs and commands."""
    with in_hand(target) as held:
        offers = held.device.offers()
    if kind is not None:
        kind = chosen({each.kind: each.kind for each in offers}, kind, "kind")
    rows = [
        (offer.name, offer.kind, offer.unit, offer.form or _columns(offer.columns.items()))
        for offer in offers
        if kind in (None, offer.kind)
    ]
    _answer(target, ("name", "kind", "unit", "form"), rows)
    return ExitCode.GOOD


def shown(value: Any) -> str:
    """A value as a person reads it, and may type it again: times in UTC, bytes in hexadecimal digits.

    >>> shown(datetime(2026, 3, 2, 12, tzinfo=UTC)), shown(False), shown({"rate": 1, "days": (1, 2)})
    ('2026-03-02 12:00:00Z', 'no', '{"rate": 1, "days": [1, 2]}')
    """
    match value:
        case bool():
            return "yes" if value else "no"
        case datetime():
            return "never" if value.year == 1 else f"{value.astimezone(UTC):%F %T}Z"
        case bytes():
            return value.hex()
        case tuple() | list() | dict():
            return json.dumps(plain(value), ensure_ascii=False)
    return str(value)


def _answer(target: Target, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    if target.as_json:
        answer_json([plain(dict(zip(columns, row, strict=True))) for row in rows])
    else:
        title = f"{target.rig} {target.device.upper()}"
        answer_table(title, columns, ([shown(cell) for cell in row] for row in rows))


def _told(ask: Callable[[], Any]) -> Any:
    """What a device tells; a meter that is only read out may not know of it."""
    try:
        return ask()
    except (AccessRefused, UsageError):
        return "not told"


def _item(held: Held, name: str) -> str:
    return chosen({item: item for item in held.device.items()}, name, "item", f"of the {held.type}")


def _columns(columns: Collection[tuple[str, str]]) -> str:
    return ", ".join(f"{name} ({unit})" if unit else name for name, unit in columns)


def _door(rig: Rig, type_: DeviceType) -> str:
    door = rig.devices[type_].door
    if door is None:
        raise ConfigurationError(f"rig {rig.id}: its {type_} has no door")
    where = ", ".join(f"{name} {value}" for name, value in door.parameters.items())
    return f"{door.protocol} over {door.transport}: {where}{' (a twin)' if rig.simulation else ''}"


def _meter(held: Held) -> Meter:
    if held.type is DeviceType.CH:
        raise UsageError(f"the {held.type} has no supply to switch", remedy="name the rig's ESME or GSME")
    return held.device  # type: ignore[return-value]  # registered for that type
