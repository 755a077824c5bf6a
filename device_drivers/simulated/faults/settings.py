"""Ways in which an ESME can be wrong about what it is told: tariff, settings, clock, supply."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from device_drivers.simulated.faults.making import at, event, lose, told, turned, unheard
from harness.domain.events import Event
from harness.domain.faults import DROP, Fault, Place, Point, Seen

_fault = at(Place.ESME)


def _first_alone(values: tuple[int, ...]) -> tuple[int, ...]:
    return (*values[:1], *(0 for _ in values[1:]))


def _weeks_from_sunday(weeks: tuple[Mapping[str, Any], ...]) -> tuple[Mapping[str, Any], ...]:
    return tuple({**week, "days": (*week["days"][-1:], *week["days"][:-1])} for week in weeks)


def _on_the_hour(days: tuple[Mapping[str, Any], ...]) -> tuple[Mapping[str, Any], ...]:
    return tuple(
        {**day, "actions": tuple({**action, "minute": 0} for action in day["actions"])} for day in days
    )


def _half(seen: Seen) -> Any:
    """What is held together takes effect in its first half, where it is a tariff."""
    names = list(seen.value)
    if not {"tou_prices", "block_prices"} & seen.value.keys():
        return seen.value
    return {name: seen.value[name] for name in names[: -(-len(names) // 2)]}


def _is_return_of_power(seen: Seen) -> bool:
    return bool(seen.item == "power_event_log" and seen.value[1] == Event.POWER_RESTORED)


def _moves_another(setting: str, **others: Any) -> Any:
    """A setting that brings others with it."""
    return lambda seen: {**seen.value, **others} if setting in seen.value else seen.value


def _an_hour_on(moment: datetime) -> datetime:
    return moment + timedelta(hours=1)


TARIFF: Final = (
    _fault(
        "price-not-applied",
        Point.WRITE,
        "new prices are acknowledged, and the old ones stay",
        lose("tou_prices", "block_prices"),
        "1.1.1", "1.2.1",
    ),
    _fault(
        "price-of-one-register",
        Point.WRITE,
        "of all TOU prices only the first is held",
        told(_first_alone, "tou_prices"),
        "1.1.1", "1.2.1",
    ),
    _fault(
        "price-scale-ignored",
        Point.WRITE,
        "prices are taken to be in millipence, whatever their scale",
        unheard("price_scale"),
        "1.2.1",
    ),
    _fault(
        "standing-charge-scale-ignored",
        Point.WRITE,
        "the standing charge is taken to be in millipence, whatever its scale",
        unheard("standing_charge_scale"),
        "1.2.1",
    ),
    _fault(
        "standing-charge-kept",
        Point.WRITE,
        "a new standing charge is acknowledged, and the old one stays",
        unheard("standing_charge"),
        "1.1.1", "1.2.1",
    ),
    _fault(
        "weeks-from-sunday",
        Point.WRITE,
        "weeks are taken to begin on Sunday",
        told(_weeks_from_sunday, "week_profiles"),
        "1.1.1",
    ),
    _fault(
        "switches-on-the-hour",
        Point.WRITE,
        "a tariff switches on the hour before the minute sent",
        told(_on_the_hour, "day_profiles"),
        "1.1.1",
    ),
    _fault(
        "seasons-lost",
        Point.WRITE,
        "new seasons are acknowledged, and the old ones stay",
        unheard("seasons"),
        "1.1.1",
    ),
    _fault(
        "special-days-lost",
        Point.WRITE,
        "special days are acknowledged and not held",
        unheard("special_days"),
        "1.1.1",
    ),
    _fault(
        "thresholds-lost",
        Point.WRITE,
        "block thresholds are acknowledged and not held",
        unheard("block_thresholds"),
        "1.1.1",
    ),
    _fault(
        "half-a-tariff",
        Point.STORE,
        "of a tariff that is to take effect whole the first half does",
        _half,
        "1.1.1", "1.2.1",
    ),
    _fault(
        "held-settings-lost",
        Point.ACTION,
        "settings that are to take effect together never do",
        unheard("release_settings"),
        "1.1.1", "2.1", "6.5",
    ),
    _fault(
        "tariff-event-lost",
        Point.EVENT,
        "a new tariff leaves no event",
        event(Event.TARIFF_CHANGED),
        "1.1.1",
    ),
)  # fmt: skip

CONFIGURATION: Final = (
    _fault(
        "tariff-moves-the-load-limit",
        Point.STORE,
        "new prices move the period of load limiting",
        _moves_another("tou_prices", load_limit_period=31),
        "1.1.1", "1.2.1",
    ),
    _fault(
        "thresholds-take-the-name",
        Point.STORE,
        "new power thresholds wipe the supplier's name out",
        _moves_another("low_medium_power_threshold", supplier_name=""),
        "6.12",
    ),
    _fault(
        "power-threshold-lost",
        Point.WRITE,
        "of two power thresholds the second is not held",
        unheard("medium_high_power_threshold"),
        "6.12",
    ),
    _fault(
        "voltage-threshold-lost",
        Point.WRITE,
        "the threshold of low voltage is not held",
        unheard("average_rms_under_voltage_threshold"),
        "6.5",
    ),
    _fault(
        "sag-threshold-off",
        Point.READ,
        "the threshold of a sag is told a volt too high",
        told(lambda volts: volts + 1, "rms_voltage_sag_threshold"),
        "6.2.1",
    ),
    _fault(
        "voltage-counters-kept",
        Point.ACTION,
        "a reset of the voltage counters is acknowledged, and they go on",
        unheard("reset_voltage_counters"),
        "6.5",
    ),
    _fault(
        "export-number-lost",
        Point.WRITE,
        "the export supply number is acknowledged and not held",
        unheard("export_mpan"),
        "6.20.2",
    ),
    _fault(
        "export-number-for-import",
        Point.STORE,
        "the export supply number is written where the import one stands",
        lambda seen: (
            {"import_mpxn": seen.value["export_mpan"]} if "export_mpan" in seen.value else seen.value
        ),
        "6.20.2",
    ),
    _fault(
        "billing-calendar-lost",
        Point.WRITE,
        "a new billing calendar is acknowledged, and the old one stays",
        unheard("billing_calendar"),
        "6.8",
    ),
    _fault(
        "billing-minute-lost",
        Point.WRITE,
        "billing periods start on the hour",
        told(lambda calendar: {**calendar, "minute": 0}, "billing_calendar"),
        "6.8",
    ),
    _fault(
        "restriction-an-hour-on",
        Point.WRITE,
        "access is restricted from an hour after the moment sent",
        told(_an_hour_on, "access_restricted_before"),
        "3.2",
    ),
    _fault(
        "log-not-cleared",
        Point.ACTION,
        "a clearing of the event log is acknowledged, and the log stays",
        unheard("clear_log"),
        "3.3",
    ),
    _fault(
        "event-not-logged",
        Point.LOG,
        "events are missing from the event log",
        lose("event_log"),
        "6.13",
    ),
    _fault(
        "event-told-twice",
        Point.READ,
        "the newest event is told twice",
        told(lambda rows: (*rows, *rows[-1:]), "event_log"),
        "6.13",
    ),
    _fault(
        "event-in-local-time",
        Point.LOG,
        "events are entered an hour ahead",
        turned(lambda row: (row[0] + timedelta(hours=1), *row[1:]), "event_log"),
        "6.13",
    ),
    _fault(
        "security-event-lost",
        Point.LOG,
        "nothing is entered in the security log",
        lose("security_log"),
        "6.13",
    ),
    _fault(
        "power-return-unlogged",
        Point.LOG,
        "the return of power is not entered in the power event log",
        lambda seen: DROP if _is_return_of_power(seen) else seen.value,
        "6.13",
    ),
    _fault(
        "image-never-active",
        Point.ACTION,
        "an image is to be activated, and the old firmware runs on",
        unheard("image_activate"),
        "11.3",
    ),
    _fault(
        "version-cut-short",
        Point.READ,
        "the version that is told is cut short by its last figure",
        told(lambda version: version[:-1], "firmware_version"),
        "11.2",
    ),
    _fault(
        "activation-unalerted",
        Point.ALERT,
        "a new firmware is active, and nobody is alerted",
        lose("0014"),
        "11.3",
    ),
)  # fmt: skip

FAULTS: tuple[Fault, ...] = (*TARIFF, *CONFIGURATION)
