"""What the DCC sent in a run and nobody waited for: duplicates, late answers, answers to nothing.

The DCC link of the run writes each down when it comes, in ``dcc/strays.jsonl``, and the whole message in
``dcc/messages.jsonl``. A run without strays has no such file.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STRAYS = "dcc/strays.jsonl"
MESSAGES = "dcc/messages.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stray:
    """One message that nobody waited for."""

    at: str  # wall time, UTC
    kind: str  # "response" or "alert"
    why: str
    devices: tuple[str, ...]  # whom it is about, as far as it can be read
    message: str  # its RequestID, or the ResponseID of an alert
    code: str
    problems: tuple[str, ...]
    line: int  # of messages.jsonl, where the whole message is


def read_strays(folder: Path) -> tuple[Stray, ...]:
    """The strays of a run folder in order of arrival. A line that was torn off by a kill is left out."""
    path = folder / STRAYS
    if not path.is_file():
        return ()
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    return tuple(_stray(told) for line in lines if (told := _told(line)))


def counted(strays: tuple[Stray, ...]) -> Mapping[str, Any]:
    """As ``run.json`` tells them: how many, and how many for each reason."""
    return {"count": len(strays), "by_reason": dict(Counter(stray.why for stray in strays))}


def _told(line: str) -> Mapping[str, Any] | None:
    try:
        told: Mapping[str, Any] = json.loads(line)
    except ValueError:  # the run was resumed after it
        return None
    return told


def _stray(told: Mapping[str, Any]) -> Stray:
    return Stray(
        at=told["at"],
        kind=told["kind"],
        why=told["why"],
        devices=tuple(told["devices"]),
        message=told["request_id"] or told["response_id"],
        code=told["code"],
        problems=tuple(told["problems"]),
        line=told["line"],
    )
