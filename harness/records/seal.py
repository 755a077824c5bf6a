"""The seal of a run: a detached signature over its manifest, by the lab's key, that ``openssl`` verifies.

``manifest-sha256.txt.sig`` is the signature, ``evidence-key.pem`` the public key beside it. The key says
nothing by itself, for whoever changes a run can make another: what is to be trusted is its fingerprint, which
the lab has told by another way (``harness evidence key``), or the public key that it handed over before.

Two kinds of key: ECDSA on P-256 with SHA-256, which every OpenSSL and LibreSSL verifies with ``dgst``, and
Ed25519. The lab file names the private key by reference (``evidence: {key: file:sealing-key.pem}``). A lab
that has nothing but twins and names none makes one of its own, in its state folder.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from harness.domain.errors import ConfigurationError
from harness.domain.lab import Lab
from harness.records.redaction import read_reference

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

SIGNED: Final = "manifest-sha256.txt"
SIGNATURE: Final = f"{SIGNED}.sig"
PUBLIC_KEY: Final = "evidence-key.pem"
_OTHERS: Final = 0o077
_MAKE_ONE: Final = "make one with `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256`"


@dataclass(frozen=True, slots=True)
class PublicKey:
    """What a seal is verified with."""

    key: EllipticCurvePublicKey | Ed25519PublicKey

    @classmethod
    def read(cls, pem: bytes, where: str) -> PublicKey:
        """A public key in PEM; :class:`ConfigurationError` where it is none that seals are made with."""
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric import ec, ed25519
        from cryptography.hazmat.primitives.serialization import load_pem_public_key

        try:
            key = load_pem_public_key(pem)
        except (ValueError, UnsupportedAlgorithm):
            key = None
        p256 = isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)
        if isinstance(key, ed25519.Ed25519PublicKey) or (p256 and isinstance(key, ec.EllipticCurvePublicKey)):
            return cls(key)
        raise ConfigurationError(
            f"{where} is no public key of Ed25519 or P-256 in PEM", remedy="ask the lab for its own"
        )

    @property
    def pem(self) -> bytes:
        """In PEM, as it stands beside the signature."""
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        return self.key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the key's DER, in hex: ``openssl pkey -pubin -in KEY -outform DER | sha256sum``."""
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        der = self.key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return hashlib.sha256(der).hexdigest()

    @property
    def command(self) -> str:
        """How the manifest's signature is verified without us, in the run folder: it ends with 0."""
        from cryptography.hazmat.primitives.asymmetric import ed25519

        if isinstance(self.key, ed25519.Ed25519PublicKey):
            verify = f"openssl pkeyutl -verify -pubin -inkey {PUBLIC_KEY} -rawin"
            return f"{verify} -in {SIGNED} -sigfile {SIGNATURE}"
        return f"openssl dgst -sha256 -verify {PUBLIC_KEY} -signature {SIGNATURE} {SIGNED}"

    def verifies(self, signature: bytes, content: bytes) -> bool:
        """Whether the signature is this key's over that content."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec, ed25519

        try:
            if isinstance(self.key, ed25519.Ed25519PublicKey):
                self.key.verify(signature, content)
            else:
                self.key.verify(signature, content, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True)
class SealingKey:
    """What a lab seals its runs with."""

    key: EllipticCurvePrivateKey | Ed25519PrivateKey = field(repr=False)

    @property
    def public(self) -> PublicKey:
        """The half that may be seen."""
        return PublicKey(self.key.public_key())

    def sign(self, content: bytes) -> bytes:
        """The signature as it stands in its file: DER for ECDSA, 64 bytes for Ed25519."""
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec, ed25519

        if isinstance(self.key, ed25519.Ed25519PrivateKey):
            return self.key.sign(content)
        try:  # the same bytes for the same manifest, as with all that is made from a run's records (RFC 6979)
            return self.key.sign(content, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
        except UnsupportedAlgorithm:  # an OpenSSL before 3.2
            return self.key.sign(content, ec.ECDSA(hashes.SHA256()))


def sealing_key(lab: Lab) -> SealingKey | None:
    """The lab's key; ``None`` where the runs of a lab with real devices are not signed.

    :class:`ConfigurationError` where the lab file names one that cannot be used.
    """
    if lab.evidence_key:
        check_reference(lab)
        return _private_key(read_reference(lab.evidence_key), lab.evidence_key)
    if any(rig.simulation is None for rig in lab.rigs):
        return None
    path = lab.state / "keys" / "evidence.pem"
    if not path.exists():
        _make_key(path)
    return _private_key(path.read_bytes(), f"file:{path}")


def check_reference(lab: Lab) -> None:
    """:class:`ConfigurationError` where the key that the lab file names is none, or is not for us alone.

    Asked before a run begins, which could not be sealed in its end.
    """
    scheme, _, name = lab.evidence_key.partition(":")
    if not lab.evidence_key:
        return
    _private_key(read_reference(lab.evidence_key), lab.evidence_key)
    if scheme == "file" and Path(name).stat().st_mode & _OTHERS:
        raise ConfigurationError(
            f"the sealing key at {lab.evidence_key} can be read by others", remedy=f"chmod 600 {name}"
        )


def _private_key(pem: bytes, where: str) -> SealingKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(pem, password=None)
    except TypeError:
        raise ConfigurationError(
            f"the sealing key at {where} has a passphrase, and nobody is there to type it", remedy=_MAKE_ONE
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return SealingKey(key)
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
        return SealingKey(key)
    raise ConfigurationError(
        f"what is at {where} is no private key of Ed25519 or P-256 in PEM", remedy=_MAKE_ONE
    )


def _make_key(path: Path) -> None:
    """A key for a lab of twins; of several processes that make one at once, the first one's stands."""
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor, part = tempfile.mkstemp(dir=path.parent)  # 0600 from the start
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
        with suppress(FileExistsError):
            path.hardlink_to(part)
    finally:
        Path(part).unlink()
