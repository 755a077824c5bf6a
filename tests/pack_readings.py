"""Follows, in the sources of the packs, what devices and bench told into what a test asserts.

The source alone is read: a value that a device's own port, the bench or the engineer gave is followed through
names, calls and returns into ``evidence.expect``, ``assert``, ``clock.until`` or ``pytest.raises``. What is
followed too far is no harm: :mod:`tests.lying_ports` proves the same by running the tests.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final, TypeAlias

READS: Final = frozenset(
    {"read", "read_many", "snapshot", "log", "supply", "clock", "identity", "han_devices", "wake_ups",
     "reference", "temperature", "read_display", "ask", "confirm", "display", "frames", "apdus", "opens"}
)  # fmt: skip
"""Methods of devices, bench, engineer and capture that tell something; no answer of the DCC is among them."""
TOUCHES: Final = frozenset({"write", "perform", "operate_supply", "press_enable"})
"""Methods that a device may refuse: inside ``pytest.raises``, that it does is the assertion."""
ASSERTS: Final = frozenset({"expect", "expect_between", "until"})
WATCHES: Final = frozenset({"unchanged"})
"""Fixtures that hold the whole rig against itself: by them alone a test tells what did not happen."""

Function: TypeAlias = ast.FunctionDef


@dataclass(slots=True)
class Summary:
    """What is known of the functions of one name: whether they tell, or assert, what a device has told."""

    tells: bool = False
    asserts: bool = False
    asserts_what_it_is_given: bool = False


@dataclass
class Sources:
    """The functions of the packs, by name; a test sees those of its own module first."""

    modules: dict[Path, ast.Module]
    summaries: dict[tuple[Path | None, str], Summary] = field(default_factory=dict)

    @classmethod
    def of(cls, folder: Path) -> Sources:
        """The sources below a folder, followed to the end."""
        found = cls({path: ast.parse(path.read_text(), str(path)) for path in sorted(folder.rglob("*.py"))})
        while found._go_on():
            pass
        return found

    @cached_property
    def tests(self) -> dict[str, tuple[Path, Function]]:
        """Every test function, as ``module::name``."""
        return {
            f"{path.stem}::{each.name}": (path, each)
            for path, tree in self.modules.items()
            for each in functions(tree)
            if each.name.startswith("test_")
        }

    def known(self, path: Path, name: str) -> Summary | None:
        """What is known of a function that a module calls so."""
        return self.summaries.get((path, name)) or self.summaries.get((None, name))

    def _go_on(self) -> bool:
        """Once through all functions; whether anything new was learnt."""
        before = {key: (s.tells, s.asserts, s.asserts_what_it_is_given) for key, s in self.summaries.items()}
        for path, tree in self.modules.items():
            for each in functions(tree):
                own, given = Reading(self, path, each), Reading(self, path, each, given=True)
                for key in ((path, each.name), (None, each.name)):
                    if key[0] is None and path.name.startswith("test_"):
                        continue  # nobody else can call it
                    summary = self.summaries.setdefault(key, Summary())
                    summary.tells |= own.tells
                    summary.asserts |= own.asserts
                    summary.asserts_what_it_is_given |= given.asserts
        return before != {
            key: (s.tells, s.asserts, s.asserts_what_it_is_given) for key, s in self.summaries.items()
        }


class Reading:
    """One function: which of its names hold what a device told, and what it does with them.

    With ``given`` its arguments count as told by a device; ``watching``: watches count as asserting.
    """

    def __init__(
        self, sources: Sources, path: Path, function: Function, *, given: bool = False, watching: bool = True
    ) -> None:
        self._sources, self._path, self._watching = sources, path, watching
        arguments = function.args
        parameters = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        self._told = {each.arg for each in parameters} if given else set[str]()
        self._nodes = list(ast.walk(function))
        while self._follow():
            pass
        self.asserts = any(map(self._is_assertion, self._nodes))
        self.tells = any(map(self._is_telling, self._nodes))

    def _follow(self) -> bool:
        before = len(self._told)
        for node in self._nodes:
            for targets, value in _bindings(node):
                if value is not None and self._holds(value):
                    self._told |= {name for target in targets for name in names_in(target)}
        return len(self._told) > before

    def _holds(self, value: ast.AST) -> bool:
        """Whether a device's word is in an expression."""
        return any(
            (isinstance(node, ast.Name) and node.id in self._told)
            or (isinstance(node, ast.Attribute) and node.attr in {"frames", "apdus", "opens"})
            or (isinstance(node, ast.Call) and self._call_tells(node))
            for node in ast.walk(value)
        )

    def _call_tells(self, call: ast.Call) -> bool:
        if isinstance(call.func, ast.Attribute) and call.func.attr in READS:
            return True
        summary = self._sources.known(self._path, _name_of(call))
        return summary is not None and summary.tells

    def _is_telling(self, node: ast.AST) -> bool:
        return isinstance(node, ast.Return | ast.Yield) and node.value is not None and self._holds(node.value)

    def _is_assertion(self, node: ast.AST) -> bool:
        if isinstance(node, ast.Assert):
            return self._holds(node.test)
        if isinstance(node, ast.With):
            return any(self._is_expected_refusal(item, node) for item in node.items)
        return isinstance(node, ast.Call) and self._call_asserts(node)

    def _call_asserts(self, call: ast.Call) -> bool:
        name = _name_of(call)
        holds = any(map(self._holds, [*call.args, *(each.value for each in call.keywords)]))
        if name in WATCHES:
            return self._watching or any(
                each.arg == "events" and not _is_empty(each.value) for each in call.keywords
            )
        if isinstance(call.func, ast.Attribute) and name in ASSERTS:
            return holds
        summary = self._sources.known(self._path, name)
        return summary is not None and (summary.asserts or (holds and summary.asserts_what_it_is_given))

    def _is_expected_refusal(self, item: ast.withitem, block: ast.With) -> bool:
        call = item.context_expr
        if not (isinstance(call, ast.Call) and _name_of(call) == "raises"):
            return False
        nodes = (node for statement in block.body for node in ast.walk(statement))
        return any(_name_of(each) in READS | TOUCHES for each in nodes if isinstance(each, ast.Call))


