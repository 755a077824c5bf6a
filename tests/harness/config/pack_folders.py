"""A packs folder of a few lines, for tests to change."""

from __future__ import annotations

from pathlib import Path

from harness.config.packs import load_pack
from harness.domain.packs import Pack

MANIFEST = """\
title: A pack
version: "1"
kind: service_reference_variant
capability_release: IOC
test_phase: DMCT SRVT
installation_types: [dormant, active]
select:
  - readings/test_registers.py
  - test_clock.py::test_the_clock_is_right
"""
REGISTERS = """
import pytest

@pytest.mark.ttm("TTM-1", "TTM-2")
@pytest.mark.srv("4.1.1")
def test_import(meter): ...

def test_export(meter): ...

def helper(): ...
"""
CLOCK = """
def test_the_clock_is_right(meter): ...
def test_the_clock_can_be_set(meter): ...
"""


def manifest(packs: Path, name: str, text: str) -> Path:
    """A manifest of that name."""
    path = packs / "manifests" / f"{name}.yaml"
    path.write_text(text)
    return path


def with_imports(packs: Path) -> None:
    """Let the selected modules import some of what is beside them, in each way that Python knows."""
    home = packs.name
    for name, source in {
        "conftest.py": f"pytest_plugins = ['{home}.lazy']\n",
        "lazy.py": "",
        "readings/__init__.py": "",
        "readings/conftest.py": "",
        "limits/__init__.py": "",
        "limits/high.py": "def high():\n    from ..units import WATT\n    return WATT\n",
        "units.py": "WATT = 1\n",
        "test_clock.py": f"from {home}.limits import high\n{CLOCK}",
    }.items():
        (packs / name).parent.mkdir(exist_ok=True)
        (packs / name).write_text(source)


def load(packs: Path, *changes: tuple[str, str]) -> Pack:
    """The pack, once these texts of its manifest are replaced."""
    path = packs / "manifests" / "small.yaml"
    text = path.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)
    return load_pack(path, packs)
