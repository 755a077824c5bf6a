"""Requests that must be refused: the DCC's door, watched from outside."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta

from harness.domain.instruments import (
    Body,
    Device,
    EvidenceLog,
    Forgery,
    LabClock,
    ServiceResponse,
    ServiceUser,
)
from harness.domain.words import DeviceType, UserRole
from test_packs.arrange import Unchanged


@dataclass(frozen=True, slots=True)
class Ask:
    """One request of a service group, right in itself."""

    srv: str
    body: Body = None


def words(forgery: Forgery) -> str:
    """What is wrong with a request on purpose: ``signature broken, command variant 8``."""
    wrong = {name: value for name, value in asdict(forgery).items() if value not in {"", None}}
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in wrong.items())


@dataclass(frozen=True, slots=True)
class Doorkeeper:
    """Sends what must be refused, and proves that it was, with nothing touched and nothing sent later."""

    user: ServiceUser
    clock: LabClock
    evidence: EvidenceLog
    unchanged: Unchanged

    def role(self, device: Device) -> UserRole:
        """A User Role of the device's fuel: the one that supplies it."""
        return UserRole.GS if device.device_type is DeviceType.GSME else UserRole.IS

    def supplier_of_the_other_fuel(self, device: Device) -> UserRole:
        """The role that supplies the other one."""
        return UserRole.IS if device.device_type is DeviceType.GSME else UserRole.GS

    def stranger(self, device: Device, srv: str) -> UserRole:
        """A User Role of the device's fuel that may not send the request."""
        eligible = self.user.catalogue[srv].roles
        gas = device.device_type is DeviceType.GSME
        fuel = (UserRole.GT, UserRole.ES) if gas else (UserRole.ED, UserRole.ES)
        return next(role for role in (*fuel, UserRole.OU, UserRole.RSA) if role not in eligible)

    @contextmanager
    def untouched(self, device: Device) -> Iterator[None]:
        """Nothing changes or is logged on any device, and no message comes that nobody waits for."""
        before = self.user.strays()
        with self.unchanged(device, events=[]):
            yield
            self.clock.sleep(timedelta(minutes=5))
        self.evidence.expect("messages that came later", found=self.user.strays(), expected=before)

    def refused(self, what: str, response: ServiceResponse, code: str = "") -> None:
        """The DCC did not admit the request: by this code where one is known, by any where none is."""
        found = {
            "admitted": response.acknowledgement.startswith("I") or response.code.startswith("I"),
            "success": response.success,
            "problems": response.problems,
        }
        due = {"admitted": False, "success": False, "problems": ()}
        if code:
            found["code"], due["code"] = response.code, code
        self.evidence.expect(f"{what} of SRV {response.srv}", found=found, expected=due)

    def not_done(self, what: str, response: ServiceResponse) -> None:
        """The DCC refused the request, or the S1SP or device declined it."""
        found = {"success": response.success, "told why": response.code != "I0" or bool(response.debug)}
        self.evidence.expect(what, found=found, expected={"success": False, "told why": True})
