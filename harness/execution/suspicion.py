"""Which test kills rigs: after two in a row it, not the rigs, is under suspicion."""

from __future__ import annotations

from collections import Counter

from harness.records.run import SUSPECTED

MAX_KILLS = 2
"""A test that has taken down so many rigs or workers in a row is set aside."""


class Suspicion:
    """Follows the attempts on each rig, and says of a test how it has killed.

    A test kills where its worker dies in it, and where the lab blocks it and the very next thing that is
    known of the rig is that it is lost. A rig that is lost in the blocked attempt itself counts only if the
    attempt before went well there: else it may be that it could not even be opened. A rig that lives on after
    the test ends its row.
    """

    def __init__(self) -> None:
        self._kills: dict[str, list[str]] = {}  # by test id, in words
        self._blocked: dict[str, str] = {}  # rig id → the test that was blocked there last
        self._well: set[str] = set()  # rigs whose last attempt met no lab fault

    def ended(self, rig: str) -> None:
        """An attempt there met no lab fault."""
        self._lives_on(rig)
        self._well.add(rig)

    def blocked(self, test_id: str, rig: str, *, lost: bool) -> None:
        """A lab fault blocked an attempt; ``lost``: the rig is known to be lost with it."""
        if lost:
            if rig in self._well:
                self._blocked[rig] = test_id
            self.lost(rig)
        else:
            self._lives_on(rig)
            self._well.discard(rig)
            self._blocked[rig] = test_id

    def lost(self, rig: str) -> None:
        """The rig is known to be lost: the test that was blocked there last has killed it."""
        self._well.discard(rig)
        if killer := self._blocked.pop(rig, ""):
            self._kills.setdefault(killer, []).append(f"{rig} was lost after it")

    def died(self, test_id: str, rig: str) -> None:
        """The worker of a rig died in a test."""
        self._blocked.pop(rig, None)
        self._well.discard(rig)
        self._kills.setdefault(test_id, []).append(f"its worker died on {rig}")

    def _lives_on(self, rig: str) -> None:
        if earlier := self._blocked.pop(rig, ""):
            self._kills.pop(earlier, None)

    def on_trial(self) -> dict[str, str]:
        """By rig, the test that was blocked there last, if it may have killed too many by now.

        The next test on the rig will tell.
        """
        open_ = Counter(self._blocked.values())
        return {
            rig: test_id
            for rig, test_id in self._blocked.items()
            if open_[test_id] + len(self._kills.get(test_id, ())) >= MAX_KILLS
        }

    def against(self, test_id: str) -> str:
        """Why the test is to be set aside; empty where it is not."""
        kills = self._kills.get(test_id, [])
        return f"{SUSPECTED}: {', then '.join(kills)}" if len(kills) >= MAX_KILLS else ""

    def all(self) -> list[str]:
        """Every test that is to be set aside, by id."""
        return [test_id for test_id in self._kills if self.against(test_id)]
