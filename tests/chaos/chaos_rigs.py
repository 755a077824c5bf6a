"""A harness plugin: rigs that have nothing but a bench, behind the real driver, and no DCC.

``CHAOS_HAS`` says what is left as it is everywhere: "devices", or "devices and DCC".
"""

from __future__ import annotations

import os
from dataclasses import replace

from harness.hooks import hookimpl

HAS = os.environ.get("CHAOS_HAS", "")


class NoServices:
    """What a run shares in a lab without a DCC."""

    def __init__(self) -> None:
        self.addresses: dict[str, str] = {}

    def close(self) -> None:
        """Nothing was started."""


@hookimpl(tryfirst=True)
def harness_start_lab(lab, run):
    return None if "DCC" in HAS else NoServices()


@hookimpl(tryfirst=True)
def harness_open_rig(lab, rig, services, run, trace, wanted, fence):
    if "devices" in HAS:
        return None
    from device_drivers.rigs.physical import open_physical_rig

    return open_physical_rig(lab, replace(rig, devices={}), services, run, trace, wanted, fence)


@hookimpl(tryfirst=True)
def harness_check_rig(lab, rig, services, run, trace, fence):
    if "devices" in HAS:
        return None
    from device_drivers.rigs.checks import check_rig

    return check_rig(lab, replace(rig, devices={}), services, trace, fence)
