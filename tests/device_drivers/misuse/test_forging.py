"""Each alteration is refused by us, and is one that a careless reader would fall for."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
import xmlsec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import load_der_x509_certificate
from lxml import etree

from device_drivers.dcc.compose import write_request
from device_drivers.dcc.duis import RequestId, RequestMessage
from device_drivers.dcc.pki import SimulatedPki
from device_drivers.dcc.signature import Ring, Signer
from device_drivers.dcc.tree import DS, body_element, parse, text
from device_drivers.misuse.forging import Draft, forged
from harness.domain.errors import ProtocolViolation, UsageError
from harness.domain.misuse import Alteration
from harness.domain.payload import Payload

USER, DEVICE = "90-B3-D5-1F-30-01-00-00", "00-DB-12-34-56-78-90-A0"
SIGNED_RIGHTLY = {Alteration.COMMENT, Alteration.DEEP}


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> SimulatedPki:
    return SimulatedPki(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def ring(pki: SimulatedPki) -> Ring:
    return Ring({"IS": pki.user("IS", USER).certificate})


def draft(pki: SimulatedPki, body: dict[str, object] | None = None, detail: str = "") -> Draft:
    message = RequestMessage(
        request_id=RequestId(USER, DEVICE, 1000),
        command_variant=1,
        service_reference="1.5",
        srv="1.5",
        body_element="UpdateMeterBalance",
        body=Payload(),
    )
    content = body_element("UpdateMeterBalance", body or {"AdjustMeterBalance": 1200})
    pair = pki.user("IS", USER)
    return Draft(write_request(message, content, "5.4"), Signer(pair.key, pair.certificate), USER, detail)


@pytest.mark.parametrize("alteration", [each for each in Alteration if each not in SIGNED_RIGHTLY])
def test_every_alteration_is_refused(pki: SimulatedPki, ring: Ring, alteration: Alteration) -> None:
    with pytest.raises(ProtocolViolation):
        ring.verify(parse(forged(alteration, draft(pki, detail="file:///nowhere"))))


def test_a_comment_changes_nothing_that_we_read(pki: SimulatedPki, ring: Ring) -> None:
    xml = forged(Alteration.COMMENT, draft(pki))
    assert b"<!--" in xml
    root = parse(xml)
    assert ring.verify(root).name == "IS"
    assert text(root, "Body", "UpdateMeterBalance", "AdjustMeterBalance") == "1200"


def test_a_deep_request_is_refused_when_it_is_read(pki: SimulatedPki) -> None:
    with pytest.raises(ProtocolViolation, match="deeper"):
        RequestMessage.read(parse(forged(Alteration.DEEP, draft(pki))))


def carelessly_verified(xml: bytes, key: xmlsec.Key) -> etree._Element:
    """As a reader verifies who does what the signature says."""
    root = etree.fromstring(xml)
    context = xmlsec.SignatureContext()
    context.key = key
    context.verify(next(root.iter(f"{{{DS}}}Signature")))
    return root


@pytest.mark.parametrize("alteration", [Alteration.SHA1_DIGEST, Alteration.EXCLUSIVE, Alteration.XPATH])
def test_a_reader_who_follows_the_signature_takes_a_downgrade(
    pki: SimulatedPki, alteration: Alteration
) -> None:
    key = xmlsec.Key.from_memory(pki.user("IS", USER).key, xmlsec.constants.KeyDataFormatPem)
    root = carelessly_verified(forged(alteration, draft(pki)), key)
    value = text(root, "Body", "UpdateMeterBalance", "AdjustMeterBalance")
    assert value == ("1201" if alteration is Alteration.XPATH else "1200")  # its body is not what was signed


def test_a_reader_who_takes_the_key_inside_takes_a_strangers(pki: SimulatedPki) -> None:
    xml = forged(Alteration.EMBEDDED_KEY, draft(pki))
    inside = next(etree.fromstring(xml).iter(f"{{{DS}}}X509Certificate")).text or ""
    public = load_der_x509_certificate(base64.b64decode(inside)).public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    carelessly_verified(xml, xmlsec.Key.from_memory(pem, xmlsec.constants.KeyDataFormatPem))


def test_a_reader_who_takes_a_mac_takes_everybodys(pki: SimulatedPki) -> None:
    known = pki.user("IS", USER).certificate
    key = xmlsec.Key.from_binary_data(xmlsec.constants.KeyDataHmac, known)
    carelessly_verified(forged(Alteration.HMAC, draft(pki)), key)


def test_a_reader_who_unfolds_entities_takes_what_was_signed(pki: SimulatedPki, ring: Ring) -> None:
    root = etree.fromstring(forged(Alteration.ENTITY, draft(pki)), etree.XMLParser(resolve_entities=True))
    assert ring.verify(parse(etree.tostring(root))).name == "IS"


def test_a_reader_who_fetches_gets_the_bait(pki: SimulatedPki, ring: Ring, tmp_path: Path) -> None:
    bait = tmp_path / "bait"
    bait.write_text("1200")
    xml = forged(Alteration.EXTERNAL_ENTITY, draft(pki, detail=bait.as_uri()))
    root = etree.fromstring(xml, etree.XMLParser(resolve_entities=True, load_dtd=True))
    assert ring.verify(parse(etree.tostring(root))).name == "IS"


def test_an_alteration_that_cannot_be_is_told(pki: SimulatedPki) -> None:
    with pytest.raises(UsageError, match="no such alteration"):
        forged("painted blue", draft(pki))
    with pytest.raises(UsageError, match="a number in it"):
        forged(Alteration.BODY_CHANGED, draft(pki, {"Name": "none"}))
