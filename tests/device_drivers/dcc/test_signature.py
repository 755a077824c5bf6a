"""The signature profile: what we sign verifies, and nothing that was changed does."""

from __future__ import annotations

import base64
import hashlib
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path

import pytest
from lxml import etree

from device_drivers.dcc.compose import write_request, write_smets1, write_smets1_response
from device_drivers.dcc.duis import RequestId, RequestMessage, ResponseMessage
from device_drivers.dcc.pki import SimulatedPki, stranger
from device_drivers.dcc.signature import Ring, SignatureRefused, Signer
from device_drivers.dcc.tree import DS, RA, SR, as_document, body_element, parse, serialise
from harness.domain.errors import ConfigurationError
from harness.domain.payload import Payload

USER, DEVICE, DCC = "90-B3-D5-1F-30-01-00-00", "00-DB-12-34-56-78-90-A0", "90-B3-D5-1F-30-00-00-02"
HMAC = "http://www.w3.org/2000/09/xmldsig#hmac-sha1"


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> SimulatedPki:
    return SimulatedPki(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def signer(pki: SimulatedPki) -> Signer:
    pair = pki.user("IS", USER)
    return Signer(pair.key, pair.certificate)


@pytest.fixture(scope="module")
def ring(pki: SimulatedPki) -> Ring:
    return Ring({"IS": pki.user("IS", USER).certificate, "ES": pki.user("ES", DCC).certificate})


def request_xml(counter: int = 1000) -> bytes:
    message = RequestMessage(
        request_id=RequestId(USER, DEVICE, counter),
        command_variant=1,
        service_reference="6.13",
        srv="6.13",
        body_element="ReadEventOrSecurityLog",
        body=Payload(),
    )
    return write_request(message, body_element("ReadEventOrSecurityLog", {"LogToRead": "Event"}), "5.4")


def test_a_signed_request_verifies_and_names_its_signer(signer: Signer, ring: Ring) -> None:
    assert ring.verify(parse(signer.sign(request_xml()))).name == "IS"


def test_the_signature_is_the_profile_to_the_letter(signer: Signer) -> None:
    signed = signer.sign(request_xml())
    root = parse(signed)
    signature = root[-1]
    assert signature.tag == f"{{{DS}}}Signature"
    assert signature.prefix == "ds"
    value = base64.b64decode(signature.findtext(f"{{{DS}}}SignatureValue", ""))
    assert len(value) == 64  # raw r and s
    assert not any((node.text or "x").isspace() or node.tail for node in root.iter() if len(node))
    digest = signature.findtext(f".//{{{DS}}}DigestValue")
    assert digest == inclusive_digest(root)


def inclusive_digest(root: etree._Element) -> str:
    """The digest of the document without its signature, by inclusive canonicalisation."""
    bare = deepcopy(root)
    bare.remove(bare[-1])
    canonical = etree.tostring(bare, method="c14n", exclusive=False)
    return base64.b64encode(hashlib.sha256(canonical).digest()).decode()


def test_a_real_response_of_dcc_boxed_has_the_profile_and_the_digest(spec: Path) -> None:
    root = parse((spec / "samples" / "response-11.2-dccboxed.xml").read_bytes())
    assert root[-1].findtext(f".//{{{DS}}}DigestValue") == inclusive_digest(root)
    with pytest.raises(SignatureRefused, match="certificate '50669612984035780968362471400449834504'"):
        Ring({}).verify(root)  # in the profile as far as its certificate, which we do not hold


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b">Event<", b">Security<"),
        (b":1000<", b":1001<"),
        (b'schemaVersion="5.4"', b'schemaVersion="5.3"'),
        (b"<sr:LogToRead>", b"<sr:LogToRead> "),
        (b"<sr:Body>", b"<!-- c --><sr:Body>x"),
        (b' xmlns:ra="http://www.dccinterface.co.uk/ResponseAndAlert"', b""),
    ],
)
def test_no_change_to_the_message_goes_unnoticed(signer: Signer, ring: Ring, old: bytes, new: bytes) -> None:
    signed = signer.sign(request_xml())
    assert old in signed
    with pytest.raises(SignatureRefused, match="does not fit"):
        ring.verify(parse(signed.replace(old, new, 1)))


def test_an_unsigned_message_is_refused(ring: Ring) -> None:
    with pytest.raises(SignatureRefused, match="not signed"):
        ring.verify(parse(request_xml()))


def test_a_stranger_who_names_a_known_user_is_refused(ring: Ring) -> None:
    pair = stranger(USER)
    with pytest.raises(SignatureRefused, match="is not known"):
        ring.verify(parse(Signer(pair.key, pair.certificate).sign(request_xml())))


