"""Fixtures of every Test Pack: whole responses, proof that nothing else changed, no traces left."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, Final, cast

import pytest

from harness.domain.errors import DeviceFault
from harness.domain.events import Event
from harness.domain.instruments import (
    Bench,
    Body,
    Device,
    EvidenceLog,
    LabClock,
    LogEntry,
    Meter,
    RigInHand,
    ServiceResponse,
    ServiceUser,
)
from harness.domain.payload import Payload
from harness.domain.words import DeviceType, SupplyState
from test_packs.arrange import Declined, Served, Unchanged, added_rows, supplying, well_before_midnight
from test_packs.consumption import Consume, Consumption, counted_by, demand, demand_in, flow_of

Picture = Mapping[str, Any]

_SUPPLY: Final = ("supply_output", "supply_state")  # moved by commands, never written
_LAST: Final = (
    "payment_mode",
    "emergency_credit_active",
    "meter_balance",
)  # may cut a supply
_BY_TIME: Final = frozenset({Event.BILLING_DATA_CAPTURED})  # may fall into any test that passes midnight


@pytest.fixture(autouse=True)
def restored(rig: RigInHand, bench: Bench, clock: LabClock, evidence: EvidenceLog) -> Iterator[None]:
    """Leaves the bench safe and every device's settings and state as the test found them.

    No test begins in the last hours of a day, so that midnight's charges do not fall into its requests (one
    to a sleeping gas meter may take half an hour of lab time).
    """
    well_before_midnight(clock, timedelta(hours=5))
    before = {device.device_id: _picture(device) for device in rig.devices.values()}
    yield
    bench.safe()
    for device in rig.devices.values():
        _put_back(device, before[device.device_id], evidence)
    clock.sleep(timedelta(seconds=1))  # the next test's first moment is nobody else's


@pytest.fixture
def served(user: ServiceUser, clock: LabClock, evidence: EvidenceLog) -> Served:
    """Sends a request, proves the whole response of a device that did it, and returns the content."""

    def serve(srv: str, device: Device, body: Body = None) -> Payload:
        asked = clock.now()
        response = user.request(srv, device, body)
        _expect_whole(evidence, response, srv, device, asked, clock.now())
        evidence.expect(f"{srv}: success", found=response.success, expected=True)
        evidence.expect(f"{srv}: errors told by the S1SP", found=response.debug, expected=())
        return response.payload

    return serve


@pytest.fixture
def declined(user: ServiceUser, clock: LabClock, evidence: EvidenceLog) -> Declined:
    """Sends a request that the device must decline, and proves the whole response that says so."""

    def decline(srv: str, device: Device, body: Body = None) -> ServiceResponse:
        asked = clock.now()
        response = user.request(srv, device, body)
        _expect_whole(evidence, response, srv, device, asked, clock.now())
        evidence.expect(f"{srv}: success", found=response.success, expected=False)
        evidence.expect(f"{srv}: a reason is told", found=bool(response.debug), expected=True)
        return response

    return decline


def _expect_whole(
    evidence: EvidenceLog, response: ServiceResponse, srv: str, device: Device, asked: datetime, now: datetime
) -> None:
    for what, found, expected in (
        ("acknowledgement", response.acknowledgement, "I99"),
        ("response code", response.code, "I0"),
        ("SRV of the response", response.srv, srv),
        ("device that answered", response.device_id, device.device_id),
        ("problems of the message", response.problems, ()),
    ):
        evidence.expect(f"{srv}: {what}", found=found, expected=expected)
    assert response.timestamp is not None, f"{srv}: the response of {device.device_id} has no timestamp"
    evidence.expect_between(
        f"{srv}: the device's own timestamp",
        found=response.timestamp,
        low=asked.replace(microsecond=0),
        high=now,
    )


@pytest.fixture
def unchanged(rig: RigInHand, user: ServiceUser, clock: LabClock, evidence: EvidenceLog) -> Unchanged:
    """Proves that during a block nothing changed on any device of the rig, but for what is named.

    ``events``, where given, are the codes that the device must log meanwhile: all of them, in this order,
    and no other; ``alerts`` are the codes of all alerts about the device. The rig's other meters must log
    nothing, nobody may be alerted about another device, and no message may come that nobody waits for.
    """

    @contextmanager
    def watch(
        device: Device,
        *,
        but: Collection[str] = (),
        events: Sequence[int] | None = None,
        alerts: Sequence[str] = (),
    ) -> Iterator[None]:
        devices = tuple(rig.devices.values())
        clock.sleep(timedelta(0))  # alerts that the arrangement raised arrive first
        before = tuple((_picture(each), each.log("event_log"), user.alerts(each)) for each in devices)
        strays = user.strays()
        yield
        clock.sleep(timedelta(0))  # what is on its way arrives
        evidence.expect("messages that nobody waited for", found=user.strays(), expected=strays)
        for each, (picture, logged, raised) in zip(devices, before, strict=True):
            own = each.device_id == device.device_id
            moved = _moved(picture, _picture(each), frozenset(but) if own else frozenset())
            evidence.expect(f"what else changed on the {each.device_type}", found=moved, expected={})
            fresh = [alert.code for alert in user.alerts(each)[len(raised) :]]
            named = list(alerts) if own else []
            evidence.expect(f"alerts of the {each.device_type}", found=fresh, expected=named)
            due = (() if events is None else tuple(map(int, events))) if own else ()
            if each.device_type is not DeviceType.CH and not (own and events is None):
                _expect_logged(evidence, each, logged, due)

    return watch


def _expect_logged(
    evidence: EvidenceLog, device: Device, before: Sequence[LogEntry], due: Sequence[int]
) -> None:
    """The codes that were added to the event log, but for those that time alone brings."""
    fresh = (row.values["code"] for row in added_rows(before, device.log("event_log")))
    found = tuple(code for code in fresh if code in due or code not in _BY_TIME)
    evidence.expect(f"events that the {device.device_type} logged", found=found, expected=tuple(due))


@pytest.fixture
def consume(bench: Bench, clock: LabClock) -> Consume:
    """Applies a load or a gas flow for a while; tells what the bench and the meter counted."""

    def run(meter: Meter, duration: timedelta) -> Consumption:
        flow, counted = flow_of(meter, bench.reference()), counted_by(meter)
        demand(meter, bench, on=True)
        clock.sleep(duration)
        demand(meter, bench, on=False)
        flowed = flow_of(meter, bench.reference()) - flow
        return Consumption(demand_in(meter, duration), flowed, counted_by(meter) - counted)

    return run


def _picture(device: Device) -> Picture:
    """Settings and state, without the moments of a hub's last communications."""
    picture = dict(device.snapshot())
    if "han_devices" in picture:
        picture["han_devices"] = tuple(
            {name: value for name, value in row.items() if name != "last_communication"}
            for row in picture["han_devices"]
        )
    return picture


