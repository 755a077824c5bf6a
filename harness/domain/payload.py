"""Reading of a message's content by element names, as the schema spells them.

>>> payload = Payload({"Electricity": {"ActiveImportRegister": {"Value": "1234"}}})
>>> payload.integer("Electricity/ActiveImportRegister/Value")
1234
>>> payload.all("Electricity/Nothing")
()
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from harness.domain.errors import ProtocolViolation


@dataclass(frozen=True, slots=True)
class Payload:
    """A tree of elements: name → text, nested mapping, or list where the element repeats.

    ``@name`` holds an attribute, ``""`` the text of an element that has attributes. Paths are element
    names joined by ``/``. A missing or unreadable element is a :class:`ProtocolViolation` naming the path.
    """

    tree: Mapping[str, Any] = field(default_factory=dict)

    def __contains__(self, path: str) -> bool:
        return self.find(path) is not None

    def find(self, path: str) -> Any:
        """What stands at the path, the first where it repeats; ``None`` if nothing does."""
        node: Any = self.tree
        for name in path.split("/"):
            if isinstance(node, list):
                node = node[0] if node else None
            if not isinstance(node, Mapping) or name not in node:
                return None
            node = node[name]
        return node[0] if isinstance(node, list) and node else node

    def all(self, path: str) -> tuple[Payload, ...]:
        """Every element at the path (repeats allowed at its last name), each as a payload of its own."""
        *parents, last = path.split("/")
        node = self.find("/".join(parents)) if parents else self.tree
        if not isinstance(node, Mapping) or last not in node:
            return ()
        found = node[last]
        items: Sequence[Any] = found if isinstance(found, list) else [found]
        return tuple(Payload(item if isinstance(item, Mapping) else {"": item}) for item in items)

    def text(self, path: str = "") -> str:
        """The text at the path; of this element itself by default."""
        node = self.find(path)
        if isinstance(node, Mapping):
            node = node.get("")
        if node is None:
            raise ProtocolViolation(
                f"the message has no {path or 'text'}; it has {', '.join(self.names()) or 'nothing'}",
                remedy="look at the message in the evidence",
            )
        return str(node)

    def integer(self, path: str = "") -> int:
        """The whole number at the path."""
        return int(self.decimal(path))

    def decimal(self, path: str = "") -> Decimal:
        """The number at the path."""
        try:
            return Decimal(self.text(path))
        except InvalidOperation:
            raise ProtocolViolation(f"{path or 'the element'} is {self.text(path)!r}, not a number") from None

    def flag(self, path: str) -> bool:
        """The truth at the path."""
        return self.text(path) in {"true", "1"}

    def time(self, path: str) -> datetime:
        """The moment at the path, aware UTC; a time without zone is read as UTC, as DUIS has it."""
        try:
            moment = datetime.fromisoformat(self.text(path))
        except ValueError:
            raise ProtocolViolation(f"{path} is {self.text(path)!r}, not a date and time") from None
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)

    def names(self) -> tuple[str, ...]:
        """Names of the elements directly below."""
        return tuple(self.tree)

    def leaves(self) -> Iterator[tuple[str, str]]:
        """Every path with its text, for evidence and comparison."""

        def walk(node: Any, path: str) -> Iterator[tuple[str, str]]:
            if isinstance(node, Mapping):
                for name, child in node.items():
                    yield from walk(child, f"{path}/{name}" if path else name)
            elif isinstance(node, list):
                for index, child in enumerate(node):
                    yield from walk(child, f"{path}[{index}]")
            else:
                yield path, str(node)

        return walk(self.tree, "")
