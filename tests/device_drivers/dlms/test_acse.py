from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_drivers.dlms import acse
from device_drivers.dlms.acse import (
    AssociationRequest,
    AssociationResponse,
    InitiateError,
    InitiateRequest,
    InitiateResponse,
    Release,
)
from harness.domain.errors import ProtocolViolation

AARQ_WITH_PASSWORD = bytes.fromhex(
    "6036a1090607608574050801018a0207808b0760857405080201ac0a80083132333435363738"
    "be10040e01000000065f1f0400007e1f04b0"
)
OCTETS = st.binary(max_size=64)
BYTE = st.integers(0, 255)
CONFORMANCE = st.integers(0, 0xFFFFFF)
PDU = st.integers(0, 0xFFFF)
TITLES = st.one_of(st.just(b""), st.binary(min_size=8, max_size=8))


def test_the_request_of_a_password_association_is_read_as_the_standard_shows_it() -> None:
    request = AssociationRequest.decode(AARQ_WITH_PASSWORD)
    assert (request.context, request.mechanism, request.authentication) == (1, acse.LOW_LEVEL, b"12345678")
    assert InitiateRequest.decode(request.user_information) == InitiateRequest(0x007E1F, 1200)
    assert request.encode() == AARQ_WITH_PASSWORD


@given(BYTE, TITLES, st.one_of(st.tuples(st.just(None), st.just(b"")), st.tuples(BYTE, OCTETS)), OCTETS)
@settings(max_examples=200, deadline=None)
def test_association_requests_survive(context, title, authentication, information) -> None:
    request = AssociationRequest(context, title, *authentication, information)
    assert AssociationRequest.decode(request.encode()) == request


@given(
    BYTE,
    BYTE,
    BYTE,
    TITLES,
    st.one_of(st.tuples(st.just(None), st.just(b"")), st.tuples(BYTE, OCTETS)),
    OCTETS,
)
@settings(max_examples=200, deadline=None)
def test_association_responses_survive(
    context, result, diagnostic, title, authentication, information
) -> None:
    response = AssociationResponse(context, result, diagnostic, title, *authentication, information)
    assert AssociationResponse.decode(response.encode()) == response


@given(CONFORMANCE, PDU, BYTE)
def test_initiates_survive(conformance, max_pdu, version) -> None:
    request = InitiateRequest(conformance, max_pdu, version)
    response = InitiateResponse(conformance, max_pdu, version)
    assert InitiateRequest.decode(request.encode()) == request
    assert InitiateResponse.decode(response.encode()) == response


@given(st.sampled_from([acse.RLRQ, acse.RLRE]), OCTETS)
def test_releases_survive(tag, information) -> None:
    assert Release.decode(Release(tag, information).encode()) == Release(tag, information)


def test_initiate_errors_survive() -> None:
    error = InitiateError("pdu-size-too-short")
    assert error.encode() == bytes.fromhex("0e010603")
    assert InitiateError.decode(error.encode()) == error


@pytest.mark.parametrize("decode", [AssociationRequest.decode, AssociationResponse.decode, Release.decode])
def test_a_request_cut_short_or_altered_is_read_or_a_violation(decode) -> None:
    valid = [
        AARQ_WITH_PASSWORD,
        AssociationResponse(3, 0, 14, bytes(8), 5, bytes(16), bytes(20)).encode(),
        Release(acse.RLRQ, bytes(30)).encode(),
    ]
    for raw in valid:
        for at in range(len(raw)):
            for altered in (raw[:at], raw[:at] + b"\xff" + raw[at + 1 :], raw[:at] + b"\x00" + raw[at + 1 :]):
                try:
                    decode(altered)
                except ProtocolViolation:
                    continue


def test_a_field_may_not_come_twice() -> None:
    twice = bytes.fromhex("6016") + bytes.fromhex("a109060760857405080101") * 2
    with pytest.raises(ProtocolViolation, match="twice"):
        AssociationRequest.decode(twice)


def test_a_foreign_application_context_is_a_violation() -> None:
    with pytest.raises(ProtocolViolation, match="object identifier"):
        AssociationRequest.decode(bytes.fromhex("600ba1090607608574050701 01".replace(" ", "")))
