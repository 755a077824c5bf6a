"""The checks of migration as the lab's data have them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from harness.domain.faults import DROP, Interceptions, Point
from harness.domain.migration_rules import MigrationCheck, MigrationRules


class Refused(Exception):
    """A check has refused; ``told`` says what it found."""

    def __init__(self, check: MigrationCheck, told: str) -> None:
        super().__init__(told)
        self.check = check
        self.told = told


class Checks:
    """Makes checks for one step of one installation."""

    def __init__(
        self, rules: MigrationRules, interceptions: Interceptions, ch_id: str, now: datetime
    ) -> None:
        self.now = now
        self._rules = rules
        self._interceptions = interceptions
        self._ch_id = ch_id

    def make(self, rule: str, found: str) -> None:
        """Raise :class:`Refused` where something was found and the check has not been removed."""
        if check := self.refusing(rule, found):
            raise Refused(check, found)

    def refusing(self, rule: str, found: str) -> MigrationCheck | None:
        """The check that refuses for what was found, if it does."""
        found = self.passing(Point.CHECK, rule, found)
        check = self._rules.checks.get(rule)
        return check if found and check is not None and check.on else None

    def passing(self, point: Point, item: str, value: Any, **details: Any) -> Any:
        """What goes on instead of the value."""
        about = {"device_id": self._ch_id, **details}
        return self._interceptions.passing(point, item, value, now=self.now, **about)

    def does(self, item: str, value: Any, **details: Any) -> Any:
        """What is to be done, or nothing where it is only said to be."""
        passed = self.passing(Point.ACTION, item, value, **details)
        return None if passed is DROP else passed
