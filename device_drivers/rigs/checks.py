"""Every door of a rig tried by itself: controller, bench, captures, devices, and the way to the DCC.

What is wrong with one part never hides what is wrong with another. The opening of a door tells its steps
(:mod:`device_drivers.doors.steps`): a finding says how far it came.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import Any, Final, NoReturn, TypeVar

from device_drivers.bench import open_bench
from device_drivers.bench.controller import OpenController, open_controller
from device_drivers.doors.steps import OPENING
from device_drivers.rigs.assembly import BASELINE_REMEDY, connect_device, reached
from device_drivers.rigs.guarded import guarded, letting_go
from device_drivers.rigs.physical import real_time
from device_drivers.rigs.user import open_user
from harness.domain.baseline import deviations
from harness.domain.errors import (
    AccessRefused,
    BeyondBench,
    ConfigurationError,
    ControllerFault,
    DeviceFault,
    DeviceTimeout,
    HarnessError,
    LabFault,
    UsageError,
)
from harness.domain.findings import BAD, GOOD, Finding
from harness.domain.instruments import Bench, CommandResult, Device, Identity, LabClock, RunningCommand
from harness.domain.lab import Lab, Rig, RigDevice
from harness.hooks import Fence, Trace, unfenced

T = TypeVar("T")

LARGEST_DRIFT: Final = timedelta(seconds=10)
"""How far a meter's clock may be from UTC (SMETS1: within 10 seconds)."""
_NO_STEP: Final = "take what the lab file says of it"


@dataclass(frozen=True, slots=True)
class AtHand:
    """A rig whose doors can be tried. ``bench`` is one that needs no driver."""

    rig: Rig
    clock: LabClock
    bench: Bench | None


def check_rig(
    lab: Lab,
    rig: Rig,
    services: Mapping[str, Any],
    trace: Trace,
    fence: Fence = unfenced,
    twins: Callable[[ExitStack], AtHand] | None = None,
) -> list[Finding]:
    """What came of each part. ``twins``, where there are some, stands them up first.

    What is then checked is the same for every rig.
    """
    report = _Report(rig.id, trace, fence)
    with ExitStack() as held:

        def at_hand(part: _Part) -> AtHand:
            if twins is None:
                return AtHand(rig, real_time(part), None)
            part.step("stand the twins up")
            return twins(held)

        there = report.trying("", at_hand, quiet=True)
        if there is not None:
            _check_parts(lab, there, services, report, held)
    return report.findings


def _check_parts(
    lab: Lab, at_hand: AtHand, services: Mapping[str, Any], report: _Report, held: ExitStack
) -> None:
    rig, clock = at_hand.rig, at_hand.clock
    fence = report.fence
    controller = report.trying(
        "controller", lambda part: _controller(lab, rig, part, held, fence), quiet=rig.controller is None
    ) or Unreached(rig.id)
    if at_hand.bench is not None or rig.bench.get("kind"):
        report.trying("bench", lambda part: _bench(lab, at_hand, controller, part, fence))
    for device in rig.devices.values():
        report.trying(device.type, partial(_device, lab, rig, device, clock, controller, fence))
    for name in rig.captures:
        report.trying("capture", partial(_capture, rig, name, controller))
    if services:
        plain = lab.dcc.plain_http and lab.dcc.gateway.startswith("http:")
        report.trying("DCC", lambda part: _user(lab, at_hand, services, part), quiet=not plain)


def _controller(lab: Lab, rig: Rig, part: _Part, held: ExitStack, fence: Fence) -> OpenController:
    part.step("connect")
    opened = open_controller(rig, lab, part, fence)
    held.callback(letting_go(opened, fence))
    if rig.controller is not None:
        part.found = opened.probe()
    return opened


def _bench(lab: Lab, at_hand: AtHand, controller: OpenController, part: _Part, fence: Fence) -> None:
    """Open it, make it safe (every point that can be written is, and is read back), read its meters."""
    with ExitStack() as held:
        bench = at_hand.bench
        if bench is None:
            part.step("open")
            bench = open_bench(at_hand.rig, lab, part, controller, fence)
            held.callback(letting_go(bench, fence))
        bench = guarded(bench, fence, "bench")
        part.step("make safe and read back")
        bench.safe()
        part.found = "in its safe state"
        part.step("read the reference meters")
        try:
            bench.reference()
        except BeyondBench as lacking:  # a test that wants them goes to another rig; this one is well
            part.found += f"; {lacking.message}"


def _capture(rig: Rig, name: str, controller: OpenController, part: _Part) -> None:
    from device_drivers.bench.capture import probe

    line = rig.captures[name]
    part.step(f"hear {name} at {line.interface}{' of the controller' if line.on_controller else ''}")
    part.found = probe(line, name, controller)


def _user(lab: Lab, at_hand: AtHand, services: Mapping[str, Any], part: _Part) -> None:
    part.step("reach the DCC link")
    part.found = f"messages to {lab.dcc.gateway} pass unprotected: the lab file says dcc.plain_http"
    with ExitStack() as held:
        open_user(services, at_hand.rig, at_hand.clock, part, lab, held)


