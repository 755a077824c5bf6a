"""What is sent over the DCC link, as workers ask for it and as they are told how it went."""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.domain.instruments import Forgery
from harness.domain.words import UserRole


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a worker asks the link to send."""

    srv: str
    role: UserRole
    target: str  # EUI-64 of the device, or of the DCC
    body_xml: bytes  # the body element
    forgery: Forgery = field(default_factory=Forgery)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A request as it went, and the answer on the same connection."""

    ticket: int
    request_id: str
    status: int  # HTTP status: 200, or 400 where the gateway refused the message as such
    request: bytes
    answer: bytes
    problems: tuple[str, ...]  # of the answer
    awaited: bool  # whether a response is to come
