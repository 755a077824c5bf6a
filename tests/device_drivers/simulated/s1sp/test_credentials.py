"""Security credentials (SRV 6.15.1, 6.23, 6.24.1) on the S1SP's own store."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA1

from device_drivers.dcc.identities import simulated_pki
from device_drivers.dcc.pki import stranger
from harness.domain.words import DeviceType, UserRole

ESME, GSME = DeviceType.ESME, DeviceType.GSME


def der(pem: bytes) -> bytes:
    return base64.b64decode(b"".join(line for line in pem.splitlines() if not line.startswith(b"--")))


def sha1(certificate: bytes) -> str:
    fingerprint = x509.load_der_x509_certificate(certificate).fingerprint(SHA1())
    return base64.b64encode(fingerprint).decode()


@pytest.fixture
def authority(bed: Any) -> bytes:
    pki = simulated_pki(bed.lab)
    return der((pki.tls_authority.parent / "issuing.pem").read_bytes())


@pytest.fixture
def replacement(bed: Any) -> bytes:
    """A certificate of the lab's authority that no device has been told of."""
    return der(simulated_pki(bed.lab).user("OU", bed.user(UserRole.OU)).certificate)


def by_holder(role: str, certificate: bytes, authority: bytes) -> dict[str, Any]:
    return {
        "RemotePartyRole": role,
        "RemotePartyFloorSeqNumber": 77,
        "ReplacementCertificates": {
            "SupplierOrNetworkOperatorCertificates": {"DigitalSigningCertificate": certificate}
        },
        "CertificationPathCertificates": {"Certificate": [authority]},
        "ApplyTimeBasedCPVChecks": True,
    }


def at_change(mpxn: str, certificate: bytes, authority: bytes) -> dict[str, Any]:
    return {
        "SupplierFloorSeqNumber": 99,
        "SupplierReplacementCertificates": {"DigitalSigningCertificate": certificate},
        "CertificationPathCertificates": {"Certificate": [authority]},
        "ApplyTimeBasedCPVChecks": True,
        "ImportMPxN": mpxn,
    }


@pytest.mark.parametrize(("device", "role"), [(ESME, UserRole.IS), (GSME, UserRole.GS)])
def test_an_enrolled_meter_has_its_suppliers_certificate(
    bed: Any, device: DeviceType, role: UserRole
) -> None:
    eui = bed.user(role)
    read = bed.done("6.24.1", device, {"RemotePartyRole": ["Supplier", "Recovery"]})
    (details,) = read.all("RemotePartyDetails")
    assert details.text("ExistingRemotePartyID") == eui
    assert details.text("ExistingCertificateHash") == sha1(
        der(simulated_pki(bed.lab).user(role, eui).certificate)
    )


def test_a_supplier_replaces_its_own_certificate(bed: Any, replacement: bytes, authority: bytes) -> None:
    network_operator = bed.user(UserRole.ED)
    outcome = bed.done("6.15.1", ESME, by_holder("Supplier", replacement, authority), counter=5_000)
    assert outcome.text("ExecutionOutcome/CredentialsReplacementMode") == "SupplierBySupplier"
    assert outcome.integer("ExecutionOutcome/AuthorisingRemotePartyOriginatorCounter") == 5_000
    read = bed.done("6.24.1", ESME, {"RemotePartyRole": ["Supplier"]}, originator=network_operator)
    assert read.text("RemotePartyDetails/ExistingCertificateHash") == sha1(replacement)
    assert read.integer("RemotePartyDetails/RemotePartyFloorSeqNumber") == 77


def test_nobody_replaces_the_certificate_of_another_role(
    bed: Any, replacement: bytes, authority: bytes
) -> None:
    before = bed.done("6.24.1", ESME, {"RemotePartyRole": ["NetworkOperator"]})
    body = by_holder("NetworkOperator", replacement, authority)
    assert "may not replace" in bed.refused("6.15.1", ESME, body)
    assert bed.done("6.24.1", ESME, {"RemotePartyRole": ["NetworkOperator"]}) == before


def test_a_change_of_supplier_needs_the_meters_mpan(bed: Any, replacement: bytes, authority: bytes) -> None:
    mpan = bed.twin(ESME).get("import_mpxn")
    assert "holds another" in bed.refused("6.23", ESME, at_change("1", replacement, authority))
    outcome = bed.done("6.23", ESME, at_change(mpan, replacement, authority))
    assert outcome.text("ExecutionOutcome/ReplacementOutcome/NewCertificateHash") == sha1(replacement)


def test_a_certificate_outside_the_path_is_refused(bed: Any, authority: bytes) -> None:
    outsider = der(stranger("00-DB-12-34-56-78-90-FF").certificate)
    assert "certification path" in bed.refused("6.15.1", ESME, by_holder("Supplier", outsider, authority))


def test_bytes_that_are_no_certificate_are_refused(bed: Any, authority: bytes) -> None:
    assert "cannot be read" in bed.refused("6.15.1", ESME, by_holder("Supplier", b"nothing", authority))


def test_a_supplier_that_has_lost_the_meter_is_not_served_until_it_has_it_back(
    bed: Any, replacement: bytes, authority: bytes
) -> None:
    mpan = bed.twin(ESME).get("import_mpxn")
    own = der(simulated_pki(bed.lab).user("IS", bed.user(UserRole.IS)).certificate)
    bed.done("7.2", ESME)
    bed.done("6.23", ESME, at_change(mpan, replacement, authority))
    assert "not by the certificate notified" in bed.refused("7.1", ESME)
    bed.done("6.23", ESME, at_change(mpan, own, authority))
    bed.done("7.1", ESME)


def test_the_supplier_of_the_other_fuel_is_not_served(bed: Any) -> None:
    assert "notified for the Supplier" in bed.refused("7.2", ESME, originator=bed.user(UserRole.GS))


def test_a_request_without_signature_is_not_served(bed: Any) -> None:
    request = bed.request("7.2", ESME)
    signed = re.search(rb"<sr:Request.*</sr:Request>", request.xml, re.DOTALL)[0]
    unsigned = signed.partition(b"<ds:Signature")[0] + b"</sr:Request>"
    answer = bed.s1sp.perform(replace(request, xml=bed.writer.countersigned(unsigned)))
    assert "not by the certificate notified" in answer.debug[0][1]


def test_a_device_that_is_installed_afresh_has_its_first_certificates_again(bed: Any) -> None:
    esme = bed.twin(ESME).device_id
    record = bed.s1sp.record(esme)
    first = dict(record.certificates)
    record.certificates.clear()
    record.floors["Supplier"] = 7
    bed.s1sp.installed([esme.lower()])
    assert (bed.s1sp.record(esme).certificates, record.floors) == (first, {})
