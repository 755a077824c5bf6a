"""The bench's reference meters: what has flowed since the rig was opened, exactly as they count it."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from device_drivers.bench.modbus.panel import Panel
from device_drivers.bench.modbus.points import Words, count, decode
from harness.domain.bench import Point, RegisterMap, ValueType, in_decimal
from harness.domain.errors import BenchFault
from harness.domain.instruments import Flow

QUANTITIES: Final = tuple(Flow.__dataclass_fields__)


class ReferenceMeters:
    """Counters that may have counted before, and that may go round once."""

    def __init__(self, register_map: RegisterMap) -> None:
        named = {quantity: register_map.points.get(f"reference.{quantity}") for quantity in QUANTITIES}
        self._points = {quantity: point for quantity, point in named.items() if point is not None}
        self._begun: dict[str, Words] = {}

    @property
    def missing(self) -> tuple[str, ...]:
        """The points that the map lacks."""
        return tuple(f"reference.{each}" for each in QUANTITIES if each not in self._points)

    def begin(self, panel: Panel) -> None:
        """Count from here."""
        self._begun = panel.words(self._points.values())

    def flow(self, panel: Panel) -> Flow:
        """What has been counted since; :class:`BenchFault` where a meter went backwards."""
        words = panel.words(self._points.values())
        return Flow(
            **{
                quantity: _since(point, self._begun[point.name], words[point.name])
                for quantity, point in self._points.items()
            }
        )


def _since(point: Point, before: Words, after: Words) -> Decimal:
    if point.type is ValueType.F32:
        gone = Decimal(decode(point, after)) - Decimal(decode(point, before))
        if gone < 0:
            raise _backwards(point)
        return gone
    least, most = point.limits
    round_trip = most - least + 1
    steps = (count(point, after) - count(point, before)) % round_trip
    if steps > round_trip // 2:
        raise _backwards(point)
    return in_decimal(steps * point.factor)


def _backwards(point: Point) -> BenchFault:
    return BenchFault(
        f"{point.name} went backwards since the rig was opened",
        remedy="check the reference meter, and the point's type and word order in the register map",
    )
