# ruff: noqa: E501 - messages stand here as their reader sees them, each on one line
"""A Modbus bench in a lab file: its register map, units, scales, interlocks and safe state."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest

from harness.config import load_lab
from harness.domain.bench import (
    Condition,
    Interlock,
    ModbusBenchSettings,
    ReadBack,
    Relation,
    SerialPort,
    Table,
    ValueType,
    WordOrder,
)
from harness.domain.errors import ConfigurationError

MAP = """\
points:
  supply.ESME: {table: coil, address: 0, inverted: true, read_back: {table: discrete_input, address: 4, within: 0.5}}
  mains.voltage: {table: holding_register, address: 0, type: u16, unit: mV, scale: 100}
  load.on: {table: coil, address: 4}
  load.current: {table: holding_register, address: 2, type: u32, unit: A, scale: 0.001, word_order: little}
  temperature: {table: input_register, address: 0, type: s16, unit: degC, scale: 0.1}
  reference.active_import: {table: input_register, address: 16, type: u32, unit: kWh, scale: 1/75}
  other.door: {table: discrete_input, address: 9}
"""
BENCH = """\
    bench:
      kind: modbus
      map: map.yaml
      timeout: 0.5
      accuracy: 0.02
      interlocks:
        - {never: load.on is on, while: supply.ESME is off}
        - {never: load.current above 80.5, while: temperature above 40}
      safe: {load.on: off, load.current: 0, mains.voltage: 230, supply.ESME: on}
