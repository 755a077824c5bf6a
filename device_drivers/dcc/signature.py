"""XML signatures by the DUIS profile: enveloped, ECDSA P-256 with SHA-256, certificate named by serial.

The message is canonicalised inclusively (its Reference names no canonicalisation), SignedInfo
exclusively; SignatureValue is the raw r‖s. The template is one string without white space, because the
DCC's own checking tool drops white space between elements before it verifies.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import xmlsec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from lxml import etree

from device_drivers.dcc.tree import DS, children, local_name, parse, serialise
from harness.domain.errors import ConfigurationError, ProtocolViolation

_EXCLUSIVE: Final = "http://www.w3.org/2001/10/xml-exc-c14n#"
_ECDSA: Final = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"
_ENVELOPED: Final = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
_SHA256: Final = "http://www.w3.org/2001/04/xmlenc#sha256"

_TEMPLATE: Final = (
    f'<ds:Signature xmlns:ds="{DS}"><ds:SignedInfo><ds:CanonicalizationMethod Algorithm="{_EXCLUSIVE}"/>'
    f'<ds:SignatureMethod Algorithm="{_ECDSA}"/><ds:Reference URI=""><ds:Transforms>'
    f'<ds:Transform Algorithm="{_ENVELOPED}"/></ds:Transforms><ds:DigestMethod Algorithm="{_SHA256}"/>'
    "<ds:DigestValue/></ds:Reference></ds:SignedInfo><ds:SignatureValue/><ds:KeyInfo><ds:X509Data>"
    "<ds:X509IssuerSerial><ds:X509IssuerName/><ds:X509SerialNumber/></ds:X509IssuerSerial></ds:X509Data>"
    "</ds:KeyInfo></ds:Signature>"
)


class SignatureRefused(ProtocolViolation):
    """A signature is missing, outside the profile, by an unknown certificate, or does not fit the content."""


def _certificate(pem: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError as error:
        raise ConfigurationError(
            f"a certificate cannot be read: {error}", remedy="give it in PEM form"
        ) from None


def _key(pem: bytes) -> Any:
    try:
        return xmlsec.Key.from_memory(pem, xmlsec.constants.KeyDataFormatPem)
    except xmlsec.Error as error:
        raise ConfigurationError(
            f"a signing key cannot be read: {error}", remedy="give it in PEM form, unencrypted"
        ) from None


class Signer:
    """Signs with one private key, and names its certificate. Key and certificate are PEM."""

    def __init__(self, key: bytes, certificate: bytes) -> None:
        parsed = _certificate(certificate)
        self.certificate = certificate
        self._issuer = parsed.issuer.rfc4514_string()
        self._serial = parsed.serial_number
        self._key = _key(key)

    def sign(self, xml: bytes) -> bytes:
        """The document with its signature as the last child of its root."""
        root = parse(xml)
        self.complete(root, template())
        return serialise(root)

    def complete(self, root: etree._Element, signature: etree._Element, key: Any = None) -> None:
        """Put an unfinished signature under the root and finish it, by another ``key`` where one is given."""
        next(signature.iter(f"{{{DS}}}X509IssuerName")).text = self._issuer
        next(signature.iter(f"{{{DS}}}X509SerialNumber")).text = str(self._serial)
        root.append(signature)
        context = xmlsec.SignatureContext()
        context.key = key or self._key
        context.sign(signature)


def template() -> etree._Element:
    """A signature by the profile with nothing in it yet."""
    return etree.fromstring(_TEMPLATE)


@dataclass(frozen=True, slots=True)
class Holder:
    """A certificate that is known, by the name under which it is trusted."""

    name: str
    issuer: str
    serial: int
    begins: datetime  # of its validity, aware UTC
    ends: datetime
    key: Any = field(repr=False)  # xmlsec.Key


class Ring:
    """The certificates that are trusted, found by serial number. Certificates are PEM, by name.

    A certificate is good while it is valid by the wall clock, and its name is not among ``revoked``.
    """

    def __init__(self, certificates: Mapping[str, bytes], *, revoked: Collection[str] = ()) -> None:
        self._revoked = frozenset(revoked)
        self._holders: dict[int, Holder] = {}
        for name, pem in certificates.items():
            parsed = _certificate(pem)
            public = parsed.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
            issuer, serial = parsed.issuer.rfc4514_string(), parsed.serial_number
            begins, ends = parsed.not_valid_before_utc, parsed.not_valid_after_utc
            self._holders[serial] = Holder(name, issuer, serial, begins, ends, _key(public))

    def verify(self, root: etree._Element) -> Holder:
        """Whose signature covers the document of which this is the root, all of it.

        Raises :class:`SignatureRefused` where there is none that does.
        """
        signature = _signature_of(root)
        holder = self._holder(signature)
        context = xmlsec.SignatureContext()
        context.key = holder.key
        try:
            context.verify(signature)
        except xmlsec.Error:
            raise SignatureRefused(f"the signature by {holder.name} does not fit the message") from None
        return holder

    def _holder(self, signature: etree._Element) -> Holder:
        serial = signature.findtext(f".//{{{DS}}}X509SerialNumber", "").strip()
        holder = self._holders.get(int(serial)) if serial.isdecimal() and len(serial) < 64 else None
        if holder is None:
            raise SignatureRefused(f"the signature names certificate {serial[:64]!r}, which is not known")
        issuer = signature.findtext(f".//{{{DS}}}X509IssuerName", "")
        if _name_parts(issuer) != _name_parts(holder.issuer):
            raise SignatureRefused(f"certificate {serial} is issued by {holder.issuer}, not {issuer[:100]!r}")
        self._expect_good(holder)
        return holder

    def _expect_good(self, holder: Holder) -> None:
        if holder.name in self._revoked:
            raise SignatureRefused(f"certificate {holder.serial} of {holder.name} is revoked")
        if not holder.begins <= datetime.now(UTC) <= holder.ends:
            raise SignatureRefused(
                f"certificate {holder.serial} of {holder.name} is valid from {holder.begins} to {holder.ends}"
            )


def is_signed(root: etree._Element) -> bool:
    """Whether the document has a signature of its own, good or bad."""
    return any(child.tag == f"{{{DS}}}Signature" for child in children(root))


def _signature_of(root: etree._Element) -> etree._Element:
    if root.getparent() is not None:
        raise ValueError("a signature is verified on a document of its own")
    below = children(root)
    if not is_signed(root):
        raise SignatureRefused("the message is not signed")
    if below[-1].tag != f"{{{DS}}}Signature" or sum(child.tag == below[-1].tag for child in below) != 1:
        raise SignatureRefused("the message's signature is not its one last element")
    _fit(below[-1], template())
    return below[-1]


def _fit(found: etree._Element, wanted: etree._Element) -> None:
    """Hold a signature against the template: the one shape that is signed is the one that is accepted."""
    if found.tag != wanted.tag:
        raise SignatureRefused(
            f"the signature has {local_name(found)} where the profile has {local_name(wanted)}"
        )
    if sorted(found.items()) != sorted(wanted.items()):
        raise SignatureRefused(f"the signature's {local_name(found)} is outside the profile: {found.items()}")
    below, expected = children(found), children(wanted)
    if len(below) != len(expected):
        raise SignatureRefused(
            f"the signature's {local_name(found)} holds {len(below)} elements, the profile {len(expected)}"
        )
    for child, pattern in zip(below, expected, strict=True):
        _fit(child, pattern)


def _name_parts(name: str) -> list[str]:
    return [part.strip().upper() for part in name.split(",")]
