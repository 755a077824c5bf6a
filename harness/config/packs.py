"""Test packs: manifests that select tests from the shared modules under ``test_packs/``."""

from __future__ import annotations

import ast
import hashlib
import math
from collections.abc import Iterable, Iterator
from pathlib import Path

from pydantic import Field

from harness.config.document import Document, read_document
from harness.config.models import FileModel, Text
from harness.config.problems import Problems, nearest
from harness.config.validation import validate
from harness.domain.errors import ConfigurationError
from harness.domain.packs import Pack, Selection
from harness.domain.words import CapabilityRelease, InstallationType, PackKind, TestPhase


def selected_tests(pack: Pack) -> dict[str, tuple[str, ...]]:
    """The test functions that a pack selects, each with its TTM ids; nothing is imported."""
    return {
        f"{module.stem}::{test.name}": _ttm_ids(test)
        for module in pack.modules
        for test in _tests(module)
        if pack.selects(module, test.name)
    }


def _tests(module: Path) -> Iterator[ast.FunctionDef]:
    """The test functions of a module, as its source has them."""
    try:
        tree = ast.parse(module.read_text(), str(module))
    except SyntaxError as error:
        raise ConfigurationError(
            f"{module}:{error.lineno}: {error.msg}", remedy="correct the test module"
        ) from None
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))
    return (function for function in functions if function.name.startswith("test_"))


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
    deadline: float = Field(
        0.0, description="seconds of real time after which a test without such a mark is stopped", ge=0
    )
    expected: float = Field(
        0.0, description="seconds that a test without such a mark is guessed to last", ge=0, lt=math.inf
    )
    stages: list[Text] = Field(
        [], description="the order that tests marked with these names are run in, on each installation"
    )
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
    for index, stage in enumerate(file.stages):
        if stage in file.stages[:index]:
            problems.add(path, document.line(("stages", index)), f"stage {stage!r} stands there twice")
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
        deadline=file.deadline,
        expected=file.expected,
        stages=tuple(file.stages),
    )


def _selection(entry: str, folder: Path, document: Document, index: int, problems: Problems) -> Selection:
    module, _, function = entry.partition("::")
    path = (folder / module).resolve()
    if not path.is_file() or not path.is_relative_to(folder):
        there = (str(found.relative_to(folder)) for found in folder.rglob("test_*.py"))
        what, remedy = f"there is no module {module!r} in {folder}", nearest(module, there)
        problems.add(document.path, document.line(("select", index)), what, remedy)
    elif function and function not in (tests := [node.name for node in _tests(path)]):
        what, remedy = f"{module} has no test {function!r}", nearest(function, tests)
        problems.add(document.path, document.line(("select", index)), what, remedy)
    return Selection(module=path, function=function)


def _digest(manifest: Path, folder: Path, selections: Iterable[Selection]) -> str:
    """SHA-256 over the manifest, the selected modules and whatever test modules share."""
    shared = (path.resolve() for path in folder.rglob("*.py") if not path.name.startswith("test_"))
    digest = hashlib.sha256(manifest.read_bytes())
    for source in sorted({selection.module for selection in selections} | set(shared)):
        digest.update(f"\0{source.relative_to(folder)}\0".encode())
        digest.update(source.read_bytes())
    return digest.hexdigest()
