"""A lab's files: YAML and CSV made into :mod:`harness.domain.lab`, with errors that name file and line."""

from __future__ import annotations

from typing import Any

from harness.config.catalogue import load_catalogue
from harness.config.lab import load_lab
from harness.config.problems import FileProblems, Problem

__all__ = ["FileProblems", "Problem", "json_schema", "load_catalogue", "load_lab"]


def json_schema() -> dict[str, Any]:
    """A JSON schema of the lab file, with the data files' schemas under ``$defs``, for editors."""
    from harness.config.schema import json_schema as made

    return made()
