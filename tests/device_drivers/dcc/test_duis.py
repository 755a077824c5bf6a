"""DUIS messages: written as the schema has them, read from real ones."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from device_drivers.dcc.compose import write_request, write_smets1_response
from device_drivers.dcc.duis import RequestId, RequestMessage, ResponseMessage, response_element
from device_drivers.dcc.tree import body_element, parse
from harness.domain.errors import ProtocolViolation
from harness.domain.payload import Payload

USER, DEVICE = "90-B3-D5-1F-30-01-00-00", "00-DB-12-34-56-78-90-A0"


def test_a_request_id_has_two_ends_and_a_counter() -> None:
    request_id = RequestId.parse(f"{USER.lower()}:{DEVICE}:{2**64 - 1}")
    assert (request_id.originator, request_id.target, request_id.counter) == (USER, DEVICE, 2**64 - 1)


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"{USER}:{DEVICE}",
        f"{USER}:{DEVICE}:01",
        f"{USER}:{DEVICE}:{2**64}",
        f"{USER}:{DEVICE}:-1",
        f"{USER}:{DEVICE}:٣",
        f"{USER[:-1]}:{DEVICE}:1",
        f"{USER}:{DEVICE}:1\n",
    ],
)
def test_what_is_no_request_id_is_refused(text: str) -> None:
    with pytest.raises(ProtocolViolation, match="no RequestID"):
        RequestId.parse(text)


def test_a_request_is_read_as_it_was_written() -> None:
    message = RequestMessage(
        request_id=RequestId(USER, DEVICE, 1000),
        command_variant=1,
        service_reference="6.13",
        srv="6.13",
        body_element="ReadEventOrSecurityLog",
        body=Payload({"LogToRead": "Event"}),
    )
    content = body_element("ReadEventOrSecurityLog", {"LogToRead": "Event"})
    assert RequestMessage.read(parse(write_request(message, content, "5.4"))) == message


@pytest.mark.parametrize("srv", ["8.2", "CS01a_2.2", "ECS35a_6.13", "ECS43_7.2"])
def test_real_requests_are_read(spec: Path, srv: str) -> None:
    (sample,) = (spec / "samples").glob(f"{srv}_*REQUEST_DUIS.XML")
    message = RequestMessage.read(parse(sample.read_bytes()))
    assert message.srv == srv.rpartition("_")[2]
    assert message.request_id.originator == USER


def test_a_real_refusal_is_read(spec: Path) -> None:
    message = ResponseMessage.read(
        parse((spec / "samples" / "acknowledgement-error-dccboxed.xml").read_bytes())
    )
    assert (message.code, message.srv, message.response_id) == ("E65", "11.2", None)
    assert message.request_id == RequestId(USER, "88-73-84-57-00-2F-96-6C", 1658482675800)
    assert message.moment == datetime(2022, 7, 22, 9, 37, 56, 134000, tzinfo=UTC)


def test_a_real_response_is_read(spec: Path) -> None:
    message = ResponseMessage.read(parse((spec / "samples" / "response-11.2-dccboxed.xml").read_bytes()))
    assert message.code == "I0"
    assert message.request_id is not None
    assert message.response_id == message.request_id.answered()
    assert message.content.text("GBCSPayload").startswith("3QAAAAAAAFUR")
    assert not message.is_alert


@pytest.mark.parametrize(
    "document",
    [
        b"<Response/>",
        b'<sr:Request xmlns:sr="http://www.dccinterface.co.uk/ServiceUserGateway"/>',
        b'<sr:Response xmlns:sr="http://www.dccinterface.co.uk/ServiceUserGateway"><sr:Body/></sr:Response>',
        b'<sr:Response xmlns:sr="http://www.dccinterface.co.uk/ServiceUserGateway"><sr:Body><sr:ResponseMessage/>'
        b"</sr:Body></sr:Response>",
    ],
)
def test_another_document_is_no_response(document: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        ResponseMessage.read(parse(document))


def test_a_smets1_failure_may_be_told_by_debug_information_alone() -> None:
    header = {"BusinessOriginatorID": DEVICE, "BusinessTargetID": USER, "OriginatorCounter": 7}
    debug = {"SMETS1Response": [{"@ResponseCode": 3, "@Position": 1, "Error": "value out of range"}]}
    inner = write_smets1_response(header, "ResponseMessage", {"DebugInfo": {"SMETS1Debug": debug}}, "5.4")
    outer = (
        b'<sr:Response xmlns:sr="http://www.dccinterface.co.uk/ServiceUserGateway"><sr:Header>'
        b"<sr:ResponseCode>I0</sr:ResponseCode><sr:ResponseDateTime>2025-01-01T00:00:00Z</sr:ResponseDateTime>"
        b"</sr:Header><sr:Body><sr:SMETS1ResponseMessage>"
        + inner.partition(b"?>\n")[2]
        + b"</sr:SMETS1ResponseMessage></sr:Body></sr:Response>"
    )
    smets1 = ResponseMessage.read(parse(outer)).smets1
    assert smets1 is not None
    assert (smets1.success, smets1.debug, smets1.response_element) == (None, ("value out of range",), "")
    assert (smets1.originator, smets1.target, smets1.counter) == (DEVICE, USER, 7)


def test_every_response_element_is_one_of_the_schema(spec: Path, shipped_lab) -> None:
    from lxml import etree

    names = {
        node.get("name")
        for node in etree.parse(spec / "schemas" / "MMC_V5.4.xsd").iter("{*}element")
        if node.get("name", "").endswith("Rsp")
    }
    served = [row for row in shipped_lab.catalogue.values() if row.device_types and not row.non_device]
    assert len(served) > 50
    assert {response_element(row.body_element) for row in served} <= names
