"""Service group 4, instantaneous values (SRV 4.1.1, 4.1.2, 4.1.4, 4.2, 4.15, 4.16)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from device_drivers.simulated.s1sp.content import indexed
from device_drivers.simulated.s1sp.steps import Job, Step
from harness.domain.instruments import Body


def read_import(job: Job) -> Body:
    """SRV 4.1.1: active and reactive import in Wh and varh, or gas in m3."""
    if job.gas:
        return {"Gas": {"ConsumptionRegister": {"Value": job.device.read("gas_volume"), "Unit": "m3"}}}
    held = job.device.read_many(("active_import", "reactive_import"))
    return {
        "Electricity": {
            "ActiveImportRegister": {"Value": held["active_import"], "ActiveEnergyUnit": "Wh"},
            "ReactiveImportRegister": {"Value": held["reactive_import"], "ReactiveEnergyUnit": "varh"},
        }
    }


def read_tou(job: Job) -> Body:
    """SRV 4.1.2: the time-of-use registers, in Wh or m3."""
    values = indexed(job.device.read("tou_registers"))
    if job.gas:
        return {"Gas": {"TariffTOURegisterMatrix": {"TOURegisterMatrixValue": values}}}
    return {"Electricity": {"TariffTOURegisterCollection": {"TOUPrimaryRegisterValue": values}}}


def read_block_counters(job: Job) -> Body:
    """SRV 4.1.4: the block counters of the billing period, in m3."""
    return {"ImportBlockCounters": {"TariffBlockCounterValue": indexed(job.device.read("block_counters"))}}


def read_export(job: Job) -> Body:
    """SRV 4.2: active and reactive export, in Wh and varh."""
    held = job.device.read_many(("active_export", "reactive_export"))
    return {
        "ActiveExportRegister": {"Value": held["active_export"], "ActiveEnergyUnit": "Wh"},
        "ReactiveExportRegister": {"Value": held["reactive_export"], "ReactiveEnergyUnit": "varh"},
    }


def read_load_limit(job: Job) -> Body:
    """SRV 4.15: load limit settings (W, s) and how often the limit was passed."""
    return job.read(
        {
            "LoadLimitCounterValue": "load_limit_counter",
            "LoadLimitPowerThreshold": "load_limit_threshold",
            "LoadLimitPeriod": "load_limit_period",
            "LoadLimitRestorationPeriod": "load_limit_restoration_period",
            "LoadLimitSupplyState": "load_limit_supply_state",
        }
    )


def read_power(job: Job) -> Body:
    """SRV 4.16: the power being imported, in W."""
    return {"ActivePowerImport": {"Value": job.device.read("active_power_import"), "Unit": "W"}}


STEPS: Final[Mapping[str, Step]] = {
    "4.1.1": read_import,
    "4.1.2": read_tou,
    "4.1.4": read_block_counters,
    "4.2": read_export,
    "4.15": read_load_limit,
    "4.16": read_power,
}
