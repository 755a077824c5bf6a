"""The service user of a rig: the shared DCC link's where a run has one, else one that says it is missing."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from datetime import datetime, timedelta
from typing import Any, NoReturn

from harness.domain.errors import LinkLost
from harness.domain.instruments import (
    Alert,
    Body,
    Certified,
    Device,
    Forgery,
    LabClock,
    Pending,
    ServiceResponse,
    ServiceUser,
)
from harness.domain.lab import Lab, Rig, ServiceRequest
from harness.domain.words import UserRole
from harness.hooks import Trace


class NoUser:
    """Stands where no DCC link was started: a bench engineer at one device needs none."""

    def __init__(self, lab: Lab) -> None:
        self.catalogue: Mapping[str, ServiceRequest] = lab.catalogue

    def request(
        self,
        srv: str,
        target: Device | str,  # noqa: ARG002 - the protocol's
        body: Body = None,  # noqa: ARG002
        *,
        role: UserRole | None = None,  # noqa: ARG002
        forgery: Forgery | None = None,  # noqa: ARG002
        within: timedelta | None = None,  # noqa: ARG002
    ) -> ServiceResponse:
        _missing(f"SRV {srv}")

    def send(
        self,
        srv: str,
        target: Device | str,  # noqa: ARG002 - the protocol's
        body: Body = None,  # noqa: ARG002
        *,
        role: UserRole | None = None,  # noqa: ARG002
    ) -> Pending:
        _missing(f"SRV {srv}")

    def scheduled(self, schedule: int, device: Device) -> tuple[ServiceResponse, ...]:
        _missing(f"schedule {schedule} of {device.device_id}")

    def vend(self, meter: Device, pence: int) -> str:
        _missing(f"a top-up of {pence} pence for {meter.device_id}")

    def certified(self, role: UserRole, *, successor: bool = False) -> Certified:  # noqa: ARG002
        _missing(f"the certificate of role {role}")

    def alert(self, code: str, device: Device, *, since: datetime, within: timedelta | None = None) -> Alert:  # noqa: ARG002
        _missing(f"alert {code} of {device.device_id}")

    def alerts(self, device: Device, *, since: datetime | None = None) -> tuple[Alert, ...]:  # noqa: ARG002
        return ()

    def strays(self, *, since: datetime | None = None) -> tuple[str, ...]:  # noqa: ARG002
        return ()


def open_user(
    services: Mapping[str, Any], rig: Rig, clock: LabClock, trace: Trace, lab: Lab, held: ExitStack
) -> ServiceUser:
    """The rig's user on the run's DCC link; ``held`` closes it."""
    if not services:
        return NoUser(lab)
    from device_drivers.dcc.user import RigUser

    user = RigUser(lab, rig, services, clock, trace)
    held.callback(user.close)
    return user


def _missing(what: str) -> NoReturn:
    raise LinkLost(f"{what}: no DCC link was started for this rig", remedy="run it in a pack")
