"""The simulated bench: the premises behind the meters, and reference meters of its own.

The physical truth is here: what the appliances want, whether the mains are on. Something flows only while
the meter lets it: contactor closed and mains on, valve open. The reference counters integrate that in whole
µJ and l/h · µs, apart from the meters' registers, and never pass a fault.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from device_drivers.simulated.clock import VirtualClock
from device_drivers.simulated.meters.energy import LITRE_HOURS_PER_ML, MICRO, micros
from device_drivers.simulated.meters.esme import NOMINAL_DECIVOLTS, EsmeTwin
from device_drivers.simulated.meters.gsme import GsmeTwin
from harness.domain.errors import BeyondBench
from harness.domain.instruments import Flow
from harness.domain.words import DeviceType

MICROJOULES_PER_WH = 3_600 * MICRO
LITRE_HOURS_PER_M3 = LITRE_HOURS_PER_ML * 1_000_000
MAX_DEMAND = 100_000  # W or var: what a 100 A supply can carry, and more than that
ROOM_TEMPERATURE = Decimal("21.5")  # °C
MAX_GAS_FLOW = 6_000  # l/h: a U6 meter's highest


class Hub(Protocol):
    """What the bench can do to the communications hub."""

    def power(self, on: bool) -> None:
        """Its mains go or return."""

    def tamper(self, open_: bool) -> None:
        """Its cover is opened or closed."""


@dataclass(slots=True)
class _Reference:
    active_import: int = 0
    active_export: int = 0
    reactive_import: int = 0
    reactive_export: int = 0
    gas: int = 0


class SimulatedBench:
    """Implements :class:`harness.domain.instruments.Bench` for a rig of twins."""

    def __init__(
        self, clock: VirtualClock, esme: EsmeTwin | None, gsme: GsmeTwin | None = None, hub: Hub | None = None
    ) -> None:
        self._clock = clock
        self._esme = esme
        self._gsme = gsme
        self._hub = hub
        self._active = self._reactive = self._litres_per_hour = 0
        self._decivolts = NOMINAL_DECIVOLTS
        self._unpowered: set[DeviceType] = set()
        self._at = micros(clock.now())
        self._reference = _Reference()
        for meter in (esme, gsme):
            if meter is not None:
                meter.supply.before_change = self._count

    def load(self, active: int, reactive: int = 0) -> None:
        if max(abs(active), abs(reactive)) > MAX_DEMAND:
            raise BeyondBench(
                f"the load bank takes up to {MAX_DEMAND} W and var, not {active} W, {reactive} var"
            )
        esme = self._electricity("a load")
        with self._clock.lock:
            self._count()
            self._active, self._reactive = active, reactive
            esme.demand(active, reactive)

    def voltage(self, volts: float) -> None:
        if not 0 <= volts <= 400:
            raise BeyondBench(f"the mains source gives 0 to 400 V, not {volts}")
        esme = self._electricity("a voltage")
        with self._clock.lock:
            self._decivolts = round(volts * 10)
            esme.mains_voltage(self._decivolts)

    def gas_flow(self, litres_per_hour: int) -> None:
        if not 0 <= litres_per_hour <= MAX_GAS_FLOW:
            raise BeyondBench(f"the gas rig gives 0 to {MAX_GAS_FLOW} l/h, not {litres_per_hour}")
        if self._gsme is None:
            raise BeyondBench("this rig has no gas meter")
        with self._clock.lock:
            self._count()
            self._litres_per_hour = litres_per_hour
            self._gsme.appetite(litres_per_hour)

    def mains(self, on: bool) -> None:
        with self._clock.lock:
            # The hub outlives the meter's last gasp, and is up again before the meter tells of its return
            for device in (DeviceType.CH, DeviceType.ESME) if on else (DeviceType.ESME, DeviceType.CH):
                if self._powered_by_mains(device) is not None:
                    self.power(device, on)

    def power(self, device: DeviceType, on: bool) -> None:
        powered = self._powered_by_mains(device)
        if powered is None:
            raise BeyondBench(f"this rig has no {device} with a supply to switch")
        with self._clock.lock:
            if on == (device not in self._unpowered):
                return
            self._count()
            self._unpowered ^= {device}
            powered.power(on)

    def _powered_by_mains(self, device: DeviceType) -> EsmeTwin | Hub | None:
        """A gas meter has a battery."""
        return {DeviceType.ESME: self._esme, DeviceType.CH: self._hub}.get(device)

    def tamper(self, device: DeviceType, open_: bool) -> None:
        covers = {DeviceType.ESME: self._esme, DeviceType.GSME: self._gsme, DeviceType.CH: self._hub}
        cover = covers[device]
        if cover is None:
            raise BeyondBench(f"this rig has no {device}")
        cover.tamper(open_)

    def press_enable(self, meter: DeviceType) -> None:
        pressed = self._esme if meter is DeviceType.ESME else self._gsme
        if pressed is None:
            raise BeyondBench(f"this rig has no {meter}")
        with self._clock.lock:
            self._count()
            pressed.press_enable()

    def reference(self) -> Flow:
        counted = self.counts()
        gas = Decimal(counted.pop("gas_volume")) / LITRE_HOURS_PER_M3
        energy = {name: Decimal(count) / MICROJOULES_PER_WH for name, count in counted.items()}
        return Flow(**energy, gas_volume=gas)

    def temperature(self) -> Decimal:
        return ROOM_TEMPERATURE

    def counts(self) -> dict[str, int]:
        """What the reference meters hold, in µJ, and l/h · µs."""
        with self._clock.lock:
            self._count()
            counted = self._reference
            return {
                "active_import": counted.active_import,
                "active_export": counted.active_export,
                "reactive_import": counted.reactive_import,
                "reactive_export": counted.reactive_export,
                "gas_volume": counted.gas,
            }

    @property
    def demand(self) -> tuple[int, int]:
        """W and var that the appliances want."""
        return self._active, self._reactive

    @property
    def volts(self) -> Decimal:
        """The voltage in force."""
        return Decimal(self._decivolts) / 10

    def safe(self) -> None:
        self.mains(True)
        if self._esme is not None:
            self.load(0)
            self.voltage(NOMINAL_DECIVOLTS / 10)
        if self._gsme is not None:
            self.gas_flow(0)
        for cover in (self._esme, self._gsme, self._hub):
            if cover is not None:
                cover.tamper(False)

    def _electricity(self, what: str) -> EsmeTwin:
        if self._esme is None:
            raise BeyondBench(f"this rig has no electricity meter for {what}")
        return self._esme

    def _count(self) -> None:
        """Bring the reference up to now. The meters call this before they open or close their supply."""
        now = micros(self._clock.now())
        span, self._at = now - self._at, now
        counted = self._reference
        if self._esme is not None and DeviceType.ESME not in self._unpowered and self._esme.supply.closed:
            counted.active_import += max(0, self._active) * span
            counted.active_export += max(0, -self._active) * span
            counted.reactive_import += max(0, self._reactive) * span
            counted.reactive_export += max(0, -self._reactive) * span
        if self._gsme is not None and self._gsme.supply.closed:
            counted.gas += self._litres_per_hour * span
