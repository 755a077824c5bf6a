"""Security credentials (SRV 6.15.1, 6.23, 6.24.1): the certificates notified for a device.

A SMETS1 meter holds no certificates; the S1SP keeps, for each device, which certificate of its Supplier and
Network Operator was notified, and serves these roles under that certificate only (inferred from the names
that the SMETS1 Supporting Requirements define). SRV 6.23 comes through the DCC's change of supplier
process, so the losing Supplier's certificate does not stand in its way.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.x509.oid import NameOID

from device_drivers.dcc.identities import simulated_pki
from device_drivers.dcc.tree import find, parse
from device_drivers.simulated.s1sp.answer import CountersignedRequest
from device_drivers.simulated.s1sp.record import DeviceRecord, Notified
from device_drivers.simulated.s1sp.refusal import NOT_AUTHORISED, OUT_OF_RANGE, Refused
from device_drivers.simulated.s1sp.steps import Job, Step
from harness.domain.instruments import Body
from harness.domain.lab import Lab
from harness.domain.payload import Payload
from harness.domain.words import DeviceType, UserRole

SUPPLIER: Final = "Supplier"
NETWORK_OPERATOR: Final = "NetworkOperator"
ROLES: Final[Mapping[str, frozenset[UserRole]]] = {
    SUPPLIER: frozenset({UserRole.IS, UserRole.GS}),
    NETWORK_OPERATOR: frozenset({UserRole.ED, UserRole.GT}),
}
"""Remote party role → the User Roles that it acts in."""
AT_CHANGE_OF_SUPPLIER: Final = "6.23"
_USAGES: Final = ("DigitalSigning", "KeyAgreement", "KeyAgreementTopUp")
_SUCCESS: Final = {"@ResponseCode": 0, "ASN1Status": "success"}


def first_notified(lab: Lab, device_type: DeviceType) -> dict[tuple[str, str], Notified]:
    """What is notified when a device is enrolled: signing certificates of the lab's own users."""
    holders = {
        DeviceType.ESME: {SUPPLIER: UserRole.IS, NETWORK_OPERATOR: UserRole.ED},
        DeviceType.GSME: {SUPPLIER: UserRole.GS, NETWORK_OPERATOR: UserRole.GT},
    }.get(device_type, {})
    pki = simulated_pki(lab)
    return {
        (role, "DigitalSigning"): _notified(
            x509.load_pem_x509_certificate(pki.user(user.role, user.eui).certificate)
        )
        for role, holder in holders.items()
        for user in lab.dcc.users
        if user.role is holder
    }


def _notified(certificate: x509.Certificate) -> Notified:
    """How the store names a certificate; :class:`Refused` where its subject has no EUI-64."""
    names = certificate.subject.get_attributes_for_oid(NameOID.X500_UNIQUE_IDENTIFIER)
    raw = names[0].value if names else b""
    if not isinstance(raw, bytes) or len(raw) != 8:
        raise Refused(OUT_OF_RANGE, "the subject of a replacement certificate has no EUI-64")
    return Notified(raw.hex("-").upper(), certificate.serial_number, certificate.fingerprint(SHA1()))  # noqa: S303 - the schema's choice


def refusal(request: CountersignedRequest, roles: frozenset[UserRole], record: DeviceRecord) -> str:
    """Why the request's signature is not by the certificate notified for its sender's role, or nothing."""
    role = next((role for role, acts_in in ROLES.items() if roles & acts_in), "")
    held = record.certificates.get((role, "DigitalSigning"))
    if held is None or request.srv == AT_CHANGE_OF_SUPPLIER:
        return ""
    signature = find(parse(request.xml), "Request", "Signature")
    named = (
        None
        if signature is None
        else find(signature, "KeyInfo", "X509Data", "X509IssuerSerial", "X509SerialNumber")
    )
    if named is not None and (named.text or "").strip() == str(held.serial):
        return ""
    return f"the signature is not by the certificate notified for the {role}, {held.party_id}"


def replace_by_holder(job: Job) -> Body:
    """SRV 6.15.1: a Supplier or Network Operator replaces certificates of its own role."""
    role = job.body.text("RemotePartyRole")
    if not job.roles & ROLES.get(role, frozenset()):
        raise Refused(NOT_AUTHORISED, f"the sender may not replace the certificates of the {role}")
    new = _replacements(job, "ReplacementCertificates/SupplierOrNetworkOperatorCertificates")
    return _replace(job, role, f"{role}By{role}", new, job.body.find("RemotePartyFloorSeqNumber"))


