"""Firmware that is not the maker's, not whole, or not for this device."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Final

import pytest

from harness.domain.events import Event
from harness.domain.instruments import EvidenceLog, LabClock, Meter, RigInHand, ServiceUser
from test_packs.arrange import Declined, added_rows
from test_packs.estate import ask_dcc, meters_of
from test_packs.images import Image, another
from test_packs.security.guarding import Guard

pytestmark = pytest.mark.functional_group("Security: firmware")

_S1SP_ALERT: Final = "N55"  # the DCC Alert that tells what became of an image (inferred)


def _spoilt(rig: RigInHand, meter: Meter) -> list[Image]:
    """Images that the meter must not take: a byte changed, the end missing, and another device's."""
    own = another(rig, meter)
    others = [another(rig, each) for each in meters_of(rig) if each.device_type is not meter.device_type]
    return [own.broken(), Image(own.version, own.content[:-1_000]), *others[:1]]


@pytest.mark.srv("11.1", "11.3")
@pytest.mark.ttm("TTM-SEC-FW-01", "TTM-SEC-FW-02")
@pytest.mark.devices("ESME", "GSME")
def test_spoilt_or_foreign_firmware_never_runs(
    guard: Guard,
    declined: Declined,
    user: ServiceUser,
    rig: RigInHand,
    meter: Meter,
    clock: LabClock,
    evidence: EvidenceLog,
) -> None:
    """SRV 11.1, 11.3: an image changed, cut short or of another device is refused, logged and told."""
    images = _spoilt(rig, meter)
    logged, alerted = meter.log("security_log"), len(user.alerts(meter))
    running = meter.identity()
    for image in images:
        ask_dcc(evidence, user, "11.1", meter, image.update(meter.device_id))
    clock.sleep(timedelta(hours=2))
    codes = [alert.code for alert in user.alerts(meter)[alerted:]]
    told = [Event.FIRMWARE_REFUSED.alert, _S1SP_ALERT] * len(images)
    evidence.expect("alerts", found=sorted(codes), expected=sorted(told))
    rows = [row.values["code"] for row in added_rows(logged, meter.log("security_log"))]
    evidence.expect("security log", found=rows, expected=[Event.FIRMWARE_REFUSED] * len(images))
    evidence.expect("image that waits", found=meter.read("firmware_pending"), expected="")
    for image in images:
        declined("11.3", meter, {"FirmwareHash": hashlib.sha256(image.content).hexdigest().upper()})
    evidence.expect("what runs", found=meter.identity(), expected=running)
    guard.honest(meter)
