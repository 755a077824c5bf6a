"""A twin as COSEM objects: what a DLMS server in front of it asks.

The twin's object table says which attribute is which item, log or command. On top come the attributes that
follow from it: logical names, scalers and units, capture objects, the clock's zone, the association's list.

Rights by client: management (1) may do everything, the S1SP (2) too; the reader (3) reads everything but
neither writes nor commands; everybody else, the public client (16) among them, reads clock and identity.
Since a change of tenancy the reader sees no log row from before it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from device_drivers.dlms.counters import CounterStore, MemoryCounters, received_from
from device_drivers.dlms.data import (
    NULL,
    Data,
    Tag,
    array,
    boolean,
    double_long_unsigned,
    enum,
    integer,
    long,
    long_unsigned,
    octets,
    structure,
    unsigned,
)
from device_drivers.dlms.refs import (
    CLOCK_TIME,
    CURRENT_ASSOCIATION,
    AttributeRef,
    EntrySelector,
    MethodRef,
    RangeSelector,
    Selector,
    invocation_counter,
    parse_obis,
)
from device_drivers.dlms.selection import capture_object
from device_drivers.named.forms import MOMENT, UNSET, Form
from device_drivers.named.objects import Command, Item, Kind, Log, ObjectTable
from harness.domain.errors import AccessRefused, ProtocolViolation

MANAGEMENT: Final = 1
S1SP: Final = 2
READER: Final = 3
_COMMANDERS: Final = frozenset({MANAGEMENT, S1SP})
_READERS: Final = _COMMANDERS | {READER}

DATA: Final = 1
REGISTER: Final = 3
PROFILE: Final = 7
CLOCK: Final = 8
ASSOCIATION: Final = 15
_VERSIONS: Final[Mapping[int, int]] = {PROFILE: 1, ASSOCIATION: 1}  # of an interface class; 0 where not named

UNITS: Final[Mapping[str, int]] = {
    "s": 7,
    "m3": 13,
    "W": 27,
    "var": 29,
    "Wh": 30,
    "varh": 32,
    "A": 33,
    "V": 35,
}
NO_UNIT: Final = 255
_COUNTER: Final = re.compile(r"0-0:43\.1\.(\d+)")
_NO_DATE: Final = octets(b"\xff" * 9 + b"\x80\x00\xff")
_NO_ACCESS, _READ, _READ_WRITE = enum(0), enum(1), enum(3)
_DERIVED: Final[Mapping[int, tuple[int, ...]]] = {REGISTER: (3,), PROFILE: (2, 3, 4, 5, 6, 7, 8)}


class Named(Protocol):
    """What a model needs of a twin."""

    table: ObjectTable

    def get(self, name: str, client: int = ..., /) -> Any:
        """An item's value."""

    def set(self, name: str, value: Any, client: int = ..., /) -> None:
        """Write an item."""

    def act(self, name: str, argument: Any = ..., client: int = ..., /) -> Any:
        """Run a command."""

    def may_write(self, name: str, client: int = ..., /) -> bool:
        """Whether a client may write an item."""

    def rows(self, name: str, client: int = ..., /) -> Sequence[tuple[Any, ...]]:
        """A log's rows, times first."""

    def clear_log(self, name: str, client: int = ..., /) -> None:
        """Empty a log."""


