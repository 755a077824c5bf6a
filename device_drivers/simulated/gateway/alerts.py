"""The alerts of the simulated DCC: whom they concern, and what they say.

Device alerts are those that a hub sends. An S1SP Alert tells who sent SRV 11.1 what became of the image on
each device. A hub that runs other firmware is told to the suppliers of its meters. Which of these the DCC
sends when, and their codes, is **inferred** or ours; the codes are configuration.

Faults at :attr:`Point.ALERT` of the gateway see each before it is written: the :class:`HubAlert` under its
four hex digits, the :class:`S1spAlert` under its name in :data:`CODES`, a hub's version as ``ch_firmware``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from device_drivers.dcc.duis import RequestId
from device_drivers.simulated.gateway.delivery import S1spAlert, Writer
from device_drivers.simulated.gateway.inventory import Inventory
from device_drivers.simulated.wan.head import HubAlert
from harness.domain.faults import DROP, Interceptions, Point
from harness.domain.lab import Lab
from harness.domain.words import UserRole

CODES: Final = {"firmware_distributed": "FW1", "firmware_not_distributed": "FW2"}
"""What an S1SP Alert is about → S1SPAlertCode, of our own choosing (``dcc.s1sp_alert_codes``)."""

_SUPPLIERS: Final = {"ESME": UserRole.IS, "GSME": UserRole.GS}
_log: Final = logging.getLogger(__name__)

Deliver = Callable[[bytes, str, datetime], None]
"""Message, device id, lab time: posts the message and returns when it has arrived."""


class Alerts:
    """Sends alerts through ``deliver``. Safe for threads."""

    def __init__(
        self,
        lab: Lab,
        inventory: Inventory,
        writer: Writer,
        interceptions: Interceptions,
        deliver: Deliver,
    ) -> None:
        self._users = {user.role: user.eui.upper() for user in lab.dcc.users}
        self._codes = {**CODES, **lab.dcc.s1sp_alert_codes}
        self._inventory = inventory
        self._writer = writer
        self._interceptions = interceptions
        self._deliver = deliver

    def device(self, alert: HubAlert, now: datetime) -> bool:
        """A device's alert, to its supplier; whether it was sent."""
        device_id = alert.device_id.upper()
        passed = self._passing(f"{alert.code:04X}", alert, device_id, now)
        if passed is DROP:
            return False
        record = self._inventory.find(device_id)
        user = self._users.get(_SUPPLIERS.get(record.type if record else "", UserRole.IS))
        if user is None:
            _log.warning("nobody in this lab is told of alert %04X from %s", alert.code, device_id)
            return False
        self._deliver(self._writer.alert(passed, user, now), device_id, now)
        return True

    def distribution(
        self, request_id: RequestId, device_id: str, told: str, *, done: bool, now: datetime
    ) -> None:
        """What became of an image on a device, to the User who asked for its distribution."""
        about = "firmware_distributed" if done else "firmware_not_distributed"
        alert = S1spAlert(request_id, device_id, self._codes[about], told, now)
        passed = self._passing(about, alert, device_id, now)
        if passed is not DROP:
            xml = self._writer.s1sp_alert(passed, request_id.originator, now)
            self._deliver(xml, device_id, now)

    def ch_firmware(self, ch_id: str, version: str, now: datetime) -> None:
        """The firmware that a hub runs now, to the suppliers of the installation."""
        passed = self._passing("ch_firmware", version, ch_id, now)
        types = {record.type for record in self._inventory.installation(ch_id)}
        if passed is DROP:
            return
        for user in (self._users.get(role) for type_, role in _SUPPLIERS.items() if type_ in types):
            if user is not None:
                self._deliver(self._writer.ch_firmware(ch_id, passed, user, now), ch_id, now)

    def _passing(self, item: str, value: Any, device_id: str, now: datetime) -> Any:
        return self._interceptions.passing(Point.ALERT, item, value, device_id=device_id, now=now)
