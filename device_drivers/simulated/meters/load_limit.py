"""Load limiting: what a meter does when more is drawn, for longer, than it is told to allow."""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping
from typing import Any

from device_drivers.simulated.meters.energy import SECOND


class LoadLimit:
    """Watches active import against ``load_limit_threshold`` (W; 0 is off). Times are lab microseconds."""

    def __init__(self, values: MutableMapping[str, Any]) -> None:
        self.values = values
        self._over_since: int | None = None
        self._counted = False
        self.restores_at: int | None = None

    def exceeded(self, power: int, now: int) -> bool:
        """Look at the demand; true once each time that it has been too high for the whole period."""
        threshold = self.values["load_limit_threshold"]
        if not threshold or power <= threshold:
            self._over_since, self._counted = None, False
            return False
        if self._over_since is None:
            self._over_since = now
        if self._counted or now < self._limit_at():
            return False
        self._counted = True
        self.values["load_limit_counter"] += 1
        return True

    def disabled(self, now: int) -> None:
        """The supply was disabled for it: it is to be armed when the restoration period is over."""
        self.restores_at = now + self.values["load_limit_restoration_period"] * SECOND

    def restored(self, now: int) -> bool:
        """Whether the restoration period has just ended."""
        if self.restores_at is None or now < self.restores_at:
            return False
        self.restores_at = None
        return True

    def deadlines(self) -> Iterable[int]:
        """When to look again."""
        if self._over_since is not None and not self._counted:
            yield self._limit_at()
        if self.restores_at is not None:
            yield self.restores_at

    def _limit_at(self) -> int:
        assert self._over_since is not None  # asked only while the demand is too high
        return int(self._over_since + self.values["load_limit_period"] * SECOND)
