"""Service group 6: the certificates notified for a device (SRV 6.15.1, 6.23, 6.24.1).

A certificate is replaced by itself, and what shows that the request was done is the floor of sequence
numbers that it sends. A simulated lab has a second certificate of each supplier: there it takes the place of
the first.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pytest

from harness.domain.instruments import Certified, Device, EvidenceLog, Forgery, Meter, RigInHand, ServiceUser
from harness.domain.words import DeviceType, UserRole
from test_packs.arrange import Declined, Served, Unchanged, crediting
from test_packs.content import expect_content

pytestmark = pytest.mark.functional_group("6 Device management")

_PARTIES: Final = {  # who acts for which remote party
    DeviceType.ESME: {"Supplier": UserRole.IS, "NetworkOperator": UserRole.ED},
    DeviceType.GSME: {"Supplier": UserRole.GS, "NetworkOperator": UserRole.GT},
}
_SUCCESSOR: Final = Forgery(signature="successor")
_DONE: Final = {"@ResponseCode": 0, "ASN1Status": "success"}


def _hash(certificate: bytes) -> str:
    return base64.b64encode(hashlib.sha1(certificate, usedforsecurity=False).digest()).decode()


def _notified(served: Served, meter: Device, *parties: str) -> dict[str, Mapping[str, Any]]:
    """What SRV 6.24.1 tells of remote parties, by party; each has just a signing certificate."""
    payload = served("6.24.1", meter, {"RemotePartyRole": list(parties)})
    details = payload.all("RemotePartyDetails")
    return {entry.text("RemotePartyRole"): dict(entry.leaves()) for entry in details}


def _expect_notified(
    evidence: EvidenceLog, user: ServiceUser, meter: Device, told: Mapping[str, Mapping[str, Any]]
) -> None:
    """For each party told, the lab's own certificate of the role that acts for it."""
    for party, entry in told.items():
        own = user.certified(_PARTIES[meter.device_type][party])
        due = {
            "StatusCode/@ResponseCode": "0",
            "StatusCode/ASN1Status": "success",
            "CertificateUsage": "DigitalSigning",
            "ExistingRemotePartyID": own.eui,
            "ExistingCertificateHash": _hash(own.certificate),
        }
        found = {element: entry.get(element, "") for element in due}
        evidence.expect(f"certificate notified for the {party}", found=found, expected=due)


@pytest.mark.srv("6.24.1")
@pytest.mark.ttm("TTM-6.24.1-E-01", "TTM-6.24.1-E-02", "TTM-6.24.1-G-01", "TTM-6.24.1-G-02")
@pytest.mark.devices("ESME", "GSME")
def test_the_certificates_told_are_the_labs(
    served: Served, unchanged: Unchanged, user: ServiceUser, meter: Meter, evidence: EvidenceLog
) -> None:
    """SRV 6.24.1: id and certificate told of each party asked for are the lab's own; no other's is told."""
    for parties in (("Supplier", "NetworkOperator"), ("NetworkOperator",), ("Supplier",)):
        with unchanged(meter):
            told = _notified(served, meter, *parties)
        evidence.expect("parties told", found=sorted(told), expected=sorted(parties))
        _expect_notified(evidence, user, meter, told)
    evidence.expect("told of a party without", found=_notified(served, meter, "Recovery"), expected={})


def _replacement(party: str, own: Certified, floor: int) -> dict[str, Any]:
    """SRV 6.15.1: a certificate and a new floor for a party."""
    certificates = {"DigitalSigningCertificate": own.certificate}
    return {
        "RemotePartyRole": party,
        "RemotePartyFloorSeqNumber": floor,
        "ReplacementCertificates": {"SupplierOrNetworkOperatorCertificates": certificates},
        "CertificationPathCertificates": {"Certificate": [own.issuer]},
        "ApplyTimeBasedCPVChecks": True,
    }


def _outcome(party: str, mode: str, own: Certified, floor: int, counter: int) -> dict[str, Any]:
    """What both replacing requests have to answer."""
    replaced = {
        "StatusCode": _DONE,
        "CertificateType": "DigitalSigning",
        "RemotePartyRole": party,
        "ExistingRemotePartyID": own.eui,
        "NewRemotePartyID": own.eui,
        "ExistingCertificateHash": _hash(own.certificate),
        "NewCertificateHash": _hash(own.certificate),
    }
    floors = {"RemotePartyRole": party, "RemotePartyFloorSeqNumber": floor}
    return {
        "ExecutionOutcome": {
            "AuthorisingRemotePartyOriginatorCounter": counter,
            "CredentialsReplacementMode": mode,
            "RemotePartySeqNumberChange": floors,
            "ReplacementOutcome": [replaced],
        }
    }


