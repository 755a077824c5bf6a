"""Collection of pack tests, the same in the controller and in every worker: what is planned, only that."""

from __future__ import annotations

import sys
from typing import Any, Final

import pytest

from harness.domain.errors import UsageError
from harness.execution.context import Settings
from harness.execution.narrowing import Narrowing
from harness.execution.planning import CASE, Case, cases, switched_off

COLLECTION: Final = "smets1-collection"
"""Name of the plugin."""


class PackCollection:
    """Turns pack tests into planned tests; what no pack selects is left out."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._case: Case | None = None  # of the test in hand
        self.planned = 0  # tests that the packs plan, before the command line narrows them
        self.switched_off = 0  # test functions of SRVs that the lab does not turn on
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
        self.switched_off += not found and switched_off(definition, self._settings.lab)
        metafunc.parametrize(CASE, found, ids=[case.id for case in found], indirect=True)

    @pytest.hookimpl(tryfirst=True)  # pytest's -k narrows what is left
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Leave out what is not planned (pytest makes a placeholder where there are no plannings)."""
        planned = [item for item in items if _is_planned(item)]
        self.planned = len(planned)
        try:
            wanted = Narrowing.of(config).wanted(planned)
        except UsageError as error:
            raise pytest.UsageError(str(error)) from error
        kept = set(wanted)
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:] = wanted


def _is_planned(item: pytest.Item) -> bool:
    callspec = getattr(item, "callspec", None)
    return callspec is not None and isinstance(callspec.params.get(CASE), Case)
