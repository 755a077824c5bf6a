"""``harness driver new``: what it makes works, passes its own tests and the house's linters, and is found."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.cli.driver import new
from harness.domain.errors import UsageError
from harness.domain.words import DeviceType

REPO = Path(__file__).resolve().parents[3]
BIN = Path(sys.executable).parent
NAMES = {
    DeviceType.ESME: "acme_meter",
    DeviceType.GSME: "a_name_as_long_as_it_may",  # so that no line with the name in it becomes too long
    DeviceType.CH: "line",  # a name that the package's modules use as well
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("drivers")


@pytest.fixture(scope="module", params=NAMES)
def package(request: pytest.FixtureRequest, folder: Path) -> Path:
    """The package for a device type, made by the command."""
    return made(request.param, folder)


def made(type_: DeviceType, folder: Path) -> Path:
    command = [sys.executable, "-m", "harness", "driver", "new", NAMES[type_], "--type", type_.lower()]
    ran = subprocess.run([*command, "--folder", folder], capture_output=True, text=True, check=True)
    assert f"made {folder / NAMES[type_]}: a driver for" in ran.stderr
    return folder / NAMES[type_]


def passed(package: Path, *command: str | Path, **environment: str) -> str:
    """What a command in the package's folder writes, once it has gone well."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    ran = subprocess.run(
        command, cwd=package, env=plain | environment, capture_output=True, text=True, timeout=120
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def linter(name: str) -> Path:
    if not (BIN / name).exists():
        pytest.skip(f"{name} is not installed: it comes with the extra dev")
    return BIN / name


def test_its_own_tests_pass(package) -> None:
    out = passed(
        package, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", PYTHONPATH=str(package)
    )
    assert re.search(r"^(9|1\d) passed", out, re.MULTILINE), out


def test_ruff_accepts_it_as_it_is(package) -> None:
    ruff = linter("ruff")
    passed(package, ruff, "check", "--no-cache", ".")
    passed(package, ruff, "format", "--check", "--no-cache", ".")


def test_mypy_accepts_it_strictly(package, folder) -> None:
    out = passed(package, linter("mypy"), "--strict", "--cache-dir", folder / "mypy")
    assert "no issues found in 5 source files" in out


def test_it_holds_what_a_package_needs_and_nothing_else(package) -> None:
    name = package.name
    found = {str(path.relative_to(package)) for path in package.rglob("*") if path.is_file()}
    assert {each for each in found if "__pycache__" not in each} == {
        "README.md", "pyproject.toml", "tests/stand_in.py", "tests/test_driver.py",
        f"{name}/__init__.py", f"{name}/driver.py", f"{name}/line.py", f"{name}/py.typed",
    }  # fmt: skip
    assert all("{{" not in (package / each).read_text() for each in found if each.endswith((".py", ".md")))
    assert not [each for each in package.parent.iterdir() if each.name.startswith(".")]


# --- in a lab ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def meter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(DeviceType.ESME, tmp_path_factory.mktemp("meter"))


@pytest.fixture
def stand_in(meter: Path) -> Iterator[int]:
    """The port of the package's own stand-in."""
    serve = (
        "import sys\nfrom stand_in import standing\n"
        "with standing() as it: print(it.port, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", serve], cwd=meter / "tests", stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.communicate(b"", timeout=10)


@pytest.fixture
def lab_with_the_meter(tmp_path: Path, stand_in: int) -> Path:
    """A lab file with one rig, whose meter speaks the new protocol; it names no plugin."""
    config = REPO / "lab_config"
    before, _, _ = (config / "physical-example.yaml").read_text().partition("\nrigs:\n")
    for name in ("environments", "device_models", "dmcs", "epcl", "catalogue", "migration", "ttm", "packs"):
        before = re.sub(rf"^{name}: ", f"{name}: {config}/", before, flags=re.MULTILINE)
    nowhere = "{transport: tcp, parameters: {host: 127.0.0.1, port: 1}}"
    lab = tmp_path / "lab.yaml"
    lab.write_text(
        f"""{before}
rigs:
  bench-a:
    dmc: foc-cedarholt-electric
    place: bay 1
    mpan: "9900000006017"
    devices:
      ESME:
        device_id: 00-DB-12-34-57-01-00-01
        door:
          transport: tcp
          parameters: {{host: 127.0.0.1, port: {stand_in}}}
          protocol: acme-meter
        security: {{mechanism: none}}
      CH: {{device_id: 00-DB-12-34-57-01-00-03, door: {nowhere}, security: {{mechanism: none}}}}
"""
    )
    return lab