def _moved(before: Picture, after: Picture, but: frozenset[str]) -> dict[str, tuple[Any, Any]]:
    """Items that differ, each with its value before and after."""
    return {
        name: (before.get(name), after.get(name))
        for name in (before.keys() | after.keys()) - but
        if before.get(name) != after.get(name)
    }


def _put_back(device: Device, before: Picture, evidence: EvidenceLog) -> None:
    """Write what a test left changed; a hub has no settings of its own and is left as it is."""
    moved = _moved(before, _picture(device), frozenset(_SUPPLY))
    if device.device_type is DeviceType.CH:
        if moved:
            evidence.note("the hub is left changed", moved)
        return
    _write_back(device, before, moved, evidence)
    if moved:  # a device in which one setting moves another gets that back too: the next test is to see it
        _write_back(device, before, _moved(before, _picture(device), frozenset(_SUPPLY)), evidence)
    supplying(cast(Meter, device), SupplyState(before["supply_state"]))


def _write_back(device: Device, before: Picture, moved: Collection[str], evidence: EvidenceLog) -> None:
    first = tuple(name for name in moved if name not in _LAST)
    for name in (*first, *(name for name in _LAST if name in moved)):
        try:
            device.write(name, before[name])
        except DeviceFault as fault:
            evidence.note(f"{name} of the {device.device_type} cannot be put back", str(fault))
            raise
