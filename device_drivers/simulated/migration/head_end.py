"""What the SMSO, and then S1SP and DCO, do on a device: over the hub's WAN, under the head end's keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from device_drivers.dlms.client import DlmsClient
from device_drivers.dlms.counters import CounterStore
from device_drivers.named.device import NamedDevice
from device_drivers.simulated.firmware import make_image
from device_drivers.simulated.migration.cabinet import KEY_TRANSFER, transfer_of
from device_drivers.simulated.migration.keys import HEAD_END, HeadEndKeys
from device_drivers.simulated.s1sp import firmware
from device_drivers.simulated.s1sp.record import DeviceRecord
from device_drivers.simulated.s1sp.sessions import HubChannel
from device_drivers.simulated.wan.head import WanHead
from harness.domain.instruments import Identity
from harness.domain.lab import RigDevice

_PATIENCE: Final = 60.0  # real seconds; lab time is the hub's affair


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One thing to do on a device."""

    device: RigDevice
    ch_id: str
    keys: HeadEndKeys  # that open it now
    new: HeadEndKeys | None = None  # to be put in their place
    master: bytes = field(default=b"", repr=False)
    settings: Mapping[str, int] = field(default_factory=dict)


class HeadEnd:
    """Opens an association for each order. Raises ``HubUnreachable``, ``DeviceSilent``, refusals."""

    def __init__(self, head: WanHead, counters: CounterStore) -> None:
        self._head = head
        self._counters = counters

    def contact(self, order: Order) -> Identity:
        """Who the device says it is."""
        with self._opened(order) as (_, device):
            return device.identity()

    def prepare(self, order: Order) -> None:
        """The settings of the EPCL entry, and the firmware of the Device Model."""
        with self._opened(order) as (_, device):
            held = device.read_many(tuple(order.settings)) if order.settings else {}
            for name, value in order.settings.items():
                if held[name] != value:
                    device.write(name, value)
            version = order.device.model.firmware
            if device.read("firmware_version") != version:
                firmware.distribute(device, DeviceRecord(), version, make_image(version.encode()))
                device.perform("image_activate")

    def change(self, order: Order) -> None:
        """Other keys, under the master key; they have opened the device when this returns."""
        assert order.new is not None
        with self._opened(order) as (client, _):
            client.action(KEY_TRANSFER, transfer_of(order.new, order.master))

    @contextmanager
    def _opened(self, order: Order) -> Iterator[tuple[DlmsClient, NamedDevice]]:
        channel = HubChannel(self._head, order.ch_id, order.device.device_id, HEAD_END)
        client = DlmsClient(channel, order.keys.credentials(), self._counters, timeout=_PATIENCE)
        client.open()  # it is not released: a change of keys has ended it, and the next one begins anew
        yield client, NamedDevice(client, order.device.device_id, order.device.type)
