from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_drivers.dlms import apdu
from device_drivers.dlms.apdu import Apdu, Block, ExceptionResponse, Selection
from device_drivers.dlms.data import Data, Tag, double_long_unsigned, octets, structure
from device_drivers.dlms.refs import AttributeRef, MethodRef, format_obis
from device_drivers.dlms.results import ACCESS_RESULTS, ACTION_RESULTS, SERVICE_ERRORS, STATE_ERRORS
from harness.domain.errors import ProtocolViolation

INVOKE = st.integers(0, 255)
U32 = st.integers(0, (1 << 32) - 1)
OBIS = st.binary(min_size=6, max_size=6).map(format_obis)
REFS = st.builds(AttributeRef, st.integers(0, 0xFFFF), OBIS, st.integers(-128, 127))
METHODS = st.builds(MethodRef, st.integers(0, 0xFFFF), OBIS, st.integers(-128, 127))
DATA = st.one_of(
    st.builds(octets, st.binary(max_size=300)),
    st.builds(double_long_unsigned, U32),
    st.builds(
        lambda items: structure(*items), st.lists(st.builds(octets, st.binary(max_size=20)), max_size=4)
    ),
    st.just(Data(Tag.NULL)),
)
SELECTIONS = st.one_of(st.none(), st.builds(Selection, st.integers(0, 255), DATA))
TARGETS = st.lists(st.tuples(REFS, SELECTIONS), max_size=5).map(tuple)
BLOCKS = st.builds(Block, st.booleans(), U32, st.binary(max_size=300))
ACCESS = st.sampled_from(sorted(ACCESS_RESULTS.values()))
ACTION = st.sampled_from(sorted(ACTION_RESULTS.values()))
RESULTS = st.one_of(DATA, ACCESS)
METHOD_LISTS = st.lists(METHODS, max_size=5).map(tuple)
OUTCOMES = st.lists(st.tuples(ACTION, st.one_of(st.none(), RESULTS)), max_size=5).map(tuple)
NAMES = st.lists(ACCESS, max_size=150).map(tuple)

APDUS = st.one_of(
    st.builds(apdu.GetRequest, INVOKE, REFS, SELECTIONS),
    st.builds(apdu.GetNext, INVOKE, U32),
    st.builds(apdu.GetList, INVOKE, TARGETS),
    st.builds(apdu.GetResponse, INVOKE, RESULTS),
    st.builds(apdu.GetBlock, INVOKE, st.booleans(), U32, st.one_of(st.binary(max_size=300), ACCESS)),
    st.builds(apdu.GetListResponse, INVOKE, st.lists(RESULTS, max_size=6).map(tuple)),
    st.builds(apdu.SetRequest, INVOKE, REFS, SELECTIONS, DATA),
    st.builds(apdu.SetFirstBlock, INVOKE, REFS, SELECTIONS, BLOCKS),
    st.builds(apdu.SetBlock, INVOKE, BLOCKS),
    st.builds(apdu.SetList, INVOKE, TARGETS, st.lists(DATA, max_size=5).map(tuple)),
    st.builds(apdu.SetListFirstBlock, INVOKE, TARGETS, BLOCKS),
    st.builds(apdu.SetResponse, INVOKE, ACCESS),
    st.builds(apdu.SetBlockReceived, INVOKE, U32),
    st.builds(apdu.SetLastBlockReceived, INVOKE, ACCESS, U32),
    st.builds(apdu.SetListLastBlockReceived, INVOKE, NAMES, U32),
    st.builds(apdu.SetListResponse, INVOKE, NAMES),
    st.builds(apdu.ActionRequest, INVOKE, METHODS, st.one_of(st.none(), DATA)),
    st.builds(apdu.ActionNext, INVOKE, U32),
    st.builds(apdu.ActionList, INVOKE, METHOD_LISTS, st.lists(DATA, max_size=5).map(tuple)),
    st.builds(apdu.ActionFirstBlock, INVOKE, METHODS, BLOCKS),
    st.builds(apdu.ActionListFirstBlock, INVOKE, METHOD_LISTS, BLOCKS),
    st.builds(apdu.ActionBlock, INVOKE, BLOCKS),
    st.builds(apdu.ActionResponse, INVOKE, ACTION, st.one_of(st.none(), RESULTS)),
    st.builds(apdu.ActionListResponse, INVOKE, OUTCOMES),
    st.builds(apdu.ActionResponseBlock, INVOKE, BLOCKS),
    st.builds(apdu.ActionBlockReceived, INVOKE, U32),
)
EXCEPTIONS = st.one_of(
    st.builds(
        ExceptionResponse,
        st.sampled_from(sorted(STATE_ERRORS.values())),
        st.sampled_from(sorted(set(SERVICE_ERRORS.values()) - {"invocation-counter-error"})),
    ),
    st.builds(ExceptionResponse, st.just("service-not-allowed"), st.just("invocation-counter-error"), U32),
)


