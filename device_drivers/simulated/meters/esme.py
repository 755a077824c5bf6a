"""The electricity meter twin (ESME).

Measures joules from whole watts and microseconds; a register shows whole Wh. Each completed Wh of active
import goes to the TOU register of the moment, and is paid for at the price of the moment, so that the TOU
registers always add up to the import register. Voltage is in tenths of a volt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from random import Random
from typing import Any

from device_drivers.named.objects import ESME
from device_drivers.simulated.clock import VirtualClock
from device_drivers.simulated.logs import Row
from device_drivers.simulated.meters import history
from device_drivers.simulated.meters.agenda import Entry
from device_drivers.simulated.meters.energy import JOULES_PER_WH, MICRO, Counter
from device_drivers.simulated.meters.load_limit import LoadLimit
from device_drivers.simulated.meters.meter import MeterTwin
from device_drivers.simulated.meters.prepayment import NO_MONEY
from device_drivers.simulated.meters.settings import ESME_DEFAULTS
from device_drivers.simulated.meters.tariff import BLOCKS
from device_drivers.simulated.meters.voltage import VoltageMonitor
from harness.domain.events import Event
from harness.domain.faults import Interceptions, Point
from harness.domain.lab import Rig, RigDevice

TOU_REGISTERS, BLOCK_REGISTERS = 48, 8
NOMINAL_DECIVOLTS = 2_300
_QUANTITIES = ("active_import", "active_export", "reactive_import", "reactive_export")


class EsmeTwin(MeterTwin):
    """An ESME. The bench says what its terminals see: ``demand``, ``mains_voltage`` and ``power``."""

    def __init__(
        self, device: RigDevice, rig: Rig, clock: VirtualClock, interceptions: Interceptions, seed: int
    ) -> None:
        counters = tuple(Counter(name, per_tick=MICRO, per_pulse=JOULES_PER_WH) for name in _QUANTITIES)
        self._active = self._reactive = 0
        self._decivolts = NOMINAL_DECIVOLTS
        super().__init__(
            device,
            clock,
            interceptions,
            ESME,
            defaults=ESME_DEFAULTS | {"import_mpxn": rig.mpan, "export_mpan": rig.export_mpan},
            sizes=(TOU_REGISTERS, BLOCK_REGISTERS),
            counters=counters,
        )
        tariff = self.tariff
        self.computed |= {counter.name: _pulses_of(counter) for counter in counters}
        self.computed |= {f"tou_register_{n + 1}": _item_of(tariff.tou, n) for n in range(8)}
        self.computed |= {
            "tou_registers": lambda: tuple(tariff.tou),
            "tou_block_registers": lambda: tuple(tuple(row) for row in tariff.blocks),
            "block_counters": lambda: tuple(tariff.counters),
            "active_power_import": lambda: max(0, self._flowing()[0]),
            "active_power_export": lambda: max(0, -self._flowing()[0]),
            "voltage": lambda: Decimal(self._decivolts).scaleb(-1),
        }
        self.commands |= {
            "reset_load_limit_counter": lambda _: self._reset("load_limit_counter"),
            "reset_voltage_counters": lambda _: self._reset(
                "average_rms_over_voltage_counter", "average_rms_under_voltage_counter"
            ),
        }
        self._fill_history(
            rig.simulation.history_days if rig.simulation else 0, Random(f"{seed}:{device.device_id}")
        )
        self.begin()

    # What the terminals see

    def demand(self, active: int, reactive: int) -> None:
        """The demand behind the meter from now on, in W (negative: export) and var."""
        with self.clock.lock:
            self.catch_up()
            self._active, self._reactive = active, reactive
            self.changed()

    def mains_voltage(self, decivolts: int) -> None:
        """The mains voltage from now on."""
        with self.clock.lock:
            self.catch_up()
            self._decivolts = decivolts

    def _flowing(self) -> tuple[int, int]:
        """W and var that flow through the contactor."""
        return (self._active, self._reactive) if self.powered and self.supply.closed else (0, 0)

    # How it measures

    def measure(self, span: int) -> None:
        if not self.powered:
            return
        self._voltage.measure(self._decivolts, span)
        active, reactive = self._flowing()
        if active > 0:
            if pulses := self.counters["active_import"].add(active * span):
                for amount, price in self.count(pulses):
                    self.pay(amount, price)
        elif active < 0:
            self.counters["active_export"].add(-active * span)
        if reactive > 0:
            self.counters["reactive_import"].add(reactive * span)
        elif reactive < 0:
            self.counters["reactive_export"].add(-reactive * span)

    def until_pulses(self, pulses: int) -> int | None:
        active, _ = self._flowing()
        return self.counters["active_import"].duration(pulses, active) if active > 0 else None

    def until_energy(self, watt_hours: int) -> int | None:
        return self.until_pulses(watt_hours)

    def usage_columns(self, pulses: tuple[int, ...]) -> tuple[Any, ...]:
        return pulses

    def read_columns(self) -> tuple[Any, ...]:
        tariff = self.tariff
        return (
            self.counters["active_import"].pulses,
            tuple(tariff.tou),
            tuple(tuple(row) for row in tariff.blocks),
        )

    def new_day(self) -> None:
        self.tariff.reset_counters()

    def more_entries(self) -> Iterable[Entry]:
        self._voltage = VoltageMonitor(self.values, self.logs["voltage_profile"], self.event)
        self._load_limit = LoadLimit(self.values)
        return (Entry(self._voltage.close, self._voltage.next_period, again=True),)

    def deadlines(self) -> Iterable[int]:
        return (*super().deadlines(), *self._load_limit.deadlines())

    # What follows from it

    def judge(self) -> None:
        self._judge_load()  # first: a supply armed again may have to stay off for another reason
        super().judge()
        if self.locked_by_tamper():
            self.supply.cut("tamper", Event.DISABLED_BY_TAMPER)

    def _judge_load(self) -> None:
        exceeded = self._load_limit.exceeded(self._flowing()[0], self.at)
        if self._pass(Point.CHECK, "load_limit", exceeded):
            if self.values["load_limit_supply_state"] == "Disable":
                self.supply.cut("load limit", Event.LOAD_LIMITED)
                self._load_limit.disabled(self.at)
            else:
                self.event(Event.LOAD_LIMIT_EXCEEDED)
        if self._load_limit.restored(self.at):
            self.supply.rearm("load limit")

    def _reset(self, *counters: str) -> None:
        self.values |= dict.fromkeys(counters, 0)
        self.event(Event.CONFIGURATION_CHANGED)

    def reading(self) -> str:
        return f"IMPORT {self.counters['active_import'].pulses // 1_000:08} kWh"

    # Its past

    def _fill_history(self, days: int, random: Random) -> None:
        """Fill the logs with past consumption; the registers stand where it led them."""
        self.tariff.reload(self.device_time)
        past = history.past(history.ELECTRICITY, self.time(), days, self.tariff, random)
        tou, counters = self.tariff.tou, self.counters
        tou[0], tou[1] = random.randrange(2_000_000, 9_000_000), random.randrange(500_000, 2_000_000)
        counters["reactive_import"].ticks = sum(tou) // 8 * JOULES_PER_WH
        no_blocks = ((0,) * BLOCK_REGISTERS,) * BLOCKS
        daily, billing = history.captures(past, tou, lambda: (sum(tou), tuple(tou), no_blocks))
        profile = [(end, used, 0, used // 8, 0) for end, used in zip(past.ends, past.used, strict=True)]
        counters["active_import"].ticks = sum(tou) * JOULES_PER_WH
        counters["reactive_import"].ticks += sum(row[3] for row in profile) * JOULES_PER_WH
        self.logs["profile"].fill(profile)
        self.logs["daily_read_log"].fill(daily)
        self.logs["billing_data_log"].fill((*row, *NO_MONEY) for row in billing)
        self.logs["voltage_profile"].fill(_past_voltage(past, random))


def _past_voltage(past: history.Past, random: Random) -> Iterable[Row]:
    recent = past.ends[-ESME.logs["voltage_profile"].capacity :]
    return [(end, Decimal(random.randrange(2_340, 2_450)).scaleb(-1)) for end in recent]


def _pulses_of(counter: Counter) -> Callable[[], int]:
    return lambda: counter.pulses


def _item_of(values: list[int], index: int) -> Callable[[], int]:
    return lambda: values[index]
