"""The steps and attachments of an Allure result, from the evidence of its attempt."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from harness.records.canonical import canonical_of_plain
from harness.records.evidence import STEPS, names_in, read_steps

_LONG = 2000  # characters of a parameter that Allure is to show beside a step


class Attachments:
    """Brings files of one attempt's evidence into the results folder, under names that are unique there."""

    def __init__(self, evidence: Path, target: Path, uuid: Callable[[str], str]) -> None:
        self._evidence, self._target, self._uuid = str(evidence), str(target), uuid
        self._there = set(names_in(self._evidence))
        self._added: set[str] = set()

    def __contains__(self, path: str) -> bool:
        return path in self._there

    def add(self, path: str, name: str, media_type: str = "") -> dict[str, str]:
        """Attach one file of the evidence; the same bytes on disk where the file system can share them."""
        source = f"{self._uuid(path)}-attachment{os.path.splitext(path)[1]}"  # noqa: PTH122  # as in names_in
        file, name_there = f"{self._evidence}/{path}", f"{self._target}/{source}"
        try:
            os.link(file, name_there)
        except OSError:  # a file system without hard links
            shutil.copyfile(file, name_there)
        self._added.add(path)
        return {"name": name, "source": source, "type": media_type or "text/plain"}

    def rest(self) -> list[str]:
        """Files that no step named: the steps themselves, and what a killed process left."""
        return sorted(self._there - self._added)


def steps_of(evidence: Path, attachments: Attachments) -> list[dict[str, Any]]:
    """One Allure step for each step of the evidence; a step lasts until the next begins."""
    steps = read_steps(evidence) if STEPS in attachments else []
    times = [round(datetime.fromisoformat(step["at"]).timestamp() * 1000) for step in steps]
    ends = [*times[1:], *times[-1:]]
    return [
        _step(step, attachments) | {"start": start, "stop": max(start, stop)}
        for step, start, stop in zip(steps, times, ends, strict=True)
    ]


def _step(step: Mapping[str, Any], attachments: Attachments) -> dict[str, Any]:
    source = f"{step['source']}: " if step.get("source") else ""
    there = "path" in step and step["path"] in attachments
    return {
        "name": f"{source}{step['title']}",
        "status": "passed" if step.get("held", True) else "failed",
        "stage": "finished",
        "parameters": [
            {"name": name, "value": _text(step[name])}
            for name in ("expected", "low", "high", "found", "detail", "hex", "lab")
            if name in step
        ],
        "attachments": [attachments.add(step["path"], step["title"], step["media_type"])] if there else [],
        "steps": [],
    }


def _text(value: Any) -> str:
    if type(value) is int:  # most are
        return str(value)
    text = value if isinstance(value, str) else canonical_of_plain(value).decode()
    return text if len(text) <= _LONG else f"{text[:_LONG]}… ({len(text)} characters; whole in {STEPS})"
