"""The rig in hand of one process: leased and opened when a test needs it, put down at the end.

After a lab fault it is put down as well, for whatever has broken stays broken in this hand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import pluggy

from harness.domain.errors import ConfigurationError, HarnessError
from harness.domain.instruments import RigInHand
from harness.domain.lab import Lab, Rig
from harness.execution.context import Settings
from harness.execution.verdict import lab_faults
from harness.hooks import WHOLE, RunContext, Trace, Wanted
from harness.records.evidence import TraceRouter
from harness.rigs.health import now_suspect
from harness.rigs.lease import Lease, take


def open_rig(
    hooks: pluggy.PluginManager,
    lab: Lab,
    rig: Rig,
    services: Mapping[str, Any],
    run: RunContext,
    trace: Trace,
    wanted: Wanted = WHOLE,
) -> RigInHand:
    """Take a rig in hand through the hook; who calls holds its lease."""
    opened: RigInHand | None = hooks.hook.harness_open_rig(
        lab=lab, rig=rig, services=services, run=run, trace=trace, wanted=wanted
    )
    if opened is None:
        raise ConfigurationError(
            f"no plugin can open rig {rig.id}", remedy="install the plugin that its lab file speaks of"
        )
    return opened


class RigKeeper:
    """Holds at most one rig at a time, and its lease with it.

    A worker of xdist is ``bound`` to one rig. Without xdist the keeper goes from rig to rig as the DMCs of
    the planned tests ask for it. ``services`` tells where the run's shared services are when a rig is opened.
    ``lost`` is the reason why the rig could not be leased or opened; ``opened`` is the lab time when it was.
    """

    def __init__(
        self,
        settings: Settings,
        services: Callable[[], Mapping[str, Any]],
        hooks: pluggy.PluginManager,
        bound: str = "",
    ) -> None:
        self._settings = settings
        self._services = services
        self._hooks = hooks
        self._bound = bound
        self._in_hand: RigInHand | None = None
        self._lease: Lease | None = None
        self._unusable: set[str] = set()
        self.trace = TraceRouter()
        self.lost = ""
        self.opened: datetime | None = None

    def turn_to(self, dmc: str) -> str:
        """The rig that serves tests of a DMC from this process; another one in hand is put down."""
        if self._in_hand is not None and self._in_hand.rig.dmc.id != dmc:
            self.close()
        if self._in_hand is not None:
            return self._in_hand.rig.id
        rigs = [rig.id for rig in self._settings.lab.rigs_of(dmc)]
        return self._bound or next((rig for rig in rigs if rig not in self._unusable), rigs[0])

    def take(self, dmc: str) -> RigInHand:
        """The rig, leased and open. A lab fault here loses the rig for this process."""
        wanted = self.turn_to(dmc)
        if self._in_hand is not None:
            return self._in_hand
        self.lost, self.opened = "", None
        try:
            self._lease = take(self._settings.lab.state, wanted, f"run {self._settings.run.run_id}")
            self._in_hand = open_rig(
                self._hooks,
                self._settings.lab,
                self._settings.lab.rig(wanted),
                self._services(),
                self._settings.run,
                self.trace,
            )
        except HarnessError as error:
            self.lost = str(error)
            self._unusable.add(wanted)
            self._release()
            raise
        self.opened = self.lab_time()
        self.follow_clock()
        return self._in_hand

    def follow_clock(self) -> None:
        """Let the evidence of the attempt in hand tell lab time, once a rig is there to tell it."""
        if self._in_hand is not None and self.trace.current is not None:
            self.trace.current.clock = self._in_hand.clock.now

    def under_suspicion(self, rig: str, error: BaseException) -> None:
        """Write down, in the rig's health, the lab faults that an error has."""
        for fault in lab_faults(error):
            now_suspect(self._settings.lab.state, rig, fault, f"run {self._settings.run.run_id}")

    def lab_time(self) -> datetime | None:
        """The rig's lab time; ``None`` while no rig is open."""
        return self._in_hand.clock.now() if self._in_hand else None

    def devices(self) -> list[dict[str, str]]:
        """The devices in hand, for the record."""
        if self._in_hand is None:
            return []
        return [
            {
                "type": type_.value,
                "model": device.model.id,
                "firmware": device.model.firmware,
                "device_id": device.device_id,
            }
            for type_, device in self._in_hand.rig.devices.items()
        ]

    def close(self) -> None:
        """Put the rig down, bench safe, and give the lease back."""
        in_hand, self._in_hand, self.opened = self._in_hand, None, None
        try:
            if in_hand is not None:
                in_hand.close()
        except HarnessError as error:
            self.trace.event("bench", "rig could not be put down cleanly", error=str(error))
            if self._lease is not None:
                self.under_suspicion(self._lease.rig, error)
        finally:
            self._release()

    def _release(self) -> None:
        if self._lease is not None:
            self._lease.release()
            self._lease = None
