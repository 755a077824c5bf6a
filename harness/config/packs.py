"""Test packs: manifests that select tests from the shared modules under ``test_packs/``."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from harness.config.document import Document, read_document
from harness.config.models import FileModel, Text
from harness.config.problems import Problems, nearest
from harness.config.validation import validate
from harness.domain.errors import ConfigurationError
from harness.domain.words import CapabilityRelease, InstallationType, PackKind, TestPhase


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Tests taken from one module: all of them, or the named function."""

    module: Path
    function: str = ""

    def takes(self, module: Path, function: str) -> bool:
        """Whether the selection takes that test function."""
        return module == self.module and self.function in {"", function}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """A Test Pack (Clauses 20.15 to 20.17). ``digest`` covers its manifest and every source it may use."""

    name: str
    title: str
    version: str
    kind: PackKind
    release: CapabilityRelease
    test_phase: TestPhase
    installation_types: frozenset[InstallationType]
    tag_agreement: str  # reference of the TAG's agreement (Clause 20.16); empty while there is none
    selections: tuple[Selection, ...]
    manifest: Path
    digest: str

    @property
    def modules(self) -> tuple[Path, ...]:
        """Modules that the pack selects from, in its order."""
        return tuple(dict.fromkeys(selection.module for selection in self.selections))

    def selects(self, module: Path, function: str) -> bool:
        """Whether the pack plans that test function."""
        return any(selection.takes(module, function) for selection in self.selections)

    def tests(self) -> Mapping[str, tuple[str, ...]]:
        """The test functions that the pack selects, each with its TTM ids; nothing is imported."""
        return {
            f"{module.stem}::{node.name}": _ttm_ids(node)
            for module in self.modules
            for node in ast.walk(ast.parse(module.read_text(), str(module)))
            if isinstance(node, ast.FunctionDef)
            if node.name.startswith("test_") and self.selects(module, node.name)
        }


def _ttm_ids(function: ast.FunctionDef) -> tuple[str, ...]:
    """The arguments of ``@pytest.mark.ttm(…)`` on a test function."""
    calls = (mark for mark in function.decorator_list if isinstance(mark, ast.Call))
    marks = (call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == "ttm")
    arguments = (argument for mark in marks for argument in mark.args)
    return tuple(str(a.value) for a in arguments if isinstance(a, ast.Constant))


class ManifestFile(FileModel):
    """A pack's manifest, ``test_packs/manifests/<name>.yaml``."""

    title: Text = Field(description="what the pack is, in a line")
    version: Text = Field(description="the pack's version")
    kind: PackKind = Field(description="what the pack is for")
    capability_release: CapabilityRelease = Field(description="the Capability Release: IOC, MOC or FOC")
    test_phase: TestPhase = Field(description="the Test Phase, or the testing of Clause 20.15")
    installation_types: list[InstallationType] = Field(description="dormant, active, mixed", min_length=1)
    tag_agreement: str = Field("", description="the reference of the TAG's agreement (Clause 20.16)")
    select: list[Text] = Field(
        description="modules (module.py) or tests (module.py::test_name) below the packs folder", min_length=1
    )


def manifests(folder: Path) -> dict[str, Path]:
    """Every manifest of a packs folder, by the pack's name."""
    return {path.stem: path for path in sorted((folder / "manifests").glob("*.yaml"))}


def find_packs(folder: Path, names: Iterable[str]) -> tuple[Pack, ...]:
    """The named packs. An unknown name is a :class:`ConfigurationError` that suggests the nearest."""
    known = manifests(folder)
    packs = []
    for name in dict.fromkeys(names):
        if name not in known:
            raise ConfigurationError(f"there is no pack {name!r} in {folder}", remedy=nearest(name, known))
        packs.append(load_pack(known[name], folder))
    return tuple(packs)


def load_pack(path: Path, folder: Path) -> Pack:
    """Read one manifest; every problem in it is told at once, with its line."""
    problems = Problems()
    document = read_document(path, problems)
    file = validate(ManifestFile, document, (), problems) if document else None
    problems.tell()
    assert document is not None
    assert file is not None
    selections = tuple(
        _selection(entry, folder.resolve(), document, index, problems)
        for index, entry in enumerate(file.select)
    )
    problems.tell()
    return Pack(
        name=path.stem,
        title=file.title,
        version=file.version,
        kind=file.kind,
        release=file.capability_release,
        test_phase=file.test_phase,
        installation_types=frozenset(file.installation_types),
        tag_agreement=file.tag_agreement,
        selections=selections,
        manifest=path,
        digest=_digest(path, folder.resolve(), selections),
    )


def _selection(entry: str, folder: Path, document: Document, index: int, problems: Problems) -> Selection:
    module, _, function = entry.partition("::")
    path = (folder / module).resolve()
    if not path.is_file() or not path.is_relative_to(folder):
        there = (str(found.relative_to(folder)) for found in folder.rglob("test_*.py"))
        line = document.line(("select", index))
        problems.add(
            document.path, line, f"there is no module {module!r} in {folder}", nearest(module, there)
        )
    return Selection(module=path, function=function)


def _digest(manifest: Path, folder: Path, selections: Iterable[Selection]) -> str:
    """SHA-256 over the manifest, the selected modules and whatever test modules share."""
    shared = (path.resolve() for path in folder.rglob("*.py") if not path.name.startswith("test_"))
    digest = hashlib.sha256(manifest.read_bytes())
    for source in sorted({selection.module for selection in selections} | set(shared)):
        digest.update(f"\0{source.relative_to(folder)}\0".encode())
        digest.update(source.read_bytes())
    return digest.hexdigest()
