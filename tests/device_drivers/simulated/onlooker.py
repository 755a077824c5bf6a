"""An onlooker at every point that faults intercept, who changes nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from harness.domain.faults import DROP, Fault, Place, Point, Seen


class Onlooker:
    """Lets every value pass as it is, and notes which faults would have changed one."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.changing: set[str] = set()
        self._at: dict[tuple[Place, Point], list[tuple[Fault, dict[str, Any]]]] = {}
        for fault in faults:
            self._at.setdefault((fault.place, fault.point), []).append((fault, {}))

    @property
    def faults(self) -> tuple[Fault, ...]:
        """One at each point, in the place of all that the catalogue has there."""
        return tuple(self._watching(place, point) for place, point in self._at)

    def _watching(self, place: Place, point: Point) -> Fault:
        def intercept(seen: Seen) -> Any:
            for fault, own in self._at[place, point]:
                passed = fault.intercept(replace(seen, memory=own))
                if passed is DROP or passed != seen.value:
                    self.changing.add(fault.name)
            return seen.value

        return Fault(f"{place}-{point}", place, point, "an onlooker", intercept)
