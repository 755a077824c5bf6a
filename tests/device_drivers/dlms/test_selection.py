from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_drivers.dlms.apdu import Selection
from device_drivers.dlms.data import (
    Data,
    Tag,
    array,
    double_long_unsigned,
    integer,
    long_unsigned,
    octets,
    structure,
)
from device_drivers.dlms.refs import AttributeRef, EntrySelector, RangeSelector, format_obis, parse_obis
from device_drivers.dlms.selection import from_wire, to_wire
from device_drivers.dlms.times import decode_date_time, encode_date_time
from harness.domain.errors import ProtocolViolation

MOMENTS = st.datetimes(datetime(1990, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)).map(
    lambda moment: moment.replace(microsecond=moment.microsecond // 10_000 * 10_000)
)
COLUMNS = st.lists(
    st.builds(
        AttributeRef,
        st.integers(0, 0xFFFF),
        st.binary(min_size=6, max_size=6).map(format_obis),
        st.integers(0, 9),
    ),
    max_size=4,
).map(tuple)
RANGES = st.builds(RangeSelector, MOMENTS, MOMENTS, COLUMNS)
ENTRIES = st.builds(EntrySelector, *[st.integers(0, 0xFFFFFFFF)] * 2, *[st.integers(0, 0xFFFF)] * 2)
CLOCK = structure(long_unsigned(8), octets(parse_obis("0-0:1.0.0")), integer(2), long_unsigned(0))
NOON = datetime(2026, 3, 29, 12, tzinfo=UTC)


@given(st.one_of(RANGES, ENTRIES, st.none()))
def test_selectors_survive_the_wire(selector) -> None:
    assert from_wire(to_wire(selector)) == selector


@given(st.binary(min_size=6, max_size=6))
def test_logical_names_survive_being_written_out(raw: bytes) -> None:
    assert parse_obis(format_obis(raw)) == raw


@pytest.mark.parametrize("text", ["", "1.8.0", "1-0:1.8", "1-0:1.8.256", "1-0:1.8.0.0.0", "a-0:1.8.0"])
def test_what_is_no_logical_name_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not an OBIS code"):
        parse_obis(text)


def test_an_open_end_is_the_end_of_time() -> None:
    anything = octets(b"\xff" * 9 + b"\x80\x00\xff")
    assert from_wire(Selection(1, structure(CLOCK, anything, anything, array()))) == RangeSelector(
        datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    )


@pytest.mark.parametrize(
    "selection",
    [
        Selection(3, structure(CLOCK, CLOCK, CLOCK, array())),
        Selection(1, structure()),
        Selection(1, octets(b"")),
        Selection(1, structure(CLOCK, octets(b"short"), octets(b"short"), array())),
        Selection(1, structure(CLOCK, double_long_unsigned(1), double_long_unsigned(2), array())),
        Selection(1, structure(octets(b""), octets(bytes(12)), octets(bytes(12)), array())),
        Selection(2, structure(*[long_unsigned(1)] * 4)),
        Selection(2, structure(*[double_long_unsigned(1)] * 4)),
    ],
)
def test_what_is_no_selection_is_a_violation(selection: Selection) -> None:
    with pytest.raises(ProtocolViolation):
        from_wire(selection)


@given(MOMENTS)
def test_moments_survive(moment: datetime) -> None:
    assert decode_date_time(encode_date_time(moment)) == moment


def test_a_moment_goes_as_universal_time() -> None:
    summer = timezone(timedelta(hours=1))
    assert decode_date_time(encode_date_time(NOON.astimezone(summer))) == NOON


def test_local_time_is_understood_by_its_deviation() -> None:
    local = bytes.fromhex("07ea031d07 0d000000 ffc4 80".replace(" ", ""))  # 13:00, one hour ahead of UTC
    assert decode_date_time(local) == NOON


@given(st.binary(max_size=14))
def test_any_bytes_are_a_moment_or_a_violation(raw: bytes) -> None:
    try:
        decode_date_time(raw)
    except ProtocolViolation:
        return


def test_a_moment_beyond_the_calendar_is_a_violation() -> None:
    for raw in ("270f0c1f05173b3b007fff00", "0001010101000000008001ff"[:24]):
        with pytest.raises(ProtocolViolation):
            decode_date_time(bytes.fromhex(raw))


def test_what_is_selected_is_data() -> None:
    assert isinstance(to_wire(EntrySelector(1)).parameters, Data)
    assert to_wire(EntrySelector(1)).parameters.tag is Tag.STRUCTURE
