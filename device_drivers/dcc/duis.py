"""DUIS messages as values: requests, acknowledgements, SMETS1 responses, device and DCC alerts.

:mod:`device_drivers.dcc.compose` writes them.

>>> request_id = RequestId.parse("90-B3-D5-1F-30-01-00-00:00-DB-12-34-56-78-90-A0:1000")
>>> str(request_id.answered())
'00-DB-12-34-56-78-90-A0:90-B3-D5-1F-30-01-00-00:1000'
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from lxml import etree

from device_drivers.dcc.tree import SR, children, find, local_name, text, tree
from harness.domain.errors import ProtocolViolation
from harness.domain.payload import Payload

SERVICE_OF: Final[Mapping[int, str]] = {
    1: "serviceS",
    2: "serviceD",
    3: "serviceS",
    4: "serviceT",
    5: "serviceS",
    6: "serviceD",
    7: "serviceS",
    8: "serviceD",
}
"""Command Variant → web service, as DCC Boxed's own client posts them (confirmed)."""

_SIGNED_INSIDE: Final[Mapping[str, tuple[str, ...]]] = {
    # What the S1SP has signed before the DCC did
    "SMETS1ResponseMessage": ("SMETS1SignedResponse",),
    "DCCAlertMessage": ("DCCAlert", "S1SPAlertDSP", "S1SPAlert"),
}
_EUI = r"[0-9A-Fa-f]{2}(?:-[0-9A-Fa-f]{2}){7}"
_REQUEST_ID = re.compile(rf"({_EUI}):({_EUI}):(0|[1-9]\d{{0,19}})")
_RESPONSE_ELEMENTS: Final[Mapping[str, str]] = {
    "ReadDeviceConfigurationBillingCalendar": "ReadDeviceConfigurationDataBillingCalendarRsp",
}


def response_element(body: str) -> str:
    """The MMC element that answers a DUIS body element: its name and ``Rsp``, with exceptions."""
    return _RESPONSE_ELEMENTS.get(body, f"{body}Rsp")


