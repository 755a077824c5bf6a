"""What a lab forbids of its bench, refused before anything goes to the wire."""

from __future__ import annotations

from collections.abc import Mapping

from device_drivers.bench.modbus.panel import Panel
from device_drivers.bench.modbus.points import decode, encode, told
from harness.domain.bench import BitOrNumber, Condition, Interlock, ModbusBenchSettings, Point
from harness.domain.errors import BeyondBench


def refuse_forbidden(
    settings: ModbusBenchSettings, panel: Panel, planned: Mapping[Point, BitOrNumber]
) -> None:
    """:class:`BeyondBench` where an interlock would not be kept once ``planned`` is written.

    A point that is not about to be written is what it is known to be; one that can only be read, or has a
    feedback contact, is read, and only where its interlock depends on it.
    """
    after = {point.name: decode(point, encode(point, value)) for point, value in planned.items()}
    for interlock in settings.interlocks:
        conditions = sorted((interlock.never, interlock.during), key=lambda each: each.point not in after)
        if conditions[0].point in after and all(
            each.holds(_value(settings, panel, after, each)) for each in conditions
        ):
            raise BeyondBench(_message(settings, interlock, after), remedy=_remedy(interlock, after))


def _value(
    settings: ModbusBenchSettings, panel: Panel, after: Mapping[str, BitOrNumber], condition: Condition
) -> BitOrNumber:
    name = condition.point
    point = settings.map.points[name]
    if name in after:
        return after[name]
    if name in panel.known and point.read_back is None:
        return panel.known[name]
    return panel.read(point)


def _message(settings: ModbusBenchSettings, interlock: Interlock, after: Mapping[str, BitOrNumber]) -> str:
    asked = ", ".join(f"{name} {told(settings.map.points[name], value)}" for name, value in after.items())
    return f"refused: {asked}: the lab file says {interlock}"


def _remedy(interlock: Interlock, after: Mapping[str, BitOrNumber]) -> str:
    other = interlock.during if interlock.never.point in after else interlock.never
    return f"let the test first see to it that not {other}"
