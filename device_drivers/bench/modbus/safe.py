"""The declared safe state of a bench, and the way back to it when its driver has died."""

from __future__ import annotations

from device_drivers.bench.controller import open_controller
from device_drivers.bench.modbus.client import open_link
from device_drivers.bench.modbus.panel import Panel
from device_drivers.named.device import NoTrace
from harness.domain.bench import ModbusBenchSettings
from harness.domain.errors import BenchFault, ConfigurationError, LabFault
from harness.domain.instruments import RigController
from harness.domain.lab import Lab, Rig


def bring_to_safe_state(settings: ModbusBenchSettings, panel: Panel) -> None:
    """Every step of the declared safe state, in its order; one that fails does not keep the next from it.

    Only a link that is lost ends it early. Raises :class:`BenchFault` that tells all that failed.
    """
    failed: list[str] = []
    for name, value in settings.safe.items():
        try:
            panel.write({settings.map.points[name]: value})
        except LabFault as fault:
            failed.append(fault.message)
            if not panel.link.is_open:
                raise
    if failed:
        raise BenchFault(
            f"the bench is not in its safe state: {'; '.join(failed)}",
            remedy="switch the bench off by hand, then look at what did not move",
        )


def address_of(settings: ModbusBenchSettings, controller: RigController) -> tuple[str, int]:
    """Where the bench is reached from here."""
    if settings.via_controller:
        return controller.forward(settings.host, settings.port)
    return settings.host, settings.port


def settings_of(rig: Rig) -> ModbusBenchSettings:
    """The rig's Modbus bench; :class:`ConfigurationError` where it has none, or nobody said where it is."""
    settings = rig.modbus
    if settings is None:
        raise ConfigurationError(
            f"rig {rig.id} has no Modbus bench", remedy="describe it in the lab file, with kind: modbus"
        )
    if not (settings.host or (settings.serial and settings.serial.port)):
        raise ConfigurationError(f"nobody says where the Modbus bench of rig {rig.id} listens")
    return settings


def rescue(rig: Rig, lab: Lab) -> str:
    """Reach the bench anew and bring it to its safe state; what was done, in words. The guard calls this."""
    settings, trace = settings_of(rig), NoTrace()
    controller = open_controller(rig, lab, trace)
    try:
        link = open_link(settings, address_of(settings, controller))
        try:
            bring_to_safe_state(settings, Panel(link, trace))
        finally:
            link.close()
    finally:
        controller.close()
    return f"{len(settings.safe)} points over {link.name}"
