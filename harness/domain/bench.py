"""A bench of Modbus registers as its lab describes it: points, units, interlocks and the safe state.

A *point* is a named thing that a bench can switch, set or measure; a *register map* says where each stands.
A register holds a whole number (or a float): its value is that number times the point's ``scale``, in the
point's ``unit``. Drivers and tests count in one unit for each quantity, the first of its units here.

>>> load = FUNCTIONS["load.current"]
>>> load.unit, load.writable
('A', True)
>>> UNITS[Quantity.ACTIVE_ENERGY]["kWh"]
Fraction(1000, 1)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from pathlib import Path
from typing import Final

BitOrNumber = bool | Decimal
"""The value of a point: on or off, or a number in the unit of its quantity."""


class Table(StrEnum):
    """The four tables of a Modbus device."""

    COIL = "coil"
    DISCRETE_INPUT = "discrete_input"
    HOLDING_REGISTER = "holding_register"
    INPUT_REGISTER = "input_register"

    @property
    def of_bits(self) -> bool:
        """Whether an address holds one bit; else it holds sixteen."""
        return self in {Table.COIL, Table.DISCRETE_INPUT}

    @property
    def writable(self) -> bool:
        """Whether Modbus knows a way to write it."""
        return self in {Table.COIL, Table.HOLDING_REGISTER}


class ValueType(StrEnum):
    """How a value lies in its registers."""

    BOOL = "bool"
    U16 = "u16"
    S16 = "s16"
    U32 = "u32"
    S32 = "s32"
    U64 = "u64"
    S64 = "s64"
    F32 = "f32"

    @property
    def words(self) -> int:
        """How many addresses it takes."""
        return 1 if self is ValueType.BOOL else int(self.value[1:]) // 16


class WordOrder(StrEnum):
    """Which register of several comes first."""

    BIG = "big"  # the most significant: the usual one
    LITTLE = "little"  # the least significant


class Quantity(StrEnum):
    """What a number measures."""

    VOLTAGE = "voltage"
    CURRENT = "current"
    ANGLE = "angle"
    GAS_FLOW = "gas flow"
    TEMPERATURE = "temperature"
    ACTIVE_ENERGY = "active energy"
    REACTIVE_ENERGY = "reactive energy"
    VOLUME = "volume"


UNITS: Final[Mapping[Quantity, Mapping[str, Fraction]]] = {
    Quantity.VOLTAGE: {"V": Fraction(1), "mV": Fraction(1, 1000), "kV": Fraction(1000)},
    Quantity.CURRENT: {"A": Fraction(1), "mA": Fraction(1, 1000)},
    Quantity.ANGLE: {"deg": Fraction(1)},
    Quantity.GAS_FLOW: {"l/h": Fraction(1), "m3/h": Fraction(1000)},
    Quantity.TEMPERATURE: {"degC": Fraction(1)},
    Quantity.ACTIVE_ENERGY: {
        "Wh": Fraction(1), "kWh": Fraction(1000), "MWh": Fraction(10**6),
        "J": Fraction(1, 3600), "kJ": Fraction(1000, 3600), "MJ": Fraction(10**6, 3600),
    },
    Quantity.REACTIVE_ENERGY: {"varh": Fraction(1), "kvarh": Fraction(1000), "vars": Fraction(1, 3600)},
    Quantity.VOLUME: {"m3": Fraction(1), "l": Fraction(1, 1000), "ml": Fraction(1, 10**6)},
}  # fmt: skip
"""The units of each quantity, and how many of the first one each of them is."""


@dataclass(frozen=True, slots=True)
class Function:
    """What a point of that name does. ``quantity`` is none for what is on or off."""

    meaning: str
    quantity: Quantity | None = None
    writable: bool = False

    @property
    def unit(self) -> str:
        """The unit that drivers and tests count in; empty for what is on or off."""
        return next(iter(UNITS[self.quantity])) if self.quantity else ""


FUNCTIONS: Final[Mapping[str, Function]] = {
    "supply.ESME": Function("relay: mains to the electricity meter", writable=True),
    "supply.GSME": Function("relay: power to the gas meter", writable=True),
    "supply.CH": Function("relay: mains to the communications hub", writable=True),
    "mains.voltage": Function("voltage of the mains source", Quantity.VOLTAGE, writable=True),
    "load.on": Function("relay: the load bank takes its current", writable=True),
    "load.current": Function("current that the load bank takes", Quantity.CURRENT, writable=True),
    "load.angle": Function(
        "phase angle of that current, lagging: 0 import, 180 export", Quantity.ANGLE, writable=True
    ),
    "gas.flow": Function("flow that the gas actuator lets through", Quantity.GAS_FLOW, writable=True),
    "tamper.ESME": Function("actuator: the electricity meter's cover is open", writable=True),
    "tamper.GSME": Function("actuator: the gas meter's cover is open", writable=True),
    "tamper.CH": Function("actuator: the communications hub's cover is open", writable=True),
    "button.ESME": Function("actuator: the electricity meter's button is pressed", writable=True),
    "button.GSME": Function("actuator: the gas meter's button is pressed", writable=True),
    "temperature": Function("temperature at the devices", Quantity.TEMPERATURE),
    "reference.active_import": Function("reference meter: active import", Quantity.ACTIVE_ENERGY),
    "reference.active_export": Function("reference meter: active export", Quantity.ACTIVE_ENERGY),
    "reference.reactive_import": Function("reference meter: reactive import", Quantity.REACTIVE_ENERGY),
    "reference.reactive_export": Function("reference meter: reactive export", Quantity.REACTIVE_ENERGY),
    "reference.gas_volume": Function("reference meter: gas at metering conditions", Quantity.VOLUME),
}
"""The points that the driver knows what to do with."""

OWN_POINTS: Final = "other."
"""How the names of a lab's own points begin, which only its interlocks and its safe state speak of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadBack:
    """Where a written value shows itself, if not where it was written: a relay's feedback contact."""

    table: Table
    address: int
    within: float = 0.0  # seconds that the bench may take until it shows


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One thing that the bench switches, sets or measures."""

    name: str
    table: Table
    address: int  # as on the wire, from 0
    type: ValueType = ValueType.BOOL
    unit: str = ""
    factor: Fraction = Fraction(1)  # what one step of the register is, in the unit of the quantity
    word_order: WordOrder = WordOrder.BIG
    inverted: bool = False  # the register tells off by 1
    writable: bool = False
    read_back: ReadBack | None = None

    @property
    def span(self) -> range:
        """The addresses that it takes."""
        return range(self.address, self.address + self.type.words)

    @property
    def limits(self) -> tuple[int, int]:
        """The lowest and highest whole number that its registers hold."""
        if self.type is ValueType.BOOL:
            return 0, 1
        bits = 16 * self.type.words
        return (0, 2**bits - 1) if self.type.value[0] == "u" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)

    @property
    def bounds(self) -> tuple[Decimal, Decimal]:
        """The lowest and highest number that it can be, in the unit of its quantity."""
        if self.type is ValueType.F32:
            return Decimal("-3e38"), Decimal("3e38")
        low, high = self.limits
        return in_decimal(low * self.factor), in_decimal(high * self.factor)


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterMap:
    """Where a bench's points stand."""

    file: Path
    points: Mapping[str, Point]

    @property
    def writable(self) -> tuple[Point, ...]:
        """The points that can be written, in the map's order."""
        return tuple(point for point in self.points.values() if point.writable)