def _device(
    lab: Lab,
    rig: Rig,
    device: RigDevice,
    clock: LabClock,
    controller: OpenController,
    fence: Fence,
    part: _Part,
) -> None:
    """One door: opened, who is there, is it the baseline, and what time does it think it is."""
    with ExitStack() as held:
        if device.door is not None and device.door.via_controller:
            part.step("forward its port")
        there = replace(device, door=reached(device.door, controller))
        opened = connect_device(lab, rig, there, clock, part, held, fence)
        part.step("read identity")
        identity = opened.identity()
        part.found = told(identity)
        for deviation in deviations(device, identity):
            part.bad(str(deviation), BASELINE_REMEDY, LabFault.__name__)
        part.step("read clock")
        if (drift := _drift(opened, clock)) is None:
            return
        part.found += f"; clock {_ahead(drift)}"
        if abs(drift) > LARGEST_DRIFT:
            part.bad(
                f"its clock is {_ahead(drift)}, more than the {LARGEST_DRIFT.seconds} s that SMETS1 allows",
                f"set it: harness device {rig.id} {device.type} clock --set",
                LabFault.__name__,
            )


def _drift(device: Device, clock: LabClock) -> timedelta | None:
    """How far the device is ahead of lab time; ``None`` where it tells no clock."""
    before = clock.now()
    try:
        moment = device.clock()
    except (AccessRefused, UsageError):
        return None
    return moment - (before + (clock.now() - before) / 2)


def _ahead(drift: timedelta) -> str:
    seconds = drift.total_seconds()
    return f"{abs(seconds):.1f} s {'behind' if seconds < 0 else 'ahead of'} lab time"


def told(identity: Identity) -> str:
    """An identity in a line."""
    return (
        f"{identity.manufacturer} {identity.model}, firmware {identity.firmware}, "
        f"serial number {identity.serial_number}, {identity.device_id}"
    )


class Unreached:
    """Stands where a controller could not be reached: what is behind it says that it was not tried."""

    def __init__(self, rig_id: str) -> None:
        self._rig_id = rig_id

    def run(self, command: str, *, within: timedelta | None = None) -> CommandResult:  # noqa: ARG002
        self._not_tried()

    def fetch(self, path: str, *, keep: bool = True) -> bytes:  # noqa: ARG002
        self._not_tried()

    def start(self, command: str) -> RunningCommand:  # noqa: ARG002
        self._not_tried()

    def forward(self, host: str, port: int) -> tuple[str, int]:  # noqa: ARG002
        self._not_tried()

    def probe(self) -> str:
        self._not_tried()

    def close(self) -> None:
        """Nothing to close."""

    def abandon(self) -> None:
        """Nothing to let go of."""

    def _not_tried(self) -> NoReturn:
        raise ControllerFault(
            f"not tried: it is reached through the controller of rig {self._rig_id}, which is not",
            remedy="put the controller right, then check again",
        )


@dataclass(slots=True)
class _Part:
    """One part in hand. A :class:`~harness.hooks.Trace` to its driver, it keeps the steps that are told."""

    rig: str
    name: str
    onward: Trace
    found: str = "answers"
    steps: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def step(self, doing: str) -> None:
        """What is tried now."""
        self.steps.append(doing)

    def bad(self, found: str, remedy: str, family: str) -> None:
        """Something is wrong; the part goes on."""
        self.findings.append(self._finding(BAD, found, remedy, family))

    def good(self) -> None:
        """All that was tried went well."""
        self.findings.append(self._finding(GOOD, self.found))

    def _finding(self, state: str, found: str, remedy: str = "", family: str = "") -> Finding:
        return Finding(self.rig, self.name, state, " → ".join(self.steps) or _NO_STEP, found, remedy, family)

    def event(self, source: str, what: str, **detail: Any) -> None:
        if what == OPENING:
            self.step(str(detail["step"]))
        self.onward.event(source, what, **detail)

    def message(self, source: str, name: str, content: bytes, media_type: str) -> None:
        self.onward.message(source, name, content, media_type)


class _Report:
    """The findings of one rig, as long as that is ours."""

    def __init__(self, rig: str, trace: Trace, fence: Fence) -> None:
        self.fence = fence
        self._rig = rig
        self._trace = trace
        self.findings: list[Finding] = []

    def trying(self, name: str, attempt: Callable[[_Part], T], *, quiet: bool = False) -> T | None:
        """What the attempt at a part gives; ``None`` where an error ended it, which then is a finding.

        Where the rig is not ours any more what the fence raises comes out. ``quiet``: not a word where it is
        well.
        """
        part = _Part(self._rig, name, self._trace)
        result: T | None = None
        self.fence()
        try:
            result = attempt(part)
        except HarnessError as error:
            self.fence()
            part.bad(error.message, _remedy(error, part), type(error).__name__)
        if not part.findings and not quiet:
            part.good()
        self.findings += part.findings
        return result


def _remedy(error: HarnessError, part: _Part) -> str:
    """What to do; of an error that does not say itself, what usually helps."""
    if error.remedy:
        return error.remedy
    refused = isinstance(error, DeviceFault) and not isinstance(error, DeviceTimeout)
    if refused and part.steps[-1:] == ["associate"]:
        return "check the client, its keys and its system title under `security:` in the lab file"
    for family, remedy in _USUALLY.items():
        if isinstance(error, family):
            return remedy
    return "check cable, probe, power and address"


_USUALLY: Final[Mapping[type[HarnessError], str]] = {
    ConfigurationError: "correct the lab file",
    DeviceTimeout: "check that the device has power, and that this door is the device's",
    AccessRefused: "check what this client may do, under `security:` in the lab file",
    DeviceFault: "check that the door leads to this device, and speaks the protocol that it names",
}