class TwinModel:
    """Implements :class:`device_drivers.dlms.server.CosemModel` for a twin.

    ``counters`` are those of the server in front: each client's highest one is read at 0-0:43.1.<its SAP>.
    """

    def __init__(self, twin: Named, counters: CounterStore | None = None) -> None:
        self._twin = twin
        self._counters = counters or MemoryCounters()
        table = twin.table
        self._items = {(i.class_id, i.obis, i.attribute): i for i in table.items.values()}
        self._logs = {log.obis: log for log in table.logs.values()}
        self._commands: dict[tuple[int, str, int], list[Command]] = {}
        for command in table.commands.values():
            key = (command.class_id, command.obis, command.method)
            self._commands.setdefault(key, []).append(command)
        self._objects = {(class_id, obis) for class_id, obis, _ in (*self._items, *self._commands)}
        self._objects |= {(PROFILE, obis) for obis in self._logs}
        self._objects.add((ASSOCIATION, CURRENT_ASSOCIATION))

    def get(self, ref: AttributeRef, selector: Selector | None, client: int) -> Data:
        if ref.class_id == DATA and (found := _COUNTER.fullmatch(ref.obis)):
            return self._counter(ref, int(found[1]))
        if (ref.class_id, ref.obis) not in self._objects:
            raise AccessRefused(f"no object {ref}", result="object-undefined")
        if ref.attribute == 1:
            return octets(parse_obis(ref.obis))
        if ref.class_id == PROFILE:
            return self._log(self._logs[ref.obis], ref.attribute, selector, client)
        if ref.class_id == ASSOCIATION:
            return self._association(ref.attribute, client)
        item = self._items.get((ref.class_id, ref.obis, ref.attribute))
        if item is None:
            return self._derived(ref, client)
        if client not in _READERS and not _is_public(item):
            self._deny(ref, client)
        return item.form.encode(self._twin.get(item.name, client))

    def set(self, ref: AttributeRef, data: Data, client: int) -> None:
        item = self._items.get((ref.class_id, ref.obis, ref.attribute))
        if item is None:
            known = (ref.class_id, ref.obis) in self._objects
            raise _denied(ref) if known else AccessRefused(f"no object {ref}", result="object-undefined")
        if client not in _COMMANDERS:
            self._deny(ref, client)
        self._twin.set(item.name, _decoded(item.form, data), client)

    def action(self, ref: MethodRef, data: Data | None, client: int) -> Data | None:
        if client not in _COMMANDERS:
            self._deny(ref, client)
        if ref.class_id == PROFILE and ref.method == 1 and ref.obis in self._logs:
            self._twin.clear_log(self._logs[ref.obis].name, client)
            return None
        command, argument = self._command(ref, data)
        self._twin.act(command.name, argument, client)
        return None

    def _deny(self, ref: AttributeRef | MethodRef, client: int) -> None:
        """Refuse, unless the twin is one that has lost this check."""
        refusal = getattr(self._twin, "refusal", None)
        if refusal is None or refusal("rights", str(ref), client):
            raise AccessRefused(f"{ref} is not for this client", result="read-write-denied")

    def _command(self, ref: MethodRef, data: Data | None) -> tuple[Command, Any]:
        """The command that a method and, for a script table, its argument name."""
        commands = self._commands.get((ref.class_id, ref.obis, ref.method), ())
        for command in commands:
            if command.argument is None:
                return command, None
            argument = _decoded(command.argument, data)
            if len(commands) == 1 or argument == command.constant:
                return command, argument
        raise AccessRefused(f"no such method: {ref}", result="object-undefined")

    # What follows from the table

    def _counter(self, ref: AttributeRef, client_sap: int) -> Data:
        """The highest invocation counter received from a client."""
        if ref != invocation_counter(client_sap):
            raise _denied(ref)
        return double_long_unsigned(self._counters.last(received_from(client_sap)))

    def _derived(self, ref: AttributeRef, client: int) -> Data:
        if ref.class_id == REGISTER and ref.attribute == 3 and client in _READERS:
            item = self._items[REGISTER, ref.obis, 2]
            return _scaler_unit(item.form, item.unit)
        if ref.class_id == CLOCK and ref.attribute in _CLOCK:
            return _CLOCK[ref.attribute]
        raise _denied(ref)

    def _log(self, log: Log, attribute: int, selector: Selector | None, client: int) -> Data:
        if client not in _READERS:
            raise _denied(AttributeRef(PROFILE, log.obis, attribute))
        if attribute == 2:
            return _buffer(log, self._rows(log, client), selector, self._captured(log))
        values = {
            3: lambda: array(*(capture_object(ref) for ref in self._captured(log))),
            4: lambda: double_long_unsigned(log.period),
            5: lambda: enum(1),  # sorted first in, first out
            6: lambda: capture_object(CLOCK_TIME),
            7: lambda: double_long_unsigned(len(self._rows(log, client))),
            8: lambda: double_long_unsigned(log.capacity),
        }
        if attribute not in values:
            raise _denied(AttributeRef(PROFILE, log.obis, attribute))
        return values[attribute]()

    def _rows(self, log: Log, client: int) -> Sequence[tuple[Any, ...]]:
        rows = self._twin.rows(log.name, client)
        if client == READER and "access_restricted_before" in self._twin.table.items:
            since = self._twin.get("access_restricted_before", client)
            return rows if since == UNSET else [row for row in rows if row[0] >= since]
        return rows

    def _captured(self, log: Log) -> tuple[AttributeRef, ...]:
        registers = {item.obis: item.class_id for item in self._items.values()}
        captured = (AttributeRef(registers.get(obis, REGISTER), obis, 2) for _, obis, _, _ in log.columns)
        return (CLOCK_TIME, *captured)

    def _association(self, attribute: int, client: int) -> Data:
        match attribute:
            case 2:
                return array(
                    *(self._listed(class_id, obis, client) for class_id, obis in sorted(self._objects))
                )
            case 3:
                return structure(integer(client), long_unsigned(1))
            case 8:
                return enum(2)  # associated
        raise _denied(AttributeRef(ASSOCIATION, CURRENT_ASSOCIATION, attribute))

    def _listed(self, class_id: int, obis: str, client: int) -> Data:
        """An element of the object list: class, version, logical name and this client's rights."""
        reads = _READ if client in _READERS else _NO_ACCESS
        attributes = {1: _READ, **dict.fromkeys(_DERIVED.get(class_id, ()), reads)}
        for (item_class, item_obis, attribute), item in self._items.items():
            if (item_class, item_obis) == (class_id, obis):
                attributes[attribute] = self._right(item, client)
        methods = {method for c, o, method in self._commands if (c, o) == (class_id, obis)}
        invokes = enum(1) if client in _COMMANDERS else _NO_ACCESS
        rights = structure(
            array(*(structure(integer(n), mode, NULL) for n, mode in sorted(attributes.items()))),
            array(*(structure(integer(n), invokes) for n in sorted(methods))),
        )
        version = unsigned(_VERSIONS.get(class_id, 0))
        return structure(long_unsigned(class_id), version, octets(parse_obis(obis)), rights)

    def _right(self, item: Item, client: int) -> Data:
        if client in _COMMANDERS and self._twin.may_write(item.name, client):
            return _READ_WRITE
        return _READ if client in _READERS or _is_public(item) else _NO_ACCESS