class Relation(StrEnum):
    """How a condition compares."""

    IS = "is"
    ABOVE = "above"
    BELOW = "below"


@dataclass(frozen=True, slots=True)
class Condition:
    """What a point may be: ``load.on is on``, ``load.current above 80``.

    >>> Condition("load.current", Relation.ABOVE, Decimal(80)).holds(Decimal(81))
    True
    """

    point: str
    relation: Relation
    value: BitOrNumber

    def holds(self, value: BitOrNumber) -> bool:
        """Whether it is so at that value of its point."""
        match self.relation:
            case Relation.ABOVE:
                return value > self.value
            case Relation.BELOW:
                return value < self.value
        return value == self.value

    def __str__(self) -> str:
        value = shown(self.value)
        return f"{self.point} {self.relation.value} {value}"


@dataclass(frozen=True, slots=True)
class Interlock:
    """Two conditions that must never hold together, whichever of them comes second."""

    never: Condition
    during: Condition

    def __str__(self) -> str:
        return f"never {self.never} while {self.during}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SerialPort:
    """The serial port of a bench that speaks Modbus RTU; 8 data bits."""

    port: str  # a stable name, as /dev/serial/by-id/...; empty where a twin makes its own
    baud: int = 19_200
    parity: str = "N"  # "N", "E" or "O"
    stop_bits: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ModbusBenchSettings:
    """A rig's bench of kind ``modbus``. Times are in seconds of real time."""

    map: RegisterMap
    safe: Mapping[str, BitOrNumber]  # every point that can be written, in the order in which it is done
    host: str = ""  # Modbus TCP; empty where the bench has a serial port, or a twin says where it listens
    port: int = 0
    serial: SerialPort | None = None  # Modbus RTU
    device_id: int = 1
    timeout: float = 2.0  # how long an answer may take
    press: float = 0.5  # how long a button is held
    via_controller: bool = False  # host and port are seen from the rig's controller
    nominal_voltage: Decimal = Decimal(230)  # V, where the map has no mains.voltage
    interlocks: tuple[Interlock, ...] = field(default=())


def in_decimal(number: Fraction) -> Decimal:
    """A fraction as a decimal of 28 digits, exact wherever it can be.

    >>> in_decimal(Fraction(1, 8))
    Decimal('0.125')
    """
    return Decimal(number.numerator) / Decimal(number.denominator)


def shown(value: BitOrNumber) -> str:
    """A value as a person writes it.

    >>> shown(True), shown(Decimal("80.50"))
    ('on', '80.5')
    """
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value.normalize():f}"
