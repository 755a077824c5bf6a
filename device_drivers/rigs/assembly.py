"""What taking a rig in hand has in common, simulated or physical: drivers, baseline, and putting it down."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from device_drivers.bench import NoBench, open_bench
from device_drivers.bench.capture import open_capture
from device_drivers.bench.controller import open_controller
from device_drivers.bench.supply import watched
from device_drivers.doors.opening import plugins
from device_drivers.rigs.guarded import guarded, letting_go, met_at
from device_drivers.rigs.user import open_user
from harness.domain.baseline import deviations
from harness.domain.errors import ConfigurationError, DeviceFault, LabFault
from harness.domain.instruments import Bench, Capture, Device, LabClock, RigController, ServiceUser
from harness.domain.lab import Door, Lab, Rig, RigDevice
from harness.domain.names import named
from harness.domain.words import DeviceType
from harness.hooks import WHOLE, Driver, Fence, Trace, Wanted, still_ours, unfenced

if TYPE_CHECKING:
    from harness.domain.faults import Fault

BASELINE_REMEDY: Final = "correct the lab file, or bring the device to its baseline"


@dataclass(frozen=True, slots=True)
class HeldRig:
    """Implements :class:`harness.domain.instruments.RigInHand`; ``held`` lets go of what was opened."""

    rig: Rig
    devices: Mapping[DeviceType, Device]
    bench: Bench
    clock: LabClock
    user: ServiceUser
    controller: RigController
    capture: Capture
    held: ExitStack = field(repr=False)
    displays: Mapping[DeviceType, Callable[[], str]] = field(default_factory=dict, repr=False)
    site: Any = field(default=None, repr=False)  # where the rig is simulated: what stands behind its doors

    def display(self, device: DeviceType) -> str | None:
        return self.displays[device]() if device in self.displays else None

    def close(self) -> None:
        """Bench safe, then everything let go in the reverse order of opening; a second call does nothing.

        Where the rig is not ours any more nothing is written to it: its bench is made safe by who has it.
        """
        self.held.close()


def take_in_hand(
    lab: Lab,
    rig: Rig,
    services: Mapping[str, Any],
    clock: LabClock,
    trace: Trace,
    held: ExitStack,
    wanted: Wanted = WHOLE,
    *,
    fence: Fence = unfenced,
    bench: Bench | None = None,
    displays: Mapping[DeviceType, Callable[[], str]] | None = None,
    site: Any = None,
) -> HeldRig:
    """The rig behind its doors, be they real or a twin's; what ``held`` has is the rig's from now on.

    ``bench`` stands where the rig has one that needs no driver.
    """
    fence()
    controller = open_controller(rig, lab, trace, fence)
    held.callback(letting_go(controller, fence))
    if not wanted.bench:
        bench = NoBench(rig.id)
    elif bench is None:
        with met_at("bench"):
            bench = open_bench(rig, lab, trace, controller, fence)
        held.callback(letting_go(bench, fence))
    held.callback(_made_safe, bench, fence)
    devices = {
        type_: replace(device, door=reached(device.door, controller))
        for type_, device in rig.devices.items()
        if wanted.devices is None or type_ in wanted.devices
    }
    user = open_user(services, rig, clock, trace, lab, held)
    rig_wanted = replace(rig, devices=devices)
    connected = connect_devices(lab, rig_wanted, clock, trace, held, fence, baseline=wanted.baseline)
    capture = open_capture(rig, lab, controller, trace, fence)
    return HeldRig(
        rig,
        connected,
        guarded(watched(bench, connected), fence, "bench"),
        clock,
        guarded(user, fence, ""),
        controller,
        capture,
        held.pop_all(),
        displays or {},
        site,
    )


def _made_safe(bench: Bench, fence: Fence) -> None:
    if still_ours(fence):
        with met_at("bench"):
            bench.safe()


def reached(door: Door | None, controller: RigController) -> Door | None:
    """The door as it is reached from here: a port behind the controller becomes a forwarded one."""
    if door is None or not door.via_controller:
        return door
    try:
        host, port = controller.forward(str(door.parameters["host"]), int(door.parameters["port"]))
    except (KeyError, ValueError) as error:
        raise ConfigurationError(
            f"a door behind the controller has a host and a port: {dict(door.parameters)} has {error}",
            remedy="name them under the door's parameters, as the controller sees them",
        ) from None
    return replace(door, parameters={**door.parameters, "host": host, "port": port}, via_controller=False)


def connect_devices(
    lab: Lab,
    rig: Rig,
    clock: LabClock,
    trace: Trace,
    held: ExitStack,
    fence: Fence = unfenced,
    *,
    baseline: bool = True,
) -> dict[DeviceType, Device]:
    """A driver for every device of the rig, held to its baseline (Clause 8.4(c)) where that is asked for.

    A device that cannot be opened, or is not what the lab file says, is a :class:`LabFault`: before the
    first test nothing has been proven of the lab.
    """
    devices = {}
    for device_type, device in rig.devices.items():
        try:
            with met_at(device_type):
                opened = connect_device(lab, rig, device, clock, trace, held, fence)
                if baseline:
                    hold_to_baseline(rig, device, opened)
        except DeviceFault as fault:
            raise LabFault(
                f"rig {rig.id}: its {device_type} cannot be taken in hand: {fault.message}",
                remedy="probe the device by hand before another run",
                part=device_type,
            ) from fault
        devices[device_type] = opened
    return devices


def connect_device(
    lab: Lab,
    rig: Rig,
    device: RigDevice,
    clock: LabClock,
    trace: Trace,
    held: ExitStack,
    fence: Fence = unfenced,
) -> Device:
    """A driver for one device, its door open, which asks the fence before each call; ``held`` closes it."""
    if device.door is None:
        raise ConfigurationError(
            f"rig {rig.id}: its {device.type} has no door", remedy="say in the lab file how it is reached"
        )
    driver = _driver(lab, device.type, device.door.protocol)
    opened = driver.connect(device, device.door, lab, clock, trace, fence)
    held.callback(letting_go(opened, fence))
    return guarded(opened, fence, device.type)


def hold_to_baseline(rig: Rig, expected: RigDevice, device: Device) -> None:
    """Raise :class:`LabFault` unless the device is the one, and has the firmware, that the lab file names."""
    if wrong := deviations(expected, device.identity()):
        raise LabFault(
            f"rig {rig.id}: {'; '.join(map(str, wrong))}",
            remedy=BASELINE_REMEDY,
        )


def chosen_faults(lab: Lab, names: tuple[str, ...]) -> tuple[Fault, ...]:
    """The faults of those names, from every plugin; :class:`ConfigurationError` for an unknown one."""
    known: dict[str, Fault] = {
        fault.name: fault for some in plugins(lab.plugins).hook.harness_faults() for fault in some
    }
    lists = "`harness faults` lists them"
    return tuple(named(name, known, f"no fault is called {name!r}", lists) for name in names)


def _driver(lab: Lab, device_type: DeviceType, protocol: str) -> Driver:
    drivers: list[Driver] = [
        driver for some in plugins(lab.plugins).hook.harness_drivers() for driver in some
    ]
    fitting = {  # of two the first, for a lab's own plugin comes before what is built in
        driver.protocol: driver for driver in reversed(drivers) if driver.device_type == device_type
    }
    return named(protocol, fitting, f"no driver for {device_type} speaks {protocol!r}")
