"""What entries of a manifest select: folders, modules and tests below the packs folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from harness.config.document import Document, Place
from harness.config.pack_sources import tests_in
from harness.config.problems import Problems, nearest
from harness.domain.packs import Selection


def select(
    entries: Sequence[str],
    folder: Path,
    document: Document,
    place: Place,
    problems: Problems,
    exactly: Place | None = None,
) -> tuple[Selection, ...]:
    """What these entries select: a folder's modules, a module, or a test; what is wrong is written down.

    ``place`` is where the list of them stands; ``exactly``, where one is given by itself.
    """
    found: list[Selection] = []
    for index, entry in enumerate(entries):
        line = document.line(exactly or (*place, index))
        module, _, function = entry.partition("::")
        path = (folder / module).resolve()
        if entry.endswith("/"):
            modules = sorted(path.rglob("test_*.py")) if path.is_relative_to(folder) else []
            found += [Selection(module=each) for each in modules]
            if not modules:
                message = f"there is no folder {entry!r} with test modules in {folder}"
                problems.add(document.path, line, message, nearest(entry, _folders(folder)))
        elif not path.is_file() or not path.is_relative_to(folder):
            there = (str(each.relative_to(folder)) for each in folder.rglob("test_*.py"))
            message, remedy = f"there is no module {module!r} in {folder}", nearest(module, there)
            if path.is_dir():
                message = f"{module!r} is a folder of {folder}, and not a module"
                remedy = f"for every module in it write '{module.rstrip('/')}/'"
            problems.add(document.path, line, message, remedy)
        elif function and function not in (tests := [test.name for test in tests_in(path)]):
            problems.add(document.path, line, f"{module} has no test {function!r}", nearest(function, tests))
        else:
            found.append(Selection(module=path, function=function))
    return tuple(dict.fromkeys(found))


def modules_in(folder: Path) -> list[Path]:
    """Every test module of a packs folder."""
    return sorted(folder.resolve().rglob("test_*.py"))


def _folders(folder: Path) -> list[str]:
    return sorted({f"{path.parent.relative_to(folder)}/" for path in folder.rglob("test_*.py")})


def names_in(selection: Selection) -> list[str]:
    """The test functions that a selection takes."""
    names = [test.name for test in tests_in(selection.module)]
    return [name for name in names if selection.takes(selection.module, name)]


def what_is_left(selection: Selection, left_out: Sequence[Selection]) -> Iterator[Selection]:
    """A selection without what others take; nothing where they take all of it."""
    of_module = [one for one in left_out if one.module == selection.module]
    gone = {name for one in of_module for name in names_in(one)}
    if not gone:
        yield selection
    elif set(names_in(selection)) - gone:
        yield replace(selection, without=selection.without | gone)