def replace_at_change_of_supplier(job: Job) -> Body:
    """SRV 6.23: the certificates of a new Supplier, where MPAN or MPRN is the meter's."""
    held = job.device.read("import_mpxn")
    if job.body.text("ImportMPxN") != held:
        raise Refused(OUT_OF_RANGE, f"ImportMPxN is {job.body.text('ImportMPxN')}; the meter holds another")
    new = _replacements(job, "SupplierReplacementCertificates")
    return _replace(job, SUPPLIER, "SupplierByTransCoS", new, job.body.text("SupplierFloorSeqNumber"))


def read(job: Job) -> Body:
    """SRV 6.24.1: what is notified for the roles asked for; nothing is told of a role without."""
    record = job.record
    wanted = [role.text() for role in job.body.all("RemotePartyRole")]
    return {
        "RemotePartyDetails": [
            {
                "RemotePartyRole": role,
                "StatusCode": _SUCCESS,
                "RemotePartyFloorSeqNumber": record.floors.get(role, 0),
                "CertificateUsage": usage,
                "ExistingRemotePartyID": certificate.party_id,
                "ExistingCertificateHash": certificate.sha1,
            }
            for (role, usage), certificate in sorted(record.certificates.items())
            if role in wanted
        ]
    }


def _replacements(job: Job, path: str) -> dict[str, Notified]:
    """The new certificates by usage, each issued by one of the request's path."""
    authorities = [_certificate(item) for item in job.body.all("CertificationPathCertificates/Certificate")]
    by_time = job.body.flag("ApplyTimeBasedCPVChecks")
    found = {}
    for usage in _USAGES:
        for item in job.body.all(f"{path}/{usage}Certificate"):
            certificate = _certificate(item)
            _check_path(certificate, authorities, by_time=by_time)
            found[usage] = _notified(certificate)
    return found


def _certificate(item: Payload) -> x509.Certificate:
    try:
        return x509.load_der_x509_certificate(base64.b64decode(item.text(), validate=False))
    except (ValueError, binascii.Error) as error:
        raise Refused(OUT_OF_RANGE, f"a certificate of the request cannot be read: {error}") from None


def _check_path(
    certificate: x509.Certificate, authorities: Iterable[x509.Certificate], *, by_time: bool
) -> None:
    if not any(_issued(certificate, authority) for authority in authorities):
        raise Refused(OUT_OF_RANGE, "a replacement certificate was issued by none of the certification path")
    now = datetime.now(UTC)  # certificates live in real time, whatever the rig's
    if by_time and not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        raise Refused(OUT_OF_RANGE, "a replacement certificate is not valid now")


def _issued(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _replace(job: Job, role: str, mode: str, new: Mapping[str, Notified], floor: Any) -> Body:
    record = job.record
    outcomes = [
        _outcome(role, usage, record.certificates.get((role, usage)), to) for usage, to in new.items()
    ]
    record.certificates.update({(role, usage): certificate for usage, certificate in new.items()})
    if floor is not None:
        record.floors[role] = int(floor)
    return {
        "ExecutionOutcome": {
            "AuthorisingRemotePartyOriginatorCounter": job.counter,
            "CredentialsReplacementMode": mode,
            "RemotePartySeqNumberChange": {
                "RemotePartyRole": role,
                "RemotePartyFloorSeqNumber": record.floors.get(role, 0),
            },
            "ReplacementOutcome": outcomes,
        }
    }


def _outcome(role: str, usage: str, old: Notified | None, new: Notified) -> dict[str, Any]:
    before = {} if old is None else {"ExistingRemotePartyID": old.party_id}
    hash_before = {} if old is None else {"ExistingCertificateHash": old.sha1}
    return {
        "StatusCode": _SUCCESS,
        "CertificateType": usage,
        "RemotePartyRole": role,
        **before,
        "NewRemotePartyID": new.party_id,
        **hash_before,
        "NewCertificateHash": new.sha1,
    }


STEPS: Final[Mapping[str, Step]] = {
    "6.15.1": replace_by_holder,
    AT_CHANGE_OF_SUPPLIER: replace_at_change_of_supplier,
    "6.24.1": read,
}