def functions(tree: ast.AST) -> Iterator[Function]:
    """Every function of a module: those in classes and in functions too."""
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def marks(function: Function, name: str) -> Iterator[ast.Call]:
    """The uses of a mark on a test function."""
    calls = (each for each in function.decorator_list if isinstance(each, ast.Call))
    return (each for each in calls if isinstance(each.func, ast.Attribute) and each.func.attr == name)


def names_in(target: ast.AST) -> Iterator[str]:
    """The names that an assignment binds."""
    return (node.id for node in ast.walk(target) if isinstance(node, ast.Name))


def _bindings(node: ast.AST) -> Iterable[tuple[list[ast.expr], ast.expr | None]]:
    if isinstance(node, ast.Assign):
        return [(node.targets, node.value)]
    if isinstance(node, ast.AnnAssign | ast.AugAssign | ast.NamedExpr):
        return [([node.target], node.value)]
    if isinstance(node, ast.For | ast.comprehension):
        return [([node.target], node.iter)]
    if isinstance(node, ast.With):
        return [([item.optional_vars], item.context_expr) for item in node.items if item.optional_vars]
    if isinstance(node, ast.Call) and _name_of(node) in {"append", "add", "extend", "update"}:
        assert isinstance(node.func, ast.Attribute | ast.Name)
        holder = node.func.value if isinstance(node.func, ast.Attribute) else node.func
        return [([holder], argument) for argument in node.args]
    return []


def _name_of(call: ast.Call) -> str:
    function = call.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _is_empty(value: ast.expr) -> bool:
    return isinstance(value, ast.Tuple | ast.List) and not value.elts
