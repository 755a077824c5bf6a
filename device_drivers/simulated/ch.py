"""The communications hub twin: HAN Device Log, WAN, gas proxy, and the way through it to the meters.

What passes through the hub passes its faults, in addition to the points of every twin:

========== =================================================== ===========================================
point      item and value                                      what ``DROP`` does
========== =================================================== ===========================================
REQUEST    type of the addressed device; the APDU, ``bytes``   the device never gets it: no answer
RESPONSE   type of the answering device; the APDU, ``bytes``   the answer is lost
ALERT      code, four hex digits; the :class:`AlertRaised`     the hub does not pass the alert on
DELIVERY   ``"alert"``; tuple of alerts to send                none is sent
CHECK      ``"join"``; why a device may not join, or nothing    as nothing
WAKE       type of what sleeps (CH, GSME); the time until it   it does not wake: no answer
           listens
POWER      ``"state"``; device id → whether it has joined      no device is joined any more
========== =================================================== ===========================================

REQUEST and RESPONSE have the device's id as ``target`` in their details.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from device_drivers.named.forms import UNSET
from device_drivers.named.objects import CH, Kind
from device_drivers.simulated.clock import VirtualClock
from device_drivers.simulated.twin import AlertRaised, Twin
from device_drivers.simulated.wan.head import DeviceSilent, HubUnreachable
from device_drivers.simulated.wan.hub import HubWan
from harness.domain.errors import AccessRefused
from harness.domain.events import Event
from harness.domain.faults import DROP, Interceptions, Point
from harness.domain.lab import Rig, RigDevice
from harness.domain.words import DeviceType

if TYPE_CHECKING:
    from device_drivers.dlms.server import DlmsServer
    from device_drivers.simulated.meters.gsme import GsmeTwin

SMS_WAKE_UP: Final = timedelta(seconds=90)  # lab time from the SMS to a hub that listens
AWAKE: Final = timedelta(seconds=120)  # how long a woken hub listens after its last exchange
GAS_AWAKE: Final = timedelta(seconds=30)  # how long the gas meter listens once it has woken

_A_MOMENT: Final = timedelta.resolution
_EUI_64: Final = re.compile(r"[0-9A-F]{2}(-[0-9A-F]{2}){7}")


@dataclass(slots=True)
class _HanEntry:
    """One device on the HAN Device Log."""

    type: str = ""
    joined: bool = False
    last_communication: datetime = UNSET


class ChTwin(Twin):
    """A communications hub.

    Meters are brought in by :meth:`attach` when the rig is built, then :meth:`connect` reaches the S1SP.
    What the S1SP asks arrives at :meth:`relay`, on the WAN's own thread.
    """

    def __init__(
        self, device: RigDevice, rig: Rig, clock: VirtualClock, interceptions: Interceptions
    ) -> None:
        super().__init__(device, clock, interceptions, CH)
        self.proxy: Mapping[str, Any] = {}  # what the gas meter last sent
        self._han = {
            meter.device_id: _HanEntry(type=meter.type)
            for meter in rig.devices.values()
            if meter.type is not DeviceType.CH
        }
        self._behind: dict[str, tuple[Twin, DlmsServer]] = {}
        self._gas: GsmeTwin | None = None
        self._gas_awake_until = UNSET
        self._awake_until = UNSET
        self._wan: HubWan | None = None
        self.wan_proof: Callable[[str], str] | None = None  # what the hub answers to a nonce of the S1SP's
        self._kept: Any = {}  # of the HAN, while there is no power
        self.on_alert = self._send
        self.values |= {
            "wan_state": rig.simulation.wan if rig.simulation else "up",
            "wake_ups": 0,
            "gas_proxy_updated": UNSET,
        }
        self.computed |= {"han_devices": self._han_log}
        self.managed |= {"wan_state"}
        self.commands |= {
            "han_add": self._han_add,
            "han_remove": self._han_remove,
        }

    # Building the rig

    def serve(self, server: DlmsServer) -> None:
        """Answer by that server what the S1SP asks of the hub itself."""
        self._behind[self.device_id] = (self, server)

    def attach(self, twin: Twin, server: DlmsServer) -> bool:
        """Bring a meter into the HAN's reach; whether it could join."""
        self._behind[twin.device_id] = (twin, server)
        twin.on_alert = self._from_meter
        return self.join(twin.device_id)

    def attach_gas(self, twin: GsmeTwin, server: DlmsServer) -> bool:
        """As :meth:`attach`, for a meter that sleeps: its messages wait until it wakes."""
        self._gas = twin
        self.clock.call_at(twin.next_wake(self.clock.now()), self._gas_wakes)
        return self.attach(twin, server)

    def connect(self, address: str) -> HubWan:
        """Reach the S1SP's WAN head; the caller closes what this returns."""
        wan = HubWan(address, self, self.wan_proof)
        wan.connect()
        self._wan = wan
        self._carry()
        return wan

    # The HAN

    def join(self, device_id: str) -> bool:
        """A device asks to join: it may, if it is on the HAN Device Log."""
        with self.clock.lock:
            entry = self._han.get(device_id)
            if entry is None and self._pass(Point.CHECK, "join", "not on the log", target=device_id):
                self.event(Event.JOIN_REFUSED)
                return False
            if entry is None:  # a hub that has lost this check
                self._han[device_id] = _HanEntry(joined=True)
                return True
            entry.joined = device_id in self._behind
            return entry.joined

    def han(self) -> tuple[str, ...]:
        """Ids of the hub and of the devices that have joined."""
        with self.clock.lock:
            return (self.device_id, *(name for name, entry in self._han.items() if entry.joined))

    def _han_log(self) -> tuple[dict[str, Any], ...]:
        return tuple(
            {
                "device_id": device_id,
                "type": entry.type,
                "joined": entry.joined,
                "last_communication": entry.last_communication,
            }
            for device_id, entry in self._han.items()
        )

    def _han_add(self, argument: Mapping[str, Any]) -> None:
        device_id = argument["device_id"]
        if not _EUI_64.fullmatch(device_id):
            raise AccessRefused(f"{device_id!r} is no EUI-64", result="type-unmatched")
        if device_id in self._han:
            raise AccessRefused(f"{device_id} is on the log already", result="object-unavailable")
        near = self._behind.get(device_id)
        self._han[device_id] = _HanEntry(type=near[0].device.type if near else "")
        if self.join(device_id):
            self.event(Event.DEVICE_JOINED)
            self._announce()

    def _han_remove(self, device_id: str) -> None:
        entry = self._han.pop(device_id, None)
        if entry is None:
            raise AccessRefused(f"{device_id} is not on the log", result="object-unavailable")
        if entry.joined:
            self.event(Event.DEVICE_LEFT)
            self._announce()

    def _announce(self) -> None:
        if self._wan is not None:
            self._wan.announce()

    # The WAN

    def relay(self, device_id: str, apdu: bytes, client_sap: int) -> tuple[bytes, ...]:
        """One APDU from the S1SP to a device of the HAN, and its answer: one APDU or several.

        A hub on a slow WAN is woken by SMS first, and a message for the gas meter waits for the meter to
        wake: lab time jumps over both.
        """
        with self.clock.lock:
            self._reach()
            twin, server = self._reachable(device_id)
            asked = self._through(Point.REQUEST, twin, apdu)
            if twin is self._gas:
                self._wait_for_gas()
            told = server.handle(asked, client_sap) if twin.powered else ()
            if not told:
                raise DeviceSilent(f"{device_id} gave no answer{'' if twin.powered else ': it has no power'}")
            answer = tuple(self._through(Point.RESPONSE, twin, one) for one in told)
            if device_id in self._han:
                self._han[device_id].last_communication = self.clock.now()
            self._awake_until = self.clock.now() + AWAKE
            return answer

    def now(self) -> datetime:
        """The rig's lab time."""
        return self.clock.now()

    def hold(self, seconds: float) -> None:
        """Let lab time pass."""
        with self.clock.lock:
            self.clock.advance_to(self.clock.now() + timedelta(seconds=seconds))

    def ring(self, moment: datetime, due: Callable[[], None]) -> None:
        """Call ``due`` when lab time has come to ``moment``."""
        self.clock.appoint(moment, due)

    def _reach(self) -> None:
        if not self.powered:
            raise HubUnreachable(f"hub {self.device_id} has no power")
        if self.values["wan_state"] == "down":
            raise HubUnreachable(f"the WAN of hub {self.device_id} is down")
        if self.values["wan_state"] == "slow" and self.clock.now() > self._awake_until:
            self.values["wake_ups"] += 1
            self._wake(DeviceType.CH, SMS_WAKE_UP)

    def _wake(self, sleeper: DeviceType, wait: timedelta) -> None:
        """Let the time pass until it listens."""
        passed = self._pass(Point.WAKE, sleeper, wait)
        if passed is DROP:
            raise HubUnreachable(f"the {sleeper} at hub {self.device_id} did not wake")
        self.clock.advance_to(self.clock.now() + passed)

    def _reachable(self, device_id: str) -> tuple[Twin, DlmsServer]:
        entry = self._han.get(device_id)
        if device_id != self.device_id and (entry is None or not entry.joined):
            raise DeviceSilent(f"{device_id} has not joined the HAN of hub {self.device_id}")
        if device_id not in self._behind:
            raise DeviceSilent(f"{device_id} does not answer to hub {self.device_id}")
        return self._behind[device_id]

    def _through(self, point: Point, twin: Twin, apdu: bytes) -> bytes:
        passed = self._pass(point, twin.device.type, apdu, target=twin.device_id)
        if passed is DROP:
            raise DeviceSilent(f"a {point} of {twin.device_id} was lost in hub {self.device_id}")
        return bytes(passed)

    def _carry(self) -> None:
        if self._wan is not None:
            self._wan.carry(self.powered and self.values["wan_state"] != "down")

    # The gas meter

    def _wait_for_gas(self) -> None:
        assert self._gas is not None
        if self.clock.now() > self._gas_awake_until:
            now = self.clock.now()
            self._wake(DeviceType.GSME, self._gas.next_wake(now) - now)
            self._gas_awake_until = self.clock.now() + GAS_AWAKE

    def _gas_wakes(self) -> None:
        """The gas meter has woken: it sends the proxy its readings and listens for a while."""
        gas = self._gas
        assert gas is not None
        now = self.clock.now()
        self._gas_awake_until = now + GAS_AWAKE
        self.clock.call_at(gas.next_wake(now + _A_MOMENT), self._gas_wakes)
        entry = self._han.get(gas.device_id)
        if self.powered and gas.powered and entry is not None and entry.joined:
            self.proxy = {
                name: gas.get(name) for name, item in gas.table.items.items() if item.kind is Kind.REGISTER
            }
            self.values["gas_proxy_updated"] = entry.last_communication = now

    # Alerts

    def _from_meter(self, alert: AlertRaised) -> None:
        entry = self._han.get(alert.device_id)
        if entry is None or not entry.joined:
            return  # nobody listens to a device that has not joined
        passed = self._pass(Point.ALERT, f"{alert.code:04X}", alert)
        if passed is not DROP:
            self._send(passed)

    def _send(self, alert: AlertRaised) -> None:
        alerts = self._pass(Point.DELIVERY, "alert", (alert,))
        if self._wan is None or alerts is DROP:
            return
        for each in alerts:
            self._wan.post(each.device_id, each.code, each.description, each.timestamp)

    # Power, and what the lab may set

    def power(self, on: bool) -> None:
        """Mains on or off. Without power the hub hears nobody; its outbox is kept."""
        with self.clock.lock:
            if on == self.powered:
                return
            self.powered = on
            if on:
                self._rejoin()
            else:
                joined = {name: entry.joined for name, entry in self._han.items()}
                self._kept = self._pass(Point.POWER, "state", joined)
            self._awake_until = UNSET
            self._carry()

    def _rejoin(self) -> None:
        kept: Mapping[str, bool] = {} if self._kept is DROP else self._kept
        for name, entry in self._han.items():
            entry.joined = kept.get(name, False)

    def store(self, values: Mapping[str, Any]) -> None:
        """The WAN goes up, slow or down; nothing else of a hub can be written."""
        before, after = self.values["wan_state"], values["wan_state"]
        self.values["wan_state"] = after
        if "down" in (before, after) and before != after:
            self.event(Event.WAN_LOST if after == "down" else Event.WAN_RESTORED)
        self._carry()
