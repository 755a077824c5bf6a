"""Ways in which an ESME can be wrong about what it measures, records and tells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from device_drivers.simulated.faults.making import (
    S1SP,
    at,
    lose,
    stale,
    told,
    turned,
)
from harness.domain.faults import Fault, Place, Point, Seen

_fault = at(Place.ESME)


def _standing_still(seen: Seen) -> Any:
    return seen.memory.setdefault("first", seen.value) if seen.item == "active_import" else seen.value


def _one_on(values: Sequence[int]) -> Sequence[int]:
    return (*values[-1:], *values[:-1])


def _two_percent_slow(joules: int) -> int:
    return joules - joules // 50


def _seven_digits(watt_hours: int) -> int:
    return watt_hours % 1_000_000


def _by_another_model(seen: Seen) -> Any:
    """A quirk of one firmware of one Device Model."""
    cohort = (seen.details["model"], seen.details["firmware"]) == ("AE-110", "1.4.20")
    asked = seen.item == "active_power_import" and seen.details["client"] == S1SP
    return seen.value + 1 if cohort and asked else seen.value


FAULTS: tuple[Fault, ...] = (
    _fault(
        "import-stuck",
        Point.READ,
        "the active import register stays at what was first read of it, whatever the load",
        _standing_still,
        # All whose tests hold something against the register
        "4.1.1", "4.4.2", "4.4.3", "4.6.1", "4.8.1", "6.8", "6.11", "11.3",
    ),
    _fault(
        "import-unit",
        Point.READ,
        "the meter tells the S1SP its import register in kWh, where Wh is due",
        told(lambda watt_hours: watt_hours // 1_000, "active_import"),
        "4.1.1",
    ),
    _fault(
        "import-rolls-over",
        Point.READ,
        "the import register is told without its millions",
        told(_seven_digits, "active_import"),
        "4.1.1",
    ),
    _fault(
        "import-doubled",
        Point.TICK,
        "each pulse of active import counts twice",
        turned(lambda joules: 2 * joules, "active_import"),
    ),
    _fault(
        "import-slow",
        Point.TICK,
        "the import register counts two per cent less than flows",
        turned(_two_percent_slow, "active_import"),
    ),
    _fault(
        "reactive-import-in-kvarh",
        Point.READ,
        "reactive import is told in kvarh, where varh is due",
        told(lambda varh: varh // 1_000, "reactive_import"),
        "4.1.1",
    ),
    _fault(
        "reactive-import-uncounted",
        Point.TICK,
        "reactive import is not counted",
        lose("reactive_import"),
        "4.1.1", "4.8.2",
    ),
    _fault(
        "export-uncounted",
        Point.TICK,
        "what flows back is not counted",
        lose("active_export"),
        "4.2", "4.8.3",
    ),
    _fault(
        "export-negative",
        Point.READ,
        "the export register is told as the complement of a negative number",
        told(lambda watt_hours: (1 << 32) - watt_hours, "active_export"),
        "4.2",
    ),
    _fault(
        "reactive-export-halved",
        Point.TICK,
        "reactive export counts half",
        turned(lambda joules: joules // 2, "reactive_export"),
        "4.2", "4.8.3",
    ),
    _fault(
        "registers-stale",
        Point.READ,
        "the S1SP is told again what it was told first of the import register",
        stale("active_import"),
        "4.1.1",
    ),
    _fault(
        "tou-registers-shifted",
        Point.READ,
        "each TOU register is told under the number of the next",
        told(_one_on, "tou_registers"),
        "4.1.2",
    ),
    _fault(
        "tou-registers-short",
        Point.READ,
        "the last TOU register is not told",
        told(lambda values: values[:-1], "tou_registers"),
        "4.1.2",
    ),
    _fault(
        "tou-uncounted",
        Point.TICK,
        "nothing is counted in the TOU registers, and nothing is charged",
        lose("tou_registers"),
    ),
    _fault(
        "power-in-kilowatts",
        Point.READ,
        "the power that is drawn is told in kW, where W is due",
        told(lambda watts: watts // 1_000, "active_power_import"),
        "4.16",
    ),
    _fault(
        "power-as-energy",
        Point.READ,
        "what is told as power is the energy of half an hour of it",
        told(lambda watts: watts // 2, "active_power_import"),
        "4.16",
    ),
    _fault(
        "power-stale",
        Point.READ,
        "the power that was first told is told ever after",
        stale("active_power_import"),
        "4.16",
    ),
    _fault(
        "power-of-one-firmware",
        Point.READ,
        "one firmware of one model tells the power one watt too high",
        _by_another_model,
        "4.16",
    ),
)  # fmt: skip
