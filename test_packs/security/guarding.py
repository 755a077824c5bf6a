"""The watch that is kept while the lab is misused.

What the DCC answers to a message that is wrong in itself is not published: any refusal will do, by a
response code or by HTTP. What counts is what the device holds, and that the next request is served.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from harness.domain.events import Event
from harness.domain.instruments import Body, Device, Forgery, ServiceResponse
from harness.domain.words import DeviceType
from test_packs.arrange import Served, added_rows
from test_packs.refusals import Ask, Doorkeeper, words

_AFTER: Final = timedelta(minutes=2)  # in which what was refused might still be done


@dataclass(frozen=True, slots=True)
class Guard:
    """Proves that misuse came to nothing."""

    door: Doorkeeper
    served: Served

    @contextmanager
    def unharmed(self, device: Device, *, alerts: Sequence[str] = ()) -> Iterator[None]:
        """Nothing changes or is logged as an event on any device, and the device still serves afterwards."""
        with self.door.unchanged(device, events=[], alerts=alerts):
            yield
            self.door.clock.sleep(_AFTER)
        self.honest(device)

    def honest(self, device: Device) -> None:
        """The next request is served as if nothing had happened."""
        if device.device_type is DeviceType.CH:
            self.served("8.9", device, {"ReadSecurityDetails": None})
        else:
            self.served("4.18", device)

    def ask(self) -> Ask:
        """A request that would change the device, with a number in it: from when on a tenant may read."""
        month_ago = f"{self.door.clock.now() - timedelta(days=30):%Y-%m-%dT00:00:00Z}"
        return Ask("3.2", {"RestrictionDateTime": month_ago})

    def refused(self, device: Device, forgery: Forgery, what: str = "") -> ServiceResponse:
        """Ask in a wrong way, and be refused by the DCC."""
        ask = self.ask()
        response = self.door.user.request(
            ask.srv, device, ask.body, role=self.door.role(device), forgery=forgery
        )
        self.door.refused(what or words(forgery), response)
        return response

    def request(self, srv: str, device: Device, body: Body, **wrongly: Any) -> ServiceResponse:
        """Ask, wrongly or not."""
        return self.door.user.request(srv, device, body, **wrongly)

    def expect_logged_attempts(self, device: Device, before: Sequence[Any], count: int) -> None:
        """So many failed authentications are in the device's security log, and nothing else."""
        rows = added_rows(before, device.log("security_log"))
        codes = [row.values["code"] for row in rows]
        self.door.evidence.expect(
            "rows of the security log", found=codes, expected=[Event.AUTHENTICATION_FAILED] * count
        )
