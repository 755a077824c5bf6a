r"""APDUs in the evidence: the bytes, and one line that says what they are.

>>> describe(bytes.fromhex("c001c100080000010000ff0200"))
'GetRequest 0-0:1.0.0 attribute 2 (class 8)'
>>> describe(bytes.fromhex("c401c10103"))
'GetResponse read-write-denied'
>>> describe(b"\x60\x00"), describe(b"\xff")
('AARQ', 'APDU that cannot be read')
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from device_drivers.dlms import apdu
from device_drivers.dlms.refs import AttributeRef, MethodRef
from harness.domain.errors import ProtocolViolation
from harness.hooks import Trace

MEDIA_TYPE: Final = "application/x-dlms-apdu"

_ASSOCIATION: Mapping[int, str] = {0x60: "AARQ", 0x61: "AARE", 0x62: "RLRQ", 0x63: "RLRE"}


def describe(raw: bytes) -> str:
    """The kind of an APDU, and the object, result or block that it is about."""
    if raw[:1] and raw[0] in _ASSOCIATION:
        return _ASSOCIATION[raw[0]]
    try:
        read = apdu.decode(raw)
    except ProtocolViolation:
        return "APDU that cannot be read"
    words = [type(read).__name__]
    for name in ("ref", "result", "state_error", "service_error"):
        told = getattr(read, name, None)  # a result may also be data, or a block's bytes
        words += [str(told)] if isinstance(told, str | AttributeRef | MethodRef) else []
    if targets := getattr(read, "targets", None):
        words.append(f"{len(targets)} attributes")
    if (block := getattr(read, "block", None)) is not None:
        words.append(f"block {getattr(block, 'number', block)}")
    return " ".join(words)


def apdu_tracer(trace: Trace, source: str) -> Callable[[str, bytes], None]:
    """Writes every APDU to the trace: for a DLMS client's ``on_apdu``."""

    def on_apdu(direction: str, raw: bytes) -> None:
        trace.message(source, f"{direction} {describe(raw)}", raw, MEDIA_TYPE)

    return on_apdu
