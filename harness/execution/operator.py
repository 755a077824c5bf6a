"""The engineer at the rig, as a test has it: who can answer is asked, and what came back is evidence.

The rig itself comes first (a twin's display has text), then the answers files, then the terminal of the run.
"""

from __future__ import annotations

import json
import socket
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from harness.domain.errors import ConfigurationError, OperatorAbsent
from harness.domain.instruments import EvidenceLog, RigInHand
from harness.domain.operator import Answer, Asking, PreparedAnswer, Question, prepared, understood
from harness.domain.words import DeviceType

_USUAL: Final = timedelta(minutes=5)
_GRACE: Final = 5.0  # seconds: the desk ends a question at its deadline; a desk that hangs is not waited for
_LONGEST: Final = 1_000_000  # bytes of an answer on its way from the desk


class OperatorAtRig:
    """Implements :class:`harness.domain.instruments.Operator` for one attempt at a test.

    ``desk`` is where the run's questions go, empty where it has no terminal
    (:class:`harness.execution.desk.Desk`).
    """

    def __init__(
        self,
        rig: RigInHand,
        test: str,
        evidence: EvidenceLog,
        answers: Sequence[PreparedAnswer],
        desk: str = "",
    ) -> None:
        self._rig = rig
        self._test = test
        self._evidence = evidence
        self._answers = answers
        self._desk = desk
        self._turns: Counter[str] = Counter()

    def do(self, step: str, *, within: timedelta = _USUAL) -> None:
        self._ask(Asking.DO, step, within)

    def ask(self, question: str, *, within: timedelta = _USUAL) -> str:
        return self._ask(Asking.TELL, question, within)

    def confirm(self, statement: str, *, within: timedelta = _USUAL) -> bool:
        return self._ask(Asking.CONFIRM, statement, within) == "yes"

    def read_display(self, device: DeviceType, *, within: timedelta = _USUAL) -> str:
        def looked_at() -> Answer | None:
            text = self._rig.display(device)
            return None if text is None else _answer(text, f"rig {self._rig.rig.id}")

        return self._ask(Asking.READ, f"read the display of the {device}", within, looked_at)

    def _ask(
        self,
        asking: Asking,
        text: str,
        within: timedelta,
        by_the_rig: Callable[[], Answer | None] = lambda: None,
    ) -> str:
        question = Question(
            asking=asking,
            text=text,
            rig=self._rig.rig.id,
            test=self._test,
            seconds=within.total_seconds(),
        )
        record: dict[str, Any] = {"asked": datetime.now(UTC), "kind": asking}
        try:
            answer = by_the_rig() or self._prepared(question) or _from_desk(self._desk, question)
        except OperatorAbsent as absent:
            self._evidence.note(f"operator: {text}", record | {"nobody": absent.message})
            raise
        told = "refused" if answer.refused else "answered"
        self._evidence.note(
            f"operator: {text}", record | {told: answer.text, "by": answer.by, "at": answer.at}
        )
        if answer.refused:
            raise OperatorAbsent(
                f"rig {question.rig}: {answer.by} says that it cannot be done: {text!r}: {answer.text}",
                remedy="see to what stands in the way, and run the test again",
            )
        return answer.text

    def _prepared(self, question: Question) -> Answer | None:
        turn = self._turns[question.text]
        self._turns[question.text] += 1
        found = prepared(self._answers, question, turn)
        if found is None:
            return None
        text = found.text if found.refused else understood(question.asking, found.text)
        if text is None:
            raise ConfigurationError(
                f"{found.place}: {found.text!r} does not answer {question.text!r}",
                remedy={"do": "write done", "confirm": "write yes or no"}.get(question.asking, "write text"),
            )
        by = f"{found.place} (given by {found.given})" if found.given else found.place
        return _answer(text, by, refused=found.refused)


def _answer(text: str, by: str, *, refused: bool = False) -> Answer:
    return Answer(text=text, by=by, at=datetime.now(UTC), refused=refused)


def _from_desk(address: str, question: Question) -> Answer:
    """The answer of whoever sits at the terminal; :class:`OperatorAbsent` without one or a late one."""
    if not address:
        raise _absent(question, "the run has no terminal, and no answers file has an answer")
    try:
        told = _exchange(address, question)
    except TimeoutError:
        raise _absent(question, f"no answer within {question.seconds:g} s, and none from the desk") from None
    except (OSError, ValueError) as error:
        raise _absent(question, f"the run's terminal is not there any more ({error})") from error
    if absent := told.get("absent"):
        raise _absent(question, absent)
    return Answer(
        text=told["text"],
        by=told["by"],
        at=datetime.fromisoformat(told["at"]),
        refused=told["refused"],
    )


def _exchange(address: str, question: Question) -> Mapping[str, Any]:
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(question.seconds + _GRACE)
        line.connect(address)
        line.sendall(json.dumps(asdict(question)).encode() + b"\n")
        with line.makefile("rb") as answers:
            answer = answers.readline(_LONGEST)
    if not answer:
        raise ConnectionError("it closed")
    told: Mapping[str, Any] = json.loads(answer)
    return told


def _absent(question: Question, why: str) -> OperatorAbsent:
    return OperatorAbsent(
        f"rig {question.rig}: nobody answered {question.text!r}: {why}",
        remedy="run it from a terminal with the engineer at hand, or give --answers FILE",
    )
