"""SRVs of which no source says whether a SMETS1 device serves them: ``?`` in the catalogue.

They are served in a lab that turns them on (``unknown_services``), as far as the twins have what they are
about: SRV 1.7, 3.1, 3.4, 4.1.3, 4.17, 6.25 and 6.27, besides those that other modules serve for another kind
of device (4.1.2 of gas, 6.13 and 11.2 of a hub). What the twins have no place for is refused as not served.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from itertools import pairwise
from typing import Any, Final

from device_drivers.simulated.s1sp.content import indexed
from device_drivers.simulated.s1sp.steps import Job, Step
from harness.domain.instruments import Body

_DAY: Final = timedelta(days=1)


def reset_block_counters(job: Job) -> Body:
    """SRV 1.7: the block counters begin anew."""
    job.device.perform("reset_block_counters")
    return None


def display_message(job: Job) -> Body:
    """SRV 3.1: a text for the customer."""
    job.device.write("message", job.body.text("SupplierMessage"))
    return None


def update_supplier_name(job: Job) -> Body:
    """SRV 3.4: who supplies, and under which telephone number."""
    job.write(
        {
            "supplier_name": job.body.text("SupplierName"),
            "supplier_telephone": job.body.text("SupplierTelephoneNumber"),
        }
    )
    return None


def read_tou_with_blocks(job: Job) -> Body:
    """SRV 4.1.3: the registers of each block, in Wh. The counters are of no TOU register, and not told."""
    blocks: Any = job.device.read("tou_block_registers")
    return {
        "TariffBlockTOURegisterCollection": {
            "TariffBlock": [
                {"@index": number, "RegisterMatrixTOUValue": indexed(registers)}
                for number, registers in enumerate(blocks, start=1)
            ]
        }
    }


def read_daily_consumption(job: Job) -> Body:
    """SRV 4.17: what each day has used, under the midnight that ended it, in Wh or m3.

    A meter keeps its register at each midnight; the difference of two that follow each other is told.
    """
    register = "gas_volume" if job.gas else "active_import"
    start = job.body.time("ReadLogPeriod/StartDateTime")
    end = job.body.time("ReadLogPeriod/EndDateTime")
    rows = job.device.log("daily_read_log", start - _DAY, end)
    entries = [
        {"Value": now.values[register] - before.values[register], "Timestamp": now.timestamp}  # type: ignore[operator]  # registers are numbers
        for before, now in pairwise(rows)
        if now.timestamp >= start
    ]
    return job.fuel({"LogEntry": entries})


def set_tamper_state(job: Job) -> Body:
    """SRV 6.25: what an opened cover does to the supply."""
    job.device.write("supply_tamper_state", job.body.text("SupplyTamperState"))
    return None


def reset_voltage_counters(job: Job) -> Body:
    """SRV 6.27: the counters of voltages beyond the thresholds begin anew."""
    job.device.perform("reset_voltage_counters")
    return None


STEPS: Final[Mapping[str, Step]] = {
    "1.7": reset_block_counters,
    "3.1": display_message,
    "3.4": update_supplier_name,
    "4.1.3": read_tou_with_blocks,
    "4.17": read_daily_consumption,
    "6.25": set_tamper_state,
    "6.27": reset_voltage_counters,
}
