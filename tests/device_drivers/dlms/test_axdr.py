from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_drivers.dlms import axdr
from device_drivers.dlms.data import Data, Tag, array, octets, structure, unsigned
from harness.domain.errors import ProtocolViolation


def whole(tag: Tag, low: int, high: int) -> st.SearchStrategy[Data]:
    return st.builds(Data, st.just(tag), st.integers(low, high))


def signed(tag: Tag, bits: int) -> st.SearchStrategy[Data]:
    return whole(tag, -(1 << bits - 1), (1 << bits - 1) - 1)


def not_signed(tag: Tag, bits: int) -> st.SearchStrategy[Data]:
    return whole(tag, 0, (1 << bits) - 1)


def of(tag: Tag, values: st.SearchStrategy) -> st.SearchStrategy[Data]:
    return st.builds(Data, st.just(tag), values)


SIMPLE = st.one_of(
    of(Tag.BOOLEAN, st.booleans()),
    signed(Tag.INTEGER, 8),
    signed(Tag.BCD, 8),
    signed(Tag.LONG, 16),
    signed(Tag.DOUBLE_LONG, 32),
    signed(Tag.LONG64, 64),
    not_signed(Tag.UNSIGNED, 8),
    not_signed(Tag.ENUM, 8),
    not_signed(Tag.LONG_UNSIGNED, 16),
    not_signed(Tag.DOUBLE_LONG_UNSIGNED, 32),
    not_signed(Tag.LONG64_UNSIGNED, 64),
    of(Tag.FLOAT32, st.floats(width=32, allow_nan=False)),
    of(Tag.FLOAT64, st.floats(allow_nan=False)),
    of(Tag.OCTET_STRING, st.binary(max_size=300)),
    of(Tag.VISIBLE_STRING, st.text(st.characters(codec="ascii"), max_size=200)),
    of(Tag.UTF8_STRING, st.text(st.characters(codec="utf-8"), max_size=100)),
    of(Tag.BIT_STRING, st.lists(st.booleans(), max_size=300).map(tuple)),
    of(Tag.DATE_TIME, st.binary(min_size=12, max_size=12)),
    of(Tag.DATE, st.binary(min_size=5, max_size=5)),
    of(Tag.TIME, st.binary(min_size=4, max_size=4)),
)
SAME_TYPE = st.sampled_from([Tag.UNSIGNED, Tag.ENUM]).flatmap(
    lambda tag: st.lists(st.builds(structure, not_signed(tag, 8), not_signed(Tag.LONG_UNSIGNED, 16))).map(
        tuple
    )
)
VALUES = st.recursive(
    st.one_of(SIMPLE, st.just(Data(Tag.NULL)), of(Tag.COMPACT_ARRAY, SAME_TYPE)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=150).map(lambda items: array(*items)),
        st.lists(inner, max_size=6).map(lambda items: structure(*items)),
    ),
    max_leaves=40,
)


@given(VALUES)
@settings(max_examples=400, deadline=None)
def test_decoding_undoes_encoding(value: Data) -> None:
    assert axdr.decode(axdr.encode(value)) == value


@given(VALUES, st.binary(min_size=1, max_size=8))
@settings(max_examples=100, deadline=None)
def test_a_value_ends_where_it_ends(value: Data, more: bytes) -> None:
    raw = axdr.encode(value)
    assert axdr.decode_from(raw + more, 0) == (value, len(raw))
    assert axdr.decode_from(memoryview(more + raw), len(more)) == (value, len(more) + len(raw))
    with pytest.raises(ProtocolViolation, match="too many after the data"):
        axdr.decode(raw + more)


@given(VALUES)
@settings(max_examples=60, deadline=None)
def test_a_value_cut_short_anywhere_is_a_violation(value: Data) -> None:
    raw = axdr.encode(value)
    for end in range(len(raw)):
        with pytest.raises(ProtocolViolation):
            axdr.decode(raw[:end])


@given(st.binary(max_size=200))
@settings(max_examples=1000, deadline=None)
def test_any_bytes_are_a_value_or_a_violation(raw: bytes) -> None:
    try:
        value = axdr.decode(raw)
    except ProtocolViolation:
        return
    again = axdr.decode(axdr.encode(value))
    assert repr(again) == repr(value)  # by representation: a NaN is not equal to itself