"""


@pytest.fixture
def bench_folder(lab_folder: Path) -> Path:
    """The small lab, with a Modbus bench on its first rig."""
    (lab_folder / "map.yaml").write_text(MAP)
    lab = lab_folder / "lab.yaml"
    lab.write_text(lab.read_text().replace("    devices:\n", f"{BENCH}    devices:\n", 1))
    return lab_folder


def settings(folder: Path) -> ModbusBenchSettings:
    found = load_lab(folder / "lab.yaml").rig("one").modbus
    assert found is not None
    return found


def test_points_are_read_with_their_units_and_scales_in_the_units_that_drivers_count_in(
    bench_folder: Path,
) -> None:
    points = settings(bench_folder).map.points
    volts, current, energy = (
        points["mains.voltage"],
        points["load.current"],
        points["reference.active_import"],
    )
    assert (volts.type, volts.factor) == (ValueType.U16, Fraction(1, 10))  # V: 100 mV a step
    assert (current.factor, current.word_order) == (Fraction(1, 1000), WordOrder.LITTLE)
    assert energy.factor == Fraction(1000, 75)  # Wh: a kWh has 75 steps
    assert (volts.writable, energy.writable, points["other.door"].writable) == (True, False, False)
    relay = points["supply.ESME"]
    assert relay.inverted
    assert relay.read_back == ReadBack(table=Table.DISCRETE_INPUT, address=4, within=0.5)


def test_interlocks_and_the_safe_state_are_read_in_their_order(bench_folder: Path) -> None:
    found = settings(bench_folder)
    assert list(found.safe.items()) == [
        ("load.on", False),
        ("load.current", Decimal(0)),
        ("mains.voltage", Decimal(230)),
        ("supply.ESME", True),
    ]
    first, second = found.interlocks
    assert str(first) == "never load.on is on while supply.ESME is off"
    assert second == Interlock(
        Condition("load.current", Relation.ABOVE, Decimal("80.5")),
        Condition("temperature", Relation.ABOVE, Decimal(40)),
    )


def test_a_bench_of_another_kind_keeps_the_parameters_of_its_driver(lab_folder: Path) -> None:
    lab = lab_folder / "lab.yaml"
    bench = "    bench: {kind: relays, accuracy: 0.01, parameters: {host: 192.0.2.1, port: 5000}}\n"
    lab.write_text(lab.read_text().replace("    devices:\n", f"{bench}    devices:\n", 1))
    rig = load_lab(lab).rig("one")
    assert rig.modbus is None
    assert rig.bench["parameters"] == {"host": "192.0.2.1", "port": 5000}


@dataclass(frozen=True)
class Break:
    """Replace text in a file; the message that must come."""

    file: str
    old: str
    new: str
    message: str


BROKEN = {
    "an unknown key": Break(
        "lab.yaml", "timeout:", "timout:",
        "lab.yaml:17: rigs.one.bench.timout: unknown key 'timout' (did you mean 'timeout'?)",
    ),
    "a key of another kind of bench": Break(
        "lab.yaml", "kind: modbus", "kind: relays",
        "  lab.yaml:16: rigs.one.bench.map: unknown key 'map' (choose from 'kind', 'accuracy', 'firmware', 'parameters')",
    ),
    "no map": Break(
        "lab.yaml", "map: map.yaml", "map: mpa.yaml",
        "lab.yaml:16: rigs.one.bench.map: no file 'mpa.yaml' (correct it: a name is taken from the lab file's folder)",
    ),
    "a twin that is told where it listens": Break(
        "lab.yaml", "timeout: 0.5", "host: 192.0.2.1",
        "lab.yaml:17: rigs.one.bench.host: a twin says for itself where it listens (remove host:)",
    ),
    "an interlock that is no sentence": Break(
        "lab.yaml", "load.on is on,", "load.on on,",
        "lab.yaml:20: rigs.one.bench.interlocks.0.never: found 'load.on on', expected POINT is on, POINT is off, POINT above N or POINT below N (write it so, with a point of the map)",
    ),
    "an interlock of a point that there is not": Break(
        "lab.yaml", "while: supply.ESME", "while: suply.ESME",
        "lab.yaml:20: rigs.one.bench.interlocks.0.while: the map map.yaml has no point 'suply.ESME' (did you mean 'supply.ESME'?)",
    ),
    "an interlock that compares what is on or off": Break(
        "lab.yaml", "load.on is on,", "load.on above 3,",
        "lab.yaml:20: rigs.one.bench.interlocks.0.never: load.on is on or off (write is for on and off, above or below for numbers)",
    ),
    "an interlock that takes a number as on or off": Break(
        "lab.yaml", "temperature above 40", "temperature is on",
        "lab.yaml:21: rigs.one.bench.interlocks.1.while: temperature is a number (write is for on and off, above or below for numbers)",
    ),
    "an interlock beyond the register": Break(
        "lab.yaml", "temperature above 40", "temperature above 4000",
        "lab.yaml:21: rigs.one.bench.interlocks.1.while: found '4000', expected -3276.8 to 3276.7: more does not fit the register (correct it, or the point's type and scale in the map)",
    ),
    "an interlock against the safe state": Break(
        "lab.yaml", "{load.on: off, load.current: 0, mains.voltage: 230, supply.ESME: on}", "{load.on: on, load.current: 0, mains.voltage: 230, supply.ESME: off}",
        "lab.yaml:20: rigs.one.bench.interlocks.0: the safe state is what it forbids (correct it, or safe:)",
    ),
    "a safe state that forgets a point": Break(
        "lab.yaml", "load.current: 0, ", "",
        "lab.yaml:22: rigs.one.bench.safe: says nothing of 'load.current' (say what every point that can be written rests at)",
    ),
    "a safe state of what is only measured": Break(
        "lab.yaml", "safe: {", "safe: {temperature: 20, ",
        "lab.yaml:22: rigs.one.bench.safe.temperature: is a point that cannot be written (remove it)",
    ),
    "a safe state that is no value of its point": Break(
        "lab.yaml", "load.on: off,", "load.on: low,",
        "lab.yaml:22: rigs.one.bench.safe.load.on: found 'low', expected on or off (correct it)",
    ),
    "a safe state beyond the register": Break(
        "lab.yaml", "mains.voltage: 230", "mains.voltage: 23000",
        "lab.yaml:22: rigs.one.bench.safe.mains.voltage: found '23000', expected 0 to 6553.5: more does not fit the register (correct it, or the point's type and scale in the map)",
    ),
    "an unknown point": Break(
        "map.yaml", "load.current", "load.curent",
        "map.yaml:5: points.load.curent: unknown point 'load.curent' (did you mean 'load.current'?; a point of your own begins with other.)",
    ),
    "a unit of another quantity": Break(
        "map.yaml", "unit: A", "unit: V",
        "map.yaml:5: points.load.current.unit: found 'V', expected one of 'A', 'mA' (a register of current says in which unit it counts)",
    ),
    "no unit": Break(
        "map.yaml", "unit: degC, ", "",
        "map.yaml:6: points.temperature.unit: found no unit, expected one of 'degC' (a register of temperature says in which unit it counts)",
    ),
    "a scale of nothing": Break(
        "map.yaml", "scale: 0.1}", "scale: 0.0}",
        "map.yaml:6: points.temperature.scale: found '0.0', expected more than 0 (correct it)",
    ),
    "a scale that is divided by nothing": Break(
        "map.yaml", "scale: 1/75", "scale: 1/0",
        "map.yaml:7: points.reference.active_import.scale: found '1/0', expected more than 0 (correct it)",
    ),
    "a scale that is none": Break(
        "map.yaml", "scale: 1/75", "scale: one",
        "map.yaml:7: points.reference.active_import.scale: found 'one', expected what one step of the register is, a decimal or a fraction (correct it)",
    ),
    "a number in a bit": Break(
        "map.yaml", "load.on: {table: coil, address: 4}", "load.on: {table: coil, address: 4, type: u16}",
        "  map.yaml:4: points.load.on.type: a coil holds one bit, not a u16 (bool, or another table)",
    ),
    "a relay that is a number": Break(
        "map.yaml", "load.on: {table: coil, address: 4}", "load.on: {table: holding_register, address: 9, type: u16}",
        "map.yaml:4: points.load.on.type: found u16, expected bool (relay: the load bank takes its current: correct it)",
    ),
    "a quantity that is on or off": Break(
        "map.yaml", "type: s16, unit: degC, scale: 0.1", "type: bool",
        "map.yaml:6: points.temperature.type: found bool, expected a number: u16, s32, f32 ... (temperature at the devices: correct it)",
    ),
    "a switch that cannot be written": Break(
        "map.yaml", "load.on: {table: coil, address: 4}", "load.on: {table: discrete_input, address: 5}",
        "map.yaml:4: points.load.on.table: found discrete_input, which cannot be written (expected coil or holding_register; name the input under read_back:)",
    ),
    "a meter that is written": Break(
        "map.yaml", "unit: degC, ", "unit: degC, writable: true, ",
        "  map.yaml:6: points.temperature.table: found input_register, which cannot be written (expected coil or holding_register; name the input under read_back:)",
    ),
    "two points at one address": Break(
        "map.yaml", "address: 2, type: u32", "address: 0, type: u32",
        "map.yaml:5: points.load.current.address: holding_register 0 is mains.voltage's, on line 3 (give each its own)",
    ),
    "a point that ends beyond the table": Break(
        "map.yaml", "address: 16, type: u32", "address: 65535, type: u32",
        "map.yaml:7: points.reference.active_import.address: a u32 at 65535 ends beyond 65535 (correct it)",
    ),
    "an address that is none": Break(
        "map.yaml", "address: 16", "address: 30001x",
        "map.yaml:7: points.reference.active_import.address: found '30001x', expected a whole number (correct it: its address as on the wire, from 0: 40001 is address 0)",
    ),
    "a read-back of what is never written": Break(
        "map.yaml", "other.door: {table: discrete_input, address: 9}", "other.door: {table: discrete_input, address: 9, read_back: {table: coil, address: 1}}",
        "map.yaml:8: points.other.door.read_back: the point is never written (remove read_back:)",
    ),
    "no points": Break(
        "map.yaml", MAP, "points: {}\n",
        "map.yaml:1: points: found no keys, expected at least 1 of them (correct it: the points by name)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN.keys())
def test_what_is_wrong_is_told_with_its_place(bench_folder: Path, broken: Break) -> None:
    path = bench_folder / broken.file
    text = path.read_text()
    assert broken.old in text
    path.write_text(text.replace(broken.old, broken.new, 1))
    with pytest.raises(ConfigurationError) as caught:
        load_lab(bench_folder / "lab.yaml")
    assert broken.message in str(caught.value).splitlines()


PHYSICAL = """\
    bench:
      kind: modbus
      map: bench-map.yaml
      WAY
      safe:
        {load.on: off, load.current: 0, load.angle: 0, gas.flow: 0, mains.voltage: 230, supply.ESME: on, supply.CH: on,
         tamper.ESME: off, tamper.GSME: off, tamper.CH: off, button.ESME: off, button.GSME: off}
