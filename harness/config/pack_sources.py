"""What stands in the sources of test packs, read from their text: tests, and what a module imports.

Nothing is imported. A module that was read is kept by its content, since most packs share theirs.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from harness.domain.errors import ConfigurationError
from harness.domain.packs import Pack

_BLOCKS: Final = ("body", "orelse", "finalbody", "handlers", "cases")


@dataclass(frozen=True, slots=True)
class SourceTest:
    """A test function as its source has it."""

    name: str
    ttm: tuple[str, ...]  # the arguments of @pytest.mark.ttm(…)
    line: int
    text: str  # its source, decorators and all

    @property
    def digest(self) -> str:
        """SHA-256 of its source."""
        return hashlib.sha256(self.text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class PackTest:
    """A test that a pack selects; ``id`` is its name below the packs folder, ``module.py::test_name``."""

    id: str
    module: Path
    source: SourceTest


def tests_of(pack: Pack) -> tuple[PackTest, ...]:
    """The test functions that a pack selects, in its order."""
    folder = pack.folder
    return tuple(
        PackTest(f"{module.relative_to(folder).as_posix()}::{test.name}", module, test)
        for module in pack.modules
        for test in tests_in(module)
        if pack.selects(module, test.name)
    )


def selected_tests(pack: Pack) -> dict[str, tuple[str, ...]]:
    """The TTM ids of each test function that a pack selects, by module and name."""
    return {f"{test.module.stem}::{test.source.name}": test.source.ttm for test in tests_of(pack)}


def tests_in(module: Path) -> tuple[SourceTest, ...]:
    """The test functions of a module."""
    return _tests(module, module.read_bytes())


@lru_cache(maxsize=512)
def _tests(module: Path, content: bytes) -> tuple[SourceTest, ...]:
    lines = content.decode(errors="replace").splitlines(keepends=True)
    functions = (node for node in _statements(_tree(module, content)) if isinstance(node, ast.FunctionDef))
    return tuple(_test(node, lines) for node in functions if node.name.startswith("test_"))


def _test(function: ast.FunctionDef, lines: list[str]) -> SourceTest:
    first = min([function.lineno, *(mark.lineno for mark in function.decorator_list)])
    text = "".join(lines[first - 1 : function.end_lineno])
    return SourceTest(function.name, _ttm_ids(function), function.lineno, text)


def _ttm_ids(function: ast.FunctionDef) -> tuple[str, ...]:
    calls = (mark for mark in function.decorator_list if isinstance(mark, ast.Call))
    marks = (call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == "ttm")
    arguments = (argument for mark in marks for argument in mark.args)
    return tuple(str(a.value) for a in arguments if isinstance(a, ast.Constant))


def closure(modules: Iterable[Path], folder: Path) -> set[Path]:
    """The modules, the ``conftest.py`` beside and above each, and all that these import from the folder.

    An import is followed wherever it stands, in a function as well. Packages are imported with what is in
    them. What is imported from elsewhere belongs to no pack.
    """
    found: set[Path] = set()
    left = [*modules]
    while left:
        module = left.pop()
        if module in found:
            continue
        found.add(module)
        left += _beside(module, folder)
        for name in _imported(module, module.read_bytes()):
            left += _resolved(name, module, folder)
    return found


def _beside(module: Path, folder: Path) -> Iterator[Path]:
    """What pytest and Python load with a module: conftest.py and __init__.py of its folders."""
    for parent in (module.parent, *module.parent.parents):
        if not parent.is_relative_to(folder):
            return
        yield from (path for name in ("conftest.py", "__init__.py") if (path := parent / name).is_file())


@lru_cache(maxsize=512)
def _imported(module: Path, content: bytes) -> tuple[str, ...]:
    """Names that a module imports, as written, with a dot before each for a level of a relative import."""
    names: list[str] = []
    for node in _statements(_tree(module, content)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = "." * node.level + (node.module or "")
            joint = "" if start.endswith(".") else "."
            names += [start, *(f"{start}{joint}{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Assign) and _assigns(node, "pytest_plugins"):
            constants = (each for each in ast.walk(node.value) if isinstance(each, ast.Constant))
            names += [each.value for each in constants if isinstance(each.value, str)]
    return tuple(dict.fromkeys(names))


def _assigns(node: ast.Assign, name: str) -> bool:
    return any(isinstance(target, ast.Name) and target.id == name for target in node.targets)


def _resolved(name: str, module: Path, folder: Path) -> Iterator[Path]:
    """The file of an imported module of the folder; nothing for what stands elsewhere, or is no module."""
    relative = len(name) - len(name.lstrip("."))
    steps = [step for step in name.lstrip(".").split(".") if step]
    if relative:
        start = module.parents[relative - 1]
    elif steps[:1] == [folder.name]:
        start, steps = folder, steps[1:]
    else:
        return
    path = start.joinpath(*steps)
    for file in (path.with_suffix(".py") if steps else path / "__init__.py", path / "__init__.py"):
        if file.is_file() and file.is_relative_to(folder):
            yield file


def _statements(tree: ast.AST) -> Iterator[ast.stmt]:
    """Every statement, at any depth; expressions are left out, which saves most of the time."""
    for block in _BLOCKS:
        for node in getattr(tree, block, ()):
            if isinstance(node, ast.stmt):
                yield node
            yield from _statements(node)


def _tree(module: Path, content: bytes) -> ast.Module:
    try:
        return ast.parse(content, str(module))
    except SyntaxError as error:
        raise ConfigurationError(
            f"{module}:{error.lineno}: {error.msg}", remedy="correct the test module"
        ) from None
