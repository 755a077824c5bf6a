"""What the DCC's messages say, as tests are told it: alerts, what schedules bring, and what does not fit."""

from __future__ import annotations

from datetime import timedelta

from device_drivers.dcc.duis import RequestId, ResponseMessage, response_element
from device_drivers.dcc.loopback import Delivered
from device_drivers.dcc.tree import parse
from harness.domain.errors import ProtocolViolation
from harness.domain.instruments import Alert, Device, ServiceResponse
from harness.domain.lab import ServiceRequest
from harness.domain.payload import Payload

_SAID = (
    "S1SPAlert/S1SPAlertCode",
    "S1SPAlert/AdditionalInformation",
    "FirmwareVersion",
    "FirmwareVersionUpdateStatus",
)  # of a DCC Alert, what its description tells


def by_schedule(
    schedule: int, device: Device, message: ResponseMessage, delivered: Delivered
) -> ServiceResponse:
    """What a schedule brought, as the answer to a request that no User sent."""
    smets1 = message.smets1
    answering = smets1.originator if smets1 else ""
    problems = delivered.problems
    if answering and answering != device.device_id.upper():
        problems += (f"correlation: schedule {schedule} is of {device.device_id}, {answering} answered",)
    if smets1 is not None:
        inner = RequestId(smets1.originator, smets1.target, smets1.counter)
        found = [("ResponseID", str(message.response_id), str(inner)), ("SRV", message.srv, smets1.srv)]
        problems += tuple(_differences(found))
    return ServiceResponse(
        request_id="",
        srv=message.srv,
        acknowledgement="",
        code=message.code,
        device_id=answering,
        success=bool(smets1 and smets1.success) and message.code == "I0" and not problems,
        payload=smets1.payload if smets1 else Payload(),
        debug=smets1.debug if smets1 else (),
        timestamp=smets1.timestamp if smets1 else None,
        elapsed=timedelta(),
        problems=problems,
        xml=delivered.xml,
    )


def read(xml: bytes) -> ResponseMessage | None:
    """The message; none where it cannot be read, which the link has told already."""
    try:
        return ResponseMessage.read(parse(xml))
    except ProtocolViolation:
        return None


def correlation(message: ResponseMessage, asked: RequestId, row: ServiceRequest) -> list[str]:
    """Whether a response is about what was asked: device, user, counter, SRV, element, success."""
    found = [
        ("ResponseID", str(message.response_id or ""), str(asked.answered())),
        ("SRV", message.srv, row.srv),
    ]
    smets1 = message.smets1
    if smets1 is None:
        if message.code.startswith("E") or "GBCSPayload" in message.content:  # as DCC Boxed answers
            return _differences(found)
        return ["correlation: no SMETS1 response inside", *_differences(found)]
    found += [
        ("answering device", smets1.originator, asked.target),
        ("user answered", smets1.target, asked.originator),
        ("originator counter", str(smets1.counter), str(asked.counter)),
        ("SRV answered", smets1.srv, row.srv),
        ("response element", smets1.response_element, response_element(row.body_element)),
    ]
    missing = []
    if smets1.success is None and not smets1.debug:  # a failure may be told by its debug information alone
        missing = [f"correlation: {smets1.response_element or 'the response'} has no MessageSuccess"]
    return missing + _differences(found)


def _differences(found: list[tuple[str, str, str]]) -> list[str]:
    return [
        f"correlation: {what} is {seen}, due is {due}" for what, seen, due in found if seen and seen != due
    ]


def alert(delivered: Delivered) -> Alert:
    """A device alert by its own code, or a DCC Alert by the DCC's."""
    message = read(delivered.xml)
    smets1 = message.smets1 if message else None
    content = smets1.alert if smets1 else None
    if smets1 is None or content is None:
        return _dcc_alert(delivered, message)
    return Alert(
        code=content.code,
        device_id=smets1.originator,
        description=content.description,
        timestamp=content.timestamp,
        problems=delivered.problems,
        xml=delivered.xml,
    )


def _dcc_alert(delivered: Delivered, message: ResponseMessage | None) -> Alert:
    """By its DCCAlertCode; the description is the kind of alert and what is said of the device."""
    told = message.content.all("DCCAlert")[0] if message and message.dcc_alert else Payload()
    kind = next(iter(told.names()), "")
    said = (told.text(f"{kind}/{path}") for path in _SAID if f"{kind}/{path}" in told)
    at = f"{kind}/S1SPAlert/DateTime"
    return Alert(
        code=message.dcc_alert if message else "",
        device_id=min(message.devices, default="") if message else "",
        description=" ".join((kind, *said)),
        timestamp=told.time(at) if at in told else None,
        problems=delivered.problems,
        xml=delivered.xml,
    )
