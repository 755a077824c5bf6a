"""The gateway stub's checks of a Service Request, in order, each with the response code that refuses.

The meanings of E1 to E5, E11 to E13, E17, E19 to E21 and E30 are confirmed, by a SMETS2 reference site and
not by DUIS. That they hold for SMETS1 is supported, no more: DUIS 1.4.3 varies these checks, in a text that
was not found. Codes of ``body``, ``signature``, ``counter`` and ``execution_time`` are **ours**
(:data:`INFERRED`): what the DCC answers there was not found.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from lxml import etree

from device_drivers.dcc.duis import SERVICE_OF, RequestMessage
from device_drivers.dcc.pki import MISFITS, OTHER_PARTIES, REVOKED, SUCCESSOR, SimulatedPki
from device_drivers.dcc.signature import Ring, SignatureRefused
from device_drivers.simulated.gateway.inventory import COMMISSIONED, Inventory, Record
from harness.domain.errors import ProtocolViolation
from harness.domain.faults import Interceptions, Point
from harness.domain.lab import Lab, ServiceRequest
from harness.domain.words import DeviceType, UserRole

INFERRED: Final[Mapping[str, str]] = {
    "body": "E12",
    "signature": "E100",
    "counter": "E100",
    "execution_time": "E100",
}
"""Check → response code of our own choosing; a lab that knows better says so in ``dcc.refusal_codes``."""

EXECUTION_TIME: Final = "ExecutionDateTime"
"""The element of a future-dated request that says when it is to be carried out."""

_TYPES: Final = {"ESME": DeviceType.ESME, "GSME": DeviceType.GSME, "CHF": DeviceType.CH}
_BOTH_FUELS: Final = frozenset({UserRole.RSA, UserRole.OU})
AUTHORISED: Final[Mapping[str, frozenset[UserRole]]] = {
    # Whose devices these are: the lab's users are taken to be registered for every installation of the lab
    "ESME": frozenset({UserRole.IS, UserRole.ES, UserRole.ED}) | _BOTH_FUELS,
    "GSME": frozenset({UserRole.GS, UserRole.GT}) | _BOTH_FUELS,
    "CHF": frozenset(UserRole),
}
_STATUSES: Final[Mapping[str, frozenset[str]]] = {
    # SRVs that a device is asked before it is commissioned (inferred); all others need it commissioned
    "8.1.1": frozenset({"Pending", "InstalledNotCommissioned", "Whitelisted", COMMISSIONED}),
    "8.11": frozenset({"InstalledNotCommissioned", "Pending", COMMISSIONED}),
}


@dataclass(frozen=True, slots=True)
class Others:
    """Whom the simulated DCC knows besides the lab's users: what security tests send in the name of.

    Certificates are PEM, by name; a party's own has its EUI-64 as its name. They have a role, and no device
    of the lab.
    """

    roles: Mapping[str, UserRole] = field(default_factory=dict)  # by EUI-64
    certificates: Mapping[str, bytes] = field(default_factory=dict)
    revoked: frozenset[str] = frozenset()  # names of certificates


def known_others(lab: Lab, pki: SimulatedPki) -> Others:
    """A supplier of each fuel with no customers here, and certificates of the lab's own that are no good."""
    suppliers = {user.role: user.eui for user in lab.dcc.users if user.role in OTHER_PARTIES}
    certificates = {OTHER_PARTIES[role]: pki.user(role, OTHER_PARTIES[role]) for role in suppliers}
    certificates |= {f"{SUCCESSOR} {role}": pki.successor(role, eui) for role, eui in suppliers.items()}
    certificates |= {
        f"{what} {role}": pki.misfit(what, role, eui) for role, eui in suppliers.items() for what in MISFITS
    }
    return Others(
        {OTHER_PARTIES[role]: role for role in suppliers},
        {name: pair.certificate for name, pair in certificates.items()},
        frozenset(name for name in certificates if name.startswith(REVOKED)),
    )


@dataclass(frozen=True, slots=True)
class Candidate:
    """A request that asks for admission: as it was posted, and what the DCC knows about it."""

    service: str  # the last part of the path
    root: etree._Element
    message: RequestMessage
    row: ServiceRequest | None  # of the catalogue, by SRV
    role: UserRole | None  # of the originator
    record: Record | None  # of the target


