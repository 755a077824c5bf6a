"""How the rigs of a run stand: which are lost, away or let go, and which a lab fault kept from a test."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping


class Standing:
    """What the scheduler knows of its rigs; ``dmcs`` gives the DMC of each.

    ``lost``: why a rig takes no more tests. ``away``: its worker waits for it, so that it may serve later.
    ``held``: tests that no rig gets before it is known whether they have killed one more.
    ``let_go``: nothing is left that it could serve. ``tried``: where the lab blocked a test, by its id.
    """

    def __init__(self, dmcs: Mapping[str, str]) -> None:
        self.dmcs = dmcs
        self.lost: dict[str, str] = {}
        self.away: set[str] = set()
        self.let_go: set[str] = set()
        self.tried: dict[str, set[str]] = {}
        self.held: set[str] = set()
        self._of: dict[str, list[str]] = {}
        for rig, dmc in dmcs.items():
            self._of.setdefault(dmc, []).append(rig)

    def is_left(self, rig: str) -> bool:
        """Whether the rig serves, or may serve later."""
        return rig not in self.lost and rig not in self.let_go

    def left(self, dmc: str) -> list[str]:
        """The rigs of a DMC that serve, or may serve later."""
        return [rig for rig in self._of.get(dmc, ()) if self.is_left(rig)]

    def at_work(self, dmc: str) -> int:
        """How many rigs share what is left for a DMC; one at least, that it can be divided by."""
        return max(1, sum(rig not in self.away for rig in self.left(dmc)))

    def has_tried(self, rig: str, test_id: str) -> bool:
        """Whether a lab fault blocked the test on that rig: it never goes back there."""
        return rig in self.tried.get(test_id, ())

    def may_have(self, rig: str, test_id: str) -> bool:
        """Whether the rig may be given the test now."""
        return test_id not in self.held and not self.has_tried(rig, test_id)

    def kept_from(self, rig: str) -> Iterator[str]:
        """The ids of the tests that a lab fault blocked on a rig."""
        return (test_id for test_id, rigs in self.tried.items() if rig in rigs)

    def why_none(self, dmc: str, test_ids: Iterable[str]) -> str:
        """Why no rig of a DMC is left for these tests, which need one and the same."""
        rigs = self._of.get(dmc, [])
        lost = [self.lost[rig] for rig in rigs if rig in self.lost]
        tried = {test_id: sorted(self.tried.get(test_id, set()) - self.lost.keys()) for test_id in test_ids}
        kept = [f"a lab fault kept {test_id} from {' and '.join(on)}" for test_id, on in tried.items() if on]
        gone = "is left (Clause 20.19)" if len(lost) == len(rigs) else "can run it any more"
        return f"no rig of DMC {dmc} {gone}: {'; '.join(dict.fromkeys(lost + kept))}"
