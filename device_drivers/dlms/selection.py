"""Selective access to a profile, between its Python form and the wire (Blue Book 4.3.6)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

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
from device_drivers.dlms.refs import (
    CLOCK_TIME,
    AttributeRef,
    EntrySelector,
    RangeSelector,
    Selector,
    format_obis,
    parse_obis,
)
from device_drivers.dlms.times import decode_date_time, encode_date_time
from harness.domain.errors import ProtocolViolation

BY_RANGE, BY_ENTRY = 1, 2
_BEGINNING = datetime.min.replace(tzinfo=UTC)
_END = datetime.max.replace(tzinfo=UTC)


def to_wire(selector: Selector | None) -> Selection | None:
    """The selective access parameters of a GET."""
    match selector:
        case None:
            return None
        case RangeSelector(start, end, columns):
            objects = array(*(capture_object(column) for column in columns))
            clock = capture_object(CLOCK_TIME)
            return Selection(BY_RANGE, structure(clock, _moment(start), _moment(end), objects))
        case EntrySelector(first, last, first_column, last_column):
            entries = double_long_unsigned(first), double_long_unsigned(last)
            return Selection(
                BY_ENTRY, structure(*entries, long_unsigned(first_column), long_unsigned(last_column))
            )


def from_wire(selection: Selection | None) -> Selector | None:
    """The inverse. Raises :class:`ProtocolViolation` on what is neither form, or no range of the clock."""
    if selection is None:
        return None
    fields = _fields(selection.parameters, 4)
    if selection.selector == BY_RANGE:
        if _reference(fields[0]) != CLOCK_TIME:
            raise ProtocolViolation("a range of something other than the clock")
        start, end = _read_moment(fields[1]), _read_moment(fields[2])
        columns = tuple(_reference(item) for item in _value(fields[3], Tag.ARRAY))
        return RangeSelector(start, _END if end == _BEGINNING else end, columns)
    if selection.selector == BY_ENTRY:
        rows = (_value(field, Tag.DOUBLE_LONG_UNSIGNED) for field in fields[:2])
        columns_range = (_value(field, Tag.LONG_UNSIGNED) for field in fields[2:])
        return EntrySelector(*rows, *columns_range)
    raise ProtocolViolation(f"selector {selection.selector}: expected 1 (range) or 2 (entry)")


def capture_object(ref: AttributeRef) -> Data:
    """An attribute as the capture objects of a profile name it (Blue Book 4.3.6)."""
    name = octets(parse_obis(ref.obis))
    return structure(long_unsigned(ref.class_id), name, integer(ref.attribute), long_unsigned(0))


def _reference(data: Data) -> AttributeRef:
    class_id, name, attribute, _ = _fields(data, 4)
    raw = _value(name, Tag.OCTET_STRING)
    if len(raw) != 6:
        raise ProtocolViolation(f"a logical name has 6 bytes, found {len(raw)}")
    return AttributeRef(_value(class_id, Tag.LONG_UNSIGNED), format_obis(raw), _value(attribute, Tag.INTEGER))


def _moment(moment: datetime) -> Data:
    return octets(encode_date_time(_BEGINNING if moment == _END else moment))


def _read_moment(data: Data) -> datetime:
    return decode_date_time(_value(data, Tag.OCTET_STRING, Tag.DATE_TIME))


def _fields(data: Data, count: int) -> tuple[Data, ...]:
    fields: tuple[Data, ...] = _value(data, Tag.STRUCTURE)
    if len(fields) != count:
        raise ProtocolViolation(f"expected a structure of {count}, found {len(fields)}")
    return fields


def _value(data: Data, *tags: Tag) -> Any:
    if data.tag not in tags:
        raise ProtocolViolation(f"expected {tags[0].name.lower()}, found {data.tag.name.lower()}")
    return data.value
