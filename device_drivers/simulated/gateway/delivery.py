"""How the gateway stub's messages leave: written, signed by S1SP and DCC, and posted to the user."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from typing import Final

from device_drivers.dcc.compose import (
    write_dcc_alert,
    write_request,
    write_response,
    write_s1sp_alert,
    write_smets1,
    write_smets1_response,
)
from device_drivers.dcc.counters import milliseconds
from device_drivers.dcc.duis import RequestId, RequestMessage
from device_drivers.dcc.http import XML, HttpClient
from device_drivers.dcc.signature import Signer
from device_drivers.dcc.tree import body_element
from device_drivers.simulated.gateway.countersignature import countersign
from device_drivers.simulated.s1sp.answer import Smets1Answer
from device_drivers.simulated.wan.head import HubAlert
from harness.domain.errors import LinkLost
from harness.domain.faults import Interceptions, Point
from harness.domain.instruments import Body
from harness.domain.lab import DccLink

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Signers:
    """Who signs: the DCC every message, the S1SP the SMETS1 response inside."""

    dcc: Signer
    s1sp: Signer


@dataclass(frozen=True, slots=True)
class S1spAlert:
    """What an S1SP has to tell a User by itself."""

    request_id: RequestId  # of the request that it is about
    device_id: str
    code: str  # S1SPAlertCode
    told: str
    at: datetime


class Writer:
    """Signed messages of the DCC."""

    def __init__(self, signers: Signers, dcc: DccLink) -> None:
        self._signers = signers
        self._dcc = dcc
        self._version = dcc.schema_version
        self._numbers = count(milliseconds())

    def number(self) -> int:
        """The counter of a message that answers no User's request: an alert, or a schedule's response.

        No two are the same, so that neither is taken for the other come again.
        """
        return next(self._numbers)

    def countersigned(self, request: bytes) -> bytes:
        """A User's request as an S1SP takes it."""
        return countersign(request, self._signers.dcc)

    def plain(self, request: RequestMessage, code: str, at: datetime, content: Body = None) -> bytes:
        """An acknowledgement, a refusal, an error or a non-device answer."""
        about = {"ServiceReference": request.service_reference, "ServiceReferenceVariant": request.srv}
        message = {**about, **(content or {})}
        return self._signers.dcc.sign(
            write_response(request.request_id, code, at, message, self._version, response_id=code == "I0")
        )

    def scheduled_request(self, request: RequestMessage, body: Body) -> bytes:
        """The request that a schedule gives rise to, as a User would send it but signed by the DCC (ours)."""
        content = body_element(request.body_element, body)
        return self._signers.dcc.sign(write_request(request, content, self._version))

    def scheduled_error(self, request: RequestMessage, code: str, at: datetime, schedule: int) -> bytes:
        """What becomes of a scheduled request to which there is no answer."""
        about = {"ServiceReference": request.service_reference, "ServiceReferenceVariant": request.srv}
        message = {**about, "DSPScheduleID": schedule}
        return self._signers.dcc.sign(
            write_response(request.request_id, code, at, message, self._version, scheduled=True)
        )

    def response(
        self, request: RequestMessage, answer: Smets1Answer, at: datetime, schedule: int | None = None
    ) -> bytes:
        """A SMETS1 response, signed twice; that of a schedule has its id, and answers no User's request."""
        header = {
            "BusinessOriginatorID": answer.device_id,
            "BusinessTargetID": request.request_id.originator,
            "OriginatorCounter": request.request_id.counter,
            "ServiceReference": request.service_reference,
            "ServiceReferenceVariant": answer.srv,
        }
        if answer.timestamp is not None:
            header["Timestamp"] = answer.timestamp
        inner = write_smets1_response(header, "ResponseMessage", _content(answer), self._version)
        return self._twice(
            inner,
            at,
            None if schedule is not None else request.request_id,
            request.request_id.answered(),
            (request.service_reference, request.srv),
            schedule,
        )

    def alert(self, alert: HubAlert, user: str, at: datetime) -> bytes:
        """A SMETS1 device alert for a user, signed twice."""
        alert_id = RequestId(alert.device_id, user, self.number())
        header = {
            "BusinessOriginatorID": alert.device_id,
            "BusinessTargetID": user,
            "OriginatorCounter": alert_id.counter,
            "Timestamp": alert.timestamp,
        }
        content = {
            "GBCSHexAlertCode": f"{alert.code:04X}",
            "AlertDescription": alert.description[:250],
            "Timestamp": alert.timestamp,
        }
        inner = write_smets1_response(
            header, "DeviceAlertMessage", {"DeviceAlertContent": content}, self._version
        )
        return self._twice(inner, at, None, alert_id, None)

    def s1sp_alert(self, alert: S1spAlert, user: str, at: datetime) -> bytes:
        """An S1SP Alert for a user, signed by the S1SP, in a DCC Alert."""
        content = {
            "RequestID": str(alert.request_id),
            "DeviceID": alert.device_id,
            "S1SPAlertCode": alert.code,
            "AdditionalInformation": alert.told,
            "DateTime": alert.at,
        }
        inner = self._signers.s1sp.sign(write_s1sp_alert(content, self._version))
        wrapped = {"S1SPAlertDSP": {"S1SPAlert": None}}
        return self._dcc_alert(self._dcc.s1sp_alert_code, wrapped, user, at, signed=inner)

    def ch_firmware(self, ch_id: str, version: str, user: str, at: datetime) -> bytes:
        """A DCC Alert for a user: a hub has begun to run a firmware version."""
        content = {
            "DeviceID": ch_id,
            "FirmwareVersion": version,
            "FirmwareVersionUpdateStatus": "ActivationSuccessful",
        }
        code = self._dcc.ch_firmware_alert_code
        return self._dcc_alert(code, {"SMETS1CHFirmwareNotification": content}, user, at)

    def schedule_removed(self, device_id: str, schedule: int, user: str, at: datetime) -> bytes:
        """A DCC Alert for a user: a schedule has ended with its device."""
        content = {"DSPScheduleRemoval": {"DeviceID": device_id, "DSPScheduleID": schedule}}
        return self._dcc_alert(self._dcc.schedule_removal_alert_code, content, user, at)

    def _dcc_alert(self, code: str, content: Body, user: str, at: datetime, *, signed: bytes = b"") -> bytes:
        alert_id = RequestId(self._dcc.dcc_eui, user, self.number())
        return self._signers.dcc.sign(
            write_dcc_alert(alert_id, code, content, at, self._version, signed=signed)
        )

    def _twice(
        self,
        inner: bytes,
        at: datetime,
        request_id: RequestId | None,
        response_id: RequestId,
        reference: tuple[str, str] | None,
        schedule: int | None = None,
    ) -> bytes:
        outer = write_smets1(
            self._signers.s1sp.sign(inner),
            at,
            self._version,
            request_id=request_id,
            response_id=response_id,
            reference=reference,
            schedule=schedule,
        )
        return self._signers.dcc.sign(outer)


