"""What passes between the gateway stub and the S1SP: a countersigned request, and the answer to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from harness.domain.instruments import Body
from harness.domain.payload import Payload


@dataclass(frozen=True, slots=True, kw_only=True)
class CountersignedRequest:
    """A Service Request that the gateway has checked and countersigned for the S1SP."""

    request_id: str  # originator:target:counter
    originator: str  # the user's EUI-64
    target: str  # the device's EUI-64
    counter: int
    srv: str
    body_element: str  # the SRV's element in the DUIS Body
    body: Payload  # reads below that element
    xml: bytes = field(repr=False, default=b"")  # as gateway.countersignature makes it
    scheduled: bool = False  # made by the DCC for a schedule of the user, and signed by the DCC alone
    held: bool = False  # kept by the DCC until its ExecutionDateTime: later requests have overtaken it


@dataclass(frozen=True, slots=True, kw_only=True)
class Smets1Answer:
    """What the S1SP made of a request: the content of one SMETS1 Response before it is signed."""

    device_id: str
    srv: str
    response_element: str  # the SRV's element in the MMC payload, "…Rsp"
    success: bool
    data: Body  # below the response element; None where it is empty or the request failed
    debug: tuple[tuple[int, str], ...] = ()  # (code, text): why it failed
    timestamp: datetime | None = None  # the rig's lab time when the device had answered
