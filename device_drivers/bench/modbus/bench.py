"""The driver of a bench behind Modbus TCP or RTU."""

from __future__ import annotations

import time
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from device_drivers.bench.hold import BenchHold
from device_drivers.bench.modbus.client import open_link
from device_drivers.bench.modbus.interlocks import refuse_forbidden
from device_drivers.bench.modbus.loads import current_and_angle
from device_drivers.bench.modbus.panel import Panel
from device_drivers.bench.modbus.points import runs, told
from device_drivers.bench.modbus.reference import QUANTITIES, ReferenceMeters
from device_drivers.bench.modbus.safe import address_of, bring_to_safe_state, settings_of
from harness.domain.bench import BitOrNumber, ModbusBenchSettings, Point
from harness.domain.errors import BeyondBench, HarnessError
from harness.domain.instruments import Flow, RigController
from harness.domain.lab import Lab, Rig
from harness.domain.words import DeviceType
from harness.hooks import Fence, Trace, permit_of, still_ours, unfenced

RESCUE: Final = "device_drivers.bench.modbus.safe:rescue"


class ModbusBench:
    """Implements :class:`harness.domain.instruments.Bench` by the register map of the rig's lab file.

    Life cycle: :func:`open_modbus_bench` (which brings the bench to its safe state), use, ``safe``,
    ``close``. Whatever is written is read back; what an interlock forbids, or does not fit its registers,
    never reaches the wire. A function without a point is :class:`BeyondBench`, and blocks the test.
    """

    def __init__(
        self,
        rig: Rig,
        settings: ModbusBenchSettings,
        controller: RigController,
        hold: BenchHold,
        trace: Trace,
        fence: Fence = unfenced,
    ) -> None:
        self._fence = fence
        self._rig = rig
        self._settings = settings
        self._controller = controller
        self._hold = hold
        self._trace = trace
        self._panel = Panel(open_link(settings, address_of(settings, controller), fence), trace)
        self._reference = ReferenceMeters(settings.map)
        self._demand = (0, 0)  # W and var that were asked for last
        self._is_safe = self._closed = False

    def start(self) -> None:
        """Post the guard, go to the safe state, and take what the reference meters show as nothing."""
        self._hold.post(RESCUE, permit_of(self._fence))
        self.safe()
        self._reference.begin(self._panel)

    # What a test asks for

    def load(self, active: int, reactive: int = 0) -> None:
        current = self._point("load.current", f"a load of {active} W and {reactive} var")
        amperes, degrees = current_and_angle(active, reactive, self._volts())
        wanted: dict[Point, BitOrNumber] = {current: amperes}
        angle = self._settings.map.points.get("load.angle")
        if angle is None and degrees:
            angle = self._point("load.angle", f"a load of {active} W and {reactive} var")
        if angle is not None:
            wanted[angle] = degrees
        self._take(wanted, on=bool(amperes))
        self._demand = (active, reactive)

    def _take(self, wanted: dict[Point, BitOrNumber], *, on: bool) -> None:
        """Set the load bank: what the interlocks say of all of it comes first, then no step beyond it."""
        relay = self._settings.map.points.get("load.on")
        switched: dict[Point, BitOrNumber] = {relay: on} if relay else {}
        self._refuse({**wanted, **switched})
        if not on:
            self._write(switched)
        if len(runs(wanted)) > 1:  # not in one request: no current while the angle moves
            for point in wanted:
                if point.name == "load.current":
                    self._write({point: Decimal(0)})
            self._write({point: value for point, value in wanted.items() if point.name == "load.angle"})
        self._write(wanted)
        if on:
            self._write(switched)

    def voltage(self, volts: float) -> None:
        point = self._point("mains.voltage", f"a mains voltage of {volts} V")
        self._set({point: Decimal(repr(volts))})
        if any(self._demand) and volts > 0:
            self.load(*self._demand)  # the same power takes another current now

    def gas_flow(self, litres_per_hour: int) -> None:
        point = self._point("gas.flow", f"a gas flow of {litres_per_hour} l/h")
        self._set({point: Decimal(litres_per_hour)})

    def mains(self, on: bool) -> None:
        """The hub outlives the meter's last gasp, and is up again before the meter."""
        order = (DeviceType.CH, DeviceType.ESME) if on else (DeviceType.ESME, DeviceType.CH)
        there = [
            device
            for device in order
            if device in self._rig.devices and f"supply.{device}" in self._settings.map.points
        ]
        for device in there or (DeviceType.ESME,):
            self.power(device, on)

    def power(self, device: DeviceType, on: bool) -> None:
        point = self._point(f"supply.{device}", f"the {device} to be switched {'on' if on else 'off'}")
        self._set({point: on})

    def tamper(self, device: DeviceType, open_: bool) -> None:
        what = f"the {device}'s cover to be {'opened' if open_ else 'closed'}"
        self._set({self._point(f"tamper.{device}", what): open_})

    def press_enable(self, meter: DeviceType) -> None:
        button = self._point(f"button.{meter}", f"the {meter}'s button to be pressed")
        self._set({button: True})
        time.sleep(self._settings.press)  # a person's finger
        self._set({button: False})

    def reference(self) -> Flow:
        for name in self._reference.missing:
            self._point(name, "the reference meters' counts")
        flow = self._reference.flow(self._panel)
        self._trace.event("bench", "read", reference={name: str(getattr(flow, name)) for name in QUANTITIES})
        return flow

    def temperature(self) -> Decimal:
        point = self._point("temperature", "the temperature")
        value = self._panel.read(point)
        self._trace.event("bench", "read", point=point.name, value=told(point, value))
        return Decimal(value)

    # Safety

    def safe(self) -> None:
        """The declared safe state. For it a lost link is opened anew: once, and the trace says so."""
        self._fence()
        if not self._panel.link.is_open:
            self._trace.event("bench", "reconnecting, to bring the bench to its safe state")
            address = address_of(self._settings, self._controller)
            self._panel = Panel(open_link(self._settings, address, self._fence), self._trace)
        bring_to_safe_state(self._settings, self._panel)
        self._demand = (0, 0)
        self._is_safe = True

    def close(self) -> None:
        """Safe state, then let go of port, guard and lock; closing twice is fine.

        Where this process cannot reach the bench any more its guard tries, and if that fails too it is a
        :class:`~harness.domain.errors.BenchFault`. Neither writes where it is not ours any more.
        """
        if self._closed:
            return
        try:
            if not self._is_safe:
                self.safe()
        except HarnessError as error:
            if not still_ours(self._fence):
                self.abandon()
                raise
            self._trace.event("bench", "its guard must bring the bench to its safe state", error=str(error))
        finally:
            self._let_go(rescued=not self._is_safe)

    def abandon(self) -> None:
        """Let go of port, guard and lock, and write nothing: who has the bench now makes it safe.

        A guard that asks first finds out whether that is somebody else; if not, it does.
        """
        self._let_go(rescued=self._hold.asks)

    def _let_go(self, *, rescued: bool) -> None:
        """``rescued``: by the guard, before it goes."""
        if not self._closed:
            self._closed = True
            self._panel.link.close()
            self._hold.release(safe=not rescued)

    # How

    def _set(self, wanted: Mapping[Point, BitOrNumber]) -> None:
        self._refuse(wanted)
        self._write(wanted)

    def _refuse(self, wanted: Mapping[Point, BitOrNumber]) -> None:
        refuse_forbidden(self._settings, self._panel, wanted)

    def _write(self, wanted: Mapping[Point, BitOrNumber]) -> None:
        if wanted:
            self._hold.watched()
            self._is_safe = False
            self._panel.write(wanted)

    def _volts(self) -> Decimal:
        """The voltage in force."""
        return Decimal(self._panel.known.get("mains.voltage", self._settings.nominal_voltage))

    def _point(self, name: str, what: str) -> Point:
        point = self._settings.map.points.get(name)
        if point is None:
            raise BeyondBench(
                f"the bench of rig {self._rig.id} has no {name}, and the test asks for {what}",
                remedy=f"add {name} to {self._settings.map.file} if the bench has it, or use another rig",
            )
        return point


def open_modbus_bench(
    rig: Rig, lab: Lab, trace: Trace, controller: RigController, fence: Fence = unfenced
) -> ModbusBench:
    """The bench of a rig, in its safe state and guarded.

    :class:`~harness.domain.errors.TransportLost` or :class:`~harness.domain.errors.BenchFault` where it
    cannot be reached, or does not reach its safe state.
    """
    settings = settings_of(rig)
    hold = BenchHold.take(rig, lab, trace)
    try:
        bench = ModbusBench(rig, settings, controller, hold, trace, fence)
    except BaseException:
        hold.release(safe=True)  # nothing has been switched, and no guard stands yet
        raise
    try:
        bench.start()
    except BaseException:
        bench.close()
        raise
    return bench
