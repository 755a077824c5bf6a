"""What an electricity meter records of its mains voltage: averages, counters, events.

The thresholds for extreme voltages, sags and swells are settings that this meter keeps and does not act on.
Voltages are in tenths of a volt. The average is over time; a period without mains has none.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from decimal import Decimal
from typing import Any

from device_drivers.simulated.logs import LogBook
from device_drivers.simulated.meters.energy import SECOND, moment
from harness.domain.events import Event

OVER, UNDER = Event.VOLTAGE_HIGH, Event.VOLTAGE_LOW


class VoltageMonitor:
    """Average RMS voltage by periods (``average_rms_voltage_period``), with counters and thresholds.

    A threshold of 0 is off. The event is raised when an average leaves the band, the counter counts each
    period that lies outside.
    """

    def __init__(self, values: MutableMapping[str, Any], log: LogBook, event: Callable[[int], None]) -> None:
        self.values = values
        self.log = log
        self.event = event
        self._sum = 0
        self._time = 0
        self._outside = 0  # the event of the last period, if any

    def measure(self, decivolts: int, span: int) -> None:
        """The mains had this voltage for so many microseconds."""
        self._sum += decivolts * span
        self._time += span

    def next_period(self, device: int) -> int:
        """The end of the period that a device time lies in."""
        period = self.values["average_rms_voltage_period"] * SECOND
        return int((device // period + 1) * period)

    def close(self, due: int) -> None:
        """A period has ended."""
        if not self._time:
            return
        average = (2 * self._sum + self._time) // (2 * self._time)
        self._sum = self._time = 0
        self.log.replace((moment(due), Decimal(average).scaleb(-1)))
        self._judge(average)

    def _judge(self, average: int) -> None:
        over = self.values["average_rms_over_voltage_threshold"] * 10
        under = self.values["average_rms_under_voltage_threshold"] * 10
        outside = OVER if over and average > over else UNDER if under and average < under else 0
        if outside:
            counter = f"average_rms_{'over' if outside == OVER else 'under'}_voltage_counter"
            self.values[counter] += 1
            if outside != self._outside:
                self.event(outside)
        self._outside = outside
