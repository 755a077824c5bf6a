"""What a pack has that another has not, as a reviewer wants to read it: tests, sources, coverage, and why."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.config.pack_sources import PackTest, tests_in, tests_of
from harness.domain.packs import ChangeKind, Pack, PackChange


@dataclass(frozen=True, slots=True, kw_only=True)
class TestChange:
    """A test that is in one pack alone, or that is not the same in both."""

    __test__ = False  # a record of a test, not one

    kind: ChangeKind
    test: str
    ttm: tuple[str, ...]
    by: str = ""  # what replaces it, where that has another name
    diff: tuple[str, ...] = ()  # of its source
    rationale: str = ""
    agreement: str = ""


@dataclass(frozen=True, slots=True)
class SourceChange:
    """Code outside of tests that is not the same in both packs."""

    file: str
    diff: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PackDiff:
    """All differences of a pack from another."""

    old: Pack
    new: Pack
    header: tuple[tuple[str, str, str], ...]  # what the manifests say: key, old, new
    tests: tuple[TestChange, ...]
    sources: tuple[SourceChange, ...]
    gained: tuple[str, ...]  # TTM ids that only the new one's tests show
    lost: tuple[str, ...]

    def of(self, kind: ChangeKind) -> tuple[TestChange, ...]:
        """The tests that were added, removed or changed."""
        return tuple(test for test in self.tests if test.kind is kind)

    @property
    def empty(self) -> bool:
        """Whether the packs are one and the same."""
        return not (self.header or self.tests or self.sources)


def pack_diff(old: Pack, new: Pack) -> PackDiff:
    """Hold a pack against another one: of the same packs folder, or of another."""
    were, are = ({test.id: test for test in tests_of(pack)} for pack in (old, new))
    covered, covers = ({id_ for test in tests.values() for id_ in test.source.ttm} for tests in (were, are))
    return PackDiff(
        old=old,
        new=new,
        header=tuple(_header(old, new)),
        tests=tuple(_tests(were, are, new.changes or old.changes)),
        sources=tuple(_sources(old, new)),
        gained=tuple(sorted(covers - covered)),
        lost=tuple(sorted(covered - covers)),
    )


def _header(old: Pack, new: Pack) -> Iterator[tuple[str, str, str]]:
    for (key, was), (_, is_) in zip(_said(old), _said(new), strict=True):
        if was != is_:
            yield key, was, is_


def _said(pack: Pack) -> Iterator[tuple[str, str]]:
    yield "title", pack.title
    yield "version", pack.version
    yield "kind", pack.kind.replace("_", " ")
    yield "Capability Release", pack.release
    yield "Test Phase", pack.test_phase
    yield "installation types", ", ".join(sorted(pack.installation_types))
    yield "DMCs", ", ".join(sorted(pack.dmcs)) or "all of its release"
    yield "TAG agreement", pack.tag_agreement or "none"
    yield "stages", ", ".join(pack.stages) or "none"
    yield "installation state", pack.state or "none"
    yield "deadline", f"{pack.deadline:g} s"
    yield "expected", f"{pack.expected:g} s"
    yield "durations", ", ".join(f"{name} {guess:g} s" for name, guess in sorted(pack.durations.items()))
    yield (
        "Depth and Breadth",
        f"{pack.regression.title} {pack.regression.version}" if pack.regression else "none",
    )


def _tests(
    were: Mapping[str, PackTest], are: Mapping[str, PackTest], changes: Iterable[PackChange]
) -> Iterator[TestChange]:
    replaced = {change.test: change for change in changes if change.by}
    replacing = {change.by for change in replaced.values()}
    for id_, test in were.items():
        change = replaced.get(id_)
        now = are.get(change.by if change and id_ not in are else id_)
        if now is None:
            yield _change(ChangeKind.REMOVED, test, changes)
        elif now.source.text != test.source.text or now.id != id_:
            by = now.id if now.id != id_ else ""
            diff = _diff(test.source.text, now.source.text, test.id, now.id)
            yield _change(ChangeKind.CHANGED, test, changes, by, diff)
    for id_, test in are.items():
        if id_ not in were and id_ not in replacing:
            yield _change(ChangeKind.ADDED, test, changes)


def _change(
    kind: ChangeKind,
    test: PackTest,
    changes: Iterable[PackChange],
    by: str = "",
    diff: tuple[str, ...] = (),
) -> TestChange:
    said = next((change for change in changes if _is_about(change, test.id)), None)
    return TestChange(
        kind=kind,
        test=test.id,
        ttm=test.source.ttm,
        by=by,
        diff=diff,
        rationale=said.rationale if said else "",
        agreement=said.agreement if said else "",
    )


def _is_about(change: PackChange, test: str) -> bool:
    """Whether a change names the test, its module or its folder."""
    return change.test in {test, test.partition("::")[0]} or (
        change.test.endswith("/") and test.startswith(change.test)
    )


def _sources(old: Pack, new: Pack) -> Iterator[SourceChange]:
    """What both packs use and is not the same; the manifests are told by what they say."""
    for name in sorted(old.files.keys() & new.files.keys()):
        if old.files[name] == new.files[name] or not name.endswith(".py"):
            continue
        was, is_ = (_beside_tests(pack.folder / name) for pack in (old, new))
        if was != is_:
            yield SourceChange(name, _diff(was, is_, name, name))


def _beside_tests(module: Path) -> str:
    """The text of a module without its tests, which are told by themselves."""
    text = module.read_text(encoding="utf-8", errors="replace")
    for test in tests_in(module):
        text = text.replace(test.text, f"# {test.name}\n", 1)
    return text


def _diff(was: str, is_: str, old: str, new: str) -> tuple[str, ...]:
    lines = difflib.unified_diff(was.splitlines(), is_.splitlines(), old, new, lineterm="")
    return tuple(lines)
