"""Security suite 0: AES-GCM-128 over APDUs, and GMAC for HLS mechanism 5 (Green Book 9.2.7, 9.2.2.2.2).

A sealed text is: security control, invocation counter (4 bytes), ciphertext, tag (12 bytes). The
initialisation vector is the sender's system title and the counter.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import GCM

from device_drivers.dlms.lengths import encode_length
from device_drivers.dlms.reader import Reader
from harness.domain.errors import ProtocolViolation

AUTHENTICATED_ENCRYPTED: Final = 0x30
AUTHENTICATED: Final = 0x10
TAG_BYTES: Final = 12
GENERAL_GLO: Final = 0xDB
INITIATE_REQUEST, INITIATE_RESPONSE = 0x01, 0x08
GLO_TAGS: Final = {
    INITIATE_REQUEST: 0x21,
    INITIATE_RESPONSE: 0x28,
    0xC0: 0xC8,
    0xC1: 0xC9,
    0xC3: 0xCB,
    0xC4: 0xCC,
    0xC5: 0xCD,
    0xC7: 0xCF,
}
"""The service-specific tag under which each plain APDU goes ciphered."""
_PLAIN_TAGS: Final = {glo: plain for plain, glo in GLO_TAGS.items()}
SEALED_TAGS: Final = frozenset({GENERAL_GLO, *_PLAIN_TAGS})
OVERHEAD: Final = 1 + 1 + 8 + 5 + 1 + 4 + TAG_BYTES
"""The most bytes by which general-glo-ciphering makes an APDU longer."""


class DecipheringError(ProtocolViolation):
    """The text was not sealed with our keys, for us, by the expected peer; or not as the suite demands."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The two global keys of a client, 16 bytes each."""

    encryption: bytes = field(repr=False)
    authentication: bytes = field(repr=False)

    def seal(self, title: bytes, counter: int, plain: bytes) -> bytes:
        """Authenticated and encrypted, as sent by ``title`` under ``counter``."""
        head = bytes((AUTHENTICATED_ENCRYPTED,))
        sealed = AESGCM(self.encryption).encrypt(_vector(title, counter), plain, head + self.authentication)
        return head + counter.to_bytes(4, "big") + sealed[: len(plain) + TAG_BYTES]

    def unseal(self, title: bytes, sealed: bytes) -> tuple[int, bytes]:
        """The counter and the plain text of what ``title`` sealed."""
        if len(sealed) < 5 + TAG_BYTES:
            raise DecipheringError(f"a ciphered APDU has at least {5 + TAG_BYTES} bytes, found {len(sealed)}")
        if sealed[0] != AUTHENTICATED_ENCRYPTED:
            raise DecipheringError(f"security control 0x{sealed[0]:02x}: expected 0x30, suite 0 with both")
        counter = int.from_bytes(sealed[1:5], "big")
        mode = GCM(_vector(title, counter), sealed[-TAG_BYTES:], TAG_BYTES)
        decryptor = Cipher(AES(self.encryption), mode).decryptor()
        decryptor.authenticate_additional_data(sealed[:1] + self.authentication)
        try:
            return counter, decryptor.update(sealed[5:-TAG_BYTES]) + decryptor.finalize()
        except InvalidTag:
            raise DecipheringError("a ciphered APDU does not authenticate: another key or altered") from None

    def unverified(self, title: bytes, sealed: bytes) -> tuple[int, bytes]:
        """As :meth:`unseal`, by a device that does not look at the tag: a twin that is wrong on purpose."""
        counter = int.from_bytes(sealed[1:5], "big")
        if sealed[:1] == bytes((AUTHENTICATED,)):
            return counter, sealed[5:-TAG_BYTES]
        decryptor = Cipher(AES(self.encryption), GCM(_vector(title, counter))).decryptor()
        return counter, decryptor.update(sealed[5:-TAG_BYTES])

    def sign_challenge(self, title: bytes, counter: int, challenge: bytes) -> bytes:
        """The answer to a challenge of HLS mechanism 5: security control, counter, GMAC."""
        head = bytes((AUTHENTICATED,))
        authenticated = head + self.authentication + challenge
        tag = AESGCM(self.encryption).encrypt(_vector(title, counter), b"", authenticated)[:TAG_BYTES]
        return head + counter.to_bytes(4, "big") + tag

    def challenge_answered(self, title: bytes, challenge: bytes, answer: bytes) -> bool:
        """Whether ``answer`` is what the holder of these keys with ``title`` would have answered."""
        counter = int.from_bytes(answer[1:5], "big")
        return hmac.compare_digest(answer, self.sign_challenge(title, counter, challenge))


def _vector(title: bytes, counter: int) -> bytes:
    return title + counter.to_bytes(4, "big")


def wrap(plain: bytes, sealed: bytes, title: bytes, *, general: bool) -> bytes:
    """A sealed text as an APDU: general-glo-ciphering with the title, or the tag of ``plain``'s service."""
    body = encode_length(len(sealed)) + sealed
    if general:
        return bytes((GENERAL_GLO,)) + encode_length(len(title)) + title + body
    return bytes((GLO_TAGS[plain[0]],)) + body


def is_sealed(raw: bytes) -> bool:
    """Whether an APDU is a ciphered one."""
    return bool(raw) and raw[0] in SEALED_TAGS


def sealed_part(raw: bytes) -> bytes:
    """The sealed text of a ciphered APDU."""
    reader = Reader(raw, "ciphered APDU")
    if reader.one_of(*SEALED_TAGS) == GENERAL_GLO:
        reader.counted()
    return reader.counted()


def unwrap(raw: bytes, keys: Keys, title: bytes) -> tuple[int, bytes]:
    """The counter and plain APDU of a ciphered APDU from ``title``."""
    reader = Reader(raw, "ciphered APDU")
    tag = reader.one_of(*SEALED_TAGS)
    if tag == GENERAL_GLO and (found := reader.counted()) not in (title, b""):
        raise DecipheringError(f"a ciphered APDU of system title {found.hex()}: expected {title.hex()}")
    sealed = reader.counted()
    reader.end()
    counter, plain = keys.unseal(title, sealed)
    if tag != GENERAL_GLO and plain[:1] != bytes((_PLAIN_TAGS[tag],)):
        raise DecipheringError(f"under tag 0x{tag:02x} came an APDU that begins with {plain[:1].hex()}")
    return counter, plain