def test_a_stranger_who_names_a_known_certificate_is_refused(pki: SimulatedPki, ring: Ring) -> None:
    own, known = stranger(USER), pki.user("IS", USER)
    with pytest.raises(SignatureRefused, match="does not fit"):
        ring.verify(parse(Signer(own.key, known.certificate).sign(request_xml())))


def test_another_issuer_with_a_known_serial_number_is_refused(signer: Signer, ring: Ring) -> None:
    signed = signer.sign(request_xml())
    with pytest.raises(SignatureRefused, match="is issued by"):
        ring.verify(parse(signed.replace(b"CN=L1,OU=07", b"CN=L2,OU=07")))


def wrapped(signed: bytes, evil: bytes) -> etree._Element:
    """A forged request that carries the signed one inside, and its signature as its own."""
    forged, genuine = parse(evil), parse(signed)
    signature = deepcopy(genuine[-1])
    forged[1].append(genuine)
    forged.append(signature)
    return parse(serialise(forged))


def test_signature_wrapping_is_refused(signer: Signer, ring: Ring) -> None:
    with pytest.raises(SignatureRefused, match="does not fit"):
        ring.verify(wrapped(signer.sign(request_xml()), request_xml(counter=2000)))


def double(signature: etree._Element, name: str) -> None:
    node = signature.find(f".//{{{DS}}}{name}")
    node.addnext(deepcopy(node))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda s: s.find(f".//{{{DS}}}Reference").set("URI", "#part"), "Reference is outside"),
        (lambda s: s.find(f".//{{{DS}}}Reference").set("Id", "x"), "Reference is outside"),
        (lambda s: double(s, "Transform"), "holds 2"),
        (lambda s: s.find(f".//{{{DS}}}Transform").set("Algorithm", "urn:xpath"), "Transform is outside"),
        (lambda s: s.find(f".//{{{DS}}}SignatureMethod").set("Algorithm", HMAC), "Method is outside"),
        (lambda s: s.append(etree.Element(f"{{{DS}}}Object")), "Signature holds 4"),
        (lambda s: double(s, "Reference"), "holds 4"),
        (lambda s: s.getparent().insert(0, deepcopy(s)), "one last element"),
        (lambda s: s.getparent().append(etree.Element(f"{{{SR}}}Body")), "one last element"),
    ],
)  # fmt: skip
def test_a_signature_outside_the_profile_is_refused(signer: Signer, ring: Ring, change, told: str) -> None:
    root = parse(signer.sign(request_xml()))
    change(root[-1])
    with pytest.raises(SignatureRefused, match=told):
        ring.verify(parse(serialise(root)))


def test_a_smets1_response_verifies_inside_whatever_the_outer_message_declares(
    pki: SimulatedPki, signer: Signer
) -> None:
    pair = pki.s1sp()
    header = {"BusinessOriginatorID": DEVICE, "BusinessTargetID": USER, "OriginatorCounter": 7}
    content = {"SMETSData": {"ClearEventLogRsp": {"@MessageSuccess": True}}}
    inner = Signer(pair.key, pair.certificate).sign(
        write_smets1_response(header, "ResponseMessage", content, "5.4")
    )
    request_id = RequestId(USER, DEVICE, 7)
    outer = write_smets1(
        inner, datetime.now(UTC), "5.4", request_id=request_id, response_id=request_id.answered()
    )
    noisy = outer.replace(b"<sr:Response ", f'<sr:Response xmlns:ns3="{DS}" xmlns:x="{RA}" '.encode(), 1)
    root = parse(signer.sign(noisy))
    assert Ring({"dcc": pki.user("IS", USER).certificate}).verify(root).name == "dcc"
    signed = ResponseMessage.read(root).signed
    assert signed is not None
    ring = Ring({"s1sp": pair.certificate})
    assert ring.verify(as_document(signed)).name == "s1sp"
    with pytest.raises(ValueError, match="document of its own"):
        ring.verify(signed)


def test_a_key_or_certificate_that_is_none_is_a_configuration_error(pki: SimulatedPki) -> None:
    pair = pki.s1sp()
    with pytest.raises(ConfigurationError, match="signing key"):
        Signer(b"no key", pair.certificate)
    with pytest.raises(ConfigurationError, match="certificate"):
        Signer(pair.key, b"no certificate")


@pytest.mark.parametrize(
    ("what", "why"), [("expired", "valid from"), ("early", "valid from"), ("revoked", "revoked")]
)
def test_a_certificate_that_is_no_good_signs_nothing(pki: SimulatedPki, what: str, why: str) -> None:
    pair = pki.misfit(what, "IS", USER)
    ring = Ring({"revoked IS" if what == "revoked" else "IS": pair.certificate}, revoked={"revoked IS"})
    with pytest.raises(SignatureRefused, match=why):
        ring.verify(parse(Signer(pair.key, pair.certificate).sign(request_xml())))
