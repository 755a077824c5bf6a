"""Which counters the S1SP has carried out, kept over its restarts: one small file a device.

A file is replaced whole and not synced: what was executed right before a power cut may be forgotten, and the
DCC's own check still stands in front.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from harness.domain.errors import ConfigurationError


class Executed:
    """The highest counter executed, by device and originator. Each device is one thread's at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def of(self, device_id: str) -> dict[str, int]:
        """What an earlier S1SP has executed on a device, by originator."""
        path = self._path(device_id)
        if not path.exists():
            return {}
        try:
            return {
                str(originator): int(counter) for originator, counter in json.loads(path.read_text()).items()
            }
        except (ValueError, AttributeError, TypeError) as error:
            raise ConfigurationError(
                f"{path} does not hold the counters of a device: {error}",
                remedy="delete it; the gateway still refuses what was sent before",
            ) from None

    def keep(self, device_id: str, counters: Mapping[str, int]) -> None:
        """Remember them."""
        path = self._path(device_id)
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps(dict(counters)))
        fresh.replace(path)

    def _path(self, device_id: str) -> Path:
        return self._folder / f"{device_id.upper()}.json"
