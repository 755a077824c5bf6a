"""Bench drivers by kind, and the rig that has none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from device_drivers.bench import NoBench, open_bench
from device_drivers.named import NoTrace
from harness.domain.errors import BenchFault, ConfigurationError
from harness.domain.lab import DeviceModelCombination, Rig
from harness.domain.words import CapabilityRelease, DeviceType

BARE = Rig(
    id="bay-1",
    dmc=DeviceModelCombination(id="d", release=CapabilityRelease.IOC, models={}),
    devices={},
    mpan="1",
)


def test_a_rig_without_a_bench_can_still_be_opened_and_put_down() -> None:
    open_bench(BARE, NoTrace()).safe()


@pytest.mark.parametrize(
    ("what", "arguments"),
    [
        ("load", (1000,)),
        ("voltage", (230,)),
        ("gas_flow", (100,)),
        ("mains", (False,)),
        ("tamper", (DeviceType.ESME, True)),
        ("reference", ()),
    ],
)
def test_a_test_that_needs_the_missing_bench_is_blocked(what: str, arguments: tuple[Any, ...]) -> None:
    with pytest.raises(BenchFault, match="rig bay-1 has no bench"):
        getattr(NoBench("bay-1"), what)(*arguments)


def test_a_kind_of_bench_that_nobody_drives_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match="no bench driver for kind 'modbuss'"):
        open_bench(replace(BARE, bench={"kind": "modbuss"}), NoTrace())
