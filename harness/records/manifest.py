"""The manifest of a run folder: every file with its SHA-256, as ``sha256sum -c`` reads it.

cd runs/latest && sha256sum --check --quiet manifest-sha256.txt
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from harness.records.canonical import digest_of_file
from harness.records.journal import Problem

MANIFEST = "manifest-sha256.txt"
_LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)")


def write_manifest(folder: Path) -> Path:
    """List every file of the folder, in the order of their paths. Write it last: it seals the rest."""
    lines = [f"{digest_of_file(folder / path)}  {path}\n" for path in sorted(_files(folder))]
    manifest = folder / MANIFEST
    manifest.write_text("".join(lines), encoding="utf-8")
    return manifest


def verify_manifest(folder: Path) -> tuple[Problem, ...]:
    """What differs between the folder and its manifest: changed, missing and unlisted files, by name."""
    manifest = folder / MANIFEST
    if not manifest.is_file():
        return (Problem(MANIFEST, 0, "there is no manifest: the run did not end"),)
    listed: dict[str, str] = {}
    problems: list[Problem] = []
    for number, line in enumerate(manifest.read_text(encoding="utf-8").splitlines(), start=1):
        if match := _LINE.fullmatch(line):
            listed[match[2]] = match[1]
        else:
            problems.append(Problem(MANIFEST, number, "this is no line of a manifest"))
    there = set(_files(folder))
    problems += [
        Problem(path, 0, "is listed in the manifest and missing") for path in sorted(listed.keys() - there)
    ]
    problems += [Problem(path, 0, "is not in the manifest") for path in sorted(there - listed.keys())]
    problems += [
        Problem(path, 0, "was changed: its SHA-256 is not the manifest's")
        for path in sorted(there & listed.keys())
        if digest_of_file(folder / path) != listed[path]
    ]
    return tuple(problems)


def _files(folder: Path) -> Iterator[str]:
    for path in folder.rglob("*"):
        if path.is_file() and path.name != MANIFEST:
            yield path.relative_to(folder).as_posix()