@dataclass(frozen=True, slots=True)
class RequestId:
    """``originator:target:counter``: two EUI-64 and a whole number below 2**64."""

    originator: str
    target: str
    counter: int

    @classmethod
    def parse(cls, value: str) -> RequestId:
        """Read one; :class:`ProtocolViolation` where it is none."""
        match = _REQUEST_ID.fullmatch(value)
        if match is None or int(match[3]) >= 1 << 64:
            raise ProtocolViolation(f"{value!r} is no RequestID (originator:target:counter)")
        return cls(match[1].upper(), match[2].upper(), int(match[3]))

    def answered(self) -> RequestId:
        """The ResponseID of a response to it: the ends change places, the counter stays."""
        return RequestId(self.target, self.originator, self.counter)

    def __str__(self) -> str:
        return f"{self.originator}:{self.target}:{self.counter}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestMessage:
    """A Service Request: its header, and its body as one element's name and content."""

    request_id: RequestId
    command_variant: int
    service_reference: str
    srv: str  # Service Reference Variant
    body_element: str
    body: Payload

    @classmethod
    def read(cls, root: etree._Element) -> RequestMessage:
        """Read a parsed request; :class:`ProtocolViolation` where it is none."""
        _expect_root(root, "Request")
        body = find(root, "Body")
        if body is None or len(children(body)) != 1:
            raise ProtocolViolation("a request's Body holds exactly one element")
        (content,) = children(body)
        return cls(
            request_id=RequestId.parse(text(root, "Header", "RequestID")),
            command_variant=_number(text(root, "Header", "CommandVariant")),
            service_reference=text(root, "Header", "ServiceReference"),
            srv=text(root, "Header", "ServiceReferenceVariant"),
            body_element=local_name(content),
            body=Payload(tree(content)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceAlert:
    """The content of a SMETS1 device alert."""

    code: str  # four hexadecimal digits; empty where the alert carries none
    description: str
    timestamp: datetime | None  # the device's own


@dataclass(frozen=True, slots=True, kw_only=True)
class Smets1Response:
    """What an S1SP has signed: a device's response, or its alert."""

    originator: str  # the device
    target: str  # the user
    counter: int
    srv: str
    timestamp: datetime | None
    response_element: str = ""  # "…Rsp"; empty for an alert and for a failure told by debug alone
    success: bool | None = None  # MessageSuccess; none where the message does not say
    payload: Payload = field(default_factory=Payload)
    debug: tuple[str, ...] = ()
    alert: DeviceAlert | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseMessage:
    """A Response of the DCC: acknowledgement, refusal, non-device answer, SMETS1 response or alert."""

    request_id: RequestId | None
    response_id: RequestId | None
    code: str
    moment: datetime  # ResponseDateTime
    srv: str
    content: Payload  # below ResponseMessage or DCCAlertMessage; empty for SMETS1 messages
    dcc_alert: str = ""  # DCCAlertCode
    smets1: Smets1Response | None = None
    signed: etree._Element | None = None  # SMETS1SignedResponse or S1SPAlert, where it stands in the message
    schedule: int | None = None  # DSPScheduleID of what a schedule brought

    @property
    def devices(self) -> frozenset[str]:
        """Whom the message is about: the request's target, who answers, whom a DCC Alert names."""
        named = [
            value for path, value in self.content.leaves() if self.dcc_alert and path.endswith("DeviceID")
        ]
        if self.smets1 is not None:
            named.append(self.smets1.originator)
        if self.request_id is not None:
            named.append(self.request_id.target)
        elif self.schedule is not None and self.response_id is not None:
            named.append(self.response_id.originator)
        return frozenset(map(str.upper, named))

    @property
    def is_alert(self) -> bool:
        """Whether it tells of something that nobody asked for."""
        return bool(self.dcc_alert) or (self.smets1 is not None and self.smets1.alert is not None)

    @classmethod
    def read(cls, root: etree._Element) -> ResponseMessage:
        """Read a parsed response; :class:`ProtocolViolation` where it is none."""
        _expect_root(root, "Response")
        body = find(root, "Body")
        if body is None or len(children(body)) != 1:
            raise ProtocolViolation("a response's Body holds exactly one message")
        (message,) = children(body)
        kind = local_name(message)
        signed = find(message, *_SIGNED_INSIDE.get(kind, ("",)))
        smets1 = signed if kind == "SMETS1ResponseMessage" else None
        asked = _optional_id(root, "RequestID")
        schedule = "" if asked or kind == "DCCAlertMessage" else _optional(message, "DSPScheduleID")
        return cls(
            request_id=asked,
            response_id=_optional_id(root, "ResponseID"),
            code=text(root, "Header", "ResponseCode"),
            moment=_moment(root, "Header", "ResponseDateTime"),
            srv=_optional(message, "ServiceReferenceVariant"),
            content=Payload(tree(message)) if smets1 is None else Payload(),
            dcc_alert=text(message, "DCCAlertCode") if kind == "DCCAlertMessage" else "",
            smets1=None if smets1 is None else read_smets1(smets1),
            signed=signed,
            schedule=_number(schedule) if schedule else None,
        )


def read_smets1(signed: etree._Element) -> Smets1Response:
    """Read a SMETS1SignedResponse element."""
    response = find(signed, "SMETS1Response")
    if response is None:
        raise ProtocolViolation("the SMETS1SignedResponse holds no SMETS1Response")
    content = find(response, "Body", "ResponseMessage")
    alert = find(response, "Body", "DeviceAlertMessage")
    header = Smets1Response(
        originator=text(response, "Header", "BusinessOriginatorID").upper(),
        target=text(response, "Header", "BusinessTargetID").upper(),
        counter=_number(text(response, "Header", "OriginatorCounter")),
        srv=_optional(response, "Header", "ServiceReferenceVariant"),
        timestamp=_optional_moment(response, "Header", "Timestamp"),
    )
    if alert is not None:
        return replace(header, alert=_read_alert(alert))
    if content is None:
        raise ProtocolViolation("the SMETS1Response holds neither a response nor an alert")
    answer = _answer(content)
    return replace(
        header,
        response_element="" if answer is None else local_name(answer),
        success=_success(answer),
        payload=Payload() if answer is None else Payload(_without_success(tree(answer))),
        debug=_read_debug(content),
    )


def _without_success(content: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in content.items() if name not in {"@MessageSuccess", ""}}


def _answer(content: etree._Element) -> etree._Element | None:
    data = find(content, "SMETSData")
    return next(iter(children(data)), None) if data is not None else None


def _read_alert(alert: etree._Element) -> DeviceAlert:
    return DeviceAlert(
        code=_optional(alert, "DeviceAlertContent", "GBCSHexAlertCode").upper(),
        description=_optional(alert, "DeviceAlertContent", "AlertDescription"),
        timestamp=_optional_moment(alert, "DeviceAlertContent", "Timestamp"),
    )


def _read_debug(content: etree._Element) -> tuple[str, ...]:
    debug = find(content, "DebugInfo", "SMETS1Debug")
    return () if debug is None else tuple(text(entry, "Error") for entry in children(debug))


def _success(answer: etree._Element | None) -> bool | None:
    if answer is None or (told := answer.get("MessageSuccess")) is None:
        return None
    return told in {"true", "1"}


def _expect_root(root: etree._Element, name: str) -> None:
    if root.tag != f"{{{SR}}}{name}":
        raise ProtocolViolation(f"expected a DUIS {name}, found {root.tag}")


def _optional(node: etree._Element, *names: str) -> str:
    found = find(node, *names)
    return "" if found is None else (found.text or "").strip()


def _optional_id(root: etree._Element, name: str) -> RequestId | None:
    value = _optional(root, "Header", name)
    return RequestId.parse(value) if value else None


def _moment(node: etree._Element, *names: str) -> datetime:
    return Payload({"at": text(node, *names)}).time("at")


def _optional_moment(node: etree._Element, *names: str) -> datetime | None:
    return None if find(node, *names) is None else _moment(node, *names)


def _number(value: str) -> int:
    if not value.isdecimal() or not value.isascii():
        raise ProtocolViolation(f"expected a whole number, found {value!r}")
    return int(value)
