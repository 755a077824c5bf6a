"""Opening and releasing an association: AARQ, AARE, RLRQ, RLRE and what they carry (Green Book 9.4.2–9.4.5).

Encoded by hand in BER, of which ACSE needs only single-byte tags and definite lengths.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntFlag
from typing import Final, Self

from device_drivers.dlms.lengths import encode_length
from device_drivers.dlms.reader import Reader
from device_drivers.dlms.results import INITIATE_ERRORS, code_of, name_of
from harness.domain.errors import ProtocolViolation

AARQ, AARE, RLRQ, RLRE = 0x60, 0x61, 0x62, 0x63
DLMS_VERSION: Final = 6
_OID: Final = bytes.fromhex("608574 0508")  # joint-iso-ccitt(2) country(16) 756 identified-organization(5) 8
LOGICAL_NAMES, LOGICAL_NAMES_CIPHERED = 1, 3
LOW_LEVEL, HIGH_LEVEL_GMAC = 1, 5
_MOST_FIELDS: Final = 16


class Conformance(IntFlag):
    """The services of an association that we know by name; 24 bits on the wire."""

    GENERAL_PROTECTION = 1 << 22
    GENERAL_BLOCK_TRANSFER = 1 << 21
    BLOCK_TRANSFER_WITH_GET = 1 << 12
    BLOCK_TRANSFER_WITH_SET = 1 << 11
    BLOCK_TRANSFER_WITH_ACTION = 1 << 10
    MULTIPLE_REFERENCES = 1 << 9
    GET = 1 << 4
    SET = 1 << 3
    SELECTIVE_ACCESS = 1 << 2
    ACTION = 1 << 0


OURS: Final = sum(Conformance)
"""Everything that both our ends can do."""


# --- the DLMS part: initiate ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class InitiateRequest:
    """What the client proposes. ``max_pdu`` is the longest APDU that it can receive; 0: no limit."""

    conformance: int
    max_pdu: int
    version: int = DLMS_VERSION

    def encode(self) -> bytes:
        """Without dedicated key, with confirmed services, without quality of service."""
        return b"\x01\x00\x00\x00" + bytes((self.version,)) + _agreement(self.conformance, self.max_pdu)

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """The inverse; a dedicated key is skipped."""
        reader = Reader(raw, "InitiateRequest")
        reader.one_of(0x01)
        if reader.one_of(0, 1):
            reader.counted()  # dedicated key: we cipher with the global keys only
        if reader.one_of(0, 1):
            reader.number(1)  # response allowed
        if reader.one_of(0, 1):
            reader.number(1)  # proposed quality of service
        version = reader.number(1)
        conformance, max_pdu = _read_agreement(reader)
        reader.end()
        return cls(conformance, max_pdu, version)


@dataclass(frozen=True, slots=True)
class InitiateResponse:
    """What the server grants. ``max_pdu`` is the longest APDU that it can receive; 0: no limit."""

    conformance: int
    max_pdu: int
    version: int = DLMS_VERSION

    def encode(self) -> bytes:
        """With the VAA name of logical name referencing."""
        agreement = _agreement(self.conformance, self.max_pdu)
        return b"\x08\x00" + bytes((self.version,)) + agreement + b"\x00\x07"

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """The inverse of :meth:`encode`."""
        reader = Reader(raw, "InitiateResponse")
        reader.one_of(0x08)
        if reader.one_of(0, 1):
            reader.number(1)  # negotiated quality of service
        version = reader.number(1)
        conformance, max_pdu = _read_agreement(reader)
        reader.number(2)  # VAA name
        reader.end()
        return cls(conformance, max_pdu, version)


def _agreement(conformance: int, max_pdu: int) -> bytes:
    return b"\x5f\x1f\x04\x00" + conformance.to_bytes(3, "big") + max_pdu.to_bytes(2, "big")


def _read_agreement(reader: Reader) -> tuple[int, int]:
    if (head := reader.take(4)) != b"\x5f\x1f\x04\x00":
        raise reader.bad(f"expected a conformance block, found {head.hex(' ')}")
    return reader.number(3), reader.number(2)


@dataclass(frozen=True, slots=True)
class InitiateError:
    """A ConfirmedServiceError: why the server grants nothing."""

    reason: str

    def encode(self) -> bytes:
        """Initiate error, service error of the initiate kind."""
        return b"\x0e\x01\x06" + bytes((code_of(self.reason, INITIATE_ERRORS),))

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """The inverse of :meth:`encode`."""
        reader = Reader(raw, "ConfirmedServiceError")
        reader.one_of(0x0E)
        reader.one_of(0x01)
        kind, code = reader.number(1), reader.number(1)
        reader.end()
        return cls(name_of(code, INITIATE_ERRORS) if kind == 6 else f"unknown-{kind}-{code}")


# --- the ACSE part -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AssociationRequest:
    """AARQ. ``authentication`` is a password or a challenge; without any, ``mechanism`` is ``None``."""

    context: int = LOGICAL_NAMES
    calling_title: bytes = b""
    mechanism: int | None = None
    authentication: bytes = field(default=b"", repr=False)
    user_information: bytes = b""

    def encode(self) -> bytes:
        """The BER form."""
        parts = [_tlv(0xA1, _tlv(0x06, _OID + bytes((1, self.context))))]
        if self.calling_title:
            parts.append(_tlv(0xA6, _tlv(0x04, self.calling_title)))
        if self.mechanism is not None:
            parts += _authentication(0x8A, 0x8B, 0xAC, self.mechanism, self.authentication)
        parts.append(_tlv(0xBE, _tlv(0x04, self.user_information)))
        return _tlv(AARQ, b"".join(parts))

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """The inverse; fields of the standard that we do not use are skipped."""
        fields = _fields(raw, AARQ, "AARQ")
        return cls(
            _oid(_inner(fields, 0xA1, 0x06), 1),
            _inner(fields, 0xA6, 0x04) or b"",
            _oid(fields[0x8B], 2) if 0x8B in fields else None,
            _inner(fields, 0xAC, 0x80) or b"",
            _inner(fields, 0xBE, 0x04) or b"",
        )


@dataclass(frozen=True, slots=True)
class AssociationResponse:
    """AARE. ``result`` 0 is accepted; ``diagnostic`` as in ``results.ASSOCIATE_DIAGNOSTICS``."""

    context: int
    result: int
    diagnostic: int
    responding_title: bytes = b""
    mechanism: int | None = None
    authentication: bytes = b""
    user_information: bytes = b""

    def encode(self) -> bytes:
        """The BER form, the diagnostic as of the ACSE service user."""
        parts = [
            _tlv(0xA1, _tlv(0x06, _OID + bytes((1, self.context)))),
            _tlv(0xA2, _tlv(0x02, bytes((self.result,)))),
            _tlv(0xA3, _tlv(0xA1, _tlv(0x02, bytes((self.diagnostic,))))),
        ]
        if self.responding_title:
            parts.append(_tlv(0xA4, _tlv(0x04, self.responding_title)))
        if self.mechanism is not None:
            parts += _authentication(0x88, 0x89, 0xAA, self.mechanism, self.authentication)
        if self.user_information:
            parts.append(_tlv(0xBE, _tlv(0x04, self.user_information)))
        return _tlv(AARE, b"".join(parts))

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """The inverse of :meth:`encode`."""
        fields = _fields(raw, AARE, "AARE")
        source = Reader(fields.get(0xA3, b""), "AARE diagnostic")
        source.one_of(0xA1, 0xA2)
        diagnostic = Reader(source.counted(), "AARE diagnostic")
        diagnostic.one_of(0x02)
        return cls(
            _oid(_inner(fields, 0xA1, 0x06), 1),
            _small(_inner(fields, 0xA2, 0x02), "AARE result"),
            _small(diagnostic.counted(), "AARE diagnostic"),
            _inner(fields, 0xA4, 0x04) or b"",
            _oid(fields[0x89], 2) if 0x89 in fields else None,
            _inner(fields, 0xAA, 0x80) or b"",
            _inner(fields, 0xBE, 0x04) or b"",
        )


@dataclass(frozen=True, slots=True)
class Release:
    """RLRQ or RLRE (``tag``), reason normal; in a ciphered association with a ciphered initiate."""

    tag: int
    user_information: bytes = b""

    def encode(self) -> bytes:
        """The BER form."""
        information = _tlv(0xBE, _tlv(0x04, self.user_information)) if self.user_information else b""
        return _tlv(self.tag, _tlv(0x80, b"\x00") + information)

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """The inverse of :meth:`encode`; the reason may be absent and is not looked at."""
        if not raw or raw[0] not in (RLRQ, RLRE):
            raise ProtocolViolation(f"expected a release, found {raw[:1].hex() or 'nothing'}")
        fields = _fields(raw, raw[0], "RLRQ" if raw[0] == RLRQ else "RLRE")
        return cls(raw[0], _inner(fields, 0xBE, 0x04) or b"")


# --- BER -----------------------------------------------------------------------------------------------


def _tlv(tag: int, content: bytes) -> bytes:
    return bytes((tag,)) + encode_length(len(content)) + content


def _authentication(requirement: int, name: int, value: int, mechanism: int, secret: bytes) -> list[bytes]:
    return [
        _tlv(requirement, b"\x07\x80"),
        _tlv(name, _OID + bytes((2, mechanism))),
        _tlv(value, _tlv(0x80, secret)),
    ]


def _fields(raw: bytes, tag: int, what: str) -> dict[int, bytes]:
    reader = Reader(raw, what)
    reader.one_of(tag)
    content = reader.counted()
    reader.end()
    fields: dict[int, bytes] = {}
    for field_tag, value in _each(Reader(content, what)):
        if field_tag in fields or len(fields) == _MOST_FIELDS:
            raise ProtocolViolation(f"{what}: field 0x{field_tag:02x} comes twice, or too many fields")
        fields[field_tag] = value
    return fields


def _each(reader: Reader) -> Iterator[tuple[int, bytes]]:
    while reader.left:
        yield reader.number(1), reader.counted()


def _inner(fields: dict[int, bytes], outer: int, tag: int) -> bytes | None:
    """The content of the single element inside a field; ``None`` where the field is absent."""
    if outer not in fields:
        return None
    reader = Reader(fields[outer], f"field 0x{outer:02x}")
    reader.one_of(tag)
    content = reader.counted()
    reader.end()
    return content


def _oid(raw: bytes | None, arc: int) -> int:
    """The last number of one of DLMS's own object identifiers."""
    if raw is None or len(raw) != 7 or raw[:5] != _OID or raw[5] != arc:
        raise ProtocolViolation(f"not an object identifier of DLMS: {raw.hex() if raw else 'absent'}")
    return raw[6]


def _small(raw: bytes | None, what: str) -> int:
    if raw is None or len(raw) != 1:
        raise ProtocolViolation(f"{what}: expected one byte, found {raw.hex() if raw else 'nothing'}")
    return raw[0]