"""


@pytest.fixture
def physical_lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """The shipped example of real devices with a Modbus bench on its rig, which is reached that way."""
    labs = Path(__file__).resolve().parents[3] / "lab_config"

    def write(way: str) -> Path:
        for file in labs.iterdir():
            if file.is_file():
                shutil.copy(file, tmp_path)
        lab = tmp_path / "physical-example.yaml"
        text = lab.read_text().replace("../test_packs", str(labs.parent / "test_packs"))
        bench = PHYSICAL.replace("WAY", way)
        before, rig, after = text.partition("  bench-b:\n")  # the one that has none yet
        lab.write_text(before + rig + after.replace("    devices:\n", f"{bench}    devices:\n", 1))
        return lab

    monkeypatch.chdir(tmp_path)
    return write


def test_a_real_bench_is_reached_over_tcp_or_a_serial_port(physical_lab: Callable[[str], Path]) -> None:
    over_tcp = load_lab(physical_lab("host: 192.0.2.30")).rig("bench-b").modbus
    assert over_tcp is not None
    assert (over_tcp.host, over_tcp.port, over_tcp.serial) == ("192.0.2.30", 502, None)
    serial = load_lab(physical_lab("serial: {port: /dev/serial/by-id/x, baud: 9600, parity: E}"))
    over_serial = serial.rig("bench-b").modbus
    assert over_serial is not None
    assert over_serial.serial == SerialPort(port="/dev/serial/by-id/x", baud=9600, parity="E")


@pytest.mark.parametrize(
    ("way", "message"),
    [
        ("timeout: 1", "bench: found no host and no serial (say where the bench is: one of both)"),
        ("serial: {baud: 9600}", "bench.serial: no key 'port' (add it: the name of the serial port)"),
        ("serial: {port: /dev/x, baud: 9601}", "bench.serial.baud: found '9601', expected"),
        ("host: 192.0.2.30\n      serial: {port: /dev/x}",
         "bench.serial: stands beside host or port (keep one of both)"),
        ("serial: {port: /dev/x}\n      via_controller: true",
         "bench.via_controller: a serial port cannot be forwarded (remove it, or describe a controller and host)"),
        ("host: 192.0.2.30\n      device_id: 256", "bench.device_id: found '256', expected 255 or less"),
        ("host: 192.0.2.30\n      timeout: 0", "bench.timeout: found '0', expected more than 0"),
    ],
)  # fmt: skip
def test_a_real_bench_says_where_it_is_and_only_once(
    physical_lab: Callable[[str], Path], way: str, message: str
) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(message)):
        load_lab(physical_lab(way))
