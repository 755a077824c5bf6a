"""Ways in which an ESME can be wrong about its clock, its contactor and the load that it limits."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from device_drivers.simulated.faults.making import S1SP, at, event, lose, told, turned, unheard
from harness.domain.events import Event
from harness.domain.faults import DROP, Fault, Place, Point, Seen

_fault = at(Place.ESME)


def _at_the_second_time(seen: Seen) -> Any:
    """A command that is lost when it is sent for the first time."""
    if seen.item != "arm_supply" or seen.details["client"] != S1SP:
        return seen.value
    seen.memory["sent"] = seen.memory.get("sent", 0) + 1
    return DROP if seen.memory["sent"] == 1 else seen.value


def _an_hour_on(moment: datetime) -> datetime:
    return moment + timedelta(hours=1)


CLOCK: Final = (
    _fault(
        "clock-set-ignored",
        Point.WRITE,
        "setting the clock is acknowledged, and the clock is left as it was",
        lose("clock"),
        "6.11", "8.1.1",
    ),
    _fault(
        "clock-set-to-local-time",
        Point.WRITE,
        "the clock is set an hour ahead of what was sent",
        told(_an_hour_on, "clock"),
        "6.11", "8.1.1",
    ),
    _fault(
        "clock-event-lost",
        Point.EVENT,
        "setting the clock leaves no event",
        event(Event.CLOCK_SET),
        "6.11",
    ),
)  # fmt: skip

SUPPLY: Final = (
    _fault(
        "disable-ignored",
        Point.ACTION,
        "a disable supply command is acknowledged, and the supply stays on",
        lose("disable_supply"),
        "7.2",
    ),
    _fault(
        "enable-ignored",
        Point.ACTION,
        "an enable supply command is acknowledged, and the supply stays off",
        unheard("enable_supply"),
        "7.1",
    ),
    _fault(
        "first-arming-lost",
        Point.ACTION,
        "the first arm supply command after a start is lost",
        _at_the_second_time,
        "7.3",
    ),
    _fault(
        "contactor-welded",
        Point.SUPPLY,
        "the meter says that its supply is disabled, and current flows on",
        turned(lambda _: True, "Disabled"),
    ),
    _fault(
        "contactor-closes-when-armed",
        Point.SUPPLY,
        "current flows as soon as the supply is armed, and nobody has enabled it",
        turned(lambda _: True, "Armed"),
    ),
    _fault(
        "contactor-stuck-open",
        Point.SUPPLY,
        "the meter says that its supply is enabled, and no current flows",
        turned(lambda _: False, "Enabled"),
    ),
    _fault(
        "status-always-enabled",
        Point.READ,
        "the supply is told as enabled, whatever it is",
        told(lambda _: "Enabled", "supply_state"),
        "7.4",
    ),
    _fault(
        "disabling-logged-as-enabling",
        Point.EVENT,
        "a supply disabled by command is logged as one enabled",
        event(Event.SUPPLY_DISABLED, Event.SUPPLY_ENABLED),
        "7.2",
    ),
    _fault(
        "load-limit-ignored",
        Point.CHECK,
        "the supply stays on whatever is drawn",
        turned(lambda _: False, "load_limit"),
        "6.4.1",
    ),
    _fault(
        "load-limit-in-kilowatts",
        Point.WRITE,
        "the load limit is taken to be in kW",
        told(lambda watts: 1_000 * watts, "load_limit_threshold"),
        "6.4.1",
    ),
    _fault(
        "load-limit-period-in-minutes",
        Point.WRITE,
        "the period of load limiting is taken to be in minutes",
        told(lambda seconds: 60 * seconds, "load_limit_period"),
        "6.4.1",
    ),
    _fault(
        "load-limit-unalerted",
        Point.ALERT,
        "load limiting cuts the supply, and nobody is alerted",
        lose("0009"),
        "6.4.1",
    ),
    _fault(
        "load-limit-counter-kept",
        Point.ACTION,
        "a reset of the load limit counter is acknowledged, and it goes on",
        unheard("reset_load_limit_counter"),
        "6.4.2",
    ),
    _fault(
        "load-limit-counter-told-as-none",
        Point.READ,
        "the load limit counter is told as zero",
        told(lambda _: 0, "load_limit_counter"),
        "4.15",
    ),
)  # fmt: skip

FAULTS: tuple[Fault, ...] = (*CLOCK, *SUPPLY)
