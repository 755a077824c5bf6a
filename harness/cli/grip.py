"""A rig in a person's hand: leased in their name, cleaned first where it is dirty, and given back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pluggy

from harness.domain.errors import ConfigurationError, HarnessError, LabFault
from harness.domain.findings import Finding
from harness.domain.lab import Lab, Rig
from harness.hooks import Fence, RunContext, Trace
from harness.records.evidence import TraceRouter
from harness.rigs.lease_words import RigState
from harness.rigs.pool import Latch, Pool

if TYPE_CHECKING:
    from harness.rigs.leases import Lease


class Grip:
    """A hold on a rig. Life cycle: made, :meth:`in_doubt` for what is done with its bench, :meth:`release`.

    ``doubt`` is why the rig is dirty when it is given back; empty where its bench is known to be safe.
    """

    def __init__(self, lease: Lease, doubt: str = "") -> None:
        self.lease = lease
        self.fence = Latch(lease)
        self.doubt = self._before = doubt

    @contextmanager
    def in_doubt(self) -> Iterator[None]:
        """Where a lab fault ends it, or the lease is gone by then, the bench is not known to be safe."""
        self.doubt = self._before or f"{self.lease.purpose} was broken off"
        try:
            yield
            self.fence()
        except LabFault as fault:
            self.doubt = str(fault)
            raise
        except HarnessError:
            self.doubt = self._before
            raise
        self.doubt = self._before

    def release(self) -> None:
        """Give the rig back."""
        self.lease.release(self.doubt)


def grip(pool: Pool, rig: Rig, purpose: str, check: Callable[[Lease], Sequence[Finding] | None]) -> Grip:
    """Take a rig in hand now, cleaned by ``check`` where it is dirty; who has it else is named.

    Who maintains a rig has it as it is, also dirty, and so it is given back.
    """
    status = next(each for each in pool.leases.rigs() if each.rig == rig.id)
    dirty = status.state is RigState.DIRTY and status.holder is None
    if dirty and status.maintenance_by == pool.leases.owner:
        return Grip(pool.leases.take_dirty(rig.id, purpose), status.dirty_reason)
    return Grip(pool.take(rig.id, purpose, check))


def self_check(
    hooks: pluggy.PluginManager, lab: Lab, rig: Rig, run: RunContext
) -> Callable[[Lease], list[Finding]]:
    """What a dirty rig must pass: its bench made safe and read back, and every door tried."""
    return lambda lease: check_doors(hooks, lab, rig, {}, run, TraceRouter(), lease)


def check_doors(
    hooks: pluggy.PluginManager,
    lab: Lab,
    rig: Rig,
    services: Mapping[str, Any],
    run: RunContext,
    trace: Trace,
    fence: Fence,
) -> list[Finding]:
    """What the plugins find; :class:`ConfigurationError` where none of them can check the rig."""
    found = hooks.hook.harness_check_rig(
        lab=lab, rig=rig, services=services, run=run, trace=trace, fence=fence
    )
    if found is None:
        raise ConfigurationError(
            f"no plugin can check rig {rig.id}", remedy="install the plugin that its lab file speaks of"
        )
    return list(found)
