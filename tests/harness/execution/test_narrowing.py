"""Only some of what the packs plan."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.domain.errors import UsageError
from harness.domain.words import DeviceType
from harness.execution.narrowing import Narrowing
from harness.execution.planning import CASE


class Item:
    """What is asked of a collected item."""

    def __init__(self, function: str, device: str, entry: str = "dormant", **marks: str) -> None:
        self.originalname, self.path = function, Path("test_it.py")
        self.name = f"{function}[pack,{entry},{device}]"
        case = SimpleNamespace(entry=SimpleNamespace(id=entry), device=DeviceType(device))
        self.callspec = SimpleNamespace(params={CASE: case})
        self._marks = marks

    def iter_markers(self, name: str) -> list[Any]:
        return [SimpleNamespace(args=[self._marks[name]])] if name in self._marks else []


ITEMS: list[Any] = [
    Item("test_top_up", "ESME", srv="2.2", functional_group="Prepayment"),
    Item("test_top_up", "GSME", srv="2.2", functional_group="Prepayment"),
    Item("test_debt", "GSME", "active", srv="2.3", functional_group="Prepayment"),
    Item("test_status", "ESME", srv="7.4", functional_group="Supply"),
]


def left(**words: list[str]) -> list[str]:
    return [item.name for item in Narrowing(words).wanted(ITEMS)]  # type: ignore[attr-defined]


def test_without_a_word_everything_is_wanted() -> None:
    assert len(left()) == len(ITEMS)
    assert Narrowing({}).words == {}


def test_words_of_a_kind_widen_each_other_and_kinds_narrow_each_other() -> None:
    assert left(srv=["2.2", "2.3"], device=["GSME"]) == [ITEMS[1].name, ITEMS[2].name]
    assert left(group=["Supply", "Prepayment"], entry=["active"]) == [ITEMS[2].name]


@pytest.mark.parametrize(
    "word", ["test_status", "test_it::test_status", "test_it::test_status[pack,dormant,ESME]"]
)
def test_a_test_is_named_by_its_function_its_module_or_its_whole_id(word: str) -> None:
    assert left(test=[word]) == [ITEMS[3].name]


def test_tests_that_are_named_come_in_that_order() -> None:
    assert left(test=["test_status", "test_debt", "test_top_up"]) == [
        ITEMS[3].name, ITEMS[2].name, ITEMS[0].name, ITEMS[1].name,
    ]  # fmt: skip


def test_a_word_that_nothing_answers_to_is_refused_with_the_nearest() -> None:
    with pytest.raises(
        UsageError, match=r"--srv 2\.22: the packs plan no such test \(did you mean '2\.2'\?\)"
    ):
        left(srv=["2.22"])


def test_what_there_is_to_choose_from_is_told_in_order() -> None:
    with pytest.raises(UsageError) as refused:
        left(test=["xxxxxxxx"])
    told = refused.value.remedy.removeprefix("choose from ").strip("'").split("', '")
    assert len(told) > 6
    assert told == sorted(told)


def test_of_more_names_than_anybody_reads_it_is_told_where_they_are_shown() -> None:
    many: list[Any] = [Item(f"test_{number}", "ESME") for number in range(60)]
    with pytest.raises(UsageError, match=r"\(pytest --pack PACK --collect-only -q shows what is planned\)"):
        Narrowing({"test": ["xxxxxxxx"]}).wanted(many)
    with pytest.raises(UsageError, match=r"\(did you mean 'test_59'\?\)"):
        Narrowing({"test": ["test-59"]}).wanted(many)


def test_kinds_that_leave_nothing_together_leave_nothing() -> None:
    assert left(srv=["7.4"], device=["GSME"]) == []
