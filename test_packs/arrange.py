"""What the tests of a meter share: event codes, a meter in a known state, time and power.

Money is in millipence (0.00001 GBP), prices in millipence per kWh. Nothing here sends a Service Request: a
test's starting point is made through the lab's management access, so that a fault of the DCC never hides in
the arrangement.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Protocol, TypeVar

from harness.domain.events import Event
from harness.domain.instruments import (
    Alert,
    Bench,
    Body,
    Device,
    EvidenceLog,
    LabClock,
    Meter,
    ServiceResponse,
    ServiceUser,
)
from harness.domain.payload import Payload
from harness.domain.words import PaymentMode, SupplyState

T = TypeVar("T")


class Served(Protocol):
    """Sends a request and proves the whole response: see the fixture ``served``."""

    def __call__(self, srv: str, device: Device, body: Body = None) -> Payload:
        """The content of a successful answer."""


class Declined(Protocol):
    """Sends a request that the device must decline: see the fixture ``declined``."""

    def __call__(self, srv: str, device: Device, body: Body = None) -> ServiceResponse:
        """The whole answer, which says that nothing was done and why."""


class Unchanged(Protocol):
    """Proves that nothing else changed: see the fixture ``unchanged``."""

    def __call__(
        self,
        device: Device,
        *,
        but: Collection[str] = (),
        events: Sequence[int] | None = None,
        alerts: Sequence[str] = (),
    ) -> AbstractContextManager[None]:
        """Allow ``but`` to differ after the block; ``events``, where given, are all that was logged.

        ``alerts`` are the codes of all alerts about the device that came, in their order.
        """


GBP: Final = 100_000  # one pound, in millipence
AMPLE: Final = 1_000 * GBP

_NO_DEBT_RATE: Final = {"rate": 0, "scale": -5, "period": "DAILY"}
_PLAIN: Final[dict[str, Any]] = {
    "standing_charge": 0,
    "accumulated_debt": 0,
    "payment_debt": 0,
    "time_debt_1": 0,
    "time_debt_2": 0,
    "debt_recovery_per_payment": 0,
    "debt_recovery_1": _NO_DEBT_RATE,
    "debt_recovery_2": _NO_DEBT_RATE,
    "debt_recovery_rate_cap": 0,
    "emergency_credit_limit": 5 * GBP,
    "emergency_credit_threshold": 1 * GBP,
    "emergency_credit_active": False,
    "emergency_credit_balance": 0,
    "low_credit_threshold": 0,
    "disablement_threshold": 0,
    "max_meter_balance": AMPLE,
    "max_credit_threshold": AMPLE,
    "suspend_debt_disabled": False,
    "suspend_debt_emergency": False,
    "non_disablement_calendar": (),
    "non_disablement_special_days": (),
}


def put(meter: Meter, values: Mapping[str, Any]) -> None:
    """Write what differs, through the lab's management access."""
    held = meter.read_many(tuple(values))
    for name, value in values.items():
        if held[name] != value:
            meter.write(name, value)


def one_price(meter: Meter) -> int:
    """Spend every day on TOU register 1, whatever the tariff, and tell the price that then applies."""
    always = {"hour": 0, "minute": 0, "kind": "tou", "register": 1}
    days = meter.read("day_profiles")
    put(meter, {"day_profiles": tuple({"day": day["day"], "actions": (always,)} for day in days)})
    return int(meter.read("active_price"))


def prepaying(meter: Meter, *, balance: int = 10 * GBP, **settings: Any) -> None:
    """A meter in prepayment mode with so much credit, no debt and no calendar, its supply on.

    ``settings`` overrule: every one is an item of the meter by its name.
    """
    put(meter, {"meter_balance": AMPLE})  # nothing runs out while the rest is written
    put(meter, _PLAIN | {"payment_mode": PaymentMode.PREPAYMENT} | settings)
    put(meter, {"meter_balance": balance})
    supplying(meter)


def crediting(meter: Meter, *, balance: int = 0) -> None:
    """A meter in credit mode that tells so much as owed, its supply on."""
    put(meter, _PLAIN | {"payment_mode": PaymentMode.CREDIT})
    put(meter, {"meter_balance": balance})
    supplying(meter)


