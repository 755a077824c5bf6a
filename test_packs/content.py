"""The content of a response held against what is due, element by element.

What is due is written as a nested mapping, as DUIS bodies are: element → number, text, flag, moment, mapping,
or a list where the element may repeat. Texts of the message are read as what is due is, so ``39.30`` is the
Decimal ``39.3`` and ``08:00:00Z`` on some day the moment that it means.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from harness.domain.instruments import EvidenceLog
from harness.domain.payload import Payload

_MARK: Final = "@MessageSuccess"  # proven by the fixture ``served``


def expect_content(evidence: EvidenceLog, what: str, payload: Payload, due: Mapping[str, Any]) -> None:
    """The payload has every element that is due with its value, each as often as due, and no other."""
    found = {name: node for name, node in payload.tree.items() if name != _MARK}
    evidence.expect(what, found=_read(found, due) or "", expected=_plain(due))


def indexed(values: Iterable[int | Decimal]) -> list[dict[str, Any]]:
    """Elements of text with an ``index`` from 1."""
    return [{"@index": number, "": value} for number, value in enumerate(values, start=1)]


def row_of(entries: Iterable[Payload]) -> tuple[Decimal, ...]:
    """Values of elements with an ``index``: numbered from 1, without gaps, in order."""
    listed = tuple(entries)
    numbers = [entry.integer("@index") for entry in listed]
    assert numbers == list(range(1, len(listed) + 1)), f"indices are {numbers}"
    return tuple(entry.decimal() for entry in listed)


def _plain(due: Any) -> Any:
    """What is due as a message can hold it: an empty list is no element, nothing is an empty element."""
    if isinstance(due, Mapping):
        below = {name: _plain(value) for name, value in due.items() if value not in ([], ())}
        return below or ""
    if isinstance(due, list | tuple):
        return [_plain(item) for item in due]
    return "" if due is None else due


def _read(found: Any, due: Any) -> Any:
    """What was found, in the form of what is due where it has one."""
    if isinstance(due, list | tuple):
        items = found if isinstance(found, list) else [found]
        forms = [*due, *[due[0] if due else ""] * (len(items) - len(due))]
        return [_read(item, form) for item, form in zip(items, forms, strict=False)]
    if isinstance(found, Mapping):
        form = due if isinstance(due, Mapping) else {}
        return {name: _read(node, form.get(name)) for name, node in found.items()}
    return _value(found, due) if isinstance(found, str) else found


def _value(text: str, due: Any) -> Any:
    match due:
        case bool():
            return {"true": True, "1": True, "false": False, "0": False}.get(text, text)
        case int() | Decimal():
            return _number(text)
        case datetime():
            return _moment(text)
        case _:
            return text


def _number(text: str) -> Decimal | str:
    try:
        return Decimal(text)
    except InvalidOperation:
        return text


def _moment(text: str) -> datetime | str:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
