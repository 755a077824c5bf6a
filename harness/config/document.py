"""YAML as plain values that remember their lines. Nothing but mappings, lists and text can come out.

Scalars stay text as they were written, so that a firmware version ``5.40`` is not read as the number 5.4
and a country ``NO`` is not false; the models decide what a value is. Where no model decides (parameters of
a door), :class:`Written` tells what YAML would have read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

import yaml

from harness.config.problems import Problems

Place = tuple[str | int, ...]
"""Where a value stands: the keys and indices that lead to it."""

_LARGEST: Final = 1_000_000  # bytes of a file
_MOST_VALUES: Final = 100_000  # values in it, aliases counted each time they are used
_DEEPEST: Final = 32
_CORE: Final = "tag:yaml.org,2002:"
_SCALARS: Final = {f"{_CORE}{name}" for name in ("str", "int", "float", "bool", "null", "timestamp")}
_CORE_SCHEMA: Final = (  # tag, what it looks like, what that begins with
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", [*"tTfF"]),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", [*"-+0123456789"]),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", [*"-+.0123456789"]),
    ("merge", r"<<", ["<"]),  # of YAML 1.1: known, so that it can be refused
)


class _Composer(getattr(yaml, "CBaseLoader", yaml.BaseLoader)):  # type: ignore[misc]  # libyaml, where it is
    """Nodes by PyYAML, with the core schema of YAML 1.2 in place of its own, which is of YAML 1.1."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}


for _name, _pattern, _first in _CORE_SCHEMA:
    _Composer.add_implicit_resolver(f"{_CORE}{_name}", re.compile(rf"(?:{_pattern})\Z"), _first)


class Written(str):
    """A plain scalar as it was written; ``value`` is what YAML 1.2 reads it as."""

    __slots__ = ("value",)
    value: bool | int | float | str

    def __new__(cls, text: str, value: bool | int | float | str) -> Written:
        written = super().__new__(cls, text)
        written.value = value
        return written


@dataclass(frozen=True, slots=True)
class Document:
    """The content of one file and the line of every value in it."""

    path: Path
    content: Any
    lines: Mapping[Place, int]

    def line(self, place: Place = ()) -> int:
        """The line of a value, or of the nearest thing that holds it."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)

    def at(self, *place: str | int) -> Any:
        """The value at a place, ``None`` where there is none."""
        value = self.content
        for step in place:
            try:
                value = value[step]
            except (KeyError, IndexError, TypeError):
                return None
        return value


def read_document(path: Path, problems: Problems) -> Document | None:
    """Read a YAML file, or write down why it cannot be read.

    A file that is read whole may still have problems written down: duplicate keys, foreign tags.
    """
    text = read_text(path, problems)
    if text is None:
        return None
    for number, line in enumerate(text.splitlines(), start=1):
        if line.startswith("%"):
            problems.add(path, number, "a YAML directive", "remove it: plain YAML 1.2 is read")
            return None
    try:
        root = _Composer(text).get_single_node()
        return _Reading(path, problems).document(root)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        number = mark.line + 1 if mark else 0
        if _begins_with_a_tab(text, number):
            problems.add(path, number, "a tab at the start of the line", "indent with spaces")
        else:
            problems.add(path, number, f"not YAML: {error.problem}", "correct the syntax")
    except (yaml.YAMLError, ValueError) as error:  # ValueError: an escape beyond Unicode
        problems.add(path, 0, f"not YAML: {str(error).splitlines()[0]}", "correct the syntax")
    except RecursionError:
        problems.add(path, 0, "nested deeper than any lab file", "correct the syntax")
    return None


def _begins_with_a_tab(text: str, number: int) -> bool:
    line = "".join(text.splitlines()[number - 1 : number]) if number else ""
    return "\t" in line[: len(line) - len(line.lstrip())]


def read_text(path: Path, problems: Problems) -> str | None:
    """The text of a file of bounded size, or write down why there is none."""
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except FileNotFoundError:
        problems.add(path, 0, "no such file", "correct its name, or make it")
    except OSError as error:
        problems.add(path, 0, f"cannot be read: {error.strerror}", "make it a readable file")
    else:
        if len(content) > _LARGEST:
            problems.add(path, 0, f"larger than {_LARGEST:,} bytes", "name the right file")
            return None
        try:
            return content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            problems.add(path, line, f"byte {content[error.start]:#04x} is not UTF-8", "save it as UTF-8")
    return None


@dataclass(slots=True)
class _Reading:
    path: Path
    problems: Problems
    values: int = 0

    def document(self, root: yaml.Node | None) -> Document | None:
        lines: dict[Place, int] = {(): 1}
        if root is None:
            self.problems.add(self.path, 0, "empty", "write something, or copy the file of another lab")
            return None
        return Document(self.path, self._value(root, (), lines), lines)

    def _value(self, node: yaml.Node, place: Place, lines: dict[Place, int]) -> Any:
        lines.setdefault(place, node.start_mark.line + 1)
        self.values += 1
        if self.values > _MOST_VALUES or len(place) > _DEEPEST:
            raise RecursionError
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        if isinstance(node, yaml.MappingNode):
            return {
                key: self._value(value, (*place, key), lines)
                for key, value in self._items(node, place, lines)
            }
        if isinstance(node, yaml.SequenceNode):
            return [self._value(item, (*place, index), lines) for index, item in enumerate(node.value)]
        raise TypeError(node)  # the composer makes no other

    def _items(
        self, node: yaml.MappingNode, place: Place, lines: dict[Place, int]
    ) -> Iterator[tuple[str, yaml.Node]]:
        for key_node, value in node.value:
            line = key_node.start_mark.line + 1
            key = key_node.value
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag == f"{_CORE}merge":
                self._refuse(line, "a key is not a word", "write keys out as plain words")
            elif (*place, key) in lines:
                first = lines[*place, key]
                self._refuse(line, f"{key!r} stands twice, first on line {first}", "remove or rename one")
            else:
                lines[*place, key] = line
                yield key, value

    def _scalar(self, node: yaml.ScalarNode) -> str | None:
        if node.tag not in _SCALARS:
            self._refuse(
                node.start_mark.line + 1, f"the tag {node.tag!r} makes an object", "write plain values"
            )
        if node.tag == f"{_CORE}null":
            return None
        return Written(node.value, _plain(str(node.tag), node.value))

    def _refuse(self, line: int, message: str, remedy: str) -> None:
        self.problems.add(self.path, line, message, remedy)


def _plain(tag: str, text: str) -> bool | int | float | str:
    try:
        if tag == f"{_CORE}bool":
            return text.lower() == "true"
        if tag == f"{_CORE}int":
            return int(text, 0 if text.lstrip("+-")[:2] in {"0x", "0o"} else 10)
        if tag == f"{_CORE}float":
            return float(text)
    except ValueError:
        return text
    return text
