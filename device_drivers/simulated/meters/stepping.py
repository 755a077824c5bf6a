"""A twin that moves forward in steps, each up to the next moment at which something happens.

Between two such moments everything is steady, so a step is one multiplication, exact however long it is. The
twin is brought up to lab time when somebody looks, and the rig's clock rings it at the next moment of
interest, so that whatever happens happens at its own time.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import partial

from device_drivers.named.objects import ObjectTable
from device_drivers.simulated.clock import VirtualClock
from device_drivers.simulated.meters.agenda import NEVER, Agenda
from device_drivers.simulated.meters.energy import micros, moment
from device_drivers.simulated.twin import Twin
from harness.domain.faults import Interceptions
from harness.domain.lab import RigDevice


class SteppingTwin(Twin):
    """A twin with a clock of its own, which is lab time plus ``clock_offset``. Times are microseconds.

    A step ends at an entry of the ``agenda``, which goes by the device's own clock, or at one of the
    ``deadlines``, which are lab times.
    """

    def __init__(
        self, device: RigDevice, clock: VirtualClock, interceptions: Interceptions, table: ObjectTable
    ) -> None:
        super().__init__(device, clock, interceptions, table)
        self.at = micros(clock.now())  # lab time up to which the model is
        self.clock_offset = 0
        self.agenda = Agenda()
        self._due = NEVER
        self._timer: int | None = None

    # What a kind of device says

    def measure(self, span: int) -> None:
        """Let so many microseconds pass, in which nothing changes."""
        raise NotImplementedError

    def deadlines(self) -> Iterable[int]:
        """Lab times at which to look again, if nothing changes until then."""
        return ()

    def judge(self) -> None:
        """See what follows from the state that has been reached."""

    # How it moves

    @property
    def device_time(self) -> int:
        """What the device's clock shows."""
        return self.at + self.clock_offset

    def time(self) -> datetime:
        return moment(self.device_time)

    def catch_up(self) -> None:
        if self.powered:
            self.run_to(micros(self.clock.now()))

    def run_to(self, target: int) -> None:
        """Step up to a lab time."""
        while self.at < target:
            until = min(self._due, target)
            self.measure(until - self.at)
            self.at = until
            if until == self._due:
                self.agenda.happen(self.device_time)
                self.changed()

    def changed(self) -> None:
        self.judge()
        self.plan()

    def plan(self) -> None:
        """Find the end of the next step, and have the clock ring then."""
        due = min(self.agenda.next() - self.clock_offset, *self.deadlines(), NEVER)
        self._due = max(due, self.at + 1)
        self._set_timer()

    def _set_timer(self) -> None:
        if self.powered and (self._timer is None or self._due < self._timer):
            self._timer = self._due
            self.clock.call_at(moment(self._due), partial(self._ring, self._due))

    def _ring(self, due: int) -> None:
        if due == self._timer:  # else a timer that an earlier one has overtaken
            self._timer = None
        self.catch_up()
        self._set_timer()
