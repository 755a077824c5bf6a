"""An installation without gas: what the DCC and the hub must know of it, and what not (SRV 8.2, 8.9)."""

from __future__ import annotations

import pytest

from harness.domain.instruments import CommunicationsHub, Esme, EvidenceLog, RigInHand, ServiceUser
from test_packs.arrange import Served, Unchanged
from test_packs.estate import INVENTORY_TYPES, inventory, read_inventory

pytestmark = pytest.mark.functional_group("8 Device estate management")


@pytest.mark.srv("8.2")
@pytest.mark.ttm("TTM-8.2-D-02", "TTM-8.2-D-03", "TTM-8.2-E-01", "TTM-8.2-C-01")
@pytest.mark.devices("ESME", "CH")
def test_an_installation_without_gas_is_told_whole_by_its_mpan(
    unchanged: Unchanged,
    user: ServiceUser,
    rig: RigInHand,
    esme: Esme,
    ch: CommunicationsHub,
    evidence: EvidenceLog,
) -> None:
    """SRV 8.2: by its MPAN, the meter and the hub as each tells of itself, and no gas meter."""
    with unchanged(esme):
        told = read_inventory(evidence, user, esme, {"MPxN": rig.rig.mpan})
    evidence.expect("by number and by id", found=told, expected=inventory(evidence, user, esme))
    due = {
        device.device_id.upper(): (INVENTORY_TYPES[device.device_type], device.identity().firmware)
        for device in (esme, ch)
    }
    found = {id_: (entry["DeviceType"], entry["DeviceFirmwareVersion"]) for id_, entry in told.items()}
    evidence.expect("type and firmware of each device", found=found, expected=due)


@pytest.mark.srv("8.9")
@pytest.mark.ttm("TTM-8.9-C-02")
@pytest.mark.devices("CH", "ESME")
def test_a_hub_without_gas_has_the_electricity_meter_on_its_log_and_nothing_else(
    served: Served, unchanged: Unchanged, esme: Esme, ch: CommunicationsHub, evidence: EvidenceLog
) -> None:
    """SRV 8.9: the hub's log, told and read at its own port, holds the electricity meter alone."""
    with unchanged(ch):
        payload = served("8.9", ch, {"ReadSecurityDetails": None})
    entries = payload.all("CHFDeviceLog/CHFDeviceLogEntry")
    evidence.expect("devices told", found=[e.text("DeviceID") for e in entries], expected=[esme.device_id])
    evidence.expect("devices on the log", found=ch.han_devices(), expected=(esme.device_id,))
