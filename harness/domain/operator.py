"""Words for a manual step: what the engineer at a rig is asked, and what counts as an answer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

CANNOT = "cannot:"
"""How an answer begins that is none: it cannot be done or told, and why."""


class Asking(StrEnum):
    """What is wanted of the engineer."""

    DO = "do"  # answered "done"
    TELL = "tell"  # answered with any text
    CONFIRM = "confirm"  # answered "yes" or "no"
    READ = "read"  # answered with the lines of a display


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a test asks; ``seconds`` (real time) is how long it waits for the answer."""

    asking: Asking
    text: str
    rig: str
    test: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back, and from whom; where ``refused``, the text is the reason."""

    text: str
    by: str
    at: datetime
    refused: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedAnswer:
    """An answer that stands in a file; an empty ``rig`` or ``test`` means any."""

    question: str
    text: str
    refused: bool = False
    rig: str = ""
    test: str = ""  # a planned test's id, or the part before its bracket, or its function's name
    place: str = ""  # file and line
    given: str = ""  # by whom and when, where it was recorded in an earlier run

    def fits(self, question: Question) -> bool:
        """Whether this answers the question; blanks and line breaks in its text do not matter."""
        return (
            self.question.split() == question.text.split()
            and self.rig in ("", question.rig)
            and self.test in ("", *_names(question.test))
        )


def prepared(answers: Iterable[PreparedAnswer], question: Question, turn: int) -> PreparedAnswer | None:
    """The answer to a question that its test asks for the ``turn``-th time, counted from 0.

    Those count that name the rig and the test, else those that name one of them, else the others. Of
    several the first is for the first time, the second for the second, and the last for all that follow.
    """
    fitting = [answer for answer in answers if answer.fits(question)]
    closest = max((_named(answer) for answer in fitting), default=0)
    chosen = [answer for answer in fitting if _named(answer) == closest]
    return chosen[min(turn, len(chosen) - 1)] if chosen else None


def understood(asking: Asking, text: str) -> str | None:
    """What an answer means; ``None`` where it answers no such question.

    >>> understood(Asking.CONFIRM, " Y ")
    'yes'
    >>> understood(Asking.DO, "yes, nearly") is None
    True
    """
    text = text.strip()
    match asking:
        case Asking.DO:
            return "done" if text.lower() in ("done", "yes", "y", "true") else None
        case Asking.CONFIRM:
            return _YES_OR_NO.get(text.lower())
        case Asking.TELL | Asking.READ:
            return text or None


def reason(text: str) -> str | None:
    """Why something cannot be done, where that is what the text says.

    >>> reason("Cannot: the cabinet is locked")
    'the cabinet is locked'
    """
    text = text.strip()
    return text[len(CANNOT) :].strip() if text.lower().startswith(CANNOT) else None


_YES_OR_NO = {"yes": "yes", "y": "yes", "true": "yes", "no": "no", "n": "no", "false": "no"}


def _names(test: str) -> tuple[str, str, str]:
    function = test.partition("[")[0]
    return test, function, function.rpartition("::")[2]


def _named(answer: PreparedAnswer) -> int:
    return bool(answer.rig) + bool(answer.test)
