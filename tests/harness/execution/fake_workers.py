"""Workers that are nothing but names, to drive the scheduler as xdist drives it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.domain.words import CapabilityRelease, DeviceType, InstallationType, TestPhase
from harness.execution.scheduler import RigScheduler
from harness.records.plan import PlannedTest

A, B = "dmc-a", "dmc-b"
STAGES = ("", "install", "migrate", "read")


def planned(name: str, dmc: str = A, not_run: str = "", **fields: Any) -> PlannedTest:
    """A planned test; one that has a stage has its place among ``STAGES``."""
    stage_order = STAGES.index(fields.get("stage", ""))
    return PlannedTest(
        id=f"subject::{name}", node_id=f"packs/subject.py::{name}", pack="pack", title=name, full_name=name,
        srvs=(), ttm=("T-1",), functional_group="", device_type=DeviceType.ESME,
        entry=fields.pop("entry", f"{dmc}-active"), dmc=dmc, installation_type=InstallationType.ACTIVE,
        release=CapabilityRelease.IOC, test_phase=TestPhase.DMCT_SRVT, not_run=not_run,
        stage_order=stage_order, **fields,
    )  # fmt: skip


@dataclass(eq=False)
class Node:
    """A worker: what it was sent and has not ended is in its hand."""

    rig: str
    collection: list[str] = field(default_factory=list)
    hand: list[str] = field(default_factory=list)
    shutting_down: bool = False
    dead: bool = False

    def send_runtest_some(self, indices: list[int]) -> None:
        assert not self.shutting_down
        if self.dead:
            raise OSError("cannot send (already closed?)")
        self.hand += [self.collection[index] for index in indices]

    def shutdown(self) -> None:
        assert not self.hand, "ended with a test in hand"
        self.shutting_down = True


class Lab:
    """A scheduler over these rigs, and what it set aside."""

    def __init__(
        self, rigs: dict[str, str], tests: Sequence[PlannedTest], expected: dict[str, float] | None = None
    ) -> None:
        self.tests = tests
        self.rigs = rigs
        self.aside: dict[str, str] = {}
        self.collection = [test.node_id for test in tests]
        self.scheduler = RigScheduler(tests, rigs, lambda node: node.rig, self._set_aside, expected or {})

    def _set_aside(self, test: PlannedTest, reason: str) -> None:
        assert test.id not in self.aside
        self.aside[test.id] = reason

    def join(self, *rigs: str) -> list[Node]:
        nodes = [Node(rig) for rig in rigs]
        for node in nodes:
            self.scheduler.add_node(node)
            node.collection = self.collection
            self.scheduler.add_node_collection(node, node.collection)
            self.scheduler.schedule()
        return nodes

    def end(self, node: Node) -> str:
        node_id = node.hand.pop()
        self.scheduler.mark_test_complete(node, node.collection.index(node_id))
        return node_id

    def block(self, node: Node, rig_lost: str = "") -> str:
        self.scheduler.blocked(node.hand[0], node.rig, rig_lost=rig_lost)
        return self.end(node)

    def kill(self, node: Node, *, ended: bool = False) -> str | None:
        """What xdist does when a worker dies: the item it had, then the hook for crashed items.

        ``ended``: it had told how the attempt ended.
        """
        item = self.scheduler.remove_node(node)
        if item is not None:
            (self.scheduler.ended_and_died if ended else self.scheduler.interrupted)(item)
        return item

    def give_back(self, node: Node) -> str:
        """The worker cannot have its rig now."""
        node_id = node.hand.pop()
        self.scheduler.remove_pending_tests_from_node(node, [node.collection.index(node_id)])
        return node_id

    def have_again(self, node: Node) -> None:
        """The worker has its rig again."""
        self.scheduler.remove_pending_tests_from_node(node, [])


def names(nodes: Sequence[Node]) -> list[str]:
    """What these workers have in hand."""
    return [node_id.rpartition("::")[2] for node in nodes for node_id in node.hand]
