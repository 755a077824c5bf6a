"""Checks that are missing: of signatures, roles, counters, XML and TLS. Those of devices: :mod:`.ports`.

Each of them would let one kind of misuse through; the security packs are there to find it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from device_drivers.simulated.faults import ports
from device_drivers.simulated.faults.making import Intercept, at, unchecked
from harness.domain.faults import Fault, Place, Point, Seen

if TYPE_CHECKING:  # whoever lists the faults needs no XML
    import ssl

    from lxml import etree

_DS: Final = "http://www.w3.org/2000/09/xmldsig#"
_SIGNATURES: Final = ("Security: signatures of requests",)
_REPLAY: Final = ("Security: replay",)
_PARTIES: Final = ("Security: roles and parties",)
_XML: Final = ("Security: XML",)
_TLS: Final = ("Security: TLS",)
_RECEIVED: Final = ("Security: responses and alerts",)

_SHA1: Final = "http://www.w3.org/2000/09/xmldsig#sha1"
_SYSTEM: Final = re.compile(rb"SYSTEM\s+\"([^\"]+)\"")

_gateway = at(Place.GATEWAY)


# What a gateway lets through whose check of signatures is weak in one way


def _signature(weak: Callable[[etree._Element, str], bool]) -> Intercept:
    """Admit what the check refuses where ``weak`` says so of the request and of why it is refused."""

    def check(seen: Seen) -> Any:
        if seen.item != "signature" or not seen.value:
            return seen.value
        return "" if weak(seen.details["root"], seen.details["why"]) else seen.value

    return check


def _parts(root: etree._Element, name: str) -> list[etree._Element]:
    return list(root.iter(f"{{{_DS}}}{name}"))


def _uses(part: str, *algorithms: str) -> Callable[[etree._Element, str], bool]:
    def used(root: etree._Element, why: str) -> bool:  # noqa: ARG001 - the algorithm says it all
        found = [node.get("Algorithm", "") for node in _parts(root, part)]
        return any(name.endswith(algorithm) for name in found for algorithm in algorithms)

    return used


def _says(text: str) -> Callable[[etree._Element, str], bool]:
    return lambda root, why: text in why  # noqa: ARG005 - the reason says it all


def _counter(seen: Seen) -> Any:
    """Only the very last counter is remembered: one below it is as good as one above."""
    if seen.item != "counter":
        return seen.value
    request_id = next(seen.details["root"].iter("{*}RequestID")).text
    known = seen.memory.setdefault("ids", set())
    fresh = request_id not in known
    known.add(request_id)
    return "" if fresh else seen.value


def _same_message(seen: Seen) -> Any:
    """A message that was admitted once is admitted again."""
    if seen.item != "counter":
        return seen.value
    from lxml import etree

    admitted, message = seen.memory.setdefault("admitted", set()), etree.tostring(seen.details["root"])
    if not seen.value:
        admitted.add(message)
    return "" if message in admitted else seen.value


def _anybodys_devices(seen: Seen) -> Any:
    if seen.item != "authorised" or not seen.value:
        return seen.value
    from device_drivers.dcc.pki import OTHER_PARTIES

    request_id = str(next(seen.details["root"].iter("{*}RequestID")).text)
    return "" if request_id.startswith(tuple(OTHER_PARTIES.values())) else seen.value


# What a gateway makes of XML whose parser is too obliging


def _posted(how: Callable[[bytes], bytes]) -> Intercept:
    return lambda seen: how(seen.value) if seen.item == "xml" else seen.value


def _unfolded(xml: bytes) -> bytes:
    """With its entities unfolded and its document type forgotten; what cannot be is left as it is."""
    if b"<!DOCTYPE" not in xml:
        return xml
    from lxml import etree

    parser = etree.XMLParser(resolve_entities=True, load_dtd=True, no_network=False)
    try:
        root = etree.fromstring(xml, parser)
    except etree.XMLSyntaxError:
        return xml
    return etree.tostring(root, xml_declaration=False, encoding="UTF-8")


def _fetched(xml: bytes) -> bytes:
    """What it points at is fetched, and then it is refused all the same."""
    import urllib.request

    for uri in _SYSTEM.findall(xml):
        urllib.request.urlopen(uri.decode(), timeout=5).close()  # noqa: S310 - that is the fault
    return xml


def _without_instructions(xml: bytes) -> bytes:
    declaration = b"<?xml"
    return re.sub(rb"<\?(?!xml)[^>]*\?>", b"", xml) if xml.startswith(declaration) else xml


def _as_utf_8(xml: bytes) -> bytes:
    if not xml.startswith((b"\xff\xfe", b"\xfe\xff")):
        return xml
    return xml.decode("utf-16").replace("UTF-16", "UTF-8", 1).encode()


# TLS at the gateway


def _tls(weaken: Callable[[ssl.SSLContext], None]) -> Intercept:
    def weakened(seen: Seen) -> Any:
        if seen.item == "tls":
            weaken(seen.value)
        return seen.value

    return weakened


def _no_certificate_asked(context: ssl.SSLContext) -> None:
    import ssl

    context.verify_mode = ssl.CERT_NONE


def _weak_suites(context: ssl.SSLContext) -> None:
    context.set_ciphers("ALL:@SECLEVEL=0")


# Messages on their way to the user


def _unsigned(kind: str) -> Intercept:
    """Without the signature of the DCC."""

    def strip(seen: Seen) -> Any:
        return tuple(map(_bare, seen.value)) if seen.item == kind else seen.value

    return strip


def _bare(xml: bytes) -> bytes:
    from lxml import etree

    root = etree.fromstring(xml)
    if root[-1].tag == f"{{{_DS}}}Signature":
        root.remove(root[-1])
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")


_AT_GATEWAY: Final[tuple[Fault, ...]] = (
    _gateway(
        "unsigned-admitted",
        Point.CHECK,
        "a request without any signature is admitted",
        _signature(_says("is not signed")),
        groups=_SIGNATURES,
    ),
    _gateway(
        "signature-value-unverified",
        Point.CHECK,
        "a signature of the right form is taken for a right one, whatever it signs",
        _signature(_says("does not fit the message")),
        groups=_SIGNATURES,
    ),
    _gateway(
        "wrapped-admitted",
        Point.CHECK,
        "a signature around a signed original is taken for one of the request",
        _signature(lambda root, _: bool(_parts(root, "Object"))),
        groups=_SIGNATURES,
    ),
    _gateway(
        "sha1-admitted",
        Point.CHECK,
        "a digest by SHA-1 is good enough",
        _signature(_uses("DigestMethod", _SHA1)),
        groups=_SIGNATURES,
    ),
    _gateway(
        "transforms-followed",
        Point.CHECK,
        "a signature may say itself what of the request it covers",
        _signature(_uses("Transform", "REC-xpath-19991116")),
        groups=_SIGNATURES,
    ),
    _gateway(
        "canonicalisation-free",
        Point.CHECK,
        "a signature may canonicalise the request as it likes",
        _signature(_uses("Transform", "xml-exc-c14n#")),
        groups=_SIGNATURES,
    ),
    _gateway(
        "hmac-admitted",
        Point.CHECK,
        "an HMAC under the certificate, which everybody has, is taken for a signature",
        _signature(_uses("SignatureMethod", "hmac-sha256")),
        groups=_SIGNATURES,
    ),
    _gateway(
        "embedded-key-believed",
        Point.CHECK,
        "a certificate that comes inside the signature is believed",
        _signature(lambda root, _: bool(_parts(root, "X509Certificate"))),
        groups=_SIGNATURES,
    ),
    _gateway(
        "strangers-admitted",
        Point.CHECK,
        "a signature by a certificate that nobody knows is admitted",
        _signature(_says("is not known")),
        groups=_SIGNATURES,
    ),
    _gateway(
        "any-known-signer-admitted",
        Point.CHECK,
        "a signature by anybody whom the DCC knows is good for every sender",
        _signature(_says("the signature is by")),
        groups=_SIGNATURES,
    ),
    _gateway(
        "validity-unchecked",
        Point.CHECK,
        "certificates are good before and after their time",
        _signature(_says("is valid from")),
        groups=_SIGNATURES,
    ),
    _gateway(
        "revocation-unchecked",
        Point.CHECK,
        "a certificate that was revoked is as good as before",
        _signature(_says("is revoked")),
        groups=_SIGNATURES,
    ),
    _gateway(
        "older-counters-admitted",
        Point.CHECK,
        "only a counter that was used is refused, not one below it",
        _counter,
        groups=_REPLAY,
    ),
    _gateway(
        "same-message-admitted",
        Point.CHECK,
        "a message that was admitted once is admitted again",
        _same_message,
        groups=_REPLAY,
    ),
    _gateway(
        "anybodys-devices",
        Point.CHECK,
        "a supplier is served for the devices of another",
        _anybodys_devices,
        groups=_PARTIES,
    ),
    _gateway(
        "entities-unfolded",
        Point.INTAKE,
        "entities of a document type are unfolded",
        _posted(_unfolded),
        groups=_XML,
    ),
    _gateway(
        "references-fetched",
        Point.INTAKE,
        "what a document type points at is fetched",
        _posted(_fetched),
        groups=_XML,
    ),
    _gateway(
        "instructions-skipped",
        Point.INTAKE,
        "processing instructions are skipped, wherever they stand",
        _posted(_without_instructions),
        groups=_XML,
    ),
    _gateway(
        "other-encodings-taken",
        Point.INTAKE,
        "a request in UTF-16 is taken",
        _posted(_as_utf_8),
        groups=_XML,
    ),
    _gateway(
        "tls-without-certificate",
        Point.INTAKE,
        "the gateway asks nobody for a certificate",
        _tls(_no_certificate_asked),
        groups=_TLS,
    ),
    _gateway(
        "tls-weak-suites",
        Point.INTAKE,
        "the gateway speaks any cipher suite",
        _tls(_weak_suites),
        groups=_TLS,
    ),
    _gateway(
        "responses-unsigned",
        Point.DELIVERY,
        "responses go without the signature of the DCC",
        _unsigned("response"),
        groups=_RECEIVED,
    ),
    _gateway(
        "alerts-unsigned",
        Point.DELIVERY,
        "alerts go without the signature of the DCC",
        _unsigned("alert"),
        groups=_RECEIVED,
    ),
)

_s1sp = at(Place.S1SP)
_AT_S1SP: Final = tuple(
    _s1sp(name, Point.CHECK, what, unchecked(check), groups=("Security: S1SP",))
    for name, check, what in (
        ("countersignature-unchecked", "countersignature", "whatever comes is taken for the DCC's"),
        ("counter-unchecked", "counter", "a request that was carried out is carried out again"),
        ("role-unchecked", "authorisation", "the S1SP does not look at the User Role"),
        ("device-unchecked", "device", "the S1SP does not look at what a request is for"),
        ("certificate-unchecked", "certificate", "any certificate of a party will do, notified or not"),
    )
)

FAULTS: tuple[Fault, ...] = (
    *_AT_GATEWAY,
    *_AT_S1SP,
    *ports.FAULTS,
)
