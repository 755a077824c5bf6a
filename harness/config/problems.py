"""What is wrong with the files of a lab: every problem has a place, and all are told at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from harness.domain.errors import ConfigurationError
from harness.domain.names import listed, nearest

__all__ = ["FileProblems", "Problem", "Problems", "listed", "nearest", "shown"]


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong, where it stands, and what to do. ``line`` 0: the file as a whole."""

    file: Path
    line: int
    message: str
    remedy: str

    def __str__(self) -> str:
        place = f"{shown(self.file)}:{self.line}" if self.line else str(shown(self.file))
        return f"{place}: {self.message} ({self.remedy})" if self.remedy else f"{place}: {self.message}"


class FileProblems(ConfigurationError):
    """Files are wrong in these places; every one of ``problems`` must be corrected."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        lines = [str(problem) for problem in self.problems]
        super().__init__(
            lines[0] if len(lines) == 1 else "\n  ".join((f"{len(lines)} problems were found:", *lines))
        )


@dataclass(slots=True)
class Problems:
    """Collects problems while files are read; :meth:`tell` raises them together."""

    found: list[Problem] = field(default_factory=list)

    def add(self, file: Path, line: int, message: str, remedy: str = "") -> None:
        """Write a problem down and go on reading."""
        self.found.append(Problem(file, line, message, remedy))

    def tell(self) -> None:
        """Raise :class:`FileProblems` if anything was found."""
        if self.found:
            raise FileProblems(self.found)


def shown(path: Path) -> Path:
    """The path as a person wants it: from the working folder where it lies below, else whole."""
    folder = Path.cwd()
    return path.relative_to(folder) if path.is_relative_to(folder) else path
