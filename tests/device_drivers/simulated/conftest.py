"""A house with twins in it: what the tests of the twins stand on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from device_drivers.simulated.bench import SimulatedBench
from device_drivers.simulated.clock import VirtualClock
from device_drivers.simulated.meters.esme import EsmeTwin
from device_drivers.simulated.meters.gsme import GsmeTwin
from device_drivers.simulated.twin import AlertRaised
from harness.domain.faults import Fault, Interceptions, Place
from harness.domain.lab import DeviceModel, DeviceModelCombination, Rig, RigDevice, Simulation
from harness.domain.words import CapabilityRelease, DeviceType

MONDAY = datetime(2026, 3, 2, 9, 10, tzinfo=UTC)
ESME_ID, GSME_ID = "00-DB-12-34-56-78-90-A0", "00-DB-12-34-56-78-90-A1"


@dataclass
class House:
    clock: VirtualClock
    esme: EsmeTwin
    gsme: GsmeTwin
    bench: SimulatedBench
    alerts: list[AlertRaised] = field(default_factory=list)

    def wait(self, **duration: float) -> None:
        self.clock.sleep(timedelta(**duration))

    def until(self, hour: int, minute: int = 0, *, days: int = 0) -> None:
        """Let lab time pass to that time of day, ``days`` ahead."""
        day = self.clock.now() + timedelta(days=days)
        self.clock.advance_to(day.replace(hour=hour, minute=minute, second=0, microsecond=0))

    def alert_codes(self) -> list[int]:
        return [alert.code for alert in self.alerts]


def device(type_: DeviceType, device_id: str, serial: str) -> RigDevice:
    model = DeviceModel(
        id=f"model-{type_}", type=type_, manufacturer="Example", model="X1", hardware="A", firmware="1.0.0"
    )
    return RigDevice(type=type_, device_id=device_id, model=model, serial_number=serial)


def build_house(
    *, faults: tuple[Fault, ...] = (), starts: datetime = MONDAY, history_days: int = 0, seed: int = 1
) -> House:
    esme, gsme = device(DeviceType.ESME, ESME_ID, "E1"), device(DeviceType.GSME, GSME_ID, "G1")
    rig = Rig(
        id="rig",
        dmc=DeviceModelCombination(id="dmc", release=CapabilityRelease.IOC, models={}),
        devices={DeviceType.ESME: esme, DeviceType.GSME: gsme},
        mpan="1900012345678",
        mprn="7400123456",
        export_mpan="1900087654321",
        simulation=Simulation(starts=starts, history_days=history_days),
    )
    clock = VirtualClock(starts)
    electricity = EsmeTwin(esme, rig, clock, Interceptions(Place.ESME, seed, faults), seed)
    gas = GsmeTwin(gsme, rig, clock, Interceptions(Place.GSME, seed, faults), seed)
    house = House(clock, electricity, gas, SimulatedBench(clock, electricity, gas))
    electricity.on_alert = gas.on_alert = house.alerts.append
    return house


@pytest.fixture
def house() -> House:
    """A house whose meters have no past: their logs are empty."""
    return build_house()


@pytest.fixture(scope="session")
def a_house() -> Callable[..., House]:
    """Houses made to measure: ``faults``, ``starts``, ``history_days``, ``seed``."""
    return build_house


def codes(meter: EsmeTwin | GsmeTwin, log: str = "event_log") -> list[int]:
    return [row[1] for row in meter.rows(log)]


@pytest.fixture(scope="session")
def events() -> Callable[..., list[int]]:
    """The event codes in a meter's log, oldest first."""
    return codes
