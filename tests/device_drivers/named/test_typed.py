"""Values that a person types: what each form takes, and what is said to what it does not take."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from device_drivers.named.forms import (
    BYTES,
    FLAG,
    INT8,
    INT32,
    MOMENT,
    TEXT,
    UINT16,
    Choice,
    Fixed,
    Form,
    Listing,
    Record,
)
from device_drivers.named.objects import TABLES
from device_drivers.named.typed import described, parsed

DEBT = Record((("rate", INT32), ("period", Choice(("HOURLY", "DAILY")))))
DAYS = Listing(Record((("name", TEXT), ("on", FLAG), ("from", MOMENT), ("volts", Fixed(UINT16, -1)))))


@pytest.mark.parametrize(
    ("form", "text", "value"),
    [
        (UINT16, "65535", 65535),
        (INT8, "-128", -128),
        (Fixed(UINT16, -1), "230.4", Decimal("230.4")),
        (Fixed(UINT16, -1), "230.40", Decimal("230.4")),
        (Fixed(UINT16, 2), "1200", Decimal(1200)),
        (TEXT, "two words", "two words"),
        (TEXT, "", ""),
        (BYTES, "00 ff", b"\x00\xff"),
        (FLAG, "Yes", True),
        (FLAG, "off", False),
        (MOMENT, "2026-03-02", datetime(2026, 3, 2, tzinfo=UTC)),
        (MOMENT, "2026-07-02T12:00:00+01:00", datetime(2026, 7, 2, 11, tzinfo=UTC)),
        (MOMENT, "2026-07-02 12:00:00Z", datetime(2026, 7, 2, 12, tzinfo=UTC)),
        (Choice(("Daily", "Weekly")), "weekly", "Weekly"),
        (Listing(INT8), "[]", ()),
        (Listing(Listing(UINT16)), "[[1], [2, 3]]", ((1,), (2, 3))),
        (DEBT, '{"period": "daily", "rate": -5}', {"rate": -5, "period": "DAILY"}),
        (
            DAYS,
            '[{"name": "x", "on": true, "from": "2026-03-02T00:00:00.000000Z", "volts": 230.4}]',
            ({"name": "x", "on": True, "from": datetime(2026, 3, 2, tzinfo=UTC), "volts": Decimal("230.4")},),
        ),
    ],
)
def test_what_a_person_types_is_the_value_that_it_says(form: Form, text: str, value: Any) -> None:
    assert parsed(form, text) == value
    assert form.decode(form.encode(parsed(form, text))) == value  # and it fits on the wire


@pytest.mark.parametrize(
    ("form", "text", "told"),
    [
        (UINT16, "65536", "65536 is not between 0 and 65535"),
        (UINT16, "-1", "-1 is not between"),
        (UINT16, "12.0", "no whole number"),
        (UINT16, "", "no whole number"),
        (Fixed(UINT16, -1), "230.45", "it takes steps of 0.1"),
        (Fixed(UINT16, 2), "1250", "it takes steps of 100"),
        (Fixed(UINT16, -1), "6553.6", "is not between"),
        (Fixed(UINT16, -1), "1e99", "too large or too small"),
        (Fixed(UINT16, -1), "1e999999999", "too large or too small"),
        (Fixed(UINT16, -1), "1e-999999999", "too large or too small"),
        (Fixed(UINT16, -1), "NaN", "no decimal number"),
        (Fixed(UINT16, -1), "-inf", "no decimal number"),
        (Fixed(UINT16, -1), "two", "no decimal number"),
        (BYTES, "0", "hexadecimal digits"),
        (BYTES, "xy", "hexadecimal digits"),
        (FLAG, "maybe", "neither yes nor no"),
        (MOMENT, "yesterday", "it is no time"),
        (MOMENT, "0001-01-01T00:00:00+14:00", "it is no time"),  # UTC has no such day
        (Choice(("Daily", "Weekly")), "Weakly", "did you mean 'Weekly'?"),
        (Choice(("Daily", "Weekly")), "xyz", "none of its words"),
        (Listing(INT8), "1", "1 is no list"),
        (Listing(INT8), "[1", "it is no JSON"),
        (Listing(INT8), "[300]", "300 is not between"),
        (Listing(INT8), "[null]", "null stands where a whole number, -128 to 127 is due"),
        (Listing(TEXT), "[[]]", "[] stands where text is due"),
        (Listing(UINT16), "[true]", "no whole number"),
        (DEBT, '{"rate": 5}', "expected an object with rate, period"),
        (DEBT, '{"rate": 5, "period": "DAILY", "more": 1}', "expected an object with rate, period"),
        (DEBT, "[]", "expected an object with rate, period"),
    ],
)
def test_what_no_value_can_be_is_refused_with_the_reason(form: Form, text: str, told: str) -> None:
    with pytest.raises(ValueError) as refused:
        parsed(form, text)
    assert told in str(refused.value)


def test_every_item_of_our_devices_can_be_described_to_who_types_it() -> None:
    for table in TABLES.values():
        for item in table.items.values():
            assert described(item.form), item.name