@pytest.mark.parametrize(
    ("value", "raw"),
    [
        (Data(Tag.NULL), "00"),
        (Data(Tag.BOOLEAN, True), "0301"),
        (Data(Tag.BIT_STRING, (True, False, True)), "0403a0"),
        (Data(Tag.DOUBLE_LONG, -2), "05fffffffe"),
        (Data(Tag.DOUBLE_LONG_UNSIGNED, 123_456), "060001e240"),
        (Data(Tag.OCTET_STRING, b"ab"), "09026162"),
        (Data(Tag.VISIBLE_STRING, "Wh"), "0a025768"),
        (Data(Tag.INTEGER, -1), "0fff"),
        (Data(Tag.LONG, -300), "10fed4"),
        (Data(Tag.LONG64_UNSIGNED, 1), "150000000000000001"),
        (Data(Tag.ENUM, 30), "161e"),
        (Data(Tag.FLOAT32, 1.5), "173fc00000"),
        (octets(bytes(200)), "0981c8" + "00" * 200),
        (octets(bytes(300)), "0982012c" + "00" * 300),
        (structure(array(unsigned(1), unsigned(2)), Data(Tag.NULL)), "0202 0102 1101 1102 00"),
        (Data(Tag.COMPACT_ARRAY, (unsigned(1), unsigned(2), unsigned(3))), "13 11 03 010203"),
        (
            Data(
                Tag.COMPACT_ARRAY, (structure(unsigned(1), octets(b"a")), structure(unsigned(2), octets(b"")))
            ),
            "13 02 02 11 09 05 01 0161 02 00",
        ),
    ],
)
def test_bytes_are_those_of_the_standard(value: Data, raw: str) -> None:
    assert axdr.encode(value) == bytes.fromhex(raw)
    assert axdr.decode(bytes.fromhex(raw)) == value


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        ("", "ends where more was due"),
        ("07", "not the tag"),
        ("ff00", "not the tag"),
        ("06000001", "ends where more was due"),
        ("0905616263", "5 announced, 3 bytes left"),
        ("0984ffffffff", "4294967295 announced"),
        ("098000", "not a length"),
        ("0985000000000000", "not a length"),
        ("0184ffffffff00", "4294967295 announced"),
        ("0484ffffffff00", "ends where more was due"),
        ("0a02c3a9", "not ascii"),
        ("0c02c328", "not utf-8"),
        ("1900", "ends where more was due"),
        ("13000101", "contents in a compact array of nothing"),
        ("1302000100", "structure of nothing"),
        ("1301000011020000", "array of nothing"),
        ("1301ffff01ffff11020000", "ends where more was due"),
        ("13020100020000", "describes no item"),
        ("13131100", "describes no item"),
    ],
)
def test_malformed_data_is_named(raw: str, why: str) -> None:
    with pytest.raises(ProtocolViolation, match=why):
        axdr.decode(bytes.fromhex(raw))


@pytest.mark.parametrize("tag", [b"\x01\x01", b"\x02\x01", b"\x13\x02\x01", b"\x13" + b"\x02\x01" * 30])
def test_nesting_has_an_end(tag: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        axdr.decode(tag * 30_000 + b"\x00")


@pytest.mark.parametrize(
    "value",
    [
        unsigned(256),
        unsigned(-1),
        Data(Tag.DOUBLE_LONG, 1 << 31),
        Data(Tag.UNSIGNED, "five"),
        Data(Tag.VISIBLE_STRING, "é"),
        Data(Tag.DATE, b"1234"),
        Data(Tag.COMPACT_ARRAY, (unsigned(1), Data(Tag.ENUM, 1))),
        Data(Tag.COMPACT_ARRAY, (Data(Tag.NULL),)),
    ],
)
def test_a_value_that_does_not_fit_its_type_is_not_encoded(value: Data) -> None:
    with pytest.raises(ValueError, match=r"is no|compact array"):
        axdr.encode(value)


def test_nothing_is_encoded_deeper_than_it_could_be_decoded() -> None:
    value = unsigned(1)
    for _ in range(axdr.DEEPEST):
        value = structure(value)
    assert axdr.decode(axdr.encode(value)) == value
    with pytest.raises(ValueError, match="nested deeper"):
        axdr.encode(structure(value))


def test_infinity_survives() -> None:
    assert axdr.decode(axdr.encode(Data(Tag.FLOAT64, math.inf))).value == math.inf
