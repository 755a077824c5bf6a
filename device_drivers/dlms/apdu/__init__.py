"""The xDLMS APDUs of logical name referencing (Green Book 9.4.6, 9.5); each a frozen dataclass.

:func:`encode` and :func:`decode` are each other's inverse; ``decode`` raises only
:class:`ProtocolViolation`, ``encode`` only :class:`ValueError` for a value that does not fit.

>>> from device_drivers.dlms.refs import AttributeRef
>>> encode(GetRequest(0xC1, AttributeRef(8, "0-0:1.0.0", 2))).hex()
'c001c100080000010000ff0200'
>>> decode(bytes.fromhex("c401c10103")).result
'read-write-denied'
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from device_drivers.dlms.apdu.action import (
    ActionBlock,
    ActionBlockReceived,
    ActionFirstBlock,
    ActionList,
    ActionListFirstBlock,
    ActionListResponse,
    ActionNext,
    ActionRequest,
    ActionResponse,
    ActionResponseBlock,
)
from device_drivers.dlms.apdu.get import GetBlock, GetList, GetListResponse, GetNext, GetRequest, GetResponse
from device_drivers.dlms.apdu.parts import Apdu, Block, Selection
from device_drivers.dlms.apdu.set import (
    SetBlock,
    SetBlockReceived,
    SetFirstBlock,
    SetLastBlockReceived,
    SetList,
    SetListFirstBlock,
    SetListLastBlockReceived,
    SetListResponse,
    SetRequest,
    SetResponse,
)
from device_drivers.dlms.reader import Reader
from device_drivers.dlms.results import SERVICE_ERRORS, STATE_ERRORS, code_of, name_of
from harness.domain.errors import ProtocolViolation

__all__ = [
    "ActionBlock",
    "ActionBlockReceived",
    "ActionFirstBlock",
    "ActionList",
    "ActionListFirstBlock",
    "ActionListResponse",
    "ActionNext",
    "ActionRequest",
    "ActionResponse",
    "ActionResponseBlock",
    "Apdu",
    "Block",
    "ExceptionResponse",
    "GetBlock",
    "GetList",
    "GetListResponse",
    "GetNext",
    "GetRequest",
    "GetResponse",
    "Selection",
    "SetBlock",
    "SetBlockReceived",
    "SetFirstBlock",
    "SetLastBlockReceived",
    "SetList",
    "SetListFirstBlock",
    "SetListLastBlockReceived",
    "SetListResponse",
    "SetRequest",
    "SetResponse",
    "decode",
    "encode",
]

_KINDS: Final[dict[tuple[int, int], type[Apdu]]] = {
    (kind.TAG, kind.KIND): kind
    for kind in (
        *(GetRequest, GetNext, GetList, GetResponse, GetBlock, GetListResponse),
        *(SetRequest, SetFirstBlock, SetBlock, SetList, SetListFirstBlock),
        *(SetResponse, SetBlockReceived, SetLastBlockReceived, SetListLastBlockReceived, SetListResponse),
        *(ActionRequest, ActionNext, ActionList, ActionFirstBlock, ActionListFirstBlock, ActionBlock),
        *(ActionResponse, ActionResponseBlock, ActionListResponse, ActionBlockReceived),
    )
}
_NAMES: Final = {0xC0: "GET", 0xC1: "SET", 0xC3: "ACTION", 0xC4: "GET", 0xC5: "SET", 0xC7: "ACTION"}

EXCEPTION: Final = 0xD8
_COUNTER_ERROR: Final = "invocation-counter-error"


@dataclass(frozen=True, slots=True)
class ExceptionResponse:
    """The service was not served at all. ``expected_counter`` comes with an invocation counter error."""

    state_error: str
    service_error: str
    expected_counter: int | None = None


def encode(apdu: Apdu | ExceptionResponse) -> bytes:
    """The bytes of an APDU."""
    if not isinstance(apdu, ExceptionResponse):
        return bytes((apdu.TAG, apdu.KIND, apdu.invoke)) + apdu.body()
    service = code_of(apdu.service_error, SERVICE_ERRORS)
    raw = bytes((EXCEPTION, code_of(apdu.state_error, STATE_ERRORS), service))
    return raw if apdu.expected_counter is None else raw + apdu.expected_counter.to_bytes(4, "big")


def decode(raw: bytes) -> Apdu | ExceptionResponse:
    """The APDU that ``raw`` is, to its last byte."""
    if raw[:1] == bytes((EXCEPTION,)):
        return _exception(Reader(raw[1:], "exception response"))
    head = Reader(raw, "APDU")
    tag, kind = head.number(1), head.number(1)
    if not (known := _KINDS.get((tag, kind))):
        raise ProtocolViolation(f"no APDU that we know begins with {raw[:2].hex(' ')}")
    invoke = head.number(1)
    reader = Reader(head.rest(), f"{_NAMES[tag]} {known.__name__}")
    apdu = known.read(invoke, reader)
    reader.end()
    return apdu


def _exception(reader: Reader) -> ExceptionResponse:
    state = name_of(reader.number(1), STATE_ERRORS)
    service = name_of(reader.number(1), SERVICE_ERRORS)
    # Devices before the Green Book's edition 9 send the counter error without the counter.
    counter = reader.number(4) if service == _COUNTER_ERROR and reader.left else None
    reader.end()
    return ExceptionResponse(state, service, counter)
