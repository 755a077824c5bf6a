"""A Modbus server in front of the simulated bench: the twin of a bench, with any register map.

What is written acts on the :class:`SimulatedBench` under its rules; what it refuses is answered with
exception 3 (illegal data value) and leaves the register as it was. What is measured is read from it at the
moment of the request, so that reference meters are exact. A request acts once, on all its points together.
What belongs to a device that the rig lacks can be written at rest (off, 0) and at nothing else.

The server has a thread and an event loop of its own. Over RTU it listens behind a pty.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import tty
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

from device_drivers.bench.modbus.loads import power
from device_drivers.bench.modbus.points import Words, decode, encode
from device_drivers.simulated.bench import SimulatedBench
from harness.domain.bench import BitOrNumber, ModbusBenchSettings, Point, ReadBack, Table, ValueType
from harness.domain.errors import BenchFault
from harness.domain.words import DeviceType

if TYPE_CHECKING:
    from pymodbus.constants import ExcCodes
    from pymodbus.server import ModbusTcpServer
    from pymodbus.simulator import SimDevice

_TABLE_OF: Final = {
    1: Table.COIL, 5: Table.COIL, 15: Table.COIL, 2: Table.DISCRETE_INPUT, 4: Table.INPUT_REGISTER,
    3: Table.HOLDING_REGISTER, 6: Table.HOLDING_REGISTER, 16: Table.HOLDING_REGISTER,
}  # fmt: skip
_PTY_CHUNK: Final = 4_096


@dataclass(frozen=True, slots=True)
class Request:
    """What came over the wire; ``words`` is none for a read."""

    table: Table
    address: int
    words: Words | None


class ModbusBenchTwin:
    """Life cycle: construct (it listens from then on), :meth:`settings` for a driver, :meth:`close`.

    ``watch`` sees each request before it is acted upon; an exception code that it gives is the answer.
    """

    def __init__(
        self,
        bench: SimulatedBench,
        settings: ModbusBenchSettings,
        watch: Callable[[Request], int | None] | None = None,
    ) -> None:
        self._bench = bench
        self._settings = settings
        self._watch = watch
        self._points = settings.map.points
        self._words: dict[tuple[Table, int], int] = {}
        self._values: dict[str, BitOrNumber] = {}
        self._stuck: dict[str, BitOrNumber] = {}
        self._shape()
        self._pty: tuple[int, int] | None = None
        self._address = ("", 0)
        self._began = threading.Event()
        self._problem: list[OSError] = []
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="modbus bench")
        self._thread.start()
        self._began.wait()
        if self._problem:
            self._thread.join()
            raise self._problem[0]

    @property
    def settings(self) -> ModbusBenchSettings:
        """The settings that lead a driver here."""
        if self._settings.serial is not None:
            port = os.ttyname(self._pty[1]) if self._pty else ""
            return replace(self._settings, serial=replace(self._settings.serial, port=port))
        host, port_number = self._address
        return replace(self._settings, host=host, port=port_number)

    def hold(self, name: str, value: BitOrNumber | None) -> None:
        """The point shows that value from now on, whatever is written: a stuck relay. ``None`` ends it."""
        if value is None:
            self._stuck.pop(name, None)
        else:
            self._stuck[name] = value

    def touch(self, name: str) -> None:
        """Let a point show what it is held at, without being written: a relay that drops by itself."""
        self._keep(self._points[name], encode(self._points[name], self._values[name]))

    def drop(self) -> None:
        """End every connection, from the server's own thread, as in ``watch``."""
        for connection in list(self._server.active_connections.values()):
            connection.close()

    def close(self) -> None:
        """Stop listening and drop every connection; closing twice is fine."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._end.set)
            self._thread.join()

    # The points

    def _shape(self) -> None:
        """Every point in its registers, as the bench is when nothing has been written."""
        for point in self._points.values():
            rests: BitOrNumber = point.name.startswith("supply.")
            value = rests if point.type is ValueType.BOOL else Decimal(0)
            if point.name == "mains.voltage":
                value = self._bench.volts
            self._keep(point, encode(point, value))

    def _keep(self, point: Point, words: Words) -> None:
        self._values[point.name] = decode(point, words)
        if point.name in self._stuck:
            words = encode(point, self._stuck[point.name])
        back = point.read_back or ReadBack(table=point.table, address=point.address)
        for offset, word in enumerate(words):
            self._words[point.table, point.address + offset] = word
            self._words[back.table, back.address + offset] = word

    def _measure(self, table: Table, span: range) -> None:
        """Bring what is measured there up to now."""
        counts: Mapping[str, int] | None = None
        for point in self._points.values():
            if point.table is not table or point.span.stop <= span.start or point.address >= span.stop:
                continue
            if point.name == "temperature":
                self._keep(point, encode(point, self._bench.temperature()))
            elif point.name.startswith("reference."):
                counts = counts if counts is not None else self._bench.counts()
                self._keep(point, _counted(point, counts[point.name.removeprefix("reference.")]))

    def _write(self, request: Request, words: Words) -> None:
        """Act on a request that covers whole points; :class:`BenchFault` where the bench refuses it."""
        span = range(request.address, request.address + len(words))
        changed: dict[Point, Words] = {}
        for point in self._points.values():
            if point.writable and point.table is request.table and point.address in span:
                if point.span.stop > span.stop:
                    raise BenchFault(f"half of {point.name}")
                start = point.address - span.start
                changed[point] = words[start : start + point.type.words]
        before = {point.name: self._values[point.name] for point in changed}
        after = {point.name: decode(point, value) for point, value in changed.items()}
        self._values.update(after)
        try:
            self._act(before, after)
        except BenchFault:
            self._values.update(before)
            raise
        for point, value in changed.items():
            self._keep(point, value)

    def _act(self, before: Mapping[str, BitOrNumber], after: Mapping[str, BitOrNumber]) -> None:
        done: set[str] = set()
        for name, value in after.items():
            kind, _, device = name.partition(".")
            if kind in done:
                continue
            try:
                match kind:
                    case "load":
                        done.add(kind)  # all its points at once
                        self._load()
                    case "supply":
                        self._bench.power(DeviceType(device), bool(value))
                    case "tamper":
                        self._bench.tamper(DeviceType(device), bool(value))
                    case "button" if value and not before[name]:
                        self._bench.press_enable(DeviceType(device))
                    case "mains":
                        self._bench.voltage(float(value))
                    case "gas":
                        self._bench.gas_flow(round(value))
            except BenchFault:
                if any(after[each] != before[each] for each in after if each.startswith(f"{kind}.")):
                    raise

    def _load(self) -> None:
        """A bank that keeps its power when the voltage changes, until it is set anew."""
        value = self._values.get
        on = value("load.on", True)
        amperes, degrees = Decimal(value("load.current", 0)), Decimal(value("load.angle", 0))
        wanted = power(amperes, degrees, self._bench.volts) if on else (0, 0)
        self._bench.load(*wanted)

    # The server

    async def _action(
        self, function: int, start: int, address: int, count: int, held: list[int], values: Any
    ) -> ExcCodes | None:
        """What the server asks before it answers: ``held`` are its registers from ``start`` on."""
        from pymodbus.constants import ExcCodes

        table = _TABLE_OF.get(function)
        if table is None:
            return ExcCodes.ILLEGAL_FUNCTION
        words = None if values is None else tuple(int(value) for value in values)
        request = Request(table, address, words)
        if self._watch is not None and (refusal := self._watch(request)):
            return ExcCodes(refusal)
        span = range(address, address + (len(words) if words else count))
        if not table.of_bits and any((table, at) not in self._words for at in span):
            return ExcCodes.ILLEGAL_ADDRESS
        if words is not None:
            try:
                self._write(request, words)
            except BenchFault:
                return ExcCodes.ILLEGAL_VALUE
        self._measure(table, span)
        self._publish(table, start, held)
        return None

    def _publish(self, table: Table, start: int, held: list[int]) -> None:
        """Put our words into the server's registers; its bits lie sixteen in a register, from the lowest."""
        for (of, address), word in self._words.items():
            if of is not table:
                continue
            if not table.of_bits:
                held[address - start] = word
                continue
            place, bit = address // 16 - start, 1 << (address % 16)
            held[place] = held[place] | bit if word else held[place] & ~bit

    def _device(self) -> SimDevice:
        from pymodbus.simulator import DataType, SimData, SimDevice

        def block(table: Table) -> list[SimData]:
            last = max((address for of, address in self._words if of is table), default=0)
            if table.of_bits:
                return [SimData(0, values=[False] * (last + 1), datatype=DataType.BITS)]
            return [SimData(0, count=last + 1, values=0, datatype=DataType.REGISTERS)]

        coils, inputs, holding, input_registers = (block(table) for table in Table)
        return SimDevice(
            self._settings.device_id,
            simdata=(coils, inputs, holding, input_registers),
            action=self._action,
        )

    async def _serve(self) -> None:
        from pymodbus.framer import FramerType
        from pymodbus.server import ModbusTcpServer
        from pymodbus.server.base import ModbusBaseServer

        logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL + 1)
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        over_rtu = self._settings.serial is not None
        self._server = server = ModbusTcpServer(
            self._device(),
            framer=FramerType.RTU if over_rtu else FramerType.SOCKET,
            address=("127.0.0.1", 0),
        )
        pump = None
        try:
            await server.serve_forever(background=True)
            self._address = _listens_at(server)
            pump = await self._behind_a_pty() if over_rtu else None
        except OSError as problem:
            self._problem.append(problem)
            self._end.set()
        finally:
            self._began.set()
        await self._end.wait()
        if self._pty is not None:
            self._loop.remove_reader(self._pty[0])
            if pump is not None:
                pump.cancel()
                with suppress(asyncio.CancelledError):
                    await pump
            for end in self._pty:
                os.close(end)
        await server.shutdown()  # type: ignore[no-untyped-call]  # the library's
        ModbusBaseServer.active_server = None  # the library would keep it, and its sockets, for ever

    async def _behind_a_pty(self) -> asyncio.Task[None]:
        """A pty whose bytes go to the server and back."""
        reader, writer = await asyncio.open_connection(*self._address)
        master, slave = self._pty = os.openpty()
        tty.setraw(slave)
        self._loop.add_reader(master, lambda: writer.write(os.read(master, _PTY_CHUNK)))

        async def back() -> None:
            try:
                while data := await reader.read(_PTY_CHUNK):
                    os.write(master, data)
            finally:
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()

        return asyncio.create_task(back())


def _listens_at(server: ModbusTcpServer) -> tuple[str, int]:
    transport: Any = server.transport  # an asyncio server, which the library types as a transport
    host, port = transport.sockets[0].getsockname()
    return host, port


def _counted(point: Point, count: int) -> Words:
    """The reference's own count in the registers of a point; exact where the point's step is its step."""
    from device_drivers.simulated.bench import LITRE_HOURS_PER_M3, MICROJOULES_PER_WH

    per_unit = LITRE_HOURS_PER_M3 if point.name == "reference.gas_volume" else MICROJOULES_PER_WH
    steps = Fraction(count, per_unit) / point.factor
    raw = (steps.numerator // steps.denominator) % (point.limits[1] + 1)  # it goes round
    return encode(replace(point, factor=Fraction(1)), Decimal(raw))
