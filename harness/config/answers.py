"""Answers files: what the engineer said once, or would say, for runs in which nobody is asked.

A YAML (or JSON) list, or JSON lines in a file named ``….jsonl``::

    - question: fit the battery
      answer: done
    - question: which way does the arrow on the display point?
      rig: bench-3                   # optional, as is test
      test: test_export_is_shown
      answer: left
    - question: break the seal of the terminal cover
      cannot: the seal belongs to the network operator

Recorded answers also say ``by`` whom they were given and ``at`` what time.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from harness.config.document import read_document, read_text
from harness.config.problems import Problems, nearest, shown
from harness.domain.operator import PreparedAnswer

_KEYS = ("question", "answer", "cannot", "rig", "test", "by", "at")


def load_answers(paths: Iterable[Path]) -> tuple[PreparedAnswer, ...]:
    """The answers of all files; :class:`ConfigurationError` names every place that is wrong."""
    problems = Problems()
    found = [
        _answer(path, line, entry, problems)
        for path in paths
        for line, entry in (_json_lines if path.suffix == ".jsonl" else _list)(path, problems)
    ]
    problems.tell()
    return tuple(answer for answer in found if answer is not None)


def _json_lines(path: Path, problems: Problems) -> Iterable[tuple[int, Any]]:
    for number, line in enumerate((read_text(path, problems) or "").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            yield number, json.loads(line)
        except (ValueError, RecursionError):
            problems.add(path, number, "not JSON", "a whole JSON object on each line")


def _list(path: Path, problems: Problems) -> Iterable[tuple[int, Any]]:
    document = read_document(path, problems)
    if document is None:
        return
    if not isinstance(document.content, list):
        problems.add(path, 1, "not a list", "write `- question: …` and `  answer: …` for each")
        return
    for index, entry in enumerate(document.content):
        yield document.line((index,)), entry


def _answer(path: Path, line: int, entry: Any, problems: Problems) -> PreparedAnswer | None:
    before = len(problems.found)
    if not isinstance(entry, Mapping):
        problems.add(path, line, "not an answer", "write a `question` and its `answer`")
        return None
    for key in entry:
        if key not in _KEYS:
            problems.add(path, line, f"unknown key {key!r}", nearest(str(key), _KEYS))
    texts = {key: _text(path, line, key, entry.get(key, ""), problems) for key in _KEYS}
    if len(problems.found) > before:
        return None
    if not texts["question"]:
        problems.add(path, line, "no question", "write its text as the test asks it")
    if bool(texts["answer"]) == bool(texts["cannot"]):
        problems.add(path, line, "not one of answer and refusal", "write either `answer` or `cannot`")
    if len(problems.found) > before:
        return None
    return PreparedAnswer(
        question=texts["question"],
        text=texts["answer"] or texts["cannot"],
        refused=not texts["answer"],
        rig=texts["rig"],
        test=texts["test"],
        place=f"{shown(path)}:{line}",
        given=" ".join(filter(None, (texts["by"], texts["at"]))),
    )


def _text(path: Path, line: int, key: str, value: Any, problems: Problems) -> str:
    if isinstance(value, bool) and key == "answer":
        return "yes" if value else "no"
    if isinstance(value, str):
        return value.strip()
    problems.add(path, line, f"{key} is {value!r}, and no text", "put it in quotes")
    return ""
