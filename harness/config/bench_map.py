"""The register map of a Modbus bench, read from its file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from harness.config.bench_models import PointFile, ReadBackFile, RegisterMapFile
from harness.config.document import Document, Place, read_document
from harness.config.problems import Problems, listed, nearest
from harness.config.validation import validate
from harness.domain.bench import (
    FUNCTIONS,
    OWN_POINTS,
    UNITS,
    Function,
    Point,
    ReadBack,
    RegisterMap,
    Table,
    ValueType,
)

_LAST_ADDRESS = 65_535


def read_map(path: Path, problems: Problems) -> RegisterMap | None:
    """The register map in a file, or nothing and its problems written down."""
    before = len(problems.found)
    document = read_document(path, problems)
    if document is None:
        return None
    head = validate(RegisterMapFile, document, (), problems)
    content = document.at("points")
    if head is None or not isinstance(content, Mapping):
        return None
    page = _Page(document, head, problems)
    points = {name: page.point(name) for name in content}
    page.check_overlaps({name: point for name, point in points.items() if point is not None})
    if len(problems.found) > before:
        return None
    return RegisterMap(file=path, points={name: point for name, point in points.items() if point is not None})


@dataclass(frozen=True, slots=True)
class _Page:
    """Makes points, and writes problems of the map down."""

    document: Document
    head: RegisterMapFile
    problems: Problems

    def wrong(self, place: Place, message: str, remedy: str) -> None:
        where = ".".join(str(step) for step in place)
        self.problems.add(self.document.path, self.document.line(place), f"{where}: {message}", remedy)

    def point(self, name: str) -> Point | None:
        place = ("points", name)
        function = FUNCTIONS.get(name)
        if function is None and not name.startswith(OWN_POINTS):
            self.wrong(
                place, f"unknown point {name!r}",
                f"{nearest(name, FUNCTIONS)}; a point of your own begins with {OWN_POINTS}",
            )  # fmt: skip
            return None
        item = validate(PointFile, self.document, place, self.problems)
        if item is None:
            return None
        writable = item.writable if item.writable is not None else bool(function and function.writable)
        self._check_lie(place, item.table, item.address, item.type)
        self._check_writing(place, item, function, writable)
        if item.read_back:
            self._check_read_back(place, item, item.read_back, writable)
        return Point(
            name=name,
            table=item.table,
            address=item.address,
            type=item.type,
            unit=item.unit,
            factor=self._factor(place, item, function),
            word_order=item.word_order or self.head.word_order,
            inverted=item.inverted,
            writable=writable,
            read_back=ReadBack(**dict(item.read_back)) if item.read_back else None,
        )

    def _check_lie(self, place: Place, table: Table, address: int, type_: ValueType) -> None:
        """The type fits the table, and the table has room for it."""
        if table.of_bits and type_ is not ValueType.BOOL:
            self.wrong((*place, "type"), f"a {table} holds one bit, not a {type_}", "bool, or another table")
        if address + type_.words - 1 > _LAST_ADDRESS:
            message = f"a {type_} at {address} ends beyond {_LAST_ADDRESS}"
            self.wrong((*place, "address"), message, "correct it")

    def _check_writing(
        self, place: Place, item: PointFile, function: Function | None, writable: bool
    ) -> None:
        if writable and not item.table.writable:
            self.wrong(
                (*place, "table"), f"found {item.table}, which cannot be written",
                "expected coil or holding_register; name the input under read_back:",
            )  # fmt: skip
        if function and writable != function.writable:
            expected = "must be written" if function.writable else "is only measured"
            self.wrong((*place, "writable"), f"this point {expected}: {function.meaning}", "remove writable:")

    def _check_read_back(
        self, place: Place, item: PointFile, read_back: ReadBackFile, writable: bool
    ) -> None:
        place = (*place, "read_back")
        if not writable:
            self.wrong(place, "the point is never written", "remove read_back:")
        self._check_lie(place, read_back.table, read_back.address, item.type)

    def _factor(self, place: Place, item: PointFile, function: Function | None) -> Fraction:
        """What one step of the register is, in the unit that drivers count in."""
        try:
            scale = Fraction(*(Fraction(part) for part in item.scale.split("/")))
        except ZeroDivisionError:
            scale = Fraction(0)
        if not scale:
            self.wrong((*place, "scale"), f"found {item.scale!r}, expected more than 0", "correct it")
        if function is None:
            return scale
        if (function.quantity is None) != (item.type is ValueType.BOOL):
            expected = "bool" if function.quantity is None else "a number: u16, s32, f32 ..."
            self.wrong(
                (*place, "type"), f"found {item.type}, expected {expected}", f"{function.meaning}: correct it"
            )
            return scale
        if function.quantity is None:
            if item.unit or item.scale != "1":
                key = "unit" if item.unit else "scale"
                self.wrong((*place, key), "what is on or off has none", f"remove {key}:")
            return Fraction(1)
        units = UNITS[function.quantity]
        if item.unit not in units:
            found = f"found {item.unit!r}" if item.unit else "found no unit"
            self.wrong(
                (*place, "unit"), f"{found}, expected one of {listed(units)}",
                f"a register of {function.quantity} says in which unit it counts",
            )  # fmt: skip
            return scale
        return scale * units[item.unit]

    def check_overlaps(self, points: Mapping[str, Point]) -> None:
        """No two points share an address."""
        taken: dict[tuple[Table, int], str] = {}
        for name, point in points.items():
            others = {taken.setdefault((point.table, address), name) for address in point.span} - {name}
            for other in sorted(others):
                line = self.document.line(("points", other))
                self.wrong(
                    ("points", name, "address"),
                    f"{point.table} {point.address} is {other}'s, on line {line}",
                    "give each its own",
                )
