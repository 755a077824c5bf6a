"""The gateway stub's checks of a Service Request, in order, each with the response code that refuses.

Codes E1 to E20 are confirmed in published sources. Those of ``body``, ``signature`` and ``counter`` are
**ours** (:data:`INFERRED`): what the DCC answers there was not found.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from lxml import etree

from device_drivers.dcc.duis import SERVICE_OF, RequestMessage
from device_drivers.dcc.signature import Ring, SignatureRefused
from device_drivers.simulated.gateway.inventory import COMMISSIONED, Inventory, Record
from harness.domain.faults import Interceptions, Point
from harness.domain.lab import Lab, ServiceRequest
from harness.domain.words import DeviceType, UserRole

INFERRED: Final[Mapping[str, str]] = {"body": "E12", "signature": "E100", "counter": "E100"}
"""Check → response code of our own choosing; a lab that knows better says so in ``dcc.refusal_codes``."""

_TYPES: Final = {"ESME": DeviceType.ESME, "GSME": DeviceType.GSME, "CHF": DeviceType.CH}
_BOTH_FUELS: Final = frozenset({UserRole.RSA, UserRole.OU})
_AUTHORISED: Final[Mapping[str, frozenset[UserRole]]] = {
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
    check's refusal code, or ``""``, passes :attr:`Point.CHECK` with the check's name.
    """

    def __init__(
        self,
        lab: Lab,
        certificates: Mapping[UserRole, bytes],
        inventory: Inventory,
        interceptions: Interceptions,
        counters: Mapping[str, int],
    ) -> None:
        self._lab = lab
        self._codes = {**INFERRED, **lab.dcc.refusal_codes}
        self._inventory = inventory
        self._interceptions = interceptions
        self._roles = {user.eui.upper(): user.role for user in lab.dcc.users}
        self._ring = Ring({str(role): certificate for role, certificate in certificates.items()})
        self._counters = {eui.upper(): counter for eui, counter in counters.items()}
        self._lock = threading.Lock()
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
            refusal = self._interceptions.passing(
                Point.CHECK, name, check(candidate), device_id=target, now=now, srv=candidate.message.srv
            )
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
        try:
            holder = self._ring.verify(candidate.root)
        except SignatureRefused:
            return self._codes["signature"]
        return "" if candidate.role is None or holder.name == candidate.role else self._codes["signature"]

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
        return "" if candidate.role in _AUTHORISED.get(record.type, frozenset(UserRole)) else "E4"

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

    def _counter(self, candidate: Candidate) -> str:
        request_id = candidate.message.request_id
        used = self._counters.get(request_id.originator, 0)
        return "" if request_id.counter > used else self._codes["counter"]

    @staticmethod
    def _for_the_dcc(candidate: Candidate) -> bool:
        return candidate.row is not None and candidate.row.non_device
