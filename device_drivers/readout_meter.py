"""The driver of an electricity meter that is read by IEC 62056-21 mode C: a data readout, and nothing else.

A readout names its values by OBIS codes, long (``1-0:1.8.0*255``) or short (``1.8.0``, ``C.1.0``). They are
told by the names of :data:`device_drivers.named.objects.ESME`, in its units.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from difflib import get_close_matches
from typing import Any, Final, NoReturn, Self

from device_drivers.doors.opening import open_transport
from device_drivers.doors.steps import step
from device_drivers.iec62056.readout import DataSet, Readout, read_out
from device_drivers.named.device import plain
from device_drivers.named.forms import MOMENT, Choice, Fixed, Number
from device_drivers.named.objects import ESME, Item
from device_drivers.named.typed import described, parsed
from device_drivers.transports.base import ByteTransport
from harness.domain.errors import AccessRefused, ConfigurationError, ProtocolViolation, UsageError
from harness.domain.instruments import Identity, LabClock, LogEntry, Offered
from harness.domain.lab import Door, Lab, OpticalPort, RigDevice
from harness.domain.words import DeviceType, SupplyState
from harness.hooks import Fence, Trace, unfenced

ITEMS: Final[Mapping[str, Item]] = {
    name: ESME.items[name]
    for name in (
        "clock", "serial_number", "device_id", "manufacturer", "model", "firmware_version",
        "active_import", "active_export", "reactive_import", "reactive_export",
        *(f"tou_register_{rate}" for rate in range(1, 9)),
        "active_power_import", "active_power_export", "voltage", "supply_state",
    )
}  # fmt: skip
"""What a readout may have. A meter tells what it was configured to tell."""

_DATE, _TIME = "1-0:0.9.2", "1-0:0.9.1"  # a meter without 0-0:1.0.0 tells its clock in these two
_ADDRESS: Final = re.compile(
    r"(?:(\d{1,3})-(\d{1,3}):)?(\d{1,3}|[CFLP])\.(\d{1,3})\.(\d{1,3})(?:[*.](\d{1,3}))?"
)
_LETTERS: Final[Mapping[str, str]] = {"C": "96", "F": "97", "L": "98", "P": "99"}  # IEC 62056-61, group C
_NOW: Final = "255"  # group F of a present value; others are of earlier billing periods
_SCALES: Final[Mapping[str, Mapping[str, int]]] = {
    # Our unit → the readout's, in any case of letters → how many of ours it is
    "Wh": {"wh": 1, "kwh": 1_000, "mwh": 1_000_000},
    "varh": {"varh": 1, "kvarh": 1_000, "mvarh": 1_000_000},
    "W": {"w": 1, "kw": 1_000},
    "V": {"v": 1, "kv": 1_000},
}
_QUANTITY: Final = re.compile(r"[+-]?\d+(\.\d+)?")
_MOMENT: Final = re.compile(r"[\d:/. T-]+Z?")
_WITH_CENTURY: Final = 14  # digits
_ONLY_TELLS: Final = "its port only tells: take a rig whose meter is reached over DLMS"


class ReadoutMeter:
    """An electricity meter whose port only tells; implements :class:`harness.domain.instruments.Esme`.

    =============  =======================================================================================
    needs          a door with an optical port (``mode-c``); ``addresses`` of its parameters tells where the
                   readout has what is not at its standard address: ``{device_id: "0-0:96.1.9"}``
    offers         the items of :data:`ITEMS`, read only; energy is a whole number of Wh, or a decimal one
                   where the meter tells more digits; no logs and no commands
    life cycle     :meth:`connect` (opens the port, and takes a first readout) → reads, each of which signs
                   on and takes a readout of its own → :meth:`close`
    errors         port lost, silence, a torn readout: ``TransportLost`` · a write, or an item that the
                   readout lacks: ``AccessRefused`` · a value in another form or unit:
                   ``ProtocolViolation`` · a name that :data:`ITEMS` lacks, any log or command:
                   ``UsageError``
    evidence       every readout whole, every value read, in the attempt in hand
    =============  =======================================================================================

    A readout's clock is taken for UTC, as every SMETS1 meter's is.
    """

    def __init__(
        self,
        transport: ByteTransport,
        optical: OpticalPort,
        device: RigDevice,
        trace: Trace,
        addresses: Mapping[str, str],
    ) -> None:
        self._transport = transport
        self._optical = optical
        self._device = device
        self._trace = trace
        self._addresses = {name: item.obis for name, item in ITEMS.items()} | dict(addresses)

    @classmethod
    def connect(
        cls,
        device: RigDevice,
        door: Door,
        lab: Lab,
        _clock: LabClock,
        trace: Trace,
        fence: Fence = unfenced,
    ) -> Self:
        """Open the door, and see by a first readout that a meter is behind it."""
        addresses = _addresses(door)
        step(trace, device.type, f"open {door.transport}")
        transport = open_transport(door, lab, trace, device.type, fence)
        try:
            meter = cls(transport, door.optical or OpticalPort(mode="mode-c"), device, trace, addresses)
            step(trace, device.type, "data readout")
            meter.take()
        except BaseException:
            transport.close()
            raise
        return meter

    @property
    def device_id(self) -> str:
        return self._device.device_id

    @property
    def device_type(self) -> DeviceType:
        return self._device.type

    def identity(self) -> Identity:
        """As the readout has it; manufacturer and model it may also have told when it was signed on to."""
        found = self.read_many(("device_id", "manufacturer", "model", "serial_number", "firmware_version"))
        return Identity(*found.values())

    def clock(self) -> datetime:
        moment: datetime = self.read("clock")
        return moment

    def read(self, item: str) -> Any:
        return self.read_many((item,))[item]

    def read_many(self, items: Sequence[str]) -> Mapping[str, Any]:
        definitions = [self._item(item) for item in items]
        readout = self.take()
        return self._noted({item.name: self._value(item, readout) for item in definitions})

    def snapshot(self, kinds: Sequence[str] = ("setting", "state")) -> Mapping[str, Any]:
        """As :meth:`harness.domain.instruments.Device.snapshot`, of what the readout has."""
        readout = self.take()
        wanted = [item for item in ITEMS.values() if item.kind in kinds]
        return self._noted(
            {item.name: self._value(item, readout) for item in wanted if self._told(item, readout)}
        )

    def write(self, item: str, value: Any) -> None:  # noqa: ARG002
        self._item(item)
        self._refused(item, "read-write-denied", _ONLY_TELLS)

    def unit(self, item: str) -> str:
        return self._item(item).unit

    def items(self, kind: str | None = None) -> tuple[str, ...]:
        return tuple(name for name, item in ITEMS.items() if kind is None or item.kind == kind)

    def offers(self) -> tuple[Offered, ...]:
        return tuple(
            Offered(name=name, kind=item.kind, unit=item.unit, form=described(item.form))
            for name, item in ITEMS.items()
        )

    def parse(self, item: str, text: str) -> Any:
        definition = self._item(item)
        try:
            return parsed(definition.form, text)
        except ValueError as error:
            raise UsageError(
                f"{text!r} is no value for {item} of the {self.device_type}: {error}",
                remedy=f"say {described(definition.form)}",
            ) from None

    def log(
        self,
        name: str,
        start: datetime | None = None,  # noqa: ARG002
        end: datetime | None = None,  # noqa: ARG002
    ) -> tuple[LogEntry, ...]:
        self._lacks("log", name)

    def clear_log(self, name: str) -> None:
        self._lacks("log", name)

    def perform(self, command: str, argument: Any = None) -> Any:  # noqa: ARG002
        self._lacks("command", command)

    def supply(self) -> SupplyState:
        return SupplyState(self.read("supply_state"))

    def operate_supply(self, state: SupplyState) -> None:
        self._lacks("command", f"supply {state}")

    def close(self) -> None:
        """Let go of the port; closing twice is fine."""
        self._transport.close()

    def abandon(self) -> None:
        """As :meth:`close`, which says nothing to the meter either."""
        self.close()

    def take(self) -> Readout:
        """All that the meter tells now, kept as evidence."""
        readout = read_out(self._transport, self._optical)
        said = readout.identification
        lines = [f"/{said.flag} {said.text}", *map(str, readout.data_sets)]
        self._trace.message(self.device_type, "data readout", "\n".join(lines).encode(), "text/plain")
        return readout

    def _told(self, item: Item, readout: Readout) -> DataSet | None:
        if told := _at(self._addresses[item.name], readout):
            return told
        match item.name:
            case "clock" if (date := _at(_DATE, readout)) and (time := _at(_TIME, readout)):
                return DataSet(_DATE, f"{date.value} {time.value}")
            case "manufacturer":
                return DataSet("", readout.identification.flag)
            case "model" if readout.identification.text:
                return DataSet("", readout.identification.text)
        return None

    def _value(self, item: Item, readout: Readout) -> Any:
        told = self._told(item, readout)
        if told is None:
            self._refused(
                item.name,
                "object-undefined",
                f"its readout has no {self._addresses[item.name]}: see `addresses` of its door",
            )
        try:
            return _read(item, told)
        except ValueError as error:
            raise ProtocolViolation(
                f"{self.device_type} {self.device_id} tells {item.name} as {str(told)!r}: {error}"
            ) from error

    def _noted(self, found: Mapping[str, Any]) -> Mapping[str, Any]:
        told = {name: f"{plain(value)} {ITEMS[name].unit}".rstrip() for name, value in found.items()}
        self._trace.event(self.device_type, "read", **told)
        return found

    def _item(self, name: str) -> Item:
        if name in ITEMS:
            return ITEMS[name]
        near = get_close_matches(name, ITEMS, n=1)
        raise UsageError(
            f"the {self.device_type} has no item {name!r}",
            remedy=f"did you mean {near[0]!r}?" if near else f"it has {', '.join(ITEMS)}",
        )

    def _lacks(self, what: str, name: str) -> NoReturn:
        raise UsageError(f"the {self.device_type} has no {what} {name!r}", remedy=_ONLY_TELLS)

    def _refused(self, name: str, result: str, remedy: str) -> NoReturn:
        self._trace.event(self.device_type, f"refused {name}", result=result)
        raise AccessRefused(
            f"{self.device_type} {self.device_id} refused {name}: {result}",
            result=result,
            remedy=remedy,
        )


def _addresses(door: Door) -> Mapping[str, str]:
    """Where the lab file says that this meter's readout has its items."""
    addresses = door.parameters.get("addresses", {})
    if not isinstance(addresses, Mapping) or not addresses.keys() <= ITEMS.keys():
        raise ConfigurationError(
            f"a readout's addresses {addresses!r}", remedy=f"name items of {', '.join(ITEMS)}"
        )
    return {name: str(address) for name, address in addresses.items()}


