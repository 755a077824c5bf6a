"""What the ``parameters`` of a door may say: transports and drivers declare it, lab files are held to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One thing that they may say: of that type, more than ``above``, at most ``most``, or of a ``choice``.

    ``meaning`` is what somebody is told who has left it out, or has written something else.
    """

    name: str
    meaning: str
    type: type[str] | type[int] | type[float] | type[dict[str, Any]] = str
    above: float | None = None
    most: float | None = None
    choice: tuple[int, ...] = ()
    needed: bool = False
