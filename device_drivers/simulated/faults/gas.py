"""Ways in which a GSME can be wrong about what it measures, records, holds and lets through."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

from device_drivers.simulated.faults.making import at, column, event, lose, stale, told, turned, unheard
from harness.domain.events import Event
from harness.domain.faults import DROP, Fault, Place, Point, Seen

_CUBIC_FEET: Final = Decimal("35.3147")  # in a cubic metre
_KWH: Final = Decimal("11.2")  # in a cubic metre, about

_fault = at(Place.GSME)


def _rounded_up(volume: Decimal) -> Decimal:
    return Decimal(-(-volume // 1))


def _second_lost(rows: tuple[tuple[int, ...], ...]) -> tuple[tuple[int, ...], ...]:
    return tuple(row[:1] for row in rows)


def _only_by_day(seen: Seen) -> Any:
    """A register that rests from 17:00 on, until 08:00."""
    resting = not 8 <= seen.details["now"].hour < 17
    return DROP if seen.item == "gas_volume" and resting else seen.value


def _leaks(seen: Seen) -> Any:
    return True if seen.item == "Disabled" else seen.value


METERING: Final = (
    _fault(
        "volume-in-cubic-feet",
        Point.READ,
        "the register is told in cubic feet, where m3 are due",
        told(lambda volume: (volume * _CUBIC_FEET).quantize(Decimal("0.001")), "gas_volume"),
        "4.1.1",
    ),
    _fault(
        "volume-as-energy",
        Point.READ,
        "the register is told in kWh, where m3 are due",
        told(lambda volume: (volume * _KWH).quantize(Decimal("0.001")), "gas_volume"),
        "4.1.1",
    ),
    _fault(
        "volume-whole",
        Point.READ,
        "the register is told in whole m3, rounded up",
        told(_rounded_up, "gas_volume"),
        "4.1.1",
    ),
    _fault(
        "volume-stale",
        Point.READ,
        "a mirror of the gas meter answers with the first reading that it had",
        stale("gas_volume"),
        "4.1.1",
    ),
    _fault(
        "volume-fast",
        Point.TICK,
        "the register counts one per cent more than flows",
        turned(lambda millilitres: millilitres + millilitres // 100, "gas_volume"),
    ),
    _fault(
        "volume-lost",
        Point.TICK,
        "what flows is not counted",
        lose("gas_volume"),
    ),
    _fault(
        "volume-by-day-alone",
        Point.TICK,
        "what flows in the evening is not counted",
        _only_by_day,
        "4.8.1",
    ),
    _fault(
        "energy-short",
        Point.TICK,
        "the energy that is charged for is two per cent short",
        turned(lambda watt_hours: watt_hours - watt_hours // 50, "gas_energy"),
    ),
    _fault(
        "block-counters-in-litres",
        Point.READ,
        "block counters are told in litres, where m3 are due",
        told(lambda values: tuple(1_000 * value for value in values), "block_counters"),
        "4.1.4",
    ),
    _fault(
        "block-counters-stale",
        Point.READ,
        "block counters are told as they were first told",
        stale("block_counters"),
        "4.1.4",
    ),
    _fault(
        "profile-in-litres",
        Point.LOG,
        "the profile holds litres, where m3 are due",
        turned(column(1, lambda volume: 1_000 * volume), "profile"),
        "4.8.1",
    ),
    _fault(
        "profile-by-the-quarter",
        Point.LOG,
        "half hours stand under a time a quarter of an hour early",
        turned(column(0, lambda end: end - timedelta(minutes=15)), "profile"),
        "4.8.1",
    ),
    _fault(
        "daily-read-lost",
        Point.LOG,
        "no midnight's registers are taken",
        lose("daily_read_log"),
        "4.6.1",
    ),
    _fault(
        "billing-lost",
        Point.LOG,
        "no billing data are taken at the end of a billing period",
        lose("billing_data_log"),
        "4.4.3", "6.8",
    ),
    _fault(
        "billing-volume-before",
        Point.LOG,
        "billing data hold a cubic metre less than was counted",
        turned(column(1, lambda volume: volume - 1), "billing_data_log"),
        "4.4.3",
    ),
)  # fmt: skip

SETTINGS: Final = (
    _fault(
        "calorific-value-kept",
        Point.WRITE,
        "a new calorific value is acknowledged, and the old one stays",
        unheard("calorific_value"),
        "6.6",
    ),
    _fault(
        "conversion-factor-cut",
        Point.WRITE,
        "the conversion factor is held with three decimal places, of five",
        told(lambda factor: factor.quantize(Decimal("0.001")), "conversion_factor"),
        "6.6",
    ),
    _fault(
        "flow-rate-in-tenths",
        Point.WRITE,
        "the uncontrolled flow rate is taken in tenths of what it says",
        told(lambda rate: rate / 10, "uncontrolled_gas_flow_rate"),
        "6.7",
    ),
    _fault(
        "flow-check-over-at-once",
        Point.WRITE,
        "the flow is measured for a second, whatever the period sent",
        told(lambda _: 1, "flow_measurement_period"),
        "6.7",
    ),
    _fault(
        "tamper-state-lost",
        Point.WRITE,
        "what tampering is to do to the supply is not held",
        unheard("supply_tamper_state"),
        "6.2.4",
        "6.7",
    ),
    _fault(
        "second-threshold-lost",
        Point.WRITE,
        "of the block thresholds only the first is held",
        told(_second_lost, "block_thresholds"),
        "1.1.1",
    ),
    _fault(
        "block-prices-backwards",
        Point.WRITE,
        "block prices are held in the reverse order",
        told(lambda rows: tuple(row[::-1] for row in rows), "block_prices"),
        "1.1.1",
    ),
    _fault(
        "billing-day-off",
        Point.WRITE,
        "billing periods start a day late",
        told(lambda calendar: {**calendar, "day": calendar["day"] % 28 + 1}, "billing_calendar"),
        "6.8",
    ),
    _fault(
        "number-without-its-last-digit",
        Point.WRITE,
        "the supply number is held without its last digit",
        told(lambda number: number[:-1], "import_mpxn"),
        "6.20.1",
    ),
    _fault(
        "version-with-a-mark",
        Point.READ,
        "the version that is told has a mark behind it",
        told(lambda version: f"{version}+", "firmware_version"),
        "11.2",
    ),
)  # fmt: skip

VALVE: Final = (
    _fault(
        "valve-stays-open",
        Point.ACTION,
        "a disable supply command is acknowledged, and the valve stays open",
        lose("disable_supply"),
        "7.2",
    ),
    _fault(
        "valve-leaks",
        Point.SUPPLY,
        "the meter says that its supply is disabled, and gas flows on",
        _leaks,
    ),
    _fault(
        "valve-opens-when-armed",
        Point.SUPPLY,
        "gas flows as soon as the supply is armed, and nobody has enabled it",
        turned(lambda _: True, "Armed"),
    ),
    _fault(
        "valve-stuck-shut",
        Point.SUPPLY,
        "the meter says that its supply is enabled, and the valve stays shut",
        turned(lambda _: False, "Enabled"),
    ),
    _fault(
        "status-without-armed",
        Point.READ,
        "an armed supply is told as a disabled one",
        told(lambda state: "Disabled" if state == "Armed" else state, "supply_state"),
        "7.4",
    ),
    _fault(
        "leak-unalerted",
        Point.ALERT,
        "uncontrolled flow closes the valve, and nobody is alerted",
        lose("0085"),
        "6.7",
    ),
    _fault(
        "cover-told-twice",
        Point.EVENT,
        "an opened cover happens twice",
        event(Event.COVER_OPENED, Event.COVER_OPENED, Event.COVER_OPENED),
        groups=("The installation",),
    ),
)  # fmt: skip

FAULTS: tuple[Fault, ...] = (*METERING, *SETTINGS, *VALVE)
