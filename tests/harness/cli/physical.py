"""Labs as a lab file describes physical ones; twins of the test's own process stand behind their doors."""

from __future__ import annotations

import json
import re
import sys
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from device_drivers.dcc.identities import simulated_pki
from device_drivers.simulated.pace import Pace
from device_drivers.simulated.rig import Site, build_twins, stand_up
from harness.config import load_lab
from harness.domain.lab import Lab, Rig, RigDevice
from harness.domain.words import DeviceType

REPO = Path(__file__).resolve().parents[3]
CONFIG = REPO / "lab_config"
HARNESS = [sys.executable, "-m", "harness"]
SAFE = {
    "load.on": "off", "load.current": "0", "load.angle": "0", "gas.flow": "0",
    "tamper.ESME": "off", "tamper.GSME": "off", "tamper.CH": "off",
    "button.ESME": "off", "button.GSME": "off",
    "mains.voltage": "230", "supply.CH": "on", "supply.ESME": "on",
}  # fmt: skip


def with_paths(lab: str) -> str:
    """The text of the shipped lab file for another folder; its data files stay where they are."""
    for name in ("environments", "device_models", "dmcs", "epcl", "catalogue", "ttm", "packs", "migration"):
        lab = re.sub(rf"^{name}: ", f"{name}: {CONFIG}/", lab, flags=re.MULTILINE)
    return re.sub(r"^  schemas:.*\n", "", lab, flags=re.MULTILINE)


@dataclass
class PhysicalLab:
    """A lab file, for a test to change: ``rigs`` is what it says of its rigs, until :meth:`write`.

    Its devices remember the invocation counters of who talks to them, and its state those of the lab: one is
    of no use without the other.
    """

    file: Path
    held: ExitStack
    rigs: dict[str, Any] = field(default_factory=dict)
    sites: dict[str, Site] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """What a command needs to work on it."""
        return {"HARNESS_LAB": str(self.file), "HARNESS_STATE": str(self.file.parent / "state")}

    @property
    def state(self) -> Path:
        return self.file.parent / "state" / "benches"

    def write(self) -> Path:
        """The file; JSON is YAML."""
        folder = self.file.parent
        names = {
            name: str(CONFIG / f"{name}.yaml") for name in ("environments", "device_models", "dmcs", "epcl")
        }
        names |= {"catalogue": str(CONFIG / "srv_catalogue.csv"), "ttm": str(CONFIG / "ttm.csv")}
        secrets = {"key": f"file:{folder / 'user.key'}", "certificate": f"file:{folder / 'user.pem'}"}
        dcc = {
            "gateway": "http://127.0.0.1:1",  # nobody asks it anything
            "receive": "127.0.0.1:0",
            "users": {"IS": {"eui": "00-DB-12-34-90-00-00-01", **secrets}},
        }
        lab = {
            "name": "benches",
            "environment": "sit-b",
            **names,
            "packs": str(REPO / "test_packs"),
            "dcc": dcc,
        }
        self.file.write_text(json.dumps(lab | {"rigs": self.rigs}, indent=1))
        return self.file

    def stand_up(
        self, like: str, *, starts: datetime | None = None, hub_firmware: str = "", bench: bool = False
    ) -> dict[str, Any]:
        """Add a rig with the devices of a rig of the shipped lab, as bench-1, bench-2 …; what the file says.

        ``starts`` is what its devices think the time is (now), ``hub_firmware`` what its hub says that it
        has. ``bench`` puts a Modbus server in front of what acts upon its twins.
        """
        shipped = _twins(self.file.parent, like if bench else "")
        rig = next(rig for rig in shipped.rigs if rig.id == like)
        assert rig.simulation is not None
        simulation = replace(rig.simulation, starts=starts or datetime.now(UTC), history_days=2)
        hub = rig.devices[DeviceType.CH]
        hub = replace(hub, model=replace(hub.model, firmware=hub_firmware or hub.model.firmware))
        rig = replace(rig, simulation=simulation, devices=rig.devices | {DeviceType.CH: hub})
        site = stand_up(rig, shipped, build_twins(rig, 7), self.held)
        if starts is None:
            self.held.callback(Pace([site.twins.clock]).close)
        name = f"bench-{len(self.rigs) + 1}"
        self.sites[name] = site
        self.rigs[name] = _described(site.rig)
        return self.rigs[name]


def physical_lab(folder: Path, held: ExitStack) -> PhysicalLab:
    """A lab without a rig as yet; its keys are in the folder."""
    pair = simulated_pki(_twins(folder)).user("IS", "00-DB-12-34-90-00-00-01")
    for name, content in (("user.key", pair.key), ("user.pem", pair.certificate)):
        (folder / name).touch(mode=0o600)
        (folder / name).write_bytes(content)
    return PhysicalLab(folder / "lab.yaml", held)


def modbus(port: int, *, timeout: float = 2.0) -> dict[str, Any]:
    """A bench at a port of this computer; ``timeout`` is how long each answer may take, in seconds."""
    return {
        "kind": "modbus", "map": str(CONFIG / "bench-map.yaml"), "host": "127.0.0.1", "port": port,
        "timeout": timeout, "press": 0, "safe": SAFE,
    }  # fmt: skip


def _twins(folder: Path, with_bench: str = "") -> Lab:
    """The shipped lab of twins, one of its rigs with a Modbus bench if asked for."""
    text = with_paths((CONFIG / "simulated.yaml").read_text())
    bench = {name: value for name, value in modbus(port=1).items() if name not in {"host", "port"}}
    text = text.replace(f"  {with_bench}:\n", f"  {with_bench}:\n    bench: {json.dumps(bench)}\n")
    file = folder / "twins.yaml"
    file.write_text(text)
    return load_lab(file, state=folder / "twins")


def _described(rig: Rig) -> dict[str, Any]:
    """A rig as a lab file says it, with its doors and credentials."""
    said: dict[str, Any] = {
        "dmc": rig.dmc.id,
        "mpan": rig.mpan,
        "export_mpan": rig.export_mpan,
        "mprn": rig.mprn,
    }
    said["devices"] = {type_.value: _device(device) for type_, device in rig.devices.items()}
    if rig.modbus is not None:
        said["bench"] = modbus(port=rig.modbus.port)
    return {name: value for name, value in said.items() if value}


def _device(device: RigDevice) -> dict[str, Any]:
    assert device.door is not None
    return {
        "device_id": device.device_id,
        "serial_number": device.serial_number,
        "door": {"transport": device.door.transport, "parameters": dict(device.door.parameters)},
        "security": {name: value for name, value in asdict(device.security).items() if value},
    }
