"""The answers that were given at a terminal, written down so that another run need not ask."""

from __future__ import annotations

import json
from pathlib import Path

from harness.domain.errors import ConfigurationError
from harness.domain.operator import Answer, Question


class AnswerRecord:
    """A new file of JSON lines; :class:`ConfigurationError` where it cannot be made."""

    def __init__(self, path: Path) -> None:
        if path.suffix != ".jsonl":
            raise ConfigurationError(
                f"answers are recorded as JSON lines, not as {path}", remedy="name the file ….jsonl"
            )
        try:
            self._file = path.open("x", encoding="utf-8")
        except FileExistsError:
            raise ConfigurationError(f"{path} is there already", remedy="name a new file") from None
        except OSError as error:
            raise ConfigurationError(
                f"{path} cannot be written: {error.strerror}", remedy="name a file that can be made"
            ) from error

    def add(self, question: Question, answer: Answer) -> None:
        """Keep one, for the same test on the same rig."""
        entry = {
            "question": question.text,
            "cannot" if answer.refused else "answer": answer.text,
            "rig": question.rig,
            "test": question.test,
            "by": answer.by,
            "at": answer.at.isoformat(timespec="seconds"),
        }
        self._file.write(json.dumps(entry, ensure_ascii=False) + "\n")
        self._file.flush()

    def close(self) -> None:
        """The file is whole; closing twice is fine."""
        self._file.close()