def supplying(meter: Meter, state: SupplyState = SupplyState.ENABLED) -> None:
    """The supply in a state, not by the scripts that SRV 7.1 and 7.2 use but by the switch itself."""
    if meter.supply() is state:
        return
    if state is SupplyState.ARMED:
        meter.operate_supply(state)
    else:
        meter.perform("reconnect" if state is SupplyState.ENABLED else "disconnect")
    found = meter.supply()
    assert found is state, f"the {meter.device_type} cannot be arranged: its supply is {found}, not {state}"


def added_rows(before: Sequence[T], after: Sequence[T]) -> tuple[T, ...]:
    """Rows that a log gained, though it may have lost its oldest meanwhile, or all of them."""
    lost = next(n for n in range(len(before) + 1) if tuple(after[: len(before) - n]) == tuple(before[n:]))
    return tuple(after[len(before) - lost :])


def expect_held(evidence: EvidenceLog, meter: Device, when: str, due: Mapping[str, Any]) -> None:
    """The meter holds each item with the value due, read at its own port."""
    evidence.expect(f"what the meter holds {when}", found=dict(meter.read_many(tuple(due))), expected=due)


def midnight_after(moment: datetime) -> datetime:
    """The next midnight of UTC, by which the meters keep their days."""
    return moment.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)


def well_before_midnight(clock: LabClock, margin: timedelta = timedelta(hours=4)) -> None:
    """Wait for the next day where midnight, with its switches and charges, would fall into the test."""
    left = midnight_after(clock.now()) - clock.now()
    if left < margin:
        clock.sleep(left + timedelta(minutes=10))


def power_cut(bench: Bench, clock: LabClock, duration: timedelta = timedelta(minutes=10)) -> None:
    """Take the mains away from the electricity meter and the hub, and give them back."""
    bench.mains(on=False)
    clock.sleep(duration)
    bench.mains(on=True)
    clock.sleep(timedelta(minutes=2))


def press_enable(bench: Bench, clock: LabClock, meter: Device) -> None:
    """The consumer enables an armed supply, with every appliance off, as the gas meter checks for leaks."""
    bench.press_enable(meter.device_type)
    clock.sleep(timedelta(minutes=1))


def from_now(clock: LabClock) -> datetime:
    """A moment apart from all that happened before, so that its alerts and log rows can be told."""
    clock.sleep(timedelta(seconds=1))
    return clock.now()


@dataclass(frozen=True, slots=True)
class AlertWatch:
    """Counts a meter's alerts from a moment on; no request is sent while it watches."""

    user: ServiceUser
    clock: LabClock
    meter: Device
    since: datetime
    strays: tuple[str, ...]  # what nobody had waited for until then

    def expect_once(self, evidence: EvidenceLog, event: Event) -> None:
        """The alert came, whole and just once."""
        alert = self.user.alert(event.alert, self.meter, since=self.since)
        evidence.expect(f"problems of alert {alert.code}", found=alert.problems, expected=())
        evidence.expect(f"device of alert {alert.code}", found=alert.device_id, expected=self.meter.device_id)
        assert alert.timestamp is not None, f"alert {alert.code} has no timestamp"
        low = self.since.replace(microsecond=0)
        evidence.expect_between("the alert's own time", found=alert.timestamp, low=low, high=self.clock.now())
        self.clock.sleep(timedelta(minutes=1))
        times = [each.timestamp for each in self.all() if each.code == event.alert]
        evidence.expect(f"times of alert {event.alert}", found=times, expected=[alert.timestamp])
        evidence.expect("messages delivered twice", found=self.user.strays(), expected=self.strays)

    def all(self) -> tuple[Alert, ...]:
        """Every alert of the meter since then."""
        return self.user.alerts(self.meter, since=self.since)


def watch_alerts(user: ServiceUser, clock: LabClock, meter: Device) -> AlertWatch:
    """Watch a meter's alerts from now on."""
    since = from_now(clock)
    return AlertWatch(user, clock, meter, since, user.strays())
