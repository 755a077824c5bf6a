"""The supply of a rig's devices: whoever cuts it tells their drivers, whose sessions do not outlive it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from harness.domain.instruments import Bench, Device
from harness.domain.words import DeviceType


class _Supply:
    """A bench whose relays are watched; all else it does is the bench's own."""

    def __init__(self, bench: Bench, devices: Mapping[DeviceType, Device]) -> None:
        self._bench = bench
        self._devices = devices

    def mains(self, on: bool) -> None:
        self._bench.mains(on)
        if not on:
            self._tell(DeviceType.ESME, DeviceType.CH)

    def power(self, device: DeviceType, on: bool) -> None:
        self._bench.power(device, on)
        if not on:
            self._tell(device)

    def _tell(self, *cut: DeviceType) -> None:
        for device in cut:
            tell = getattr(self._devices.get(device), "supply_was_cut", None)
            if tell is not None:  # a third party's driver may have no session
                tell()

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            return getattr(self._bench, name)


def watched(bench: Bench, devices: Mapping[DeviceType, Device]) -> Bench:
    """The bench; a driver with ``supply_was_cut`` is told when it has switched its device off."""
    return cast("Bench", _Supply(bench, devices))
