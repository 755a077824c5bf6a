"""The data files of a lab, by the names that its lab file gives them or by their usual ones."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from harness.config.document import Document
from harness.config.models import LabFile
from harness.config.problems import Problems

FROM_HERE: Final = "correct it: a name is taken from the lab file's folder"


def named(document: Document, key: str) -> Path:
    """A file that the lab file names, or its usual name; read even if the lab file has other problems."""
    name = document.at(key)
    default = LabFile.model_fields[key].default
    return (document.path.parent / (name if isinstance(name, str) else default)).resolve()


def data_file(document: Document, key: str, problems: Problems) -> Path | None:
    """As :func:`named`; ``None`` where the lab file names one that is not there, which is written down."""
    path = named(document, key)
    if path.exists() or document.at(key) is None:  # who reads a file by its usual name says that it lacks
        return path
    problems.add(document.path, document.line((key,)), f"{key}: no file {str(document.at(key))!r}", FROM_HERE)
    return None
