"""Non-device requests that the DCC must refuse: what it holds, and the devices, must not be touched.

SRV 12.2 is open to every User Role: there is none that it could be refused to. Group 5 has its own module.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import pytest

from harness.domain.instruments import Body, Device, EvidenceLog, Forgery, Meter, RigInHand, ServiceUser
from harness.domain.words import UserRole
from test_packs.estate import UNKNOWN_DEVICE, Entry, ask_dcc, inventory
from test_packs.images import another
from test_packs.refusals import Doorkeeper

pytestmark = pytest.mark.functional_group("Refusals")

_STRANGER: Final = "00-DB-12-34-56-FE-00-06"
_NOT_ELIGIBLE: Final = "E2"
_NOBODY_TOOK_IT: Final = "W110101"
_UNKNOWN: Final = "E080201"

Asks = Mapping[str, Body]  # SRV → a body that is right in itself


def _asks(rig: RigInHand, meter: Device) -> Asks:
    """A request of each kind that changes what the DCC holds."""
    prenotified = {
        "DeviceID": _STRANGER,
        "DeviceManufacturer": "Another Maker",
        "DeviceModel": "AM-77",
        "DeviceType": str(meter.device_type),
    }
    return {
        "8.3": {"DeviceID": meter.device_id},
        "8.4": {"DeviceID": meter.device_id, "UpdateDeviceStatusExceptCH": "Pending"},
        "11.1": another(rig, meter).update(meter.device_id),
        "12.2": prenotified,
    }


def _held(evidence: EvidenceLog, user: ServiceUser, meter: Device) -> dict[str, Entry]:
    """What the DCC holds of the installation; of the device that nobody has it holds nothing."""
    ask_dcc(evidence, user, "8.2", meter, {"DeviceID": _STRANGER}, code=_UNKNOWN)
    return inventory(evidence, user, meter)


@pytest.mark.srv("8.2", "8.3", "11.1")
@pytest.mark.ttm("TTM-REF-8-D-01", "TTM-REF-11-D-01")
@pytest.mark.devices("ESME", "GSME")
def test_a_role_that_may_not_ask_the_dcc_is_refused(
    door: Doorkeeper, user: ServiceUser, rig: RigInHand, meter: Meter, evidence: EvidenceLog
) -> None:
    """Groups 8, 11: a network operator cannot decommission a meter or update its firmware."""
    before = _held(evidence, user, meter)
    with door.untouched(meter):
        for srv in ("8.3", "11.1"):
            for role in (UserRole.ED, UserRole.GT, UserRole.OU):
                response = user.request(srv, meter, _asks(rig, meter)[srv], role=role)
                door.refused(f"role {role}", response, _NOT_ELIGIBLE)
    evidence.expect("what the DCC holds", found=_held(evidence, user, meter), expected=before)


@pytest.mark.srv("8.2", "8.3", "8.4", "11.1", "12.2")
@pytest.mark.ttm("TTM-REF-8-D-02", "TTM-REF-11-D-02", "TTM-REF-12-D-02")
@pytest.mark.devices("ESME", "GSME")
def test_a_broken_signature_is_refused_by_the_dcc(
    door: Doorkeeper, user: ServiceUser, rig: RigInHand, meter: Meter, evidence: EvidenceLog
) -> None:
    """Groups 8, 11, 12: signed wrongly, not at all, or by a stranger: refused, and nothing is different."""
    before = _held(evidence, user, meter)
    with door.untouched(meter):
        for srv, body in _asks(rig, meter).items():
            for signature in ("broken", "missing", "stranger"):
                response = user.request(srv, meter, body, forgery=Forgery(signature=signature))
                door.refused(f"signature {signature}", response)
    evidence.expect("what the DCC holds", found=_held(evidence, user, meter), expected=before)


@pytest.mark.srv("8.2", "8.3", "8.4", "11.1", "12.2")
@pytest.mark.ttm("TTM-REF-8-D-03", "TTM-REF-11-D-03", "TTM-REF-12-D-03")
@pytest.mark.devices("ESME", "GSME")
def test_a_counter_used_before_is_refused_by_the_dcc(
    door: Doorkeeper, user: ServiceUser, rig: RigInHand, meter: Meter, evidence: EvidenceLog
) -> None:
    """Groups 8, 11, 12: with the counter of the request before: refused, and nothing is different."""
    before = _held(evidence, user, meter)
    with door.untouched(meter):
        for srv, body in _asks(rig, meter).items():
            response = user.request(srv, meter, body, forgery=Forgery(counter="replayed"))
            door.refused("a counter used before", response)
    evidence.expect("what the DCC holds", found=_held(evidence, user, meter), expected=before)


@pytest.mark.srv("8.2", "8.3", "8.4", "11.1")
@pytest.mark.ttm("TTM-REF-8-D-04", "TTM-REF-11-D-04")
@pytest.mark.devices("ESME", "GSME")
def test_an_unknown_device_is_refused_by_the_dcc(
    door: Doorkeeper, user: ServiceUser, rig: RigInHand, meter: Meter, evidence: EvidenceLog
) -> None:
    """Groups 8, 11: for a device that the DCC does not know nothing is done, and nothing is different."""
    before = _held(evidence, user, meter)
    asks = dict(_asks(rig, meter))
    with door.untouched(meter):
        for srv in ("8.3", "8.4"):
            body = dict(asks[srv] or {}) | {"DeviceID": _STRANGER}
            door.refused("an unknown device", user.request(srv, meter, body), UNKNOWN_DEVICE)
        response = user.request("11.1", meter, another(rig, meter).update(_STRANGER))
        door.refused("an unknown device", response, _NOBODY_TOOK_IT)
    evidence.expect("what the DCC holds", found=_held(evidence, user, meter), expected=before)


@pytest.mark.srv("8.2", "12.2")
@pytest.mark.ttm("TTM-REF-12-D-05")
@pytest.mark.devices("ESME", "GSME")
@pytest.mark.duis_schema
def test_a_value_out_of_range_is_refused_by_the_dcc(
    door: Doorkeeper, user: ServiceUser, rig: RigInHand, meter: Meter, evidence: EvidenceLog
) -> None:
    """Group 12: names beyond 30 characters and a type that does not exist are refused; nothing is held."""
    before = _held(evidence, user, meter)
    body = dict(_asks(rig, meter)["12.2"] or {})
    with door.untouched(meter):
        for wrong in ({"DeviceManufacturer": "M" * 31}, {"DeviceModel": "M" * 31}, {"DeviceType": "METER"}):
            door.refused(f"{wrong}", user.request("12.2", meter, body | wrong))
    evidence.expect("what the DCC holds", found=_held(evidence, user, meter), expected=before)
