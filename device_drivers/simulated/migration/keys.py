"""Keys of migration: whose they are, how they are halved, and how a file carries them to S1SP and DCO alone.

Ours throughout. A device has a master key, and a pair of keys for its head end: one enciphers, the other
authenticates. The SMSO's pair and the master key are given away in two halves: the S1SP gets one, the DCO
the other, and neither is of use alone. Of the new pair the S1SP makes the first and the DCO the second.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from device_drivers.dlms.security import Credentials
from device_drivers.simulated.keys import S1SP, KeyRing, client_title
from harness.domain.errors import ConfigurationError, ProtocolViolation
from harness.domain.migration import KeyHolder

HEAD_END: Final = S1SP
"""The client of a device that its head end is: first the SMSO, after migration S1SP and DCO."""
_POINT_BYTES: Final = 65  # of P-256, uncompressed
_NONCE: Final = bytes(12)  # each key that a message is sealed with is used once
_ABOUT: Final = b"migration key material"


@dataclass(frozen=True, slots=True)
class HeadEndKeys:
    """The pair that opens a device's head-end association."""

    encryption: bytes = field(repr=False)
    authentication: bytes = field(repr=False)

    def credentials(self) -> Credentials:
        """What a client proves itself with."""
        return Credentials(
            "hls-gmac",
            HEAD_END,
            system_title=client_title(HEAD_END),
            encryption_key=self.encryption,
            authentication_key=self.authentication,
        )


@dataclass(frozen=True, slots=True)
class Half:
    """One party's part of a device's key material: useless without the other's."""

    key: bytes = field(repr=False)  # of the SMSO's pair
    share: bytes = field(repr=False)  # of the master key; empty where the SMSO does not know it


def smso_keys(ring: KeyRing, device_id: str) -> HeadEndKeys:
    """The SMSO's pair."""
    return HeadEndKeys(
        ring.derived(device_id, "smso/encryption"), ring.derived(device_id, "smso/authentication")
    )


def enrolled_keys(ring: KeyRing, device_id: str) -> HeadEndKeys:
    """The pair after migration: the S1SP's key to encipher, the DCO's to authenticate."""
    found = ring.credentials(device_id, HEAD_END)
    return HeadEndKeys(found.encryption_key, found.authentication_key)


def master_key(ring: KeyRing, device_id: str) -> bytes:
    """The device's master key, which its other keys are transferred under."""
    return ring.derived(device_id, "master")


def keys_of(ring: KeyRing, device_id: str, holder: KeyHolder) -> HeadEndKeys:
    """What a holder would try. Who is alone knows one key of the pair, and tries it for both."""
    enrolled = enrolled_keys(ring, device_id)
    match holder:
        case KeyHolder.SMSO:
            return smso_keys(ring, device_id)
        case KeyHolder.S1SP_AND_DCO:
            return enrolled
        case KeyHolder.S1SP_ALONE:
            return HeadEndKeys(enrolled.encryption, enrolled.encryption)
        case KeyHolder.DCO_ALONE:
            return HeadEndKeys(enrolled.authentication, enrolled.authentication)


def halves(ring: KeyRing, device_id: str, *, master: bool = True) -> tuple[Half, Half]:
    """The S1SP's and the DCO's part of a device's key material."""
    pair, whole = smso_keys(ring, device_id), master_key(ring, device_id)
    mask = os.urandom(len(whole))
    other = bytes(a ^ b for a, b in zip(whole, mask, strict=True))
    return (
        Half(pair.encryption, mask if master else b""),
        Half(pair.authentication, other if master else b""),
    )


def joined(s1sp: Half, dco: Half) -> tuple[HeadEndKeys, bytes]:
    """The SMSO's pair and the master key, once both parties have put their parts together."""
    master = bytes(a ^ b for a, b in zip(s1sp.share, dco.share, strict=True))
    return HeadEndKeys(s1sp.key, dco.key), master


def sealed(parts: Mapping[str, Half], certificate: ec.EllipticCurvePublicKey) -> bytes:
    """Parts by device id, for the holder of one private key alone (ECDH on P-256, HKDF, AES-GCM)."""
    plain = json.dumps({device: [half.key.hex(), half.share.hex()] for device, half in parts.items()})
    once = ec.generate_private_key(ec.SECP256R1())
    point = once.public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )
    cipher = AESGCM(_shared(once, certificate, point))
    return point + cipher.encrypt(_NONCE, plain.encode(), point)


def unsealed(content: bytes, key: ec.EllipticCurvePrivateKey) -> dict[str, Half]:
    """What :func:`sealed` has sealed; :class:`ProtocolViolation` where it was not for this key."""
    point, rest = content[:_POINT_BYTES], content[_POINT_BYTES:]
    try:
        peer = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
        plain = AESGCM(_shared(key, peer, point)).decrypt(_NONCE, rest, point)
        parts = json.loads(plain)
        return {str(device): Half(*map(bytes.fromhex, half)) for device, half in parts.items()}
    except (InvalidTag, ValueError, TypeError, AttributeError):
        raise ProtocolViolation("the key material is not sealed for this party, or was changed") from None


def _shared(own: ec.EllipticCurvePrivateKey, peer: ec.EllipticCurvePublicKey, about: bytes) -> bytes:
    secret = own.exchange(ec.ECDH(), peer)
    return HKDF(hashes.SHA256(), 16, salt=about, info=_ABOUT).derive(secret)


def private_key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    """A party's private key from its PEM."""
    key = serialization.load_pem_private_key(pem, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ConfigurationError("a party's key is no elliptic curve key")
    return key


def seal_of(content: bytes, password: str) -> str:
    """The seal by which a password closes a file: whoever lacks the password can make none that fits."""
    key = hashlib.pbkdf2_hmac("sha256", password.encode(), _ABOUT, 1_000)
    return hmac.digest(key, content, "sha256").hex()


def disclosed(content: bytes, secrets: Mapping[str, bytes]) -> tuple[str, ...]:
    """The names of secrets that stand in there: as they are, in hexadecimal digits, or in base64."""
    low = content.lower()
    return tuple(
        name
        for name, secret in secrets.items()
        if secret in content
        or secret.hex().encode() in low
        or base64.b64encode(secret).rstrip(b"=") in content
    )