@given(st.one_of(APDUS, EXCEPTIONS))
@settings(max_examples=800, deadline=None)
def test_decoding_undoes_encoding(value: Apdu | ExceptionResponse) -> None:
    assert apdu.decode(apdu.encode(value)) == value


@given(APDUS)
@settings(max_examples=100, deadline=None)
def test_an_apdu_cut_short_or_too_long_is_a_violation(value: Apdu) -> None:
    raw = apdu.encode(value)
    for end in range(len(raw)):
        with pytest.raises(ProtocolViolation):
            apdu.decode(raw[:end])
    with pytest.raises(ProtocolViolation, match="too many"):
        apdu.decode(raw + b"\x00")


@given(st.tuples(st.sampled_from([0xC0, 0xC1, 0xC3, 0xC4, 0xC5, 0xC7, 0xD8]), st.integers(1, 6)), st.binary())
@settings(max_examples=1500, deadline=None)
def test_any_bytes_are_an_apdu_or_a_violation(head: tuple[int, int], body: bytes) -> None:
    try:
        value = apdu.decode(bytes(head) + body)
    except ProtocolViolation:
        return
    assert apdu.decode(apdu.encode(value)) == value


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (
            "c001c100080000010000ff0200",
            apdu.GetRequest(0xC1, AttributeRef(8, "0-0:1.0.0", 2)),
        ),
        ("c002c100000001", apdu.GetNext(0xC1, 1)),
        ("c401c1000600000005", apdu.GetResponse(0xC1, double_long_unsigned(5))),
        ("c401c10103", apdu.GetResponse(0xC1, "read-write-denied")),
        ("c402c1010000000200020600", apdu.GetBlock(0xC1, True, 2, b"\x06\x00")),
        ("c501c100", apdu.SetResponse(0xC1, "success")),
        (
            "c301c100460000600 30aff01010f00".replace(" ", ""),
            apdu.ActionRequest(0xC1, MethodRef(70, "0-0:96.3.10", 1), Data(Tag.INTEGER, 0)),
        ),
        ("c701c10000", apdu.ActionResponse(0xC1, "success")),
        (
            "c303c1" + "01" + "0046000060030aff01" + "01" + "0f00",
            apdu.ActionList(0xC1, (MethodRef(70, "0-0:96.3.10", 1),), (Data(Tag.INTEGER, 0),)),
        ),
        (
            "c305c1" + "01" + "0046000060030aff01" + "01" + "00000001" + "0201" + "0f",
            apdu.ActionListFirstBlock(0xC1, (MethodRef(70, "0-0:96.3.10", 1),), Block(True, 1, b"\x01\x0f")),
        ),
        (
            "c703c1" + "02" + "0000" + "030101" + "04",
            apdu.ActionListResponse(0xC1, (("success", None), ("read-write-denied", "object-undefined"))),
        ),
        (
            "d80106000000 70".replace(" ", ""),
            ExceptionResponse("service-not-allowed", "invocation-counter-error", 112),
        ),
        ("d80106", ExceptionResponse("service-not-allowed", "invocation-counter-error")),
        ("c501c163", apdu.SetResponse(0xC1, "unknown-99")),
    ],
)
def test_bytes_are_those_of_the_standard(raw: str, value: Apdu | ExceptionResponse) -> None:
    assert apdu.decode(bytes.fromhex(raw)) == value
    assert apdu.encode(value) == bytes.fromhex(raw)


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        ("", "APDU, byte 0"),
        ("c009c1", "no APDU that we know"),
        ("42", "APDU, byte 1"),
        ("c001c100080000010000ff0202", "expected 0x00 or 0x01, found 0x02"),
        ("c003c184ffffffff", "announced"),
        ("d801", "exception response"),
    ],
)
def test_malformed_apdus_are_named(raw: str, why: str) -> None:
    with pytest.raises(ProtocolViolation, match=why):
        apdu.decode(bytes.fromhex(raw))
