"""Rig I/O: mains, loads, gas flow and tamper switches, by the ``kind`` that a rig's ``bench`` names."""

from __future__ import annotations

from decimal import Decimal
from typing import NoReturn

from device_drivers.doors.opening import plugins
from harness.domain.errors import BeyondBench
from harness.domain.instruments import Bench, Flow, RigController
from harness.domain.lab import Lab, Rig
from harness.domain.names import named
from harness.domain.words import DeviceType
from harness.hooks import BenchDriver, Fence, Trace, unfenced


class NoBench:
    """Stands where a rig has no bench: a test that needs one is blocked, and all others run."""

    def __init__(self, rig_id: str) -> None:
        self._rig_id = rig_id

    def load(self, active: int, reactive: int = 0) -> None:
        self._missing(f"a load of {active} W and {reactive} var")

    def voltage(self, volts: float) -> None:
        self._missing(f"a mains voltage of {volts} V")

    def gas_flow(self, litres_per_hour: int) -> None:
        self._missing(f"a gas flow of {litres_per_hour} l/h")

    def mains(self, on: bool) -> None:
        self._missing(f"the mains to be switched {'on' if on else 'off'}")

    def power(self, device: DeviceType, on: bool) -> None:
        self._missing(f"the {device} to be switched {'on' if on else 'off'}")

    def tamper(self, device: DeviceType, open_: bool) -> None:
        self._missing(f"the {device}'s cover to be {'opened' if open_ else 'closed'}")

    def press_enable(self, meter: DeviceType) -> None:
        self._missing(f"the {meter}'s button to be pressed")

    def reference(self) -> Flow:
        self._missing("the reference meters' counts")

    def temperature(self) -> Decimal:
        self._missing("the temperature")

    def safe(self) -> None:
        """Nothing to make safe."""

    def _missing(self, what: str) -> NoReturn:
        raise BeyondBench(
            f"rig {self._rig_id} has no bench, and the test asks for {what}",
            remedy="describe the rig's bench in the lab file, or run the test on a rig that has one",
        )


def open_bench(rig: Rig, lab: Lab, trace: Trace, controller: RigController, fence: Fence = unfenced) -> Bench:
    """The rig's bench; :class:`NoBench` where the lab file describes none."""
    kind = str(rig.bench.get("kind", ""))
    if not kind:
        return NoBench(rig.id)
    known: dict[str, BenchDriver] = {
        driver.kind: driver for some in plugins(lab.plugins).hook.harness_benches() for driver in some
    }
    driver = named(kind, known, f"rig {rig.id}: no bench driver for kind {kind!r}")
    return driver.open(rig, lab, trace, controller, fence)
