"""Bench drivers by kind, and the rig that has none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from device_drivers.bench import NoBench, open_bench
from device_drivers.bench.controller import NoController
from device_drivers.named.device import NoTrace
from harness.config import load_lab
from harness.domain.errors import BeyondBench, ConfigurationError
from harness.domain.lab import DeviceModelCombination, Rig
from harness.domain.words import CapabilityRelease, DeviceType
from tests.device_drivers.simulated.conftest import build_house

LAB = load_lab(Path(__file__).resolve().parents[2] / "lab_config" / "simulated.yaml")
BARE = Rig(
    id="bay-1",
    dmc=DeviceModelCombination(id="d", release=CapabilityRelease.IOC, models={}),
    devices={},
    mpan="1",
)


def test_a_rig_without_a_bench_can_still_be_opened_and_put_down() -> None:
    open_bench(BARE, LAB, NoTrace(), NoController("bay-1")).safe()


@pytest.mark.parametrize(
    ("what", "arguments"),
    [
        ("load", (1000,)),
        ("voltage", (230,)),
        ("gas_flow", (100,)),
        ("mains", (False,)),
        ("power", (DeviceType.CH, True)),
        ("tamper", (DeviceType.ESME, True)),
        ("press_enable", (DeviceType.ESME,)),
        ("reference", ()),
        ("temperature", ()),
    ],
)
def test_a_test_that_needs_the_missing_bench_is_blocked(what: str, arguments: tuple[Any, ...]) -> None:
    with pytest.raises(BeyondBench, match="rig bay-1 has no bench"):
        getattr(NoBench("bay-1"), what)(*arguments)


def test_a_kind_of_bench_that_nobody_drives_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match=r"no bench driver for kind 'modbuss'.*mean 'modbus'"):
        open_bench(replace(BARE, bench={"kind": "modbuss"}), LAB, NoTrace(), NoController("bay-1"))


@pytest.mark.parametrize(
    ("what", "arguments"),
    [
        ("load", (1_000_000,)),
        ("voltage", (401,)),
        ("gas_flow", (-1,)),
        ("power", (DeviceType.GSME, False)),
        ("tamper", (DeviceType.CH, True)),
    ],
)
def test_what_a_twins_bench_cannot_give_says_nothing_of_its_rig(
    what: str, arguments: tuple[Any, ...]
) -> None:
    with pytest.raises(BeyondBench) as caught:
        getattr(build_house().bench, what)(*arguments)
    assert not caught.value.suspect
