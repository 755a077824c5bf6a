"""The house rules that a reader relies on: who may import whom, and what must not be loaded at start-up."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REPO = Path(__file__).parents[1]
LAYERS = ("cli", "reports", "assurance", "traceability", "execution", "rigs", "records", "config", "domain")
HEAVY = ("lxml", "xmlsec", "scapy", "pymodbus", "paramiko", "serial", "cryptography", "httpx", "starlette",
         "uvicorn", "openpyxl", "jinja2", "sqlalchemy", "pydantic", "yaml")  # fmt: skip


def sources(folder: str) -> list[Path]:
    return sorted((REPO / folder).rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, at its top or inside a function."""
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively: say the whole name"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def offences(folder: str, forbidden: tuple[str, ...], allowed: tuple[str, ...] = ()) -> list[str]:
    return [
        f"{path.relative_to(REPO)} imports {module}"
        for path in sources(folder)
        for module in imports(path)
        if module.startswith(forbidden) and not module.startswith(allowed or ("\0",))
    ]


@pytest.mark.parametrize("layer", LAYERS)
def test_imports_run_one_way_through_the_harness(layer: str) -> None:
    above = tuple(f"harness.{name}" for name in LAYERS[: LAYERS.index(layer)])
    assert not offences(f"harness/{layer}", above or ("\0",))


def test_the_harness_never_imports_drivers_or_packs() -> None:
    assert not offences("harness", ("device_drivers", "test_packs"))


def test_drivers_see_only_the_hooks_and_the_words() -> None:
    assert not offences("device_drivers", ("harness", "test_packs"), ("harness.hooks", "harness.domain"))


def test_packs_see_only_the_words() -> None:
    assert not offences("test_packs", ("harness", "device_drivers"), ("harness.domain",))


def test_the_words_do_no_input_or_output_and_need_no_library() -> None:
    third_party = [
        f"{path.name} imports {module}"
        for path in sources("harness/domain")
        for module in imports(path)
        if module.partition(".")[0] not in {*sys.stdlib_module_names, "harness"}
    ]
    assert not third_party


def test_nothing_but_the_command_line_prints() -> None:
    printing = [
        f"{path.relative_to(REPO)}:{node.lineno}"
        for folder in ("harness", "device_drivers", "test_packs")
        for path in sources(folder)
        if "cli" not in path.parts
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert not printing


@pytest.mark.parametrize(
    "start",
    [
        "import harness.execution.plugin",
        "import harness.execution.worker",  # each worker waits for it before it takes its rig
        "import device_drivers.plugin",
        "from harness.cli.app import app",
    ],
)
def test_start_up_loads_nothing_heavy(start: str) -> None:
    assert loaded(start).isdisjoint(HEAVY)


def test_what_a_worker_drives_its_rig_with_brings_no_server() -> None:
    start = """
import importlib
from pathlib import Path
from device_drivers.plugin import harness_preload
from harness.config import load_lab

for name in harness_preload(load_lab(Path("lab_config/simulated.yaml"))):
    importlib.import_module(name)
"""
    assert loaded(start).isdisjoint({"httpx", "starlette", "uvicorn", "xmlsec", "rich"})


def loaded(start: str) -> set[str]:
    """The packages that a program has loaded in the end."""
    names = "{name.partition('.')[0] for name in sys.modules}"
    python = [sys.executable, "-c", f"{start}\nimport sys\nprint(*{names})"]
    done = subprocess.run(python, capture_output=True, text=True, check=True, cwd=REPO)
    return set(done.stdout.split())
