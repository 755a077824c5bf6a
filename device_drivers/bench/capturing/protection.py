"""Whether an APDU is ciphered, told from its outside alone (Green Book 9.2.7.2: the security control byte).

Authenticated alone is not ciphered: whoever listens can read it.

>>> is_ciphered(bytes.fromhex("db084d4d4d0000000001" "1e" "30000000ff"))
True
>>> is_ciphered(bytes.fromhex("c81210000000ff")), is_ciphered(bytes.fromhex("c001c1"))
(False, False)
"""

from __future__ import annotations

from typing import Final

from device_drivers.dlms.ciphering import GENERAL_GLO, GLO_TAGS
from device_drivers.dlms.reader import Reader
from harness.domain.errors import ProtocolViolation

_ENCRYPTED: Final = 0x20
_GENERAL_DED, _GENERAL_CIPHERING = 0xDC, 0xDD
_DEDICATED: Final = 0x08  # between the global tag of a service and its dedicated one
_SERVICES: Final = {
    0x01: "InitiateRequest",
    0x08: "InitiateResponse",
    0xC0: "GetRequest",
    0xC1: "SetRequest",
    0xC3: "ActionRequest",
    0xC4: "GetResponse",
    0xC5: "SetResponse",
    0xC7: "ActionResponse",
}
_BY_SERVICE: Final = {
    tag: _SERVICES[plain]
    for plain, glo in GLO_TAGS.items()
    if glo >= 0xC8  # of those of an association, only its own APDUs speak
    for tag in (glo, glo + _DEDICATED)
}
SEALED: Final = frozenset({GENERAL_GLO, _GENERAL_DED, _GENERAL_CIPHERING, *_BY_SERVICE})
"""The first bytes of APDUs that have a security control."""


def is_ciphered(raw: bytes) -> bool:
    """Whether its content can be read by nobody without the key; of a torn APDU as far as it goes."""
    return bool(raw) and raw[0] in SEALED and bool(_security_control(raw) & _ENCRYPTED)


def describe_sealed(raw: bytes) -> str:
    """What is known of a sealed APDU: the service, where its tag tells, and how it is protected."""
    how = "ciphered" if is_ciphered(raw) else "authenticated, not ciphered:"
    return f"{how} {_BY_SERVICE.get(raw[0], 'APDU')}"


def _security_control(raw: bytes) -> int:
    reader = Reader(raw, "ciphered APDU")
    try:
        tag = reader.number(1)
        for _ in range({GENERAL_GLO: 1, _GENERAL_DED: 1, _GENERAL_CIPHERING: 5}.get(tag, 0)):
            reader.counted()
        if tag == _GENERAL_CIPHERING:
            _skip_key_information(reader)
        _length(reader)
        return reader.number(1)
    except ProtocolViolation:
        return 0


def _skip_key_information(reader: Reader) -> None:
    """Identified, wrapped or agreed key (Green Book 9.5: Key-Info), where there is one."""
    if not reader.number(1):
        return
    kind = reader.number(1)
    if kind == 2:
        reader.counted()
    else:
        reader.number(1)
    if kind:
        reader.counted()


def _length(reader: Reader) -> int:
    first = reader.number(1)
    return reader.number(first & 0x7F) if first & 0x80 else first
