"""What the DCC does at a time of its own: schedules, and requests held until their ExecutionDateTime.

How future dating works for SMETS1 devices (DUIS 1.4.4) was not found. **Inferred**: the DCC holds a request
that the catalogue marks ``DSP``, sends it at its time, and answers E30, a future-dated time-out, where the
device cannot be had then; what the catalogue marks ``Device`` goes to the S1SP at once. Neither schema nor
catalogue has a way to take back what the DCC holds.

Faults at :attr:`Point.SCHEDULE` of the gateway see, in details with ``srv``: "create" (the :class:`Schedule`;
DROP: answered and forgotten), "next" (the moment at which it is due next, or none), "held" (the moment until
which a request is held), "removed" (ids of the schedules to forget; DROP: answered and nothing forgotten).
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

from device_drivers.dcc.duis import RequestId, RequestMessage
from device_drivers.dcc.tree import body_element, tree
from device_drivers.simulated.gateway.admission import EXECUTION_TIME
from device_drivers.simulated.gateway.delivery import Writer
from device_drivers.simulated.gateway.diary import Diary
from device_drivers.simulated.gateway.inventory import COMMISSIONED, Inventory
from device_drivers.simulated.gateway.schedules import Schedule, Schedules
from harness.domain.faults import DROP, Interceptions, Point
from harness.domain.lab import Lab
from harness.domain.payload import Payload

NOT_IN_TIME: Final = "E30"


@dataclass(frozen=True, slots=True)
class Occasion:
    """A request whose time has come: as the S1SP gets it, and what made it come."""

    request: RequestMessage
    xml: bytes  # signed, by the User or, for a schedule, by the DCC
    schedule: int | None = None
    waited: bool = False  # until its time


class LabTime(Protocol):
    """Where the gateway has the lab time of a hub's rig from: the WAN head."""

    def now(self, ch_id: str) -> datetime:
        """The rig's lab time."""

    def hold(self, ch_id: str, seconds: float) -> None:
        """Let the rig's lab time pass."""

    def ring(self, ch_id: str, moment: datetime) -> None:
        """Have the gateway told (:meth:`Timetable.due`) when the rig's lab time has come to ``moment``."""


class Timetable:
    """Schedules and held requests. ``perform`` carries an occasion out, and is called in no hub's order."""

    def __init__(
        self,
        lab: Lab,
        inventory: Inventory,
        writer: Writer,
        time: LabTime,
        now: Callable[[str], datetime],
        interceptions: Interceptions,
        perform: Callable[[Occasion], None],
    ) -> None:
        self._lab = lab
        self._inventory = inventory
        self._writer = writer
        self._time = time
        self._now = now
        self._interceptions = interceptions
        self._perform = perform
        self._diary = Diary(time)
        self.schedules = Schedules(lab, inventory, now, self._passing)
        self.schedules.on_created = self._plan

    def holds(self, request: RequestMessage, xml: bytes, now: datetime) -> bool:
        """Whether the DCC keeps a request until later; it has taken it then."""
        row = self._lab.catalogue[request.srv]
        if EXECUTION_TIME not in request.body or "DSP" not in row.future_dated:
            return False
        at = request.body.time(EXECUTION_TIME)
        if at <= now:
            return False
        device_id = request.request_id.target
        moment = self._passing("held", at, device_id, request.srv)
        if moment is not DROP:
            self._enter(device_id, moment, lambda: self._perform(Occasion(request, xml)))
        return True

    def due(self, hub: str) -> tuple[tuple[str, Callable[[], None]], ...]:
        """What is to be done for a hub by now: device, and how."""
        return tuple((each.device_id, each.work) for each in self._diary.due(hub, self._time.now(hub)))

    def forget(self, device_ids: Collection[str]) -> tuple[Schedule, ...]:
        """Nothing is asked of these devices any more; the schedules that have ended so."""
        self._diary.forget(device_ids)
        return self.schedules.remove(device_ids)

    def _plan(self, schedule: Schedule, after: datetime | None = None) -> None:
        """Enter a schedule's next time into the diary."""
        found = schedule.recurrence.after(after or self._now(schedule.device_id))
        moment = self._passing("next", found, schedule.device_id, schedule.srv)
        if moment is not None and moment is not DROP:
            self._enter(schedule.device_id, moment, lambda: self._carry_out(schedule, moment))

    def _carry_out(self, schedule: Schedule, at: datetime) -> None:
        if self.schedules.find(schedule.id) is None:
            return
        self._plan(schedule, at)
        record = self._inventory.find(schedule.device_id)
        if record is None or record.status != COMMISSIONED:
            return
        row, body = self._lab.catalogue[schedule.srv], schedule.request_body(at)
        request = RequestMessage(
            request_id=RequestId(schedule.owner, schedule.device_id, self._writer.number()),
            command_variant=row.command_variant,
            service_reference=row.service_reference,
            srv=row.srv,
            body_element=row.body_element,
            body=Payload(tree(body_element(row.body_element, body))),
        )
        xml = self._writer.scheduled_request(request, body)
        self._perform(Occasion(request, xml, schedule.id))

    def _enter(self, device_id: str, moment: datetime, work: Callable[[], None]) -> None:
        record = self._inventory.find(device_id)
        if record is not None:
            self._diary.enter(record.hub, moment, device_id, work)

    def _passing(self, item: str, value: Any, device_id: str, srv: str) -> Any:
        now = self._now(device_id)
        return self._interceptions.passing(Point.SCHEDULE, item, value, device_id=device_id, now=now, srv=srv)
