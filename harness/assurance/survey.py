"""What the packs plan, without running it: each planned test with the parts of a rig that it looks at."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from harness.config.ttm import Requirement
from harness.domain.errors import UsageError
from harness.domain.lab import Lab
from harness.domain.words import DeviceType
from harness.execution.planning import marked, planned_test
from harness.records.plan import PlannedTest


@dataclass(frozen=True, slots=True)
class Surveyed:
    """A planned test. ``touches`` has the types of the devices that it asks for or is about."""

    test: PlannedTest
    touches: frozenset[DeviceType]
    groups: frozenset[str]
    module: str  # the file's name, without its ending

    @property
    def name(self) -> str:
        """The test function's."""
        return self.test.full_name.rpartition("#")[2]


class _Survey:
    """A plugin of pytest that keeps what was collected."""

    def __init__(self, lab: Lab, ttm: Mapping[str, Requirement]) -> None:
        self._lab, self._ttm = lab, ttm
        self.found: tuple[Surveyed, ...] = ()
        self.told: list[str] = []

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        try:
            self.found = tuple(_surveyed(item, self._ttm, self._lab) for item in session.items)
        except pytest.UsageError as error:
            self.told.append(str(error))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.told.append(str(report.longrepr).strip().splitlines()[-1])


def survey(arguments: Sequence[str], lab: Lab, ttm: Mapping[str, Requirement]) -> tuple[Surveyed, ...]:
    """What pytest plans with these arguments; nothing is run or recorded.

    The test modules stay imported, so forks of this process collect in no time. :class:`UsageError` where
    they cannot be collected, or plan nothing.
    """
    plugin = _Survey(lab, ttm)
    code = pytest.main([*arguments, "--collect-only"], plugins=[plugin])
    if plugin.told:
        raise UsageError(f"the packs cannot be collected: {'; '.join(plugin.told)}")
    if code or not plugin.found:
        raise UsageError("the packs plan no test that was asked for", remedy="harness packs")
    return plugin.found


def _surveyed(item: Any, ttm: Mapping[str, Requirement], lab: Lab) -> Surveyed:
    test = planned_test(item, ttm, lab)
    groups = marked(item, "functional_group") or (test.functional_group,)
    return Surveyed(test, _touched(item, test), frozenset(groups), item.path.stem)


def _touched(item: Any, test: PlannedTest) -> frozenset[DeviceType]:
    fixtures: Collection[str] = item.fixturenames
    asked = {type_ for type_ in DeviceType if type_.value.lower() in fixtures}
    if "meter" in fixtures:  # planned once for each type that it is marked for
        return frozenset({test.device_type, *asked})
    return frozenset({test.device_type, *asked, *map(DeviceType, marked(item, "devices"))})
