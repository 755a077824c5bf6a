"""Values as a person types them and reads of them: the third face of a form, beside Python's and COSEM's.

>>> from device_drivers.named.forms import FLAG, INT8, Choice, Fixed, Listing, UINT16
>>> parsed(Fixed(UINT16, -1), "230.4"), parsed(FLAG, "on"), parsed(Listing(INT8), "[1, -2]")
(Decimal('230.4'), True, (1, -2))
>>> described(Choice(("Daily", "Weekly")))
'Daily or Weekly'
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from typing import Any, Final

from device_drivers.named.forms import (
    BYTES,
    FLAG,
    MOMENT,
    TEXT,
    Choice,
    Fixed,
    Form,
    Listing,
    Number,
    Record,
    bounds,
)

_DIGITS: Final = 20  # before or behind the point: more than any form has
_FLAGS: Final[Mapping[str, bool]] = {
    "true": True, "yes": True, "on": True, "1": True,
    "false": False, "no": False, "off": False, "0": False,
}  # fmt: skip


def parsed(form: Form, text: str) -> Any:
    """The value of that form that the text says; lists and records are typed as JSON.

    Raises :class:`ValueError` saying what is wrong with it.
    """
    if isinstance(form, Listing | Record):
        try:
            return _from_json(form, json.loads(text, parse_float=Decimal))
        except json.JSONDecodeError as error:
            raise ValueError(f"it is no JSON: {error}") from None
    return _from_text(form, text)


def _from_json(form: Form, value: Any) -> Any:
    match form:
        case Listing():
            if not isinstance(value, list):
                raise ValueError(f"{value!r} is no list")
            return tuple(_from_json(form.of, each) for each in value)
        case Record():
            fields = dict(form.fields)
            if not isinstance(value, dict) or value.keys() != fields.keys():
                raise ValueError(f"expected an object with {', '.join(fields)}")
            return {name: _from_json(fields[name], value[name]) for name in fields}
        case _ if value is None or isinstance(value, list | dict):
            raise ValueError(f"{json.dumps(value, default=str)} stands where {described(form)} is due")
        case _:
            return _from_text(form, str(value))


def _from_text(form: Form, text: str) -> Any:
    match form:
        case Number():
            return _whole(form, text)
        case Fixed():
            return _decimal(form, text)
        case Choice():
            return _word(form, text)
        case _:
            for known, read in _PLAIN:
                if form is known:
                    return read(text)
            raise ValueError("values of its form cannot be typed")


def _whole(form: Number, text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        raise ValueError("it is no whole number") from None
    form.encode(value)  # raises where it does not fit
    return value


def _decimal(form: Fixed, text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite():
        raise ValueError("it is no decimal number")
    if value and abs(value.adjusted()) > _DIGITS:
        raise ValueError("the number is too large or too small")
    steps = value.scaleb(-form.scaler)
    if steps != steps.to_integral_value():
        raise ValueError(f"it takes steps of {Decimal(1).scaleb(form.scaler):f}")
    form.encode(value)
    return value


def _word(form: Choice, text: str) -> str:
    words = {word.casefold(): word for word in form.words}
    if text.casefold() in words:
        return str(words[text.casefold()])
    near = get_close_matches(text.casefold(), words, n=1)
    raise ValueError(f"did you mean {str(words[near[0]])!r}?" if near else "it is none of its words")


def _flag(text: str) -> bool:
    if text.casefold() not in _FLAGS:
        raise ValueError("it is neither yes nor no")
    return _FLAGS[text.casefold()]


def _bytes(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise ValueError("it is no row of hexadecimal digits, two for each byte") from None


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("it is no time") from None


_PLAIN: Final[Sequence[tuple[Form, Callable[[str], Any]]]] = (
    (TEXT, str),
    (BYTES, _bytes),
    (FLAG, _flag),
    (MOMENT, _moment),
)


def described(form: Form) -> str:
    """What a value of that form looks like, for a person."""
    match form:
        case Number():
            low, high = bounds(form)
            return f"a whole number, {low} to {high}"
        case Fixed():
            return f"a number in steps of {Decimal(1).scaleb(form.scaler):f}"
        case Choice():
            *before, last = map(str, form.words)
            return f"{', '.join(before)} or {last}" if before else last
        case Listing():
            return f"a JSON list, each {described(form.of)}"
        case Record():
            return "a JSON object: " + "; ".join(f"{name}: {described(of)}" for name, of in form.fields)
        case _:
            return next((words for known, words in _WORDS if form is known), "")


_WORDS: Final[Sequence[tuple[Form, str]]] = (
    (TEXT, "text"),
    (BYTES, "bytes in hexadecimal digits"),
    (FLAG, "yes or no"),
    (MOMENT, "a time, ISO 8601, in UTC where it names no zone"),
)
