"""A device read and written by names: what drivers and the simulated S1SP build upon.

:class:`NamedDevice` turns the names of an :class:`~device_drivers.named.objects.ObjectTable` into DLMS
requests over a client that somebody else has opened, and data into Python values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final, TypeVar

from device_drivers.dlms.data import Data, Tag
from device_drivers.dlms.data import integer as int8
from device_drivers.dlms.refs import AttributeRef, MethodRef, RangeSelector
from device_drivers.named.forms import MOMENT, Form
from device_drivers.named.objects import TABLES, Command, Item, Log, ObjectTable
from device_drivers.named.typed import described, parsed
from harness.domain.errors import AccessRefused, ProtocolViolation, UsageError
from harness.domain.instruments import Identity, LogEntry, Offered
from harness.domain.words import DeviceType, SupplyState
from harness.hooks import Trace

if TYPE_CHECKING:
    from device_drivers.doors.sessions import Association

T = TypeVar("T")

_BEGINNING: Final = datetime.min.replace(tzinfo=UTC)
_END: Final = datetime.max.replace(tzinfo=UTC)
_SCALER_UNIT: Final = 3  # attribute of class 3 (Blue Book 4.3.2)
_RESET: Final = 1  # method of class 7 (Blue Book 4.3.6)
_REGISTER: Final = 3
_UNITS: Mapping[int, str] = {
    # COSEM unit enumeration (Blue Book 4.3.2, table 4) → how we call it
    7: "s", 13: "m3", 27: "W", 28: "VA", 29: "var", 30: "Wh", 31: "VAh", 32: "varh", 33: "A", 35: "V",
    255: "",
}  # fmt: skip


class NoTrace:
    """A trace that nobody reads."""

    def event(self, source: str, what: str, **detail: Any) -> None:
        """Forget it."""

    def message(self, source: str, name: str, content: bytes, media_type: str) -> None:
        """Forget it."""


class NamedDevice:
    """Implements :class:`harness.domain.instruments.Device` over an open DLMS association.

    One conversation at a time: a device is not shared between threads. Where the association is lost,
    every later call says so (a lab fault); nothing is reconnected in silence. ``renew`` makes its client
    open a new one.
    """

    def __init__(
        self,
        client: Association,
        device_id: str,
        device_type: DeviceType,
        *,
        table: ObjectTable | None = None,
        trace: Trace | None = None,
        renew: Callable[[], None] | None = None,
    ) -> None:
        self._client = client
        self._renew = renew
        self._device_id = device_id
        self._device_type = device_type
        self._table = table or TABLES[device_type]
        self._trace = trace or NoTrace()

    @property
    def device_id(self) -> str:
        return self._device_id

    @property
    def device_type(self) -> DeviceType:
        return self._device_type

    def supply_was_cut(self) -> None:
        """The device has forgotten its sessions: the next request opens a new one."""
        if self._renew is not None:
            self._renew()

    def identity(self) -> Identity:
        found = self.read_many(("device_id", "manufacturer", "model", "serial_number", "firmware_version"))
        return Identity(*found.values())

    def clock(self) -> datetime:
        moment: datetime = self.read("clock")
        return moment

    def read(self, item: str) -> Any:
        definition = self._item(item)
        data = self._asked(item, lambda: self._client.get(_attribute(definition)))
        value = self._decoded(item, definition.form, data)
        self._trace.event(self._device_type, f"read {item}", value=plain(value), unit=definition.unit)
        return value

    def read_many(self, items: Sequence[str]) -> Mapping[str, Any]:
        definitions = [self._item(item) for item in items]
        answers = self._client.get_many([_attribute(definition) for definition in definitions])
        found = {}
        for definition, data in zip(definitions, answers, strict=True):
            if isinstance(data, AccessRefused):
                raise self._refusal(definition.name, data) from data
            found[definition.name] = self._decoded(definition.name, definition.form, data)
        self._trace.event(self._device_type, "read", **{name: plain(value) for name, value in found.items()})
        return found

    def write(self, item: str, value: Any) -> None:
        definition = self._item(item)
        data = self._encoded(item, definition.form, value)
        self._trace.event(self._device_type, f"write {item}", value=plain(value))
        self._asked(item, lambda: self._client.set(_attribute(definition), data))

    def unit(self, item: str) -> str:
        """As the device tells it where it does (class 3), else as the table has it.

        A register whose scaler is not the table's is a :class:`ProtocolViolation`: its readings would be
        wrong by a power of ten.
        """
        definition = self._item(item)
        if definition.class_id != _REGISTER:
            return definition.unit
        ref = AttributeRef(_REGISTER, definition.obis, _SCALER_UNIT)
        data = self._asked(f"unit of {item}", lambda: self._client.get(ref))
        scaler, unit = _scaler_unit(data)
        expected = getattr(definition.form, "scaler", 0)
        if scaler != expected:
            raise ProtocolViolation(
                f"{self._device_type} {self._device_id} scales {item} by 10^{scaler}, expected 10^{expected}"
            )
        return unit

    def items(self, kind: str | None = None) -> tuple[str, ...]:
        return tuple(name for name, item in self._table.items.items() if kind is None or item.kind == kind)

    def offers(self) -> tuple[Offered, ...]:
        table = self._table
        return (
            *(
                Offered(name=name, kind=item.kind, unit=item.unit, form=described(item.form))
                for name, item in table.items.items()
            ),
            *(
                Offered(name=name, kind="log", columns={column: unit for column, _, _, unit in log.columns})
                for name, log in table.logs.items()
            ),
            *(
                Offered(name=name, kind="command", form=_argument(command))
                for name, command in table.commands.items()
            ),
        )

    def parse(self, item: str, text: str) -> Any:
        definition = self._item(item)
        try:
            return parsed(definition.form, text)
        except ValueError as error:
            unit = f", in {definition.unit}" if definition.unit else ""
            raise UsageError(
                f"{text!r} is no value for {item} of the {self._device_type}: {error}",
                remedy=f"say {described(definition.form)}{unit}",
            ) from None

    def snapshot(self, kinds: Sequence[str] = ("setting", "state")) -> Mapping[str, Any]:
        return self.read_many([name for name, item in self._table.items.items() if item.kind in kinds])

    def log(
        self, name: str, start: datetime | None = None, end: datetime | None = None
    ) -> tuple[LogEntry, ...]:
        log = self._log(name)
        part = None if start is None and end is None else RangeSelector(start or _BEGINNING, end or _END)
        data = self._asked(name, lambda: self._client.get(AttributeRef(log.class_id, log.obis, 2), part))
        if data.tag is not Tag.ARRAY:
            raise ProtocolViolation(f"{self._device_type} {self._device_id}: {name} is no array of rows")
        rows = tuple(self._row(log, row) for row in data.value)
        ends = [row.timestamp.isoformat() for row in (*rows[:1], *rows[-1:])]
        self._trace.event(self._device_type, f"read log {name}", rows=len(rows), first_and_last=ends)
        return rows

    def clear_log(self, name: str) -> None:
        log = self._log(name)
        self._trace.event(self._device_type, f"clear log {name}")
        self._asked(name, lambda: self._client.action(MethodRef(log.class_id, log.obis, _RESET), int8(0)))

    def perform(self, command: str, argument: Any = None) -> Any:
        definition = self._named(self._table.commands, command, "command")
        if definition.constant is not None:
            argument = definition.constant
        data = None
        if definition.argument is not None:
            data = self._encoded(command, definition.argument, argument)
        self._trace.event(self._device_type, f"perform {command}", argument=plain(argument))
        ref = MethodRef(definition.class_id, definition.obis, definition.method)
        answer = self._asked(command, lambda: self._client.action(ref, data))
        return None if answer is None else natural(answer)

    def close(self) -> None:
        """Release the association and let go of the port."""
        self._client.close()

    def abandon(self) -> None:
        """Let go of the port, and say nothing to the device."""
        self._client.abandon()

    def _item(self, name: str) -> Item:
        return self._named(self._table.items, name, "item")

    def _log(self, name: str) -> Log:
        return self._named(self._table.logs, name, "log")

    def _named(self, among: Mapping[str, T], name: str, what: str) -> T:
        try:
            return among[name]
        except KeyError:
            near = get_close_matches(name, among, n=1)
            raise UsageError(
                f"the {self._device_type} has no {what} {name!r}",
                remedy=f"did you mean {near[0]!r}?" if near else f"it has {', '.join(among)}",
            ) from None

    def _asked(self, name: str, ask: Callable[[], T]) -> T:
        try:
            return ask()
        except AccessRefused as refusal:
            raise self._refusal(name, refusal) from refusal
        except ValueError as error:  # the value has the right form and does not fit on the wire
            raise UsageError(f"{name} of the {self._device_type}: {error}") from error

    def _refusal(self, name: str, refusal: AccessRefused) -> AccessRefused:
        self._trace.event(self._device_type, f"refused {name}", result=refusal.result)
        return AccessRefused(
            f"{self._device_type} {self._device_id} refused {name}: {refusal.result}", result=refusal.result
        )

    def _decoded(self, name: str, form: Form, data: Data) -> Any:
        try:
            return form.decode(data)
        except ProtocolViolation as error:
            raise ProtocolViolation(
                f"{self._device_type} {self._device_id} answered {name} in another form: {error.message}"
            ) from error

    def _encoded(self, name: str, form: Form, value: Any) -> Data:
        try:
            return form.encode(value)
        except (ValueError, KeyError, TypeError, ArithmeticError) as error:
            raise UsageError(
                f"{value!r} is no value for {name} of the {self._device_type}: {error}"
            ) from error

    def _row(self, log: Log, row: Data) -> LogEntry:
        if row.tag is not Tag.STRUCTURE or len(row.value) != len(log.columns) + 1:
            raise ProtocolViolation(
                f"{self._device_type} {self._device_id}: a row of {log.name} has not the "
                f"{len(log.columns) + 1} columns of its table"
            )
        moment, *cells = row.value
        return LogEntry(
            self._decoded(f"{log.name} clock", MOMENT, moment),
            {
                name: self._decoded(f"{log.name} {name}", form, cell)
                for (name, _, form, _), cell in zip(log.columns, cells, strict=True)
            },
        )


class NamedMeter(NamedDevice):
    """What an electricity and a gas meter have in common."""

    def supply(self) -> SupplyState:
        return SupplyState(self.read("supply_state"))

    def operate_supply(self, state: SupplyState) -> None:
        self.perform(_SUPPLY_COMMANDS[state])


_SUPPLY_COMMANDS: Mapping[SupplyState, str] = {
    SupplyState.ENABLED: "enable_supply",
    SupplyState.DISABLED: "disable_supply",
    SupplyState.ARMED: "arm_supply",
}


def natural(data: Data) -> Any:
    """Data as Python has it, without a form: arrays and structures become tuples."""
    if data.tag in (Tag.ARRAY, Tag.STRUCTURE):
        return tuple(natural(item) for item in data.value)
    return data.value


def plain(value: Any) -> Any:
    """A value as JSON can hold it: decimals and times as text, bytes as hexadecimal digits."""
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [plain(item) for item in value]
    return value


def _argument(command: Command) -> str:
    return described(command.argument) if command.argument and command.constant is None else ""


def _attribute(item: Item) -> AttributeRef:
    return AttributeRef(item.class_id, item.obis, item.attribute)


def _scaler_unit(data: Data) -> tuple[int, str]:
    if data.tag is not Tag.STRUCTURE or [part.tag for part in data.value] != [Tag.INTEGER, Tag.ENUM]:
        raise ProtocolViolation("a scaler and unit must be a structure of integer and enum")
    scaler, unit = (int(part.value) for part in data.value)
    return scaler, _UNITS.get(unit, f"unit {unit}")
