"""A run's messages, held once more against schema, signatures and counters: both ways, forged ones too.

It rests on the record alone, ``dcc/messages.jsonl``, and on who the lab's parties are. What was right when it
came must be right still; what a test made wrong on purpose must have been seen to be wrong.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from device_drivers.dcc.book import MESSAGES
from device_drivers.dcc.duis import RequestMessage, ResponseMessage, read_smets1
from device_drivers.dcc.identities import Identities, named_identities, simulated_identities
from device_drivers.dcc.inspection import Inspector
from device_drivers.dcc.schemas import schemas
from device_drivers.dcc.signature import Ring, SignatureRefused
from device_drivers.dcc.tree import parse
from harness.domain.errors import ConfigurationError, ProtocolViolation
from harness.domain.lab import Lab
from harness.hooks import MessageCheck


def check_messages(lab: Lab, folder: Path) -> MessageCheck:
    """Every message of a run folder; :class:`ConfigurationError` where it has none."""
    path = folder / "dcc" / MESSAGES
    if not path.is_file():
        raise ConfigurationError(f"{folder} has no messages of the DCC", remedy="name the folder of a run")
    checker = _Checker(lab)
    lines = path.read_text(encoding="utf-8").splitlines()
    problems = [problem for number, line in enumerate(lines, 1) for problem in checker.told(number, line)]
    problems += checker.unanswered()
    return MessageCheck(
        messages=dict(checker.seen),
        forged=checker.forged,
        by_schema=lab.dcc.schemas is not None,
        problems=tuple(problems),
    )


class _Checker:
    """Goes through the messages in their order; keeps what later ones are held against."""

    def __init__(self, lab: Lab) -> None:
        simulated = lab.dcc.gateway == "simulated"
        identities: Identities = simulated_identities(lab) if simulated else named_identities(lab)
        self._inspector = Inspector(identities, lab.dcc.schemas)
        self._schemas = schemas(lab.dcc.schemas)
        self._users = Ring({str(user.role): user.signer.certificate for user in identities.users.values()})
        self.seen: Counter[str] = Counter()
        self.forged = 0
        self._counters: dict[str, int] = {}  # the last one, by originator
        self._asked: dict[str, tuple[int, Mapping[str, Any]]] = {}  # requests without an answer yet
        self._told: set[tuple[str, int, str]] = set()  # what S1SPs have signed

    def told(self, number: int, line: str) -> Iterator[str]:
        """What is wrong with one line of the record."""
        try:
            message: Mapping[str, Any] = json.loads(line)
        except ValueError:
            return  # torn off by a kill; the run was resumed after it
        kind = str(message["kind"])
        self.seen[kind] += 1
        self.forged += bool(message.get("forged")) and kind != "answer"
        found = self._request(number, message) if kind == "request" else self._from_dcc(kind, message)
        yield from (f"line {number}, {kind} {message['request_id'] or 'of nobody'}: {each}" for each in found)

    def unanswered(self) -> Iterator[str]:
        """Requests that nothing was answered to."""
        for request_id, (number, _) in self._asked.items():
            yield f"line {number}, request {request_id}: the record has no answer to it"

    # -- to the DCC --------------------------------------------------------------------------------

    def _request(self, number: int, message: Mapping[str, Any]) -> Iterator[str]:
        self._asked[message["request_id"]] = (number, message)
        if message["forged"]:
            return
        try:
            root = parse(_bytes(message))
            request = RequestMessage.read(root)
        except ProtocolViolation as error:
            yield error.message
            return
        try:
            self._users.verify(root)
        except SignatureRefused as error:
            yield f"signature: {error.message}"
        originator, counter = request.request_id.originator, request.request_id.counter
        if counter <= self._counters.get(originator, 0):
            yield f"counter {counter} of {originator} does not rise"
        self._counters[originator] = max(counter, self._counters.get(originator, 0))

    # -- from the DCC ------------------------------------------------------------------------------

    def _from_dcc(self, kind: str, message: Mapping[str, Any]) -> Iterator[str]:
        xml = _bytes(message)
        if kind == "answer":
            yield from self._answer(message, xml)
            return
        problems = self._inspector.inspect(xml, delivered=True).problems
        if message.get("forged"):
            if not problems and not message["stray"]:
                yield "it was forged, and nothing was seen to be wrong with it"
            return
        yield from problems
        if not message["stray"] and not problems:
            yield from self._signed_once(xml)

    def _answer(self, message: Mapping[str, Any], xml: bytes) -> Iterator[str]:
        asked = self._asked.pop(message["request_id"], None)
        if asked is None:
            yield "it answers no request of the record"
            return
        request = asked[1]
        accepted = message["status"] == 200
        if accepted:
            inspected = self._inspector.inspect(xml)  # an HTTP refusal is a line of text
            yield from inspected.problems
            accepted = inspected.message is not None and not inspected.message.code.startswith("E")
        if request["forged"]:
            return
        if (
            accepted and self._schemas is not None
        ):  # a value out of range is sent on purpose, and refused for it
            yield from (f"its request: {each}" for each in self._schemas.problems(parse(_bytes(request))))

    def _signed_once(self, xml: bytes) -> Iterator[str]:
        message = ResponseMessage.read(parse(xml))
        if message.smets1 is None or message.signed is None:
            return
        told = read_smets1(message.signed)
        key = (told.originator, told.counter, str(message.request_id or message.response_id))
        if key in self._told:
            yield f"what {told.originator} has told under counter {told.counter} came before"
        self._told.add(key)


def _bytes(message: Mapping[str, Any]) -> bytes:
    return str(message["xml"]).encode()