def _content(answer: Smets1Answer) -> Body:
    """ResponseMessage below its own name. A failure that has something to say is told by DebugInfo alone."""
    if answer.success or not answer.debug:
        return {
            "SMETSData": {answer.response_element: {"@MessageSuccess": answer.success, **(answer.data or {})}}
        }
    entries = [
        {"@ResponseCode": code, "@Position": position, "Error": text[:250]}
        for position, (code, text) in enumerate(answer.debug, 1)
    ]
    return {"DebugInfo": {"SMETS1Debug": {"SMETS1Response": entries}}}


class Outbound:
    """Posts to the user's Receive Response address. DELIVERY faults see the messages last."""

    def __init__(self, client: HttpClient, path: str, interceptions: Interceptions) -> None:
        self._client = client
        self._path = path
        self._interceptions = interceptions

    def deliver(
        self, item: str, xml: bytes, device_id: str, now: datetime, hold: Callable[[float], None]
    ) -> None:
        """Post what passes; ``hold`` lets lab time pass, for a fault that is late.

        What the user does not take is logged: neither end sends anything again by itself.
        """
        passed: tuple[bytes, ...] = self._interceptions.passing(
            Point.DELIVERY, item, (xml,), device_id=device_id, now=now, hold=hold
        )
        for message in passed:
            try:
                answer = self._client.call("POST", self._path, content=message, headers={"Content-Type": XML})
            except LinkLost as lost:
                _log.error("%s about %s was not delivered: %s", item, device_id, lost)
                continue
            if answer.status_code != 204:
                _log.warning("%s about %s refused: HTTP %s", item, device_id, answer.status_code)

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()
