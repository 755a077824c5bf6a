"""The object tables: one place for each item, and values that go to the wire and back."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_drivers.dlms import axdr
from device_drivers.dlms.data import Data, Tag, long_unsigned
from device_drivers.dlms.refs import parse_obis
from device_drivers.named.forms import (
    BYTES,
    FLAG,
    INT8,
    INT32,
    INT64,
    MOMENT,
    TEXT,
    UINT8,
    UINT16,
    UINT32,
    UINT64,
    UNSET,
    Choice,
    Fixed,
    Form,
    Listing,
    Number,
    Record,
)
from device_drivers.named.objects import TABLES, Kind, ObjectTable
from harness.domain.errors import ProtocolViolation

TABLE = pytest.mark.parametrize("table", TABLES.values(), ids=TABLES.keys())
BOUNDS = {
    INT8: (-(2**7), 2**7 - 1),
    INT32: (-(2**31), 2**31 - 1),
    INT64: (-(2**63), 2**63 - 1),
    UINT8: (0, 2**8 - 1),
    UINT16: (0, 2**16 - 1),
    UINT32: (0, 2**32 - 1),
    UINT64: (0, 2**64 - 1),
}


@TABLE
def test_no_two_items_logs_or_commands_share_a_place(table: ObjectTable) -> None:
    items = Counter((item.class_id, item.obis, item.attribute) for item in table.items.values())
    logs = Counter(log.obis for log in table.logs.values())
    commands = Counter((c.class_id, c.obis, c.method, c.constant) for c in table.commands.values())
    assert {max(places.values()) for places in (items, logs, commands)} == {1}


@TABLE
def test_a_logical_name_belongs_to_objects_of_one_class(table: ObjectTable) -> None:
    classes: dict[str, set[int]] = {}
    for thing in (*table.items.values(), *table.logs.values(), *table.commands.values()):
        classes.setdefault(thing.obis, set()).add(thing.class_id)
    assert {obis: found for obis, found in classes.items() if len(found) > 1} == {}


@TABLE
def test_every_place_is_an_obis_code_and_every_name_its_own(table: ObjectTable) -> None:
    for named in (table.items, table.logs, table.commands):
        for name, thing in named.items():
            assert thing.name == name
            assert len(parse_obis(thing.obis)) == 6


@TABLE
def test_registers_have_units_unless_they_are_plain_numbers(table: ObjectTable) -> None:
    for item in table.items.values():
        if item.class_id == 3:
            assert item.unit
            assert item.kind is Kind.REGISTER


@TABLE
def test_the_logs_of_half_hours_hold_thirteen_months(table: ObjectTable) -> None:
    for log in table.logs.values():
        if log.name == "profile":
            assert (log.period, log.capacity) == (1_800, 19_056)


@pytest.mark.parametrize(("form", "bounds"), BOUNDS.items(), ids=lambda value: str(value))
def test_a_number_beyond_its_type_is_not_encoded(form: Number, bounds: tuple[int, int]) -> None:
    for number in bounds:
        assert form.decode(axdr.decode(axdr.encode(form.encode(number)))) == number
    for number in (bounds[0] - 1, bounds[1] + 1):
        with pytest.raises(ValueError, match="is not between"):
            form.encode(number)


RECORD = Record((("kind", Choice(("tou", "block"))), ("prices", Listing(INT32)), ("on", FLAG)))
VALUES: list[tuple[Form, st.SearchStrategy[Any]]] = [
    *((form, st.integers(*bounds)) for form, bounds in BOUNDS.items()),
    (Fixed(UINT64, -3), st.integers(0, 10**12).map(lambda litres: Decimal(litres).scaleb(-3))),
    (TEXT, st.text(max_size=40)),
    (BYTES, st.binary(max_size=40)),
    (FLAG, st.booleans()),
    (
        MOMENT,
        st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)).map(
            lambda moment: moment.replace(microsecond=0, tzinfo=UTC)
        ),
    ),
    (
        RECORD,
        st.fixed_dictionaries(
            {
                "kind": st.sampled_from(("tou", "block")),
                "prices": st.lists(st.integers(-5, 5), max_size=4).map(tuple),
                "on": st.booleans(),
            }
        ),
    ),
]


@given(st.data())
def test_every_form_gives_back_what_it_was_given(data: st.DataObject) -> None:
    form, values = data.draw(st.sampled_from(VALUES))
    value = data.draw(values)
    assert form.decode(axdr.decode(axdr.encode(form.encode(value)))) == value


def test_an_unset_moment_stays_unset() -> None:
    assert MOMENT.decode(MOMENT.encode(UNSET)) == UNSET


@pytest.mark.parametrize(
    ("form", "data"),
    [
        (UINT32, long_unsigned(5)),
        (Choice(("a", "b")), Data(Tag.ENUM, 2)),
        (RECORD, Data(Tag.STRUCTURE, ())),
        (Listing(FLAG), long_unsigned(5)),
        (MOMENT, Data(Tag.OCTET_STRING, b"short")),
    ],
)
def test_data_of_another_form_is_a_violation(form: Form, data: Data) -> None:
    with pytest.raises(ProtocolViolation):
        form.decode(data)