def _past_counter(user: ServiceUser, meter: Device, role: UserRole) -> int:
    """A counter that has been used already: as a floor it stands in nobody's way."""
    return int(
        user.request("6.24.1", meter, {"RemotePartyRole": ["Recovery"]}, role=role).request_id.split(":")[2]
    )


@pytest.mark.srv("6.15.1", "6.24.1")
@pytest.mark.ttm("TTM-6.15.1-E-01", "TTM-6.15.1-E-03", "TTM-6.15.1-G-01", "TTM-6.15.1-G-03")
@pytest.mark.devices("ESME", "GSME")
def test_a_party_replaces_its_own_certificate(
    served: Served, unchanged: Unchanged, user: ServiceUser, meter: Meter, evidence: EvidenceLog
) -> None:
    """SRV 6.15.1: the party that asks is notified anew with the floor sent; the other one is as it was."""
    parties = _PARTIES[meter.device_type]
    for party, role in parties.items():
        own, floor = user.certified(role), _past_counter(user, meter, role)
        before = _notified(served, meter, *parties)
        with unchanged(meter):
            response = user.request("6.15.1", meter, _replacement(party, own, floor), role=role)
        counter = int(response.request_id.split(":")[2])
        found = (response.acknowledgement, response.code, response.problems, response.success)
        evidence.expect("the response", found=found, expected=("I99", "I0", (), True))
        due = _outcome(party, f"{party}By{party}", own, floor, counter)
        expect_content(evidence, "outcome", response.payload, due)
        told = before | {party: {**before[party], "RemotePartyFloorSeqNumber": str(floor)}}
        evidence.expect("notified", found=_notified(served, meter, *parties), expected=told)


@pytest.mark.srv("6.15.1", "6.24.1")
@pytest.mark.ttm("TTM-6.15.1-E-04", "TTM-6.15.1-G-04")
@pytest.mark.devices("ESME", "GSME")
def test_another_partys_or_an_unfounded_certificate_is_declined(
    served: Served,
    declined: Declined,
    unchanged: Unchanged,
    user: ServiceUser,
    meter: Meter,
    evidence: EvidenceLog,
) -> None:
    """SRV 6.15.1: no supplier replaces a network operator's, nor one that the path did not issue."""
    parties = _PARTIES[meter.device_type]
    before = _notified(served, meter, *parties)
    supplier = user.certified(parties["Supplier"])
    unfounded = Certified(supplier.eui, supplier.certificate, issuer=supplier.certificate)
    for body in (_replacement("NetworkOperator", supplier, 1), _replacement("Supplier", unfounded, 1)):
        with unchanged(meter):
            declined("6.15.1", meter, body)
    evidence.expect("notified", found=_notified(served, meter, *parties), expected=before)


@pytest.mark.srv("6.23", "6.24.1")
@pytest.mark.ttm("TTM-6.23-E-01", "TTM-6.23-E-03", "TTM-6.23-G-01", "TTM-6.23-G-03")
@pytest.mark.devices("ESME", "GSME")
def test_a_supplier_is_notified_at_a_change_of_supplier(
    served: Served,
    declined: Declined,
    unchanged: Unchanged,
    user: ServiceUser,
    rig: RigInHand,
    meter: Meter,
    evidence: EvidenceLog,
) -> None:
    """SRV 6.23: with the meter's supply number, and no other, the supplier and floor sent are notified."""
    parties = _PARTIES[meter.device_type]
    role = parties["Supplier"]
    own, floor = user.certified(role), _past_counter(user, meter, role)
    before = _notified(served, meter, *parties)
    body = {
        "SupplierFloorSeqNumber": floor,
        "SupplierReplacementCertificates": {"DigitalSigningCertificate": own.certificate},
        "CertificationPathCertificates": {"Certificate": [own.issuer]},
        "ApplyTimeBasedCPVChecks": True,
    }
    with unchanged(meter):
        declined("6.23", meter, body | {"ImportMPxN": "9900000776"})
    evidence.expect("notified, another number", found=_notified(served, meter, *parties), expected=before)
    number = rig.rig.mpan if meter.device_type is DeviceType.ESME else rig.rig.mprn
    with unchanged(meter):
        outcome = served("6.23", meter, body | {"ImportMPxN": number})
    counter = outcome.integer("ExecutionOutcome/AuthorisingRemotePartyOriginatorCounter")
    evidence.expect_between("the counter told, a new one", found=counter, low=floor + 1, high=2**64 - 1)
    due = _outcome("Supplier", "SupplierByTransCoS", own, floor, counter)
    expect_content(evidence, "outcome", outcome, due)
    told = before | {"Supplier": {**before["Supplier"], "RemotePartyFloorSeqNumber": str(floor)}}
    evidence.expect("notified", found=_notified(served, meter, *parties), expected=told)


