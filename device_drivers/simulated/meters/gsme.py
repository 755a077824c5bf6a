"""The gas meter twin (GSME): a battery device that measures all the time and talks only when it wakes.

Measures millilitres from whole litres per hour and microseconds; its registers show m³ with three decimals.
Each completed litre goes to the TOU register of the moment, and its energy (volume · conversion factor ·
calorific value, exactly, the rest kept) is paid for at the price of the moment. Block thresholds are in
litres and count over a billing period.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from random import Random
from typing import Any

from device_drivers.named.objects import GSME
from device_drivers.simulated.clock import VirtualClock
from device_drivers.simulated.meters import history
from device_drivers.simulated.meters.energy import (
    DAY,
    LITRE_HOURS_PER_ML,
    ML_PER_LITRE,
    SECOND,
    Counter,
    micros,
    moment,
)
from device_drivers.simulated.meters.meter import MeterTwin
from device_drivers.simulated.meters.prepayment import NO_MONEY
from device_drivers.simulated.meters.settings import GSME_DEFAULTS
from device_drivers.simulated.meters.tariff import BLOCKS
from harness.domain.events import Event
from harness.domain.faults import Interceptions
from harness.domain.lab import Rig, RigDevice

TOU_REGISTERS = 4
BATTERY_DAYS = 5_475  # fifteen years
_LITRE_FACTORS_PER_WH = 3_600_000  # litres · (0.1 MJ/m³) · 10⁻⁵ in each Wh


class GsmeTwin(MeterTwin):
    """A GSME. The bench says what the appliances take: ``appetite``. Mains do not concern it."""

    def __init__(
        self, device: RigDevice, rig: Rig, clock: VirtualClock, interceptions: Interceptions, seed: int
    ) -> None:
        random = Random(f"{seed}:{device.device_id}")
        self.volume = Counter("gas_volume", per_tick=LITRE_HOURS_PER_ML, per_pulse=ML_PER_LITRE)
        self._litres_per_hour = 0
        self._flow_check: tuple[int, int, int] | None = (
            None  # from and to (lab microseconds), ml at its start
        )
        super().__init__(
            device,
            clock,
            interceptions,
            GSME,
            defaults=GSME_DEFAULTS | {"import_mpxn": rig.mprn},
            sizes=(TOU_REGISTERS, 1),
            counters=(self.volume,),
        )
        self.energy = Counter("gas_energy", per_tick=_LITRE_FACTORS_PER_WH, per_pulse=1)
        self.energy.tick = self.tick
        self._block_base = [0] * len(self.tariff.blocks)
        self._phase = random.randrange(60) * SECOND
        self._made = self.at
        self.computed |= {
            "gas_volume": lambda: _cubic_metres(self.volume.pulses),
            "gas_energy": lambda: self.energy.pulses,
            "tou_registers": lambda: tuple(map(_cubic_metres, self.tariff.tou)),
            "block_registers": lambda: tuple(_cubic_metres(row[0]) for row in self.tariff.blocks),
            "block_counters": self._block_counters,
            "battery_capacity": self._battery_days,
        }
        self._fill_history(rig.simulation.history_days if rig.simulation else 0, random)
        self.begin()

    def next_wake(self, now: datetime | None = None) -> datetime:
        """When its radio is next awake: a lab time not before ``now``, which is lab time's by default."""
        with self.clock.lock:
            now = now or self.clock.now()
            period = self.values["wake_period"] * SECOND
            phase = self._phase % period
            return moment(-(-(micros(now) - phase) // period) * period + phase)

    def appetite(self, litres_per_hour: int) -> None:
        """What the appliances take from now on, while the valve is open."""
        with self.clock.lock:
            self.catch_up()
            self._litres_per_hour = litres_per_hour
            self.changed()

    def press_enable(self) -> bool:
        """As for every meter; then the check for uncontrolled flow begins (SMETS: somebody left a tap open).

        If, after ``flow_stabilisation_period``, more than ``uncontrolled_gas_flow_rate`` (0: no check) flows
        during ``flow_measurement_period``, the valve closes again and the meter raises an alert.
        """
        with self.clock.lock:
            enabled = super().press_enable()
            if enabled and self.values["uncontrolled_gas_flow_rate"]:
                begins = self.at + self.values["flow_stabilisation_period"] * SECOND
                self._flow_check = (begins, begins + self.values["flow_measurement_period"] * SECOND, -1)
                self.changed()
            return enabled

    # How it measures

    def measure(self, span: int) -> None:
        if not self.supply.closed or not self._litres_per_hour:
            return
        litres = self.volume.add(self._litres_per_hour * span)
        if litres > 0:
            factor = self._energy_factor()
            for amount, price in self.count(litres):
                self.pay(self.energy.add(amount * factor), price)

    def _energy_factor(self) -> int:
        return int(self.values["calorific_value"] * 10) * int(self.values["conversion_factor"] * 100_000)

    def until_pulses(self, pulses: int) -> int | None:
        if not self.supply.closed or not self._litres_per_hour:
            return None
        return self.volume.duration(pulses, self._litres_per_hour)

    def until_energy(self, watt_hours: int) -> int | None:
        missing = watt_hours * _LITRE_FACTORS_PER_WH - self.energy.rest
        return self.until_pulses(-(-missing // self._energy_factor()))

    def usage_columns(self, pulses: tuple[int, ...]) -> tuple[Any, ...]:
        return (_cubic_metres(pulses[0]),)

    def read_columns(self) -> tuple[Any, ...]:
        computed = self.computed
        return (computed["gas_volume"](), computed["tou_registers"](), computed["block_registers"]())

    def deadlines(self) -> Iterable[int]:
        checks = (time for time in (self._flow_check or ())[:2] if time > self.at)
        return (*super().deadlines(), *checks)

    def judge(self) -> None:
        super().judge()
        if self._flow_check is None:
            return
        begins, ends, before = self._flow_check
        if self.at >= begins and before < 0:
            self._flow_check = (begins, ends, self.volume.ticks)
        elif self.at >= ends:
            self._flow_check = None
            rate = Decimal((self.volume.ticks - before) * 3_600 * SECOND) / (ends - begins) / 1_000_000
            if rate > self.values["uncontrolled_gas_flow_rate"]:
                self.supply.cut("uncontrolled flow", Event.UNCONTROLLED_FLOW)

    # Blocks

    def new_day(self) -> None:
        if not self._battery_days() and self.values["supply_depletion_state"] == "Locked":
            self.supply.cut("battery", Event.BATTERY_EXHAUSTED)

    def _battery_days(self) -> int:
        return max(0, BATTERY_DAYS - (self.at - self._made) // DAY)

    def new_billing_period(self) -> None:
        self._reset_blocks()

    def _reset_blocks(self) -> None:
        self.tariff.reset_counters()
        self._block_base = [row[0] for row in self.tariff.blocks]

    def _reset_block_counters(self) -> None:
        self._reset_blocks()
        super()._reset_block_counters()

    def _block_counters(self) -> tuple[Decimal, ...]:
        pairs = zip(self.tariff.blocks, self._block_base, strict=True)
        return tuple(_cubic_metres(row[0] - base) for row, base in pairs)

    def reading(self) -> str:
        return f"GAS {self.volume.pulses / 1_000:09.3f} m3"

    # Its past

    def _fill_history(self, days: int, random: Random) -> None:
        """Fill the logs with past consumption; the registers stand where it led them."""
        self.tariff.reload(self.device_time)
        past = history.past(history.GAS, self.time(), days, self.tariff, random, gas=True)
        tou = self.tariff.tou
        tou[0], tou[1] = random.randrange(500_000, 2_000_000), random.randrange(100_000, 500_000)
        no_blocks = (_cubic_metres(0),) * BLOCKS
        daily, billing = history.captures(
            past, tou, lambda: (_cubic_metres(sum(tou)), tuple(map(_cubic_metres, tou)), no_blocks)
        )
        self.volume.ticks = sum(tou) * ML_PER_LITRE
        self.energy.ticks, self.energy.rest = divmod(sum(tou) * self._energy_factor(), self.energy.per_tick)
        self.logs["profile"].fill(zip(past.ends, map(_cubic_metres, past.used), strict=True))
        self.logs["daily_read_log"].fill(daily)
        self.logs["billing_data_log"].fill((*row, *NO_MONEY) for row in billing)


def _cubic_metres(litres: int) -> Decimal:
    return Decimal(litres).scaleb(-3)
