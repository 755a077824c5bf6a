"""What the lab holds against a message from the DCC before it believes what the message says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lxml import etree

from device_drivers.dcc.duis import ResponseMessage
from device_drivers.dcc.identities import Identities
from device_drivers.dcc.schemas import schemas
from device_drivers.dcc.signature import SignatureRefused, is_signed
from device_drivers.dcc.tree import as_document, parse
from harness.domain.errors import ProtocolViolation


@dataclass(frozen=True, slots=True)
class Inspected:
    """A message from the DCC; ``message`` is absent where it cannot be read at all."""

    message: ResponseMessage | None
    problems: tuple[str, ...]
    authentic: bool = False  # signed by whom it must be signed by


class Inspector:
    """Reads messages, holds them against the schemas where there are any, and verifies both signatures."""

    def __init__(self, identities: Identities, schema_folder: Path | None) -> None:
        self._identities = identities
        self._schemas = schemas(schema_folder)

    def inspect(self, xml: bytes, *, delivered: bool = False) -> Inspected:
        """The message and everything that is wrong with it; never raises for what came from outside.

        The DCC leaves its refusals unsigned, on the connection of the request (confirmed). What is
        ``delivered`` to our own address must be signed (ours): anybody could refuse there.
        """
        try:
            root = parse(xml)
        except ProtocolViolation as error:
            return Inspected(None, (error.message,))
        problems = [*(self._schemas.problems(root) if self._schemas else ())]
        try:
            message = ResponseMessage.read(root)
        except ProtocolViolation as error:
            return Inspected(None, (*problems, error.message))
        unsigned = self._signature_problems(root, message, delivered)
        return Inspected(message, (*problems, *unsigned), authentic=not unsigned)

    def _signature_problems(
        self, root: etree._Element, message: ResponseMessage, delivered: bool
    ) -> list[str]:
        problems = []
        if is_signed(root) or delivered or not message.code.startswith("E"):
            try:
                self._identities.dcc.verify(root)
            except SignatureRefused as error:
                problems.append(f"signature of the DCC: {error.message}")
        if message.signed is not None:
            try:
                self._identities.s1sp.verify(as_document(message.signed))
            except SignatureRefused as error:
                problems.append(f"signature of the S1SP: {error.message}")
        return problems