def _at(address: str, readout: Readout) -> DataSet | None:
    """The present value of that address, however long either is written."""
    for one in readout.data_sets:
        if one.address == address or _same(_groups(one.address), _groups(address)):
            return one
    return None


def _groups(address: str) -> tuple[str, ...]:
    """The groups A and B (empty where it is written short) and C to F of an OBIS code; none if it is none."""
    match = _ADDRESS.fullmatch(address)
    if match is None:
        return ()
    a, b, c, d, e, f = match.groups(default="")
    return (a, b, _LETTERS.get(c, c), d, e, f or _NOW)


def _same(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether they are the same code, as far as both are written."""
    if not one or not other or one[2:] != other[2:]:
        return False
    return one[:2] == other[:2] or "" in (one[0], other[0])


def _read(item: Item, told: DataSet) -> Any:
    """The value in the item's unit; :class:`ValueError` saying what is wrong with it."""
    match item.form:
        case Number() | Fixed():
            number = _quantity(told, item.unit)
            return int(number) if isinstance(item.form, Number) and number == int(number) else number
        case Choice(words):
            if not told.value.isdecimal() or int(told.value) >= len(words):
                raise ValueError(f"expected 0 to {len(words) - 1}, for {', '.join(words)}")
            return str(words[int(told.value)])
    return _moment(told.value) if item.form is MOMENT else told.value


def _quantity(told: DataSet, unit: str) -> Decimal:
    scales = _SCALES[unit]
    if told.unit.casefold() not in scales:
        raise ValueError(f"its unit is {told.unit!r}, expected {' or '.join(scales)}")
    if not _QUANTITY.fullmatch(told.value):
        raise ValueError("it is no number")
    return Decimal(told.value) * scales[told.unit.casefold()]


def _moment(told: str) -> datetime:
    digits = re.sub(r"\D", "", told)
    if not _MOMENT.fullmatch(told):
        raise ValueError("it is no date and time in UTC")
    form = "%Y%m%d%H%M%S" if len(digits) == _WITH_CENTURY else "%y%m%d%H%M%S"
    return datetime.strptime(digits, form).replace(tzinfo=UTC)