def reading(harness, lab: Path, path: Path) -> object:
    ran = harness(
        "device", "bench-a", "ESME", "read", "active_import", "--lab", lab, "--json", PYTHONPATH=str(path)
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def test_it_is_found_under_the_lab_file_s_plugins(harness, meter, lab_with_the_meter) -> None:
    lab_with_the_meter.write_text("plugins: [acme_meter]\n" + lab_with_the_meter.read_text())
    assert "1234567" in json.dumps(reading(harness, lab_with_the_meter, meter))


def test_it_is_found_by_its_entry_point_once_it_is_installed(
    harness, meter, lab_with_the_meter, tmp_path
) -> None:
    project = tomllib.loads((meter / "pyproject.toml").read_text())["project"]
    installed = tmp_path / "site"
    shutil.copytree(meter / "acme_meter", installed / "acme_meter")
    metadata = installed / f"acme_meter-{project['version']}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Name: {project['name']}\nVersion: {project['version']}\n")
    ((group, names),) = project["entry-points"].items()
    lines = [f"{name} = {module}" for name, module in names.items()]
    (metadata / "entry_points.txt").write_text("\n".join([f"[{group}]", *lines, ""]))
    assert "1234567" in json.dumps(reading(harness, lab_with_the_meter, installed))


def test_without_either_the_lab_knows_no_such_protocol(harness, meter, lab_with_the_meter) -> None:
    ran = harness("device", "bench-a", "ESME", "info", "--lab", lab_with_the_meter, PYTHONPATH=str(meter))
    assert ran.returncode == 2
    assert "no driver for ESME speaks 'acme-meter'" in ran.stderr


# --- what cannot be made -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "type_", "told"),
    [
        ("Acme", "ESME", "'Acme' is not a valid name for a package"),
        ("acme-meter", "ESME", "is not a valid name for a package"),
        ("../acme", "ESME", "is not a valid name for a package"),
        ("", "ESME", "is not a valid name for a package"),
        ("class", "ESME", "is not a valid name for a package"),
        ("a" * 25, "ESME", "up to 24 small letters"),
        ("json", "ESME", "has a 'json' already"),
        ("harness", "ESME", "has a 'harness' already"),
        ("type", "ESME", "has a 'type' already"),
        ("stand_in", "ESME", "has a 'stand_in' already"),
        ("acme", "ESM", "did you mean 'ESME'"),
    ],
)
def test_a_name_or_type_that_cannot_be_is_told_and_nothing_is_written(tmp_path, name, type_, told) -> None:
    with pytest.raises(UsageError, match=told):
        new(name, type_, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_wrong_usage_ends_with_code_2_and_one_line(harness, tmp_path) -> None:
    ran = harness("driver", "new", "acme-meter", "--folder", tmp_path)
    assert (ran.returncode, ran.stdout, len(ran.stderr.splitlines())) == (2, "", 1)
    assert "'acme-meter' is not a valid name for a package" in ran.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["a folder", "a file", "a dangling link"])
def test_what_is_there_already_is_left_alone(tmp_path, kind) -> None:
    there = tmp_path / "acme"
    match kind:
        case "a folder":
            there.mkdir()
        case "a file":
            there.write_text("mine")
        case _:
            there.symlink_to(tmp_path / "nowhere")
    with pytest.raises(UsageError, match=f"{there} is there already"):
        new("acme", "ESME", tmp_path)
    assert [each.name for each in tmp_path.rglob("*")] == ["acme"]


@pytest.mark.parametrize("where", ["nowhere", "a-file"])
def test_a_folder_that_cannot_be_written_to_is_told(tmp_path, where) -> None:
    (tmp_path / "a-file").write_text("mine")
    with pytest.raises(UsageError, match=r"acme cannot be made: .*another --folder"):
        new("acme", "ESME", tmp_path / where)
    assert [each.name for each in tmp_path.iterdir()] == ["a-file"]


def test_a_disk_that_fills_up_leaves_nothing_half_written(tmp_path, monkeypatch) -> None:
    written = Path.write_text

    def full(self: Path, content: str, **how: str) -> int:
        if self.name == "stand_in.py":
            raise OSError(28, "No space left on device")
        return written(self, content, **how)

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(UsageError, match="acme cannot be made: No space left on device"):
        new("acme", "ESME", tmp_path)
    assert list(tmp_path.iterdir()) == []
