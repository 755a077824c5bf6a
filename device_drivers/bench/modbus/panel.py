"""The bench's points over an open link: values in, values out, every write read back."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any, Final

from device_drivers.bench.modbus.client import ModbusLink
from device_drivers.bench.modbus.points import Words, decode, encode, runs, told
from harness.domain.bench import BitOrNumber, Point, ReadBack
from harness.domain.errors import BenchFault
from harness.hooks import Trace

_LOOK_SECONDS: Final = 0.02  # between looks at a feedback contact that has not moved yet


class Panel:
    """Reads and writes points; ``known`` is what those that were written are since then."""

    def __init__(self, link: ModbusLink, trace: Trace) -> None:
        self.link = link
        self.known: dict[str, BitOrNumber] = {}
        self._trace = trace

    def words(self, points: Iterable[Point]) -> dict[str, Words]:
        """What the registers of points hold; those side by side are read in one request."""
        found = {}
        for run in runs(points):
            first, table = run[0].address, run[0].table
            words = self.link.read(table, first, run[-1].span.stop - first)
            for point in run:
                found[point.name] = words[point.address - first : point.span.stop - first]
        return found

    def read(self, point: Point) -> BitOrNumber:
        """What a point is now: by its feedback, where it has one."""
        back = point.read_back
        if back is None:
            return decode(point, self.words((point,))[point.name])
        return decode(point, self.link.read(back.table, back.address, point.type.words))

    def write(self, wanted: Mapping[Point, BitOrNumber]) -> None:
        """Write points and read them back; those side by side go in one request.

        :class:`BenchFault` naming the point, what was written and what was read, where they differ; before
        anything is written where a value does not fit its registers.
        """
        encoded = {point: encode(point, value) for point, value in wanted.items()}
        for run in runs(encoded):
            for point in run:
                self.known.pop(point.name, None)
            words = tuple(word for point in run for word in encoded[point])
            self.link.write(run[0].table, run[0].address, words)
        for point, written in encoded.items():
            read = self._read_back(point, written)
            self._trace.event("bench", "wrote", **_detail(point, written))
            if read != written:
                raise BenchFault(
                    f"{self.link.name}: {point.name} was written {_shown(point, written)} and reads "
                    f"{_shown(point, read)}",
                    remedy="look at the relay or instrument: it did not do what it was told",
                )
            self.known[point.name] = decode(point, written)

    def _read_back(self, point: Point, written: Words) -> Words:
        back = point.read_back or ReadBack(table=point.table, address=point.address)
        deadline = time.monotonic() + back.within
        while True:
            read = self.link.read(back.table, back.address, point.type.words)
            if read == written or time.monotonic() >= deadline:
                return read
            time.sleep(_LOOK_SECONDS)


def _detail(point: Point, written: Words) -> dict[str, Any]:
    return {"point": point.name, "value": _shown(point, written)}


def _shown(point: Point, words: Words) -> str:
    """A value for people, with its words where they are no number."""
    try:
        return told(point, decode(point, words))
    except BenchFault:
        return f"the words {list(words)}"
