"""The benches of a lab: their settings, register maps, interlocks and safe states, all held to each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final

from harness.config.bench_map import read_map
from harness.config.bench_models import AnyBenchFile, BenchFile, ModbusBenchFile
from harness.config.checks import has_controller
from harness.config.data_files import FROM_HERE
from harness.config.document import Document, Place
from harness.config.models import RigFile
from harness.config.problems import Problems, listed, nearest
from harness.config.validation import validate
from harness.domain.bench import (
    BitOrNumber,
    Condition,
    Interlock,
    ModbusBenchSettings,
    Point,
    RegisterMap,
    Relation,
    SerialPort,
    ValueType,
    shown,
)

MODBUS: Final = "modbus"
_WORDS: Final = {"on": True, "true": True, "off": False, "false": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadBench:
    """A bench as it was read: parameters with whole paths and, if it is of that kind, its Modbus settings."""

    parameters: Mapping[str, Any]
    modbus: ModbusBenchSettings | None = None


def read_benches(document: Document, rigs: Mapping[str, RigFile], problems: Problems) -> dict[str, ReadBench]:
    """The benches of the rigs that have one, by rig; what is wrong with them is written down."""
    maps: dict[Path, RegisterMap | None] = {}
    return {
        id_: _Reading(document, id_, rig, maps, problems).read() for id_, rig in rigs.items() if rig.bench
    }


@dataclass(frozen=True, slots=True)
class _Reading:
    document: Document
    rig_id: str
    rig: RigFile
    maps: dict[Path, RegisterMap | None]
    problems: Problems
    place: Place = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "place", ("rigs", self.rig_id, "bench"))

    def read(self) -> ReadBench:
        model = ModbusBenchFile if self.rig.bench.get("kind") == MODBUS else BenchFile
        bench: AnyBenchFile | None = validate(model, self.document, self.place, self.problems)
        if bench is None:
            return ReadBench(parameters=self.rig.bench)
        parameters = {**self.rig.bench, **self._firmware(bench)}
        if not isinstance(bench, ModbusBenchFile):
            return ReadBench(parameters=parameters)
        self._check_way(bench)
        return ReadBench(parameters=parameters, modbus=self._modbus(bench))

    def _firmware(self, bench: AnyBenchFile) -> dict[str, Any]:
        """The firmware images with whole paths."""
        firmware: dict[str, Any] = {}
        for device, images in bench.firmware.items():
            for which, image in images.items():
                file = self.document.path.parent / image.file
                if not file.is_file():
                    place = (*self.place, "firmware", device.value, which, "file")
                    self._wrong(place, f"no file {image.file!r}", FROM_HERE)
                firmware.setdefault(device.value, {})[which] = {"version": image.version, "file": str(file)}
        return {"firmware": firmware} if firmware else {}

    def _check_way(self, bench: ModbusBenchFile) -> None:
        """A twin says where it listens; a real bench is at a host or at a serial port."""
        named = self.document.at(*self.place)
        serial_port = bench.serial.port if bench.serial else ""
        if self.rig.simulation is not None:
            for key in ("host", "port"):
                if key in named:
                    self._wrong(
                        (*self.place, key), "a twin says for itself where it listens", f"remove {key}:"
                    )
            if serial_port:
                place = (*self.place, "serial", "port")
                self._wrong(place, "a twin says for itself where it listens", "remove port:")
        elif bench.serial and not serial_port:
            self._wrong((*self.place, "serial"), "no key 'port'", "add it: the name of the serial port")
        elif not bench.host and not bench.serial:
            self._wrong(self.place, "found no host and no serial", "say where the bench is: one of both")
        if bench.serial and (bench.host or "port" in named):
            self._wrong((*self.place, "serial"), "stands beside host or port", "keep one of both")
        if bench.via_controller and (bench.serial or not has_controller(self.rig)):
            why = "a serial port cannot be forwarded" if bench.serial else "the rig has no controller"
            self._wrong((*self.place, "via_controller"), why, "remove it, or describe a controller and host")

    def _modbus(self, bench: ModbusBenchFile) -> ModbusBenchSettings | None:
        path = (self.document.path.parent / bench.map).resolve()
        if not path.is_file():
            self._wrong((*self.place, "map"), f"no file {bench.map!r}", FROM_HERE)
            return None
        if path not in self.maps:
            self.maps[path] = read_map(path, self.problems)
        register_map = self.maps[path]
        if register_map is None:
            return None
        safe = self._safe(bench, register_map)
        interlocks = tuple(self._interlocks(bench, register_map))
        for number, interlock in enumerate(interlocks):
            if all(
                each.point in safe and each.holds(safe[each.point])
                for each in (interlock.never, interlock.during)
            ):
                place = (*self.place, "interlocks", number)
                self._wrong(place, "the safe state is what it forbids", "correct it, or safe:")
        return ModbusBenchSettings(
            map=register_map,
            safe=safe,
            host=bench.host or "",
            port=bench.port if bench.host else 0,
            serial=SerialPort(**dict(bench.serial)) if bench.serial else None,
            device_id=bench.device_id,
            timeout=bench.timeout,
            press=bench.press,
            via_controller=bench.via_controller,
            nominal_voltage=bench.nominal_voltage,
            interlocks=interlocks,
        )

    def _safe(self, bench: ModbusBenchFile, register_map: RegisterMap) -> dict[str, BitOrNumber]:
        place = (*self.place, "safe")
        safe = {}
        for name, text in bench.safe.items():
            point = self._point((*place, name), name, register_map)
            if point is not None and not point.writable:
                self._wrong((*place, name), "is a point that cannot be written", "remove it")
            elif point is not None and (value := self._value((*place, name), point, text)) is not None:
                safe[name] = value
        missing = [point.name for point in register_map.writable if point.name not in bench.safe]
        if missing:
            self._wrong(
                place,
                f"says nothing of {listed(missing)}",
                "say what every point that can be written rests at",
            )
        return safe

    def _interlocks(self, bench: ModbusBenchFile, register_map: RegisterMap) -> Iterator[Interlock]:
        for number, interlock in enumerate(bench.interlocks):
            place = (*self.place, "interlocks", number)
            never = self._condition((*place, "never"), interlock.never, register_map)
            during = self._condition((*place, "while"), interlock.during, register_map)
            if never and during:
                yield Interlock(never, during)

    def _condition(self, place: Place, text: str, register_map: RegisterMap) -> Condition | None:
        words = text.split()
        if len(words) != 3 or words[1] not in set(Relation):
            self._wrong(place, f"found {text!r}, expected POINT is on, POINT is off, POINT above N or "
                               "POINT below N", "write it so, with a point of the map")  # fmt: skip
            return None
        name, relation = words[0], Relation(words[1])
        point = self._point(place, name, register_map)
        if point is None:
            return None
        if (relation is Relation.IS) != (point.type is ValueType.BOOL):
            kind = "is on or off" if point.type is ValueType.BOOL else "is a number"
            self._wrong(place, f"{name} {kind}", "write is for on and off, above or below for numbers")
            return None
        value = self._value(place, point, words[2])
        return None if value is None else Condition(name, relation, value)

    def _point(self, place: Place, name: str, register_map: RegisterMap) -> Point | None:
        point = register_map.points.get(name)
        if point is None:
            self._wrong(
                place, f"the map {register_map.file.name} has no point {name!r}",
                nearest(name, register_map.points),
            )  # fmt: skip
        return point

    def _value(self, place: Place, point: Point, text: str) -> BitOrNumber | None:
        if point.type is ValueType.BOOL:
            if text.lower() in _WORDS:
                return _WORDS[text.lower()]
            self._wrong(place, f"found {text!r}, expected on or off", "correct it")
            return None
        try:
            value = Decimal(text)
        except InvalidOperation:
            value = Decimal("NaN")
        if not value.is_finite():
            self._wrong(place, f"found {text!r}, expected a number", "correct it")
            return None
        low, high = point.bounds
        if not low <= value <= high:
            message = (
                f"found {text!r}, expected {shown(low)} to {shown(high)}: more does not fit the register"
            )
            self._wrong(place, message, "correct it, or the point's type and scale in the map")
            return None
        return value

    def _wrong(self, place: Place, message: str, remedy: str) -> None:
        where = ".".join(str(step) for step in place)
        self.problems.add(self.document.path, self.document.line(place), f"{where}: {message}", remedy)
