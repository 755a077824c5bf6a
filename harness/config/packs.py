"""Test packs: manifests that select tests from the shared modules under ``test_packs/``."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from harness.config.document import Document, Place, read_document
from harness.config.pack_files import (
    ChangedFile,
    DepthAndBreadthFile,
    DerivedFile,
    EndOfCycleFile,
    ManifestFile,
    PackHeader,
    RegressionFile,
)
from harness.config.pack_selection import names_in, select, what_is_left
from harness.config.pack_sources import closure, selected_tests, tests_in
from harness.config.problems import Problems, nearest
from harness.config.validation import validate
from harness.domain.errors import ConfigurationError
from harness.domain.packs import ChangeKind, DepthAndBreadth, Pack, PackChange, Selection
from harness.domain.words import PackKind

__all__ = ["find_packs", "load_pack", "manifests", "selected_tests"]

_PACK: Final = "pack:"
_KINDS: Mapping[str, type[PackHeader]] = {
    "derives": DerivedFile,
    "depth_and_breadth": RegressionFile,
    "planned_functional": EndOfCycleFile,
}


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
    manifest = _Manifest.read(path, folder.resolve())
    pack = manifest.pack()
    manifest.check_guesses(pack)
    manifest.problems.tell()
    sources = closure(pack.modules, manifest.folder)
    files = _digests(manifest.folder, {path, *manifest.more, *sources})
    return replace(pack, files=files, digest=_digest(files))


@dataclass
class _Manifest:
    """One manifest that is read, and what it leads to."""

    document: Document
    file: PackHeader
    folder: Path
    problems: Problems
    more: set[Path]  # what was read beside it, and decides what it selects

    @classmethod
    def read(cls, path: Path, folder: Path) -> _Manifest:
        problems = Problems()
        document = read_document(path, problems)
        if document is None:
            problems.tell()
        assert document is not None
        content = document.content if isinstance(document.content, Mapping) else {}
        model = next((model for key, model in _KINDS.items() if key in content), ManifestFile)
        file = validate(model, document, (), problems)
        problems.tell()
        assert file is not None
        return cls(document, file, folder, problems, set())

    def pack(self) -> Pack:
        for index, stage in enumerate(self.file.stages):
            if stage in self.file.stages[:index]:
                self.wrong(("stages", index), f"stage {stage!r} stands there twice")
        match self.file:
            case DerivedFile():
                return self._derived(self.file)
            case RegressionFile():
                return self._regression(self.file)
            case EndOfCycleFile():
                return self._end_of_cycle(self.file)
            case ManifestFile():
                return self._plain(self.file)
        raise TypeError(self.file)

    def check_guesses(self, pack: Pack) -> None:
        """A guess is for a module or a test that the pack selects."""
        for name in self.file.durations:
            module, _, function = name.partition("::")
            path = self.folder / module
            chosen = (
                [test.name for test in tests_in(path) if pack.selects(path, test.name)]
                if path in pack.modules
                else []
            )
            if not chosen or function not in {"", *chosen}:
                self.wrong(("durations", name), f"the pack selects nothing of {name!r}", "correct its name")

    def wrong(self, place: Place, message: str, remedy: str = "") -> None:
        self.problems.add(self.document.path, self.document.line(place), message, remedy)

    @cached_property
    def _header(self) -> dict[str, Any]:
        """What every pack has from its manifest's header."""
        file = self.file
        return {
            "name": self.document.path.stem,
            "title": file.title,
            "version": file.version,
            "tag_agreement": file.tag_agreement,
            "deadline": file.deadline,
            "expected": file.expected,
            "durations": file.durations,
            "state": file.installation_state,
            "stages": tuple(file.stages),
            "manifest": self.document.path,
            "digest": "",
        }

    def _plain(self, file: ManifestFile) -> Pack:
        selections: list[Selection] = []
        for index, entry in enumerate(file.select):
            place = ("select", index)
            if _is_pack(entry):
                base = self._base(entry.removeprefix(_PACK).strip(), place)
                selections += base.selections if base else ()
            else:
                selections += select([entry], self.folder, self.document, place, self.problems, place)
        return Pack(
            **self._header,
            kind=file.kind,
            release=file.capability_release,
            test_phase=file.test_phase,
            installation_types=frozenset(file.installation_types),
            dmcs=frozenset(file.dmcs),
            selections=tuple(dict.fromkeys(selections)),
        )

    def _derived(self, file: DerivedFile) -> Pack:
        base = self._base(file.derives, ("derives",))
        if base is None:
            self.problems.tell()
        assert base is not None
        said = {name for name in PackHeader.model_fields if name in file.model_fields_set}
        said |= {"name", "title", "version", "tag_agreement", "manifest", "digest"}
        words = {"state" if name == "installation_state" else name for name in said}
        return replace(
            base,
            **{key: value for key, value in self._header.items() if key in words},
            derives=file.derives,
            dmcs=frozenset(file.dmcs),
            changes=tuple(_changes(file)),
            selections=self._changed(base, file),
        )

    def _base(self, name: str, place: Place) -> Pack | None:
        """A pack that this one rests on. It selects its tests itself, so that none can rest on each other."""
        known = manifests(self.folder)
        if name not in known:
            self.wrong(place, f"there is no pack {name!r}", nearest(name, known))
            return None
        base = _Manifest.read(known[name], self.folder)
        rests = isinstance(base.file, ManifestFile) and any(map(_is_pack, base.file.select))
        if rests or not isinstance(base.file, ManifestFile):
            self.wrong(place, f"{name!r} does not name its tests itself", "name the pack that does")
            return None
        pack = base.pack()
        base.problems.tell()
        self.more.add(known[name])
        return pack

    def _changed(self, base: Pack, file: DerivedFile) -> tuple[Selection, ...]:
        left_out: list[Selection] = []
        added: list[Selection] = []
        for key, index, entry in self._entries(file):
            place = (key, index, "test")
            for one in select([entry.test], self.folder, self.document, (key,), self.problems, place):
                there = [test for test in names_in(one) if base.selects(one.module, test)]
                if key == "add":
                    added.append(one)
                elif not there:
                    self.wrong(place, f"{base.name} has no {entry.test}", f"harness packs diff {base.name} …")
                else:
                    left_out.append(one)
                if key == "add" and there:
                    self.wrong(place, f"{base.name} has {entry.test} already", "remove the entry")
            if key == "change":
                added += self._replacing(index, file.change[index])
        return (*(one for old in base.selections for one in what_is_left(old, left_out)), *added)

    def _replacing(self, index: int, change: ChangedFile) -> tuple[Selection, ...]:
        """One test stands in place of one test."""
        for key, name in (("test", change.test), ("by", change.by)):
            if "::" not in name:
                self.wrong(
                    ("change", index, key), f"{name} is no single test", "name it: module.py::test_name"
                )
        place = ("change", index, "by")
        return select([change.by], self.folder, self.document, place, self.problems, place)

    def _entries(self, file: DerivedFile) -> Iterator[tuple[str, int, Any]]:
        for key, entries in (("add", file.add), ("remove", file.remove), ("change", file.change)):
            for index, entry in enumerate(entries):
                yield key, index, entry
        if not (file.add or file.remove or file.change):
            self.wrong((), "nothing is added, removed or changed", f"run {file.derives} itself")

    def _regression(self, file: RegressionFile) -> Pack:
        path = Path(os.path.normpath(self.folder / file.depth_and_breadth))
        document = read_document(path, self.problems)
        said = validate(DepthAndBreadthFile, document, (), self.problems) if document else None
        self.problems.tell()
        assert document is not None
        assert said is not None
        if file.test_phase not in said.test_phases:
            there = ", ".join(said.test_phases)
            self.wrong(("test_phase",), f"{path.name} covers {there}, and not {file.test_phase}")
        self.more.add(path)
        place = ("planned_tests",)
        return Pack(
            **self._header,
            kind=PackKind.REGRESSION,
            release=said.capability_release,
            test_phase=file.test_phase,
            installation_types=frozenset(file.installation_types),
            dmcs=frozenset(said.dmcs),
            selections=select(said.planned_tests, self.folder, document, place, self.problems),
            regression=DepthAndBreadth(
                file=path,
                title=said.title,
                version=said.version,
                test_phases=frozenset(said.test_phases),
                dmcs=frozenset(said.dmcs),
                environment=said.environment,
                codebase=dict(said.codebase),
                reference=said.reference,
            ),
        )

    def _end_of_cycle(self, file: EndOfCycleFile) -> Pack:
        selections: list[Selection] = []
        dmcs: set[str] = set()
        every = False  # whether one of them is for every DMC
        types = set(file.installation_types)
        for path in manifests(self.folder).values():
            if path == self.document.path or (planned := _functional(path, self.folder, file)) is None:
                continue
            self.more.add(path)
            selections += planned.selections
            every |= not planned.dmcs
            dmcs |= planned.dmcs
            types |= set() if file.installation_types else planned.installation_types
        if not selections:
            what = f"no functional pack of {file.planned_functional} for {file.capability_release}"
            self.wrong(("planned_functional",), f"there is {what}", "write one first, with kind: functional")
        return Pack(
            **self._header,
            kind=PackKind.END_OF_CYCLE,
            release=file.capability_release,
            test_phase=file.planned_functional,
            installation_types=frozenset(types),
            dmcs=frozenset() if every else frozenset(dmcs),
            selections=tuple(dict.fromkeys(selections)),
        )