def _change(what: str, own: Certified, floor: int, number: str) -> dict[str, Any]:
    """SRV 6.15.1 or 6.23: another certificate for the supplier of a meter."""
    if what == "6.15.1":
        return _replacement("Supplier", own, floor)
    return {
        "SupplierFloorSeqNumber": floor,
        "SupplierReplacementCertificates": {"DigitalSigningCertificate": own.certificate},
        "CertificationPathCertificates": {"Certificate": [own.issuer]},
        "ApplyTimeBasedCPVChecks": True,
        "ImportMPxN": number,
    }


def _expect_commanded_by(
    evidence: EvidenceLog, user: ServiceUser, unchanged: Unchanged, meter: Meter, served: Forgery
) -> None:
    """A command under one of two certificates moves the balance, under the other one it does nothing."""
    body, before = {"CreditMode": {"AdjustMeterBalance": 1_234}}, meter.read("meter_balance")
    for forgery in (Forgery(), _SUCCESSOR):
        due = forgery == served
        with unchanged(meter, but={"meter_balance"} if due else ()):
            response = user.request("1.5", meter, body, forgery=forgery)
        name = forgery.signature or "first"
        evidence.expect(f"success under the {name} certificate", found=response.success, expected=due)
        evidence.expect(f"problems under the {name} certificate", found=response.problems, expected=())
    evidence.expect("balance", found=meter.read("meter_balance"), expected=before + 1_234)


@pytest.fixture
def first_certificate_put_back(user: ServiceUser, rig: RigInHand, meter: Meter) -> Iterator[None]:
    """Leaves the lab's first certificate notified: a change of supplier does not ask for the one before."""
    yield
    if user.request("4.18", meter).success:
        return
    role = _PARTIES[meter.device_type]["Supplier"]
    number = rig.rig.mpan if meter.device_type is DeviceType.ESME else rig.rig.mprn
    user.request("6.23", meter, _change("6.23", user.certified(role), 1, number), role=role)


@pytest.mark.srv("6.15.1", "6.23", "1.5")
@pytest.mark.ttm("TTM-6.15.1-E-02", "TTM-6.15.1-G-02", "TTM-6.23-E-02", "TTM-6.23-G-02")
@pytest.mark.devices("ESME", "GSME")
@pytest.mark.usefixtures("first_certificate_put_back")
def test_a_meter_is_commanded_under_the_certificate_notified_and_no_other(
    user: ServiceUser, unchanged: Unchanged, rig: RigInHand, meter: Meter, evidence: EvidenceLog
) -> None:
    """SRV 6.15.1, 6.23: the certificate sent commands the meter and the former one does not, both ways."""
    crediting(meter)
    role = _PARTIES[meter.device_type]["Supplier"]
    first, second = user.certified(role), user.certified(role, successor=True)
    number = rig.rig.mpan if meter.device_type is DeviceType.ESME else rig.rig.mprn
    for srv in ("6.15.1", "6.23"):
        for to, sent_by, then in ((second, Forgery(), _SUCCESSOR), (first, _SUCCESSOR, Forgery())):
            floor = _past_counter(user, meter, UserRole.ED if role is UserRole.IS else UserRole.GT)
            # At a change of supplier the gaining one asks, whose certificate is not notified yet
            forgery = then if srv == "6.23" else sent_by
            with unchanged(meter):
                response = user.request(
                    srv, meter, _change(srv, to, floor, number), role=role, forgery=forgery
                )
            found = (response.code, response.problems, response.debug, response.success)
            evidence.expect(f"the response to {srv}", found=found, expected=("I0", (), (), True))
            _expect_commanded_by(evidence, user, unchanged, meter, then)
