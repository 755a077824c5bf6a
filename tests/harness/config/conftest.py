"""A small lab in a folder of its own, for tests to break."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.harness.config.pack_folders import CLOCK, MANIFEST, REGISTERS

REPO = Path(__file__).resolve().parents[3]

LAB = """\
name: small
environment: simulated
packs: packs
dcc:
  gateway: simulated
  receive: 127.0.0.1:0
  users:
    IS: {eui: 00-DB-12-34-90-00-00-01}
rigs:
  one:
    dmc: foc-cedarholt-electric
    mpan: "9900000001019"
    simulation: {starts: 2025-03-03T08:00:00Z}
    devices:
      ESME: {device_id: 00-DB-12-34-56-01-00-01, serial_number: E1}
      CH: {device_id: 00-DB-12-34-56-01-00-03}
  two:
    dmc: foc-cedarholt
    mpan: "9900000002012"
    mprn: "9900000205"
    simulation: {starts: 2025-03-04T08:00:00Z}
    devices:
      ESME: {device_id: 00-DB-12-34-56-02-00-01}
      GSME: {device_id: 00-DB-12-34-56-02-00-02}
      CH: {device_id: 00-DB-12-34-56-02-00-03}
"""

REAL_LAB = """\
name: real
environment: sit-b
packs: packs
dcc:
  gateway: http://127.0.0.1:1
  receive: 127.0.0.1:0
  users:
    IS: {eui: 00-DB-12-34-90-00-00-01, key: "env:KEY", certificate: "env:CERTIFICATE"}
rigs:
  one:
    dmc: foc-cedarholt-electric
    mpan: "9900000001019"
    devices:
      ESME:
        device_id: 00-DB-12-34-56-01-00-01
        door:
          transport: tcp
          parameters:
            host: 127.0.0.1
            port: 4059
      CH:
        device_id: 00-DB-12-34-56-01-00-03
        door: {transport: serial, parameters: {port: /dev/null}}
"""


@pytest.fixture
def lab_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """``lab.yaml`` of two simulated rigs, beside copies of the shipped data files; the working folder."""
    for name in (
        "device_models.yaml",
        "dmcs.yaml",
        "epcl.yaml",
        "environments.yaml",
        "srv_catalogue.csv",
        "ttm.csv",
    ):
        shutil.copy(REPO / "lab_config" / name, tmp_path)
    (tmp_path / "packs").mkdir()
    (tmp_path / "lab.yaml").write_text(LAB)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def real_lab(lab_folder: Path) -> Path:
    """Its lab file, of a real rig instead: the ESME behind TCP, the hub at a serial port."""
    (lab_folder / "lab.yaml").write_text(REAL_LAB)
    return lab_folder / "lab.yaml"


@pytest.fixture
def packs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A packs folder with one manifest; the working folder."""
    tmp_path /= "our_packs"
    tmp_path.mkdir()
    for name, source in {"readings/test_registers.py": REGISTERS, "test_clock.py": CLOCK}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(source)
    (tmp_path / "shared.py").write_text("LIMIT = 1\n")
    (tmp_path / "manifests").mkdir()
    (tmp_path / "manifests" / "small.yaml").write_text(MANIFEST)
    monkeypatch.chdir(tmp_path)
    return tmp_path