class Admission:
    """Decides on requests one at a time, so that counters are compared in the order of arrival.

    ``counters`` holds the last counter of each originator, which the DCC remembers from earlier runs. Each
    check's refusal code, or ``""``, passes :attr:`Point.CHECK` with the check's name, ``srv`` and the parsed
    ``root`` in its details. ``others`` are parties whose signatures are known as well (see :class:`Others`).
    """

    def __init__(
        self,
        lab: Lab,
        certificates: Mapping[UserRole, bytes],
        inventory: Inventory,
        interceptions: Interceptions,
        counters: Mapping[str, int],
        others: Others | None = None,
    ) -> None:
        others = others or Others()
        self._lab = lab
        self._codes = {**INFERRED, **lab.dcc.refusal_codes}
        self._inventory = inventory
        self._interceptions = interceptions
        self._elsewhere = frozenset(others.roles)
        self._roles = {**others.roles, **{user.eui.upper(): user.role for user in lab.dcc.users}}
        own = {str(role): certificate for role, certificate in certificates.items()}
        self._ring = Ring({**others.certificates, **own}, revoked=others.revoked)
        self._counters = {eui.upper(): counter for eui, counter in counters.items()}
        self._lock = threading.Lock()
        self._why = ""  # what was wrong with the signature of the request in hand
        self._checks: tuple[tuple[str, Callable[[Candidate], str]], ...] = (
            ("body", self._body),
            ("command_variant", self._command_variant),
            ("path", self._path),
            ("signature", self._signature),
            ("user", lambda candidate: "" if candidate.role else "E1"),
            ("role", self._role),
            ("device", self._device),
            ("authorised", self._authorised),
            ("status", self._status),
            ("device_type", self._device_type),
            ("execution_time", self._execution_time),
            ("counter", self._counter),
        )

    def decide(self, service: str, root: etree._Element, message: RequestMessage, now: datetime) -> str:
        """The response code that refuses the request; ``""`` where it is admitted, and its counter used."""
        candidate = Candidate(
            service,
            root,
            message,
            self._lab.catalogue.get(message.srv),
            self._roles.get(message.request_id.originator),
            self._inventory.find(message.request_id.target),
        )
        with self._lock:
            refusal = self._first_refusal(candidate, now)
            if not refusal:
                self._use(message)
            return refusal

    def _first_refusal(self, candidate: Candidate, now: datetime) -> str:
        target = candidate.message.request_id.target
        for name, check in self._checks:
            about = {"device_id": target, "now": now, "srv": candidate.message.srv, "root": candidate.root}
            code = check(candidate)
            refusal = self._interceptions.passing(Point.CHECK, name, code, why=self._why, **about)
            if refusal:
                return str(refusal)
        return ""

    def _use(self, message: RequestMessage) -> None:
        originator = message.request_id.originator
        used = self._counters.get(originator, 0)
        self._counters[originator] = max(used, message.request_id.counter)

    def _body(self, candidate: Candidate) -> str:
        row, message = candidate.row, candidate.message
        fits = row is not None and (row.body_element, row.service_reference) == (
            message.body_element,
            message.service_reference,
        )
        return "" if fits else self._codes["body"]

    def _command_variant(self, candidate: Candidate) -> str:
        row = candidate.row
        if row is None:
            return "E12"
        due = self._lab.dcc.critical_command_variant if row.critical else row.command_variant
        return "" if candidate.message.command_variant == due else "E12"

    @staticmethod
    def _path(candidate: Candidate) -> str:
        due = SERVICE_OF.get(candidate.message.command_variant)
        return "" if candidate.service == due else "E13"

    def _signature(self, candidate: Candidate) -> str:
        self._why = ""
        try:
            holder = self._ring.verify(candidate.root)
        except SignatureRefused as refused:
            self._why = refused.message
            return self._codes["signature"]
        if candidate.role is None:
            return ""
        # Two of a role: the lab's user, and a party elsewhere whose name is its EUI-64
        originator = candidate.message.request_id.originator
        own = {str(candidate.role), f"{SUCCESSOR} {candidate.role}"}
        due = {originator} if originator in self._elsewhere else own
        if holder.name in due:
            return ""
        self._why = f"the signature is by {holder.name}, who is not the sender"
        return self._codes["signature"]

    @staticmethod
    def _role(candidate: Candidate) -> str:
        row = candidate.row
        return "" if row is not None and candidate.role in row.roles else "E2"

    def _device(self, candidate: Candidate) -> str:
        if self._for_the_dcc(candidate):
            return "" if candidate.message.request_id.target == self._lab.dcc.dcc_eui.upper() else "E19"
        return "" if candidate.record else "E19"

    def _authorised(self, candidate: Candidate) -> str:
        record = candidate.record
        if record is None or candidate.role is None:
            return ""
        if candidate.message.request_id.originator in self._elsewhere:
            return "E4"
        return "" if candidate.role in AUTHORISED.get(record.type, frozenset(UserRole)) else "E4"

    @staticmethod
    def _status(candidate: Candidate) -> str:
        record = candidate.record
        if record is None:
            return ""
        fitting = _STATUSES.get(candidate.message.srv, frozenset({COMMISSIONED}))
        return "" if record.status in fitting else "E5"

    @staticmethod
    def _device_type(candidate: Candidate) -> str:
        record, row = candidate.record, candidate.row
        if record is None or row is None:
            return ""
        return "" if _TYPES.get(record.type) in row.device_types else "E11"

    def _execution_time(self, candidate: Candidate) -> str:
        """Only what the catalogue lets somebody hold may name a time, and that must be one."""
        row, body = candidate.row, candidate.message.body
        if EXECUTION_TIME not in body:
            return ""
        try:
            body.time(EXECUTION_TIME)
        except ProtocolViolation:
            return self._codes["execution_time"]
        return "" if row is not None and row.future_dated else self._codes["execution_time"]

    def _counter(self, candidate: Candidate) -> str:
        request_id = candidate.message.request_id
        used = self._counters.get(request_id.originator, 0)
        return "" if request_id.counter > used else self._codes["counter"]

    @staticmethod
    def _for_the_dcc(candidate: Candidate) -> bool:
        return candidate.row is not None and candidate.row.non_device
