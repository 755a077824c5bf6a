"""Values of a document against a model, and what is wrong told in a bench engineer's words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import EnumMeta
from types import UnionType
from typing import Any, Final, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from harness.config.document import Document, Place
from harness.config.problems import Problems, listed, nearest

M = TypeVar("M", bound=BaseModel)

_MOMENT: Final = "a date and time with its zone, as 2025-03-01T00:00:00Z"
_EXPECTED: Final = {
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "float_parsing": "a number",
    "float_type": "a number",
    "finite_number": "a number",
    "decimal_parsing": "a number",
    "decimal_type": "a number",
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "string_type": "text",
    "string_too_short": "text",
    "string_too_long": "at most {max_length} characters",
    "too_short": "at least {min_length} of them",
    "dict_type": "keys and values below it",
    "model_type": "keys and values below it",
    "list_type": "a list",
    "date_from_datetime_parsing": "a date as YYYY-MM-DD",
    "datetime_from_date_parsing": _MOMENT,
    "timezone_aware": _MOMENT,
    "greater_than": "more than {gt:g}",
    "greater_than_equal": "{ge} or more",
    "less_than_equal": "{le} or less",
    "literal_error": "{expected}",
    "expected": "{expected}",  # ours, see the models
}


def validate(model: type[M], document: Document, place: Place, problems: Problems) -> M | None:
    """The value at a place as ``model``, or its problems written down."""
    try:
        return model.model_validate(document.at(*place), context={"folder": document.path.parent})
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            at, message, remedy = _Fault(model, detail).told()
            where = ".".join(str(step) for step in (*place, *at))
            told = f"{where}: {message}" if where else message
            problems.add(document.path, document.line((*place, *at)), told, remedy)
        return None


@dataclass(frozen=True, slots=True)
class _Fault:
    """One error of a validation; says it with what the model knows of the place."""

    model: type[BaseModel]
    detail: ErrorDetails

    @property
    def place(self) -> Place:
        return tuple(step for step in self.detail["loc"] if step != "[key]")

    def told(self) -> tuple[Place, str, str]:
        """Where below the model, what was found and expected, and what to do."""
        place, meaning = self.place, _meaning(self.model, self.place)
        name = str(place[-1]) if place else ""
        match self.detail["type"]:
            case "missing":
                return place[:-1], f"no key {name!r}", f"add it: {meaning}"
            case "extra_forbidden":
                return place, f"unknown key {name!r}", nearest(name, _keys(self.model, place[:-1]))
            case "reference":
                keys = (self.detail.get("ctx") or {}).get("keys", ())
                wrong = "found a value, expected the reference of a secret"
                return (*place, *keys), wrong, "keep the secret elsewhere and write env:NAME or file:path"
            case "string_pattern_mismatch":
                return place, f"found {_found(self.detail['input'])}, expected {meaning}", "correct it"
            case "enum":
                return self._no_such_word()
            case kind:
                context = self.detail.get("ctx") or {}
                expected = _EXPECTED[kind].format_map(context) if kind in _EXPECTED else self.detail["msg"]
                found = _found(self.detail["input"])
                return (
                    place,
                    f"found {found}, expected {expected}",
                    f"correct it: {meaning}" if meaning else "",
                )

    def _no_such_word(self) -> tuple[Place, str, str]:
        """A word that is none of an enumeration's: a value, or a key of a mapping."""
        is_key = self.detail["loc"][-1] == "[key]"
        holder = _annotation(self.model, self.place[:-1] if is_key else self.place)
        choice = get_args(holder)[0] if is_key else holder
        words = [str(member.value) for member in choice] if isinstance(choice, EnumMeta) else []  # type: ignore[var-annotated]  # members of an unknown enumeration
        found = self.detail["input"]
        remedy = nearest(str(found), words, "correct it")
        return self.place, f"found {_found(found)}, expected one of {listed(words)}", remedy


def _found(value: Any) -> str:
    """What stands there, without values that might be secrets."""
    if value is None:
        return "nothing"
    if isinstance(value, Mapping):
        return f"the keys {listed(value)}" if value else "no keys"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    return repr(str(value))


def _annotation(model: type[BaseModel], place: Place) -> Any:
    """The type that the models give the value at a place; ``None`` where they have no such place."""
    current: Any = model
    for step in place:
        if isinstance(current, type) and issubclass(current, BaseModel):
            field = current.model_fields.get(str(step))
            current = _plain(field.annotation) if field else None
        else:
            current = _plain(get_args(current)[-1]) if get_args(current) else None
    return current


def _plain(annotation: Any) -> Any:
    """The type without ``None`` beside it and without metadata."""
    if get_origin(annotation) in {Union, UnionType}:
        annotation = next(each for each in get_args(annotation) if each is not type(None))
    return annotation.__origin__ if hasattr(annotation, "__metadata__") else annotation


def _keys(model: type[BaseModel], place: Place) -> list[str]:
    holder = _annotation(model, place)
    return list(holder.model_fields) if isinstance(holder, type) and issubclass(holder, BaseModel) else []


def _meaning(model: type[BaseModel], place: Place) -> str:
    """What the models say about the nearest key at or above a place."""
    for end in range(len(place), 0, -1):
        holder, name = _annotation(model, place[: end - 1]), str(place[end - 1])
        if isinstance(holder, type) and issubclass(holder, BaseModel) and name in holder.model_fields:
            return holder.model_fields[name].description or ""
    return ""
