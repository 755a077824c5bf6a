"""Collection of pack tests, the same in the controller and in every worker: what is planned, only that."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from harness.execution.context import Settings
from harness.execution.planning import CASE, Case, cases


class PackCollection:
    """Turns pack tests into planned tests; what no pack selects is left out."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._case: Case | None = None  # of the test in hand
        home = str(settings.lab.packs.resolve().parent)
        if home not in sys.path:  # so that test modules can import what they share
            sys.path.insert(0, home)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Fixture ``planned_case`` could ask ``request``, which would cost each test more than a journal."""
        self._case = item.callspec.params[CASE]  # type: ignore[attr-defined]  # parametrised by us

    @pytest.fixture(autouse=True)
    def planned_case(self) -> Case:
        """The planning of this test: its pack, EPCL entry and device type."""
        assert self._case is not None
        return self._case

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Parametrise a test by its plannings."""
        if CASE not in metafunc.fixturenames:
            return
        definition: Any = metafunc.definition
        found = list(
            cases(
                definition.path,
                definition.originalname,
                definition,
                metafunc.fixturenames,
                self._settings.packs,
                self._settings.lab,
            )
        )
        metafunc.parametrize(CASE, found, ids=[case.id for case in found], indirect=True)

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Leave out what is not planned (pytest makes a placeholder where there are no plannings)."""
        left_out = [item for item in items if not _is_planned(item)]
        items[:] = [item for item in items if _is_planned(item)]
        config.hook.pytest_deselected(items=left_out)


def _is_planned(item: pytest.Item) -> bool:
    callspec = getattr(item, "callspec", None)
    return callspec is not None and isinstance(callspec.params.get(CASE), Case)
