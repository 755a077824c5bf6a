"""The S1SP's DLMS associations: one a device, through its hub, kept open from request to request."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from device_drivers.dlms.client import DlmsClient
from device_drivers.dlms.counters import CounterStore
from device_drivers.named.device import NamedDevice
from device_drivers.simulated.keys import S1SP, KeyRing
from device_drivers.simulated.wan.head import DeviceSilent, WanHead
from harness.domain.words import DeviceType

_PATIENCE = 60.0  # real seconds; lab time is the hub's affair


@dataclass(slots=True)
class HubChannel:
    """An APDU channel to one device through the WAN connection of its hub, which brings whole answers.

    ``send`` raises :class:`HubUnreachable` and :class:`DeviceSilent`.
    """

    head: WanHead
    ch_id: str
    device_id: str
    client_sap: int = S1SP
    _answers: deque[bytes] = field(default_factory=deque)

    def send(self, apdu: bytes, timeout: float) -> None:
        """One APDU there and its answer as far as here; ``timeout`` in real seconds."""
        self._answers.clear()
        self._answers += self.head.exchange(self.ch_id, self.device_id, apdu, self.client_sap, timeout)

    def receive(self, timeout: float) -> bytes:  # noqa: ARG002 - it is here already
        """The next APDU of the answer."""
        if not self._answers:
            raise DeviceSilent(f"{self.device_id} gave no further answer")
        return self._answers.popleft()

    def close(self) -> None:
        """Nothing to let go of: the connection is the hub's."""

    abandon = close


class Sessions:
    """Opens associations where none is open. Used by one thread a hub at a time; ``forget`` by any."""

    def __init__(self, head: WanHead, keys: KeyRing, counters: CounterStore) -> None:
        self._head = head
        self._keys = keys
        self._counters = counters
        self._open: dict[str, NamedDevice] = {}
        self._lock = threading.Lock()

    def device(self, ch_id: str, device_id: str, device_type: DeviceType) -> NamedDevice:
        """The device, associated."""
        with self._lock:
            device = self._open.get(device_id)
        if device is None:
            device = self._associate(ch_id, device_id, device_type)
            with self._lock:
                self._open[device_id] = device
        return device

    def forget(self, device_ids: Iterable[str]) -> None:
        """Associate anew next time: the devices have started again, or their answers cannot be trusted."""
        with self._lock:
            for device_id in device_ids:
                self._open.pop(device_id, None)

    def _associate(self, ch_id: str, device_id: str, device_type: DeviceType) -> NamedDevice:
        client = DlmsClient(
            HubChannel(self._head, ch_id, device_id),
            self._keys.credentials(device_id, S1SP),
            self._counters,
            timeout=_PATIENCE,
        )
        client.open()
        return NamedDevice(client, device_id, device_type)
