"""A pytest plugin that leaves only some pack tests: those about certain SRVs, and those of certain names.

Named in ``PYTEST_PLUGINS``; what it is to choose stands in ``CHOSEN_TESTS``, as JSON: ``entry`` (an EPCL
entry), ``srvs`` and ``names``.
"""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from harness.execution.planning import CASE, marked


@pytest.hookimpl(trylast=True)  # when only planned tests are left
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    choice = json.loads(os.environ["CHOSEN_TESTS"])
    items[:] = [item for item in items if is_chosen(item, choice)]


def is_chosen(item: Any, choice: dict[str, Any]) -> bool:
    if item.callspec.params[CASE].entry.id != choice["entry"]:
        return False
    if item.originalname in choice["names"]:
        return True
    refusal = item.path.stem.startswith("test_refusals")  # about so many SRVs that none says anything of it
    return not refusal and bool({*marked(item, "srv")} & {*choice["srvs"]})
