"""A lab for one round of chaos: a folder with its lab files, packs, state and runs, and nothing shared.

Three kinds: *bare*, whose rigs have nothing but a bench; *of doors*, with devices behind TCP doors as well;
*of twins*, which are in the workers, with a DCC.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
REPO = HERE.parents[1]
CONFIG = REPO / "lab_config"
LAB = "chaos"
PACKS = ("chaos-ioc", "chaos-moc")
RIGS = {
    "ioc-1": ("ioc-alderwick", "9900000001019", "9900000104"),
    "ioc-2": ("ioc-alderwick", "9900000002012", "9900000205"),
    "moc-1": ("moc-birchfell", "9900000004010", "9900000407"),
    "moc-2": ("moc-birchfell", "9900000005013", "9900000508"),
}
"""Each rig's DMC, MPAN and MPRN."""
SAFE: dict[str, dict[int, int]] = {"coil": {0: 1, 4: 0}, "holding": {0: 2300, 2: 0, 3: 0}}
"""The safe state of a bench in its registers, as :data:`_MAP` and ``safe`` in :func:`_bench` have it."""
_SIMULATED_DCC = {
    "gateway": "simulated", "receive": "127.0.0.1:0", "users": {"IS": {"eui": "00-DB-12-34-90-00-00-01"}},
}  # fmt: skip
_SIMULATION = {"starts": "2025-03-03T08:00:00Z", "history_days": 1}
PORTS_OF_A_RIG = 10
_MAP = """
points:
  supply.ESME: {table: coil, address: 0}
  load.on: {table: coil, address: 4}
  mains.voltage: {table: holding_register, address: 0, type: u16, unit: V, scale: 0.1}
  load.current: {table: holding_register, address: 2, type: u32, unit: A, scale: 0.000001}
"""
_MANIFEST = """
title: What is run under chaos
version: "1"
kind: service_reference_variant
capability_release: {release}
test_phase: DMCT SRVT
installation_types: [dormant, active, mixed]
select: [test_subject.py]
"""
_EPCL = """
ioc-active:
  dmc: ioc-alderwick
  communications_provider: Skylark Mobile
  installation_type: active
  first_added: 2025-02-03
moc-mixed:
  dmc: moc-birchfell
  communications_provider: Fieldfare Cellular
  installation_type: mixed
"""


_GATEWAY = "http://127.0.0.1:1"  # nobody asks it anything


@dataclass(frozen=True)
class ChaosLab:
    """The folder; ``file`` is its lab file."""

    folder: Path

    @property
    def file(self) -> Path:
        return self.folder / "lab.yaml"

    @property
    def runs(self) -> Path:
        return self.folder / "runs"


def bare_lab(folder: Path, ports: Mapping[str, int]) -> ChaosLab:
    """Rigs that have a bench each, at those ports, and no device that anybody would ask."""
    rigs = {rig: _rig(rig) | {"bench": _bench(port)} for rig, port in ports.items()}
    for rig in rigs.values():
        for device in rig["devices"].values():
            device["door"] = {"transport": "tcp", "parameters": {"host": "127.0.0.1", "port": 1}}
    return _make(folder, rigs)


def lab_of_doors(folder: Path, ports: Mapping[str, int], base_port: int) -> ChaosLab:
    """Besides the benches, the devices of ``twins.yaml``, each at a port: a block of ports for each rig."""
    from device_drivers.simulated.keys import key_ring
    from harness.config import load_lab

    twins = {rig: _rig(rig) | {"simulation": _SIMULATION} for rig in ports}
    _make(folder, twins, "twins.yaml", name="twins", dcc=_SIMULATED_DCC)
    ring = key_ring(load_lab(folder / "twins.yaml", state=folder / "state" / "twins"))
    rigs = {rig: _rig(rig) | {"bench": _bench(port)} for rig, port in ports.items()}
    for place, rig in enumerate(rigs.values()):
        for offset, device in enumerate(rig["devices"].values()):
            where = {"host": "127.0.0.1", "port": base_port + PORTS_OF_A_RIG * place + offset}
            device["door"] = {"transport": "tcp", "parameters": where}
            security = asdict(ring.security(device["device_id"]))
            device["security"] = {name: value for name, value in security.items() if value}
    return _make(folder, rigs)


def lab_of_twins(folder: Path, rigs: Iterable[str]) -> ChaosLab:
    """Twins in the workers, and a DCC of the run's own."""
    twins = {rig: _rig(rig) | {"simulation": _SIMULATION} for rig in rigs}
    return _make(folder, twins, dcc=_SIMULATED_DCC)


def _make(folder: Path, rigs: Mapping[str, Any], file: str = "lab.yaml", **said: Any) -> ChaosLab:
    """Write what a lab of those rigs needs; ``said`` is whatever else its file says. JSON is YAML."""
    packs = folder / "packs" / "manifests"
    packs.mkdir(parents=True, exist_ok=True)
    shutil.copy(HERE / "subject.py", packs.parent / "test_subject.py")
    for name in PACKS:
        release = name.partition("-")[2].upper()
        (packs / f"{name}.yaml").write_text(_MANIFEST.format(release=release))
    (folder / "bench-map.yaml").write_text(_MAP)
    (folder / "epcl.yaml").write_text(_EPCL)
    (folder / "user.key").touch(mode=0o600)
    names = {name: str(CONFIG / f"{name}.yaml") for name in ("environments", "device_models", "dmcs")}
    names |= {"catalogue": str(CONFIG / "srv_catalogue.csv"), "ttm": str(CONFIG / "ttm.csv")}
    user = {"eui": "00-DB-12-34-90-00-00-01", "key": "file:user.key", "certificate": "file:user.key"}
    lab = {
        "name": LAB, "environment": "sit-b", **names, "epcl": "epcl.yaml", "packs": "packs",
        "plugins": ["chaos_rigs"], "rigs": rigs,
        "dcc": {"gateway": _GATEWAY, "receive": "127.0.0.1:0", "users": {"IS": user}},
    }  # fmt: skip
    (folder / file).write_text(json.dumps(lab | said, indent=1))
    return ChaosLab(folder)


def _rig(rig: str) -> dict[str, Any]:
    place = list(RIGS).index(rig) + 1
    dmc, mpan, mprn = RIGS[rig]
    types = enumerate(("ESME", "GSME", "CH"), start=1)
    devices = {type_: {"device_id": f"00-DB-12-34-56-{place:02}-00-{at:02}"} for at, type_ in types}
    return {"dmc": dmc, "mpan": mpan, "mprn": mprn, "devices": devices}


def _bench(port: int) -> dict[str, Any]:
    safe = {"load.on": "off", "load.current": "0", "mains.voltage": "230", "supply.ESME": "on"}
    return {
        "kind": "modbus", "map": "bench-map.yaml", "host": "127.0.0.1", "port": port,
        "timeout": 0.5, "press": 0, "safe": safe,
    }  # fmt: skip


def safe_states(rigs: Iterable[str]) -> str:
    """What the referee is told of the benches of those rigs."""
    return json.dumps(dict.fromkeys(rigs, SAFE))