def _functional(path: Path, folder: Path, file: EndOfCycleFile) -> Pack | None:
    """The pack of a manifest, if it holds planned functional tests of that phase and release."""
    document = read_document(path, Problems())
    content = document.content if document and isinstance(document.content, Mapping) else {}
    said = (content.get("kind"), content.get("test_phase"), content.get("capability_release"))
    if said != (PackKind.FUNCTIONAL, file.planned_functional, file.capability_release):
        return None
    planned = _Manifest.read(path, folder)
    pack = planned.pack()
    planned.problems.tell()
    return pack


def _changes(file: DerivedFile) -> Iterator[PackChange]:
    kinds = (
        (ChangeKind.ADDED, file.add),
        (ChangeKind.REMOVED, file.remove),
        (ChangeKind.CHANGED, file.change),
    )
    for kind, entries in kinds:
        for entry in entries:
            by = getattr(entry, "by", "")
            yield PackChange(
                kind=kind, test=entry.test, rationale=entry.rationale, agreement=entry.agreement, by=by
            )


def _is_pack(entry: str) -> bool:
    return entry.startswith(_PACK)


def _digests(folder: Path, files: Iterable[Path]) -> dict[str, str]:
    """SHA-256 of each file, by its path from the packs folder."""
    names = {Path(os.path.relpath(path.resolve(), folder)).as_posix(): path for path in files}
    return {name: hashlib.sha256(names[name].read_bytes()).hexdigest() for name in sorted(names)}


def _digest(files: Mapping[str, str]) -> str:
    """SHA-256 over the digests, as ``sha256sum`` prints them."""
    return hashlib.sha256(
        "".join(f"{digest}  {name}\n" for name, digest in files.items()).encode()
    ).hexdigest()