_CLOCK: Final[Mapping[int, Data]] = {
    3: long(0),  # minutes from UTC
    4: unsigned(0),  # status: valid
    5: _NO_DATE,
    6: _NO_DATE,
    7: integer(0),
    8: boolean(False),  # no daylight saving: our devices keep UTC
    9: enum(1),  # internal crystal
}


def _is_public(item: Item) -> bool:
    return item.kind is Kind.IDENTITY or item.class_id == CLOCK


def _denied(ref: AttributeRef) -> AccessRefused:
    return AccessRefused(f"{ref} is not for this client", result="read-write-denied")


def _decoded(form: Form, data: Data | None) -> Any:
    try:
        return form.decode(data or NULL)
    except ProtocolViolation as error:
        raise AccessRefused(error.message, result="type-unmatched") from error


def _scaler_unit(form: Form, unit: str) -> Data:
    return structure(integer(getattr(form, "scaler", 0)), enum(UNITS.get(unit, NO_UNIT)))


def _buffer(
    log: Log, rows: Sequence[tuple[Any, ...]], selector: Selector | None, captured: tuple[AttributeRef, ...]
) -> Data:
    """The rows and columns that a selector asks for; all of them without one."""
    encoders = [form.encode for form in (MOMENT, *(form for _, _, form, _ in log.columns))]
    columns: Sequence[int] = range(len(encoders))
    match selector:
        case RangeSelector(start, end, wanted):
            rows = [row for row in rows if start <= row[0] <= end]
            if wanted:
                columns = [n for n, ref in enumerate(captured) if ref in wanted]
        case EntrySelector(first, last, first_column, last_column):
            if first < 1 or first_column < 1:
                raise AccessRefused("entries and columns count from 1", result="other-reason")
            rows = rows[first - 1 : last or None]
            columns = columns[first_column - 1 : last_column or None]
    chosen = [(n, encoders[n]) for n in columns]
    return Data(
        Tag.ARRAY,
        tuple(Data(Tag.STRUCTURE, tuple([encode(row[n]) for n, encode in chosen])) for row in rows),
    )
