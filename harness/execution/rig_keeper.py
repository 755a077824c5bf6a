"""The rig in hand of one process: opened when a test needs it, put down when it is in doubt, and at the end.

After a lab fault it is put down, for whatever has broken stays broken in this hand; it stays leased. To open
a rig is its self-check: its bench is made safe, and each device must be the one of its baseline.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pluggy

from harness.domain.baseline import baseline_kept
from harness.domain.errors import BeyondLab, ConfigurationError, HarnessError, LabFault
from harness.domain.findings import BAD, GOOD, Finding
from harness.domain.instruments import RigInHand
from harness.domain.lab import EpclEntry, Lab, Rig
from harness.domain.migration import Migration
from harness.domain.misuse import Adversary
from harness.execution.context import Settings
from harness.execution.rig_news import RigNews
from harness.execution.tenancy import Tenancy
from harness.execution.verdict import lab_faults
from harness.hooks import WHOLE, Fence, RunContext, Trace, Wanted, unfenced
from harness.records.evidence import TraceRouter
from harness.records.rig_log import RigLog, attach

if TYPE_CHECKING:
    from harness.rigs.lease import Lease
    from harness.rigs.pool import Latch

_BASELINE = "ask each device who it is, after a test"
_REMEDY = "bring the device to its baseline, or plan a new run"
_OPENING = "open the rig, make its bench safe, and hold its devices to their baseline"


def open_rig(
    hooks: pluggy.PluginManager,
    lab: Lab,
    rig: Rig,
    services: Mapping[str, Any],
    run: RunContext,
    trace: Trace,
    wanted: Wanted = WHOLE,
    fence: Fence = unfenced,
) -> RigInHand:
    """Take a rig in hand through the hook; who calls holds its lease, and ``fence`` knows whether he does."""
    opened: RigInHand | None = hooks.hook.harness_open_rig(
        lab=lab, rig=rig, services=services, run=run, trace=trace, wanted=wanted, fence=fence
    )
    if opened is None:
        raise ConfigurationError(
            f"no plugin can open rig {rig.id}", remedy="install the plugin that its lab file speaks of"
        )
    return opened


class RigKeeper:
    """Holds at most one rig at a time, under its lease.

    A worker of xdist is ``bound`` to one rig. Without xdist the keeper goes from rig to rig as the DMCs of
    the planned tests ask for it. ``services`` tells where the run's shared services are when a rig is opened.
    ``lost`` is the reason why the rig can serve no more tests; ``opened`` is the lab time when it was opened.
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
        self._unusable: set[str] = set()
        self._fence: Latch | None = None  # of the rig in hand
        self._refusal: HarnessError | None = None  # why the rig cannot be had, for the attempt that asks
        self.trace = TraceRouter()
        self.tenancy = Tenancy(
            settings.lab,
            settings.owner,
            settings.run.run_id,
            settings.wait,
            self._clean,
            self.trace,
            settings.priority,
        )
        self._told = ""  # what the rig was last said to wait for
        self._detach_log: Callable[[], None] = _nothing
        self.recorded: Callable[[], None] = _nothing  # returns when what was journalled is on the disk
        self.lost = ""
        self.opened: datetime | None = None

    @property
    def idle(self) -> float:
        """Seconds of silence after which a rig is given back: a controller that is gone holds nothing."""
        return self.tenancy.expiry

    # -- having a rig ------------------------------------------------------------------------------

    def ready(self) -> bool:
        """Whether the bound rig is ours, or never will be, so that an attempt may say so.

        A rig that somebody else wants is given back first, and waited for. One that was refused is not asked
        for again before an attempt has said so.
        """
        self._keep_log_of(self._bound)
        if self._refusal is not None:
            return True
        if reason := self.tenancy.wanted_back():
            self.trace.event("lease", f"wanted back: {reason}")
            self.close()
        try:
            return self.tenancy.hold(self._bound)
        except HarnessError as error:
            self._refusal = error
            return True

    def news(self) -> RigNews:
        """What the bound rig waits for, where it is not :meth:`ready`."""
        news = RigNews(self._bound, self.tenancy.waits_for())
        if news.sentence != self._told:
            self._told = news.sentence
            self.trace.event("lease", str(news))
        return news

    def turn_to(self, dmc: str) -> str:
        """The rig that serves tests of a DMC from this process; another one in hand is put down."""
        if self._in_hand is not None and self._in_hand.rig.dmc.id != dmc:
            self.close()
        if self._in_hand is not None:
            return self._in_hand.rig.id
        rigs = [rig.id for rig in self._settings.lab.rigs_of(dmc)]
        rig = self._bound or next((rig for rig in rigs if rig not in self._unusable), rigs[0])
        self._keep_log_of(rig)
        return rig

    def _keep_log_of(self, rig: str) -> None:
        """What happens from now on is told in that rig's log."""
        if self.trace.log is None or self.trace.log.rig != rig:
            self._end_log()
            self.trace.log = log = RigLog(self._settings.folder, rig)
            self._detach_log = attach(log)

    def _end_log(self) -> None:
        log, self.trace.log = self.trace.log, None
        if log is not None:
            self._detach_log()
            log.close()

    def take(self, dmc: str) -> RigInHand:
        """The rig, leased and open. A lab fault here loses the rig for this process."""
        wanted = self.turn_to(dmc)
        if self._in_hand is not None:
            return self._in_hand
        self.lost, self.opened = "", None
        try:
            self._wait_for(wanted)
            in_hand = self._self_checked(wanted)
        except HarnessError as error:
            self.put_down()
            self._lose(wanted, error)
            raise
        self.opened = self.lab_time()
        self.follow_clock()
        return in_hand

    def _wait_for(self, rig: str) -> None:
        refusal, self._refusal = self._refusal, None
        if refusal is not None:
            raise refusal
        self.tenancy.await_turn(rig)

    def _self_checked(self, rig: str) -> RigInHand:
        """The rig, opened; one that is suspect or bad must first pass the check of each of its doors."""
        if self.tenancy.is_doubtful(rig):
            self._check_every_door(rig)
        self._fence = self.tenancy.fence(recorded=self.recorded)
        self._in_hand = opened = self._open(rig, self._fence)  # from here on it is put down, whatever comes
        self.tenancy.found(rig, [Finding(rig, "", GOOD, _OPENING, "opened")])
        return opened

    def _open(self, rig: str, fence: Fence) -> RigInHand:
        settings = self._settings
        return open_rig(
            self._hooks,
            settings.lab,
            settings.lab.rig(rig),
            self._services(),
            settings.run,
            self.trace,
            fence=fence,
        )

    def _check_every_door(self, rig: str) -> None:
        settings = self._settings
        findings = self._hooks.hook.harness_check_rig(
            lab=settings.lab,
            rig=settings.lab.rig(rig),
            services=self._services(),
            run=settings.run,
            trace=self.trace,
            fence=self.tenancy.fence(),
        )
        wrong = [finding for finding in findings or () if finding.state == BAD]
        if wrong:
            self.tenancy.found(rig, wrong)
            first = wrong[0]
            raise LabFault(
                f"rig {rig} failed its self-check: {first.part or 'rig'}: {first.found}",
                remedy=first.remedy or f"harness lab check {rig}",
                part=first.part,
            )

    def _clean(self, rig: str, lease: Lease) -> None:
        """A dirty rig: its bench is made safe, and each device answers."""
        fence = self.tenancy.fence(lease)
        _close(self._open(rig, fence), fence)

    def _lose(self, rig: str, error: HarnessError) -> None:
        """The rig could not be leased or opened: it takes no more tests, unless only its lease was lost."""
        if isinstance(error, LabFault):
            self.tenancy.failed(rig, _OPENING, error)
        if not self.tenancy.is_of_the_lease(error):
            self.lost = str(error)
            self._unusable.add(rig)
        doubtful = self.tenancy.is_of_the_lease(error) or getattr(error, "suspect", False)
        self.tenancy.give_back(dirty=str(error) if doubtful else "")

    def adversary(self) -> Adversary:
        """Who misuses the rig in hand on purpose; :class:`ConfigurationError` where no plugin brings one."""
        found: Adversary | None = self._hooks.hook.harness_adversary(
            lab=self._settings.lab,
            rig=self._in_hand,
            services=self._services(),
            trace=self.trace,
            fence=self._fence or unfenced,
        )
        if found is None:
            raise ConfigurationError("no plugin brings an adversary", remedy="install one that does")
        return found

    def migration(self, entry: EpclEntry) -> Migration:
        """The parties of migration, with the installation in hand given to its SMSO.

        Raises :class:`BeyondLab` in a lab without rules for it, and for a rig that no plugin can migrate.
        """
        settings, rig = self._settings, self._in_hand
        assert rig is not None
        found: Migration | None = None
        if settings.lab.migration is not None:
            found = self._hooks.hook.harness_migration(
                lab=settings.lab,
                rig=rig,
                entry=entry,
                services=self._services(),
                trace=self.trace,
                fence=self._fence or unfenced,
            )
        if found is None:
            raise BeyondLab(
                f"rig {rig.rig.id}: nobody in this lab can migrate its installation",
                remedy="name its rules in the lab file, and a plugin where the parties are no twins",
            )
        return found

    def check(self) -> None:
        """Return if the rig in hand, where there is one, has been ours since it was opened; else raise."""
        if self._in_hand is not None and self._fence is not None:
            self._fence.holds()

    # -- the rig in hand ---------------------------------------------------------------------------

    def follow_clock(self) -> None:
        """Let the evidence of the attempt in hand tell lab time, once a rig is there to tell it."""
        tells = self._in_hand.clock.now if self._in_hand is not None else None
        if self.trace.current is not None:
            self.trace.current.clock = tells
        if self.trace.log is not None:
            self.trace.log.clock = tells

    def judged(self, rig: str, faults: Sequence[LabFault], *, in_doubt: bool) -> None:
        """Write down, in the rig's health, the lab fault that an attempt met, or that it met none."""
        if faults:
            if not self.lost:  # else it is written down already
                self.tenancy.met(rig, faults)
        elif not in_doubt:
            self.tenancy.went_well(rig)
            self._hold_to_baseline()

    def _hold_to_baseline(self) -> None:
        """A device that is not what was planned any more stops its rig (Clause 8.4(c))."""
        if self._in_hand is None:
            return
        rig = self._in_hand.rig.id
        try:
            wrong = baseline_kept(self._in_hand)
        except HarnessError as error:  # it does not even say: whoever opens the rig next will find out
            self.trace.event("rig", "its devices do not say who they are", error=str(error))
            self.put_down()
            return
        if wrong:
            told = [Finding(rig, each.device_type, BAD, _BASELINE, str(each), _REMEDY) for each in wrong]
            self.tenancy.found(rig, told)
            self.lost = f"rig {rig}: {'; '.join(map(str, wrong))}"

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

    # -- putting it down ---------------------------------------------------------------------------

    def put_down(self) -> None:
        """Close the rig, bench safe; it stays leased, unless the bench is not known to be safe."""
        in_hand, self._in_hand, self.opened = self._in_hand, None, None
        if in_hand is None:
            return
        self.follow_clock()
        try:
            _close(in_hand, self._fence)
        except HarnessError as error:
            self.trace.event("bench", "rig could not be put down cleanly", error=str(error))
            self.tenancy.met(in_hand.rig.id, list(lab_faults(error)))
            self.tenancy.give_back(dirty=str(error))

    def close(self) -> None:
        """Put the rig down and give it back; another may be taken."""
        self.put_down()
        self.tenancy.give_back()

    def end(self) -> None:
        """The last of it."""
        self.close()
        self.tenancy.close()
        self._end_log()


def _close(in_hand: RigInHand, fence: Latch | None) -> None:
    """Close a rig; what its fence has refused meanwhile is raised, for then nothing was said to its bench."""
    if fence is not None:
        fence.make_safe()
    in_hand.close()
    if fence is not None and fence.refused is not None:
        raise fence.refused


def _nothing() -> None:
    """No log is kept, and no journal."""
