"""The rig in hand of one process: leased and opened when a test needs it, put down at the end.

After a lab fault it is put down as well, for whatever has broken stays broken in this hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pluggy

from harness.domain.errors import ConfigurationError, HarnessError, LabFault
from harness.domain.instruments import RigInHand
from harness.execution.context import Settings
from harness.records.evidence import TraceRouter
from harness.rigs.lease import Lease, take


class RigKeeper:
    """Holds at most one rig at a time, and its lease with it.

    A worker of xdist is ``bound`` to one rig. Without xdist the keeper goes from rig to rig as the DMCs of
    the planned tests ask for it. ``lost`` is the reason why the rig could not be leased or opened.
    """

    def __init__(
        self, settings: Settings, services: Mapping[str, Any], hooks: pluggy.PluginManager, bound: str = ""
    ) -> None:
        self._settings = settings
        self._services = services
        self._hooks = hooks
        self._bound = bound
        self._rig_id = ""
        self._in_hand: RigInHand | None = None
        self._lease: Lease | None = None
        self.trace = TraceRouter()
        self.lost = ""

    def rig_for(self, dmc: str) -> str:
        """The rig that serves tests of a DMC from this process."""
        if self._bound:
            return self._bound
        if self._in_hand and self._in_hand.rig.dmc.id == dmc:
            return self._rig_id
        return self._settings.lab.rigs_of(dmc)[0].id

    def take(self, dmc: str) -> RigInHand:
        """The rig, leased and open. A lab fault here loses the rig for this process."""
        wanted = self.rig_for(dmc)
        if self._in_hand is not None and wanted == self._rig_id:
            return self._in_hand
        self.close()
        self.lost = ""
        try:
            self._lease = take(self._settings.lab.state, wanted, f"run {self._settings.run.run_id}")
            self._in_hand = self._open(wanted)
        except HarnessError as error:
            self.lost = str(error)
            self._release()
            raise
        self._rig_id = wanted
        self.follow_clock()
        return self._in_hand

    def follow_clock(self) -> None:
        """Let the evidence of the attempt in hand tell lab time, once a rig is there to tell it."""
        if self._in_hand is not None and self.trace.current is not None:
            self.trace.current.clock = self._in_hand.clock.now

    def _open(self, rig_id: str) -> RigInHand:
        rig = self._hooks.hook.harness_open_rig(
            lab=self._settings.lab,
            rig=self._settings.lab.rig(rig_id),
            services=self._services,
            run=self._settings.run,
            trace=self.trace,
        )
        if rig is None:
            raise ConfigurationError(
                f"no plugin can open rig {rig_id}", remedy="install the plugin that its lab file speaks of"
            )
        opened: RigInHand = rig
        return opened

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
        in_hand, self._in_hand, self._rig_id = self._in_hand, None, ""
        try:
            if in_hand is not None:
                in_hand.close()
        except LabFault as error:
            self.trace.event("bench", "rig could not be put down cleanly", error=str(error))
        finally:
            self._release()

    def _release(self) -> None:
        if self._lease is not None:
            self._lease.release()
            self._lease = None
