"""``harness packs diff``: a pack against another one, against another folder, or against what was agreed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from harness.cli.output import ExitCode, answer_json, answer_lines, tell
from harness.config import load_lab
from harness.config.agreed import read_agreed
from harness.config.packs import find_packs
from harness.domain.errors import UsageError
from harness.domain.lab import Lab
from harness.domain.packs import ChangeKind, Pack
from harness.traceability.pack_diff import PackDiff, TestChange, pack_diff

_ONE_BY_ONE: Final = 3  # tests of a module that are named for one reason
_WIDE: Final = 8  # TTM ids in a line


def diff(first: str, second: str, against: Path | None, file: Path, *, as_json: bool) -> ExitCode:
    """Show how the second pack differs from the first; with one pack, how it differs from what was agreed."""
    lab = load_lab(file)
    if not second and against is None:
        return _against_agreed(find_packs(lab.packs, [first])[0], lab, as_json=as_json)
    if against is not None and not against.is_dir():
        raise UsageError(f"{against} is not a folder", remedy="name a packs folder, with its manifests")
    old = find_packs(against.resolve() if against else lab.packs, [first])[0]
    found = pack_diff(old, find_packs(lab.packs, [second or first])[0])
    if as_json:
        answer_json(_plain(found))
    else:
        answer_lines(_lines(found))
    return ExitCode.GOOD


def _against_agreed(pack: Pack, lab: Lab, *, as_json: bool) -> ExitCode:
    agreement = read_agreed(lab.agreed_packs).get(pack.name)
    if agreement is None:
        raise UsageError(
            f"{pack.name} was never agreed with the TAG", remedy="name the pack to hold it against as well"
        )
    departures = agreement.departures(pack)
    if as_json:
        answer_json(
            {"agreement": agreement.reference, "version": agreement.version, "departures": departures}
        )
        return ExitCode.GOOD
    answer_lines(
        [f"{pack.name} {pack.version} against {agreement.reference} ({agreement.date})", *departures]
    )
    if not departures:
        tell("it is what was agreed")
    return ExitCode.GOOD


def _plain(found: PackDiff) -> dict[str, Any]:
    return {
        "old": {"name": found.old.name, "version": found.old.version, "digest": found.old.digest},
        "new": {"name": found.new.name, "version": found.new.version, "digest": found.new.digest},
        "header": [{"key": key, "old": old, "new": new} for key, old, new in found.header],
        "tests": [
            {
                "change": test.kind,
                "test": test.test,
                "by": test.by,
                "ttm": test.ttm,
                "rationale": test.rationale,
                "agreement": test.agreement,
                "diff": test.diff,
            }
            for test in found.tests
        ],
        "sources": [{"file": source.file, "diff": source.diff} for source in found.sources],
        "coverage": {"gained": found.gained, "lost": found.lost},
    }


def _lines(found: PackDiff) -> Iterator[str]:
    old, new = found.old, found.new
    yield f"{old.name} {old.version} ({old.digest[:12]}) → {new.name} {new.version} ({new.digest[:12]})"
    if found.empty:
        yield "nothing differs"
        return
    if found.header:
        yield "\nmanifest"
    yield from (f"  {key}: {was} → {is_}" for key, was, is_ in found.header)
    for kind in ChangeKind:
        if tests := found.of(kind):
            yield f"\n{kind} ({len(tests)} tests)"
            yield from _told(tests)
    if found.sources:
        yield f"\ncode beside the tests ({len(found.sources)} files)"
    for source in found.sources:
        yield from _indented(source.diff, 2)
    yield f"\nrequirements gained: {len(found.gained)}, lost: {len(found.lost)}"
    for word, ids in (("+", found.gained), ("-", found.lost)):
        for at in range(0, len(ids), _WIDE):
            yield f"  {word} {' '.join(ids[at : at + _WIDE])}"


def _told(tests: Sequence[TestChange]) -> Iterator[str]:
    """Tests that have one and the same reason stand together, above it."""
    for (rationale, agreement), together in groupby(tests, lambda test: (test.rationale, test.agreement)):
        for module, tests_of_it in groupby(together, lambda test: test.test.partition("::")[0]):
            yield from _of_module(module, tuple(tests_of_it))
        yield f"      why: {rationale or 'no manifest says it'}"
        if rationale:
            yield f"      TAG: {agreement or 'not agreed yet'}"


def _of_module(module: str, tests: Sequence[TestChange]) -> Iterator[str]:
    """Each test with what it shows; of many that merely come or go, how many there are."""
    if len(tests) > _ONE_BY_ONE and not any(test.diff for test in tests):
        yield f"  {module} ({len(tests)} tests)"
        return
    for test in tests:
        yield f"  {test.test}{f' → {test.by}' if test.by else ''}  {' '.join(test.ttm)}"
        yield from _indented(test.diff, 6)


def _indented(lines: Iterable[str], by: int) -> Iterator[str]:
    return (" " * by + line for line in lines)
