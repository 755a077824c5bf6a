"""The built-in plugin: what it registers, and how little it loads."""

from __future__ import annotations

import subprocess
import sys

from device_drivers.simulated.faults import FAULTS
from harness.hooks import plugin_manager

HEAVY = ("lxml", "xmlsec", "starlette", "uvicorn", "httpx", "paramiko", "pymodbus", "scapy", "cryptography")


def test_importing_the_plugin_loads_nothing_heavy() -> None:
    program = f"import sys, device_drivers.plugin; print([name for name in {HEAVY!r} if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_listing_transports_drivers_and_faults_loads_nothing_heavy() -> None:
    program = (
        "import sys, device_drivers.plugin as plugin;"
        "plugin.harness_transports(), plugin.harness_drivers(), plugin.harness_faults();"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_built_ins_come_through_the_same_door_as_a_third_partys() -> None:
    hook = plugin_manager().hook
    drivers = {(driver.device_type, driver.protocol) for some in hook.harness_drivers() for driver in some}
    assert {("ESME", "dlms"), ("GSME", "dlms"), ("CH", "dlms")} <= drivers
    assert "tcp" in {transport.name for some in hook.harness_transports() for transport in some}


def test_the_fault_catalogue_has_the_faults_that_every_pack_is_judged_by() -> None:
    names = [fault.name for fault in FAULTS]
    assert len(set(names)) == len(names) >= 10
    assert {
        "esme-import-stuck",
        "esme-profile-gap",
        "esme-import-unit",
        "esme-disable-ignored",
        "response-of-another-device",
        "replay-accepted",
        "alert-lost",
    } <= set(names)
    assert all(fault.description for fault in FAULTS)
