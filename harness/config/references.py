"""Where a lab file refers to keys, passwords and certificates: for who says that one is not there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from harness.config.document import read_document
from harness.config.problems import Problems, shown
from harness.domain.lab import Lab
from harness.domain.references import is_reference, secret_references


def reference_places(lab: Lab) -> Mapping[str, str]:
    """Every reference of a lab, or of what is left of it, with its file and line, in the order of lines.

    One that the lab file does not hold as it is has the file alone.
    """
    lines = _lines(lab.file)
    found = sorted(set(secret_references(lab, secret=True)), key=lambda each: (lines.get(each, 0), each))
    file = shown(lab.file)
    return {each: f"{file}:{lines[each]}" if each in lines else str(file) for each in found}


def _lines(file: Path) -> dict[str, int]:
    """The line on which each reference stands first, with whole paths as a lab has them."""
    document = read_document(file, Problems())
    lines: dict[str, int] = {}
    if document is None:  # it has changed since the lab was made of it
        return lines
    for place, line in document.lines.items():
        text = document.at(*place)
        if isinstance(text, str) and is_reference(text):
            scheme, _, name = text.partition(":")
            lines.setdefault(f"file:{file.parent / name}" if scheme == "file" else str(text), line)
    return lines
