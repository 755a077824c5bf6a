"""What every pytest session in this checkout shares.

The harness itself is a pytest plugin, installed with the package (``harness.execution.plugin``); only what
concerns this checkout stands here.
"""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent
collect_ignore_glob = ["tests/interoperability/peers/*"]  # run by other Pythons, never imported by ours


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Pack tests need a rig: without ``--pack`` they are not collected, so none fails for want of one."""
    if collection_path == HERE / "test_packs" and not config.getoption("pack"):
        return True
    return None
