"""Keys and certificates: a simulated lab's own, made once, and what a real lab's file names.

The simulated ones look like SMKI organisation certificates: P-256, the EUI-64 in x500UniqueIdentifier,
the Remote Party Role in OU. They sign messages. A second authority signs those for TLS.
"""

from __future__ import annotations

import fcntl
import ipaddress
import os
import secrets
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from harness.domain.errors import ConfigurationError

USER_SIGNING: Final = "87"
DCC_SIGNING: Final = "89"
S1SP_SIGNING: Final = "04"  # ours: what an S1SP's certificate carries was not found
ISSUING: Final = "07"
_YEARS: Final = timedelta(days=3650)


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A private key and its certificate, both PEM."""

    key: bytes = field(repr=False)
    certificate: bytes


def _name(common_name: str, unit: str, eui: str = "") -> x509.Name:
    attributes: list[x509.NameAttribute[str] | x509.NameAttribute[bytes]] = [
        x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit),
        x509.NameAttribute(NameOID.COMMON_NAME, common_name),
    ]
    if eui:
        identifier = bytes.fromhex(eui.replace("-", ""))
        attributes.append(x509.NameAttribute(NameOID.X500_UNIQUE_IDENTIFIER, identifier, _ASN1Type.BitString))
    return x509.Name(attributes)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


class Authority:
    """Issues certificates in one name."""

    def __init__(self, pair: KeyPair) -> None:
        self._certificate = x509.load_pem_x509_certificate(pair.certificate)
        key = serialization.load_pem_private_key(pair.key, None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ConfigurationError("the lab's issuing key is no elliptic curve key")
        self._key = key

    @staticmethod
    def make(common_name: str) -> KeyPair:
        """A new authority, signed by itself."""
        key, name, now = ec.generate_private_key(ec.SECP256R1()), _name(common_name, ISSUING), _now()
        public = key.public_key()
        builder = (
            x509.CertificateBuilder(name, name, public, secrets.randbits(127), now, now + _YEARS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(issuing=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        )
        certificate = builder.sign(key, hashes.SHA256())
        return KeyPair(_pem(key), certificate.public_bytes(serialization.Encoding.PEM))

    def issue(
        self, common_name: str, unit: str, eui: str = "", *, tls: bool = False, begins: datetime | None = None
    ) -> KeyPair:
        """A new key and its certificate, for ten years; one for TLS is good for both ends on the loopback."""
        key, now = ec.generate_private_key(ec.SECP256R1()), begins or _now()
        public = key.public_key()
        issuer = self._key.public_key()
        builder = (
            x509.CertificateBuilder(
                self._certificate.subject,
                _name(common_name, unit, eui),
                public,
                secrets.randbits(127),
                now,
                now + _YEARS,
            )
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(issuing=False), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer), critical=False)
        )
        if tls:
            builder = _for_tls(builder)
        certificate = builder.sign(self._key, hashes.SHA256())
        return KeyPair(_pem(key), certificate.public_bytes(serialization.Encoding.PEM))


def _now() -> datetime:
    return datetime.now(UTC) - timedelta(days=1)


def _usage(*, issuing: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not issuing,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=issuing,
        crl_sign=issuing,
        encipher_only=False,
        decipher_only=False,
    )


def _for_tls(builder: x509.CertificateBuilder) -> x509.CertificateBuilder:
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    both_ends = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    return builder.add_extension(x509.SubjectAlternativeName(names), critical=False).add_extension(
        x509.ExtendedKeyUsage(both_ends), critical=False
    )


def stranger(eui: str = "", *, tls: bool = False) -> KeyPair:
    """A key and certificate for that EUI-64 by an authority that nobody trusts."""
    return Authority(Authority.make("Stranger")).issue("Stranger", USER_SIGNING, eui, tls=tls)


SUCCESSOR: Final = "successor"
EXPIRED, EARLY, REVOKED = "expired", "early", "revoked"
MISFITS: Final[Mapping[str, timedelta]] = {
    # When their validity begins; it lasts as long as that of all others
    EXPIRED: -_YEARS - timedelta(days=30),
    EARLY: timedelta(days=30),
    REVOKED: timedelta(),
}
"""Certificates that are no good: what is wrong with them. Security tests use them, and nobody else."""
OTHER_PARTIES: Final[Mapping[str, str]] = {"IS": "00-DB-12-34-91-00-00-01", "GS": "00-DB-12-34-91-00-00-03"}
"""User Role → a supplier whom the simulated DCC knows, and who supplies no installation of the lab (ours)."""


class SimulatedPki:
    """The keys of a simulated lab, kept in a folder of its state and made where they are missing."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._locked():
            self._signing = Authority(self._kept("issuing", lambda: Authority.make("L1")))
            self._transport = Authority(self._kept("tls-issuing", lambda: Authority.make("Lab TLS")))

    @property
    def tls_authority(self) -> Path:
        """The certificate file that both ends of the lab's TLS connections trust."""
        return self._folder / "tls-issuing.pem"

    @property
    def signing_authority(self) -> bytes:
        """The certificate (PEM) of who issues all signing certificates of the lab."""
        return self._files("issuing")[0].read_bytes()

    def user(self, role: str, eui: str) -> KeyPair:
        """The signing key of the lab's user in a User Role."""
        return self._issued(f"user-{role}-{eui}", role, USER_SIGNING, eui)

    def dcc(self, eui: str) -> KeyPair:
        """The DCC's signing key."""
        return self._issued(f"dcc-{eui}", "DCC", DCC_SIGNING, eui)

    def s1sp(self) -> KeyPair:
        """The S1SP's signing key."""
        return self._issued("s1sp", "S1SP", S1SP_SIGNING)

    def migration_party(self, name: str) -> KeyPair:
        """The key of a party of migration: it signs files, and takes what is sealed for it (ours)."""
        return self._issued(f"migration-{name}".replace(" ", "-").lower(), name, S1SP_SIGNING)

    def user_files(self, role: str, eui: str) -> tuple[Path, Path]:
        """Files of certificate and signing key of that user."""
        return self._files(f"user-{role}-{eui}")

    def dcc_files(self, eui: str) -> tuple[Path, Path]:
        """Files of the DCC's certificate and signing key."""
        return self._files(f"dcc-{eui}")

    def s1sp_files(self) -> tuple[Path, Path]:
        """Files of the S1SP's certificate and signing key."""
        return self._files("s1sp")

    def tls(self, end: str) -> tuple[Path, Path]:
        """Files of certificate and key for one end: ``gateway``, ``user``."""
        with self._locked():
            self._kept(f"tls-{end}", lambda: self._transport.issue(end, "tls", tls=True))
        return self._files(f"tls-{end}")

    def successor(self, role: str, eui: str) -> KeyPair:
        """The next signing key of that user, as good as the first."""
        return self._issued(f"{SUCCESSOR}-{role}-{eui}", role, USER_SIGNING, eui)

    def misfit(self, what: str, role: str, eui: str) -> KeyPair:
        """A signing key of that user whose certificate is no good, as :data:`MISFITS` names it."""
        begins = _now() + MISFITS[what]
        with self._locked():
            return self._kept(
                f"{what}-{role}-{eui}", lambda: self._signing.issue(role, USER_SIGNING, eui, begins=begins)
            )

    def tls_misfit(self, what: str) -> tuple[Path, Path]:
        """Files of certificate and key for TLS that are no good: of :data:`MISFITS`, or ``stranger``."""
        begins = _now() + MISFITS.get(what, timedelta())
        with self._locked():
            if what == "stranger":
                self._kept("tls-stranger", lambda: stranger(tls=True))
            else:
                self._kept(f"tls-{what}", lambda: self._transport.issue(what, "tls", tls=True, begins=begins))
        return self._files(f"tls-{what}")

    def _issued(self, file: str, common_name: str, unit: str, eui: str = "") -> KeyPair:
        with self._locked():
            return self._kept(file, lambda: self._signing.issue(common_name, unit, eui))

    def _kept(self, file: str, make: Callable[[], KeyPair]) -> KeyPair:
        certificate, key = self._files(file)
        if not certificate.exists():
            pair = make()
            _write(key, pair.key)
            _write(certificate, pair.certificate)
        return KeyPair(key.read_bytes(), certificate.read_bytes())

    def _files(self, file: str) -> tuple[Path, Path]:
        return self._folder / f"{file}.pem", self._folder / f"{file}.key"

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with (self._folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _write(path: Path, content: bytes) -> None:
    """The whole file or none of it, readable by its owner alone."""
    partial = path.with_suffix(path.suffix + ".part")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    partial.replace(path)


def server_context(certificate: Path, key: Path, authority: Path | None) -> ssl.SSLContext:
    """A TLS server; with an authority it demands a client certificate issued by it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _load(context, certificate, key)
    if authority is not None:
        context.load_verify_locations(authority)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(authority: Path | None, own: tuple[Path, Path] | None) -> ssl.SSLContext:
    """A TLS client that verifies its peer, by the given authority or the system's; ``own`` for mutual TLS."""
    context = ssl.create_default_context(cafile=authority)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if own is not None:
        _load(context, *own)
    return context


def _load(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    try:
        context.load_cert_chain(certificate, key)
    except (ssl.SSLError, OSError) as error:
        raise ConfigurationError(
            f"TLS certificate {certificate} and key {key} cannot be used: {error}",
            remedy="they must be PEM and belong together",
        ) from None
