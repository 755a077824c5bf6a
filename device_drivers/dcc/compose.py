"""DUIS messages as bytes, complete but for their signatures (:mod:`device_drivers.dcc.signature`)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from lxml import etree

from device_drivers.dcc.duis import RequestId, RequestMessage
from device_drivers.dcc.tree import RA, SR, element, fragment, moment, parse, serialise
from harness.domain.instruments import Body


def write_request(message: RequestMessage, content: etree._Element, schema_version: str) -> bytes:
    """A Service Request, unsigned; ``content`` is its body element."""
    root = element(SR, "Request")
    root.set("schemaVersion", schema_version)
    root.append(
        element(
            SR,
            "Header",
            {
                "RequestID": str(message.request_id),
                "CommandVariant": message.command_variant,
                "ServiceReference": message.service_reference,
                "ServiceReferenceVariant": message.srv,
            },
        )
    )
    body = etree.SubElement(root, f"{{{SR}}}Body")
    body.append(content)
    return serialise(root)


def write_response(
    request_id: RequestId,
    code: str,
    at: datetime,
    content: Body,
    schema_version: str,
    *,
    response_id: bool = False,
    scheduled: bool = False,
) -> bytes:
    """An acknowledgement, refusal, error or non-device answer; ``content`` is what ResponseMessage holds.

    What a ``scheduled`` request came to has a ResponseID alone: no User sent the request.
    """
    answered = request_id.answered() if response_id or scheduled else None
    header = _response_header(None if scheduled else request_id, answered, code, at)
    return _response(header, element(SR, "ResponseMessage", content), schema_version)


def write_smets1(
    signed: bytes,
    at: datetime,
    schema_version: str,
    *,
    request_id: RequestId | None,
    response_id: RequestId,
    reference: tuple[str, str] | None = None,
    schedule: int | None = None,
) -> bytes:
    """The DCC's Response around what the S1SP has signed, which goes in byte for byte.

    ``reference`` is Service Reference and Variant; an alert has neither them nor a RequestID. ``schedule`` is
    the id of the schedule that brought it, if one did.
    """
    names: dict[str, Any] = (
        {}
        if reference is None
        else {"ServiceReference": reference[0], "ServiceReferenceVariant": reference[1]}
    )
    if schedule is not None:
        names["DSPScheduleID"] = schedule
    message = element(SR, "SMETS1ResponseMessage", {**names, "SMETS1SignedResponse": None})
    outer = _response(_response_header(request_id, response_id, "I0", at), message, schema_version)
    return _with_signed(outer, "SMETS1SignedResponse", signed)


def write_dcc_alert(
    alert_id: RequestId, code: str, content: Body, at: datetime, schema_version: str, *, signed: bytes = b""
) -> bytes:
    """A DCC Alert; ``content`` is what DCCAlert holds. ``signed`` takes the place of an empty S1SPAlert."""
    message = element(SR, "DCCAlertMessage", {"DCCAlertCode": code, "DCCAlert": content})
    outer = _response(_response_header(None, alert_id, "I0", at), message, schema_version)
    return _with_signed(outer, "S1SPAlert", signed) if signed else outer


def write_s1sp_alert(content: Body, schema_version: str) -> bytes:
    """An S1SPAlert without its signature."""
    root = element(SR, "S1SPAlert", content)
    root.set("schemaVersion", schema_version)
    return serialise(root)


def write_smets1_response(
    header: Mapping[str, Any], kind: str, content: etree._Element | Body, schema_version: str
) -> bytes:
    """A SMETS1SignedResponse without its signature; ``kind`` is ResponseMessage or DeviceAlertMessage."""
    root = element(SR, "SMETS1SignedResponse")
    root.set("schemaVersion", schema_version)
    response = etree.SubElement(root, f"{{{SR}}}SMETS1Response")
    head = etree.SubElement(response, f"{{{SR}}}Header")
    head.extend(element(RA, name, value) for name, value in header.items())
    body = etree.SubElement(response, f"{{{SR}}}Body")
    message = etree.SubElement(body, f"{{{SR}}}{kind}")
    if isinstance(content, etree._Element):
        message.extend(list(content))
    else:
        message.extend(list(element(RA, kind, content)))
    return serialise(root)


def _with_signed(outer: bytes, name: str, signed: bytes) -> bytes:
    """What the S1SP has signed in its place in the DCC's message, byte for byte."""
    return outer.replace(f"<sr:{name}/>".encode(), fragment(parse(signed)), 1)


def _response(header: Body, message: etree._Element, schema_version: str) -> bytes:
    root = element(SR, "Response")
    root.set("schemaVersion", schema_version)
    root.append(element(SR, "Header", header))
    body = etree.SubElement(root, f"{{{SR}}}Body")
    body.append(message)
    return serialise(root)


def _response_header(
    request_id: RequestId | None, response_id: RequestId | None, code: str, at: datetime
) -> Body:
    header: dict[str, Any] = {}
    if request_id is not None:
        header["RequestID"] = str(request_id)
    if response_id is not None:
        header["ResponseID"] = str(response_id)
    return header | {"ResponseCode": code, "ResponseDateTime": moment(at)}
