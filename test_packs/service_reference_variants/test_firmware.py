"""Service group 11: firmware distributed, told and activated (SRV 11.1, 11.2, 11.3)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

import pytest

from harness.domain.events import Event
from harness.domain.instruments import (
    Bench,
    EvidenceLog,
    LabClock,
    Meter,
    RigInHand,
    ServiceUser,
)
from test_packs.arrange import (
    Declined,
    Served,
    Unchanged,
    added_rows,
    crediting,
    power_cut,
    watch_alerts,
)
from test_packs.content import expect_content
from test_packs.estate import ask_dcc, meters_of
from test_packs.images import Image, another, baseline, install, put_baseline_back
from test_packs.metering import counted, expect_counted, let_flow, since

pytestmark = pytest.mark.functional_group("11 Firmware management")

S1SP_ALERT: Final = "N55"  # the DCC Alert that tells what became of an image (inferred)
_PENDING: Final = "firmware_pending"
_INVALID: Final = "W110101"  # the DCC took the image for some of the devices, or for none
_STRANGER: Final = "00-DB-12-34-56-FE-00-07"


@pytest.fixture(autouse=True)
def baseline_put_back(rig: RigInHand) -> Iterator[None]:
    """Leaves every meter on its baseline firmware, with no image waiting, by management access."""
    yield
    for meter in meters_of(rig):
        put_baseline_back(rig, meter)


def _distribute(
    evidence: EvidenceLog, user: ServiceUser, clock: LabClock, meter: Meter, image: Image
) -> None:
    """SRV 11.1 for one meter; returns when the image has arrived, which a gas meter is slow to take."""
    ask_dcc(evidence, user, "11.1", meter, image.update(meter.device_id))
    clock.sleep(timedelta(hours=1))


@pytest.mark.srv("11.2")
@pytest.mark.ttm("TTM-11.2-E-01", "TTM-11.2-E-02", "TTM-11.2-G-01", "TTM-11.2-G-02", "TTM-AK-20.13b-01")
@pytest.mark.devices("ESME", "GSME")
def test_the_version_told_is_the_one_that_runs(
    served: Served, unchanged: Unchanged, rig: RigInHand, meter: Meter, evidence: EvidenceLog
) -> None:
    """SRV 11.2: the baseline is told, and another version once the meter runs another."""
    for image in (baseline(rig, meter), another(rig, meter)):
        if meter.identity().firmware != image.version:
            install(meter, image)
        with unchanged(meter):
            payload = served("11.2", meter)
        expect_content(evidence, "firmware version", payload, {"FirmwareVersion": image.version})


@pytest.mark.srv("11.1")
@pytest.mark.ttm("TTM-11.1-D-01", "TTM-11.1-D-02", "TTM-11.1-E-01", "TTM-11.1-G-01")
@pytest.mark.devices("ESME", "GSME")
def test_an_image_is_brought_to_the_meter_named_and_waits_there(
    unchanged: Unchanged,
    user: ServiceUser,
    rig: RigInHand,
    meter: Meter,
    bench: Bench,
    clock: LabClock,
    evidence: EvidenceLog,
) -> None:
    """SRV 11.1: the meter named, and no other, verifies the image, keeps it, and runs on as before."""
    image = another(rig, meter)
    running = meter.identity()
    with unchanged(meter, but={_PENDING}, alerts=[S1SP_ALERT]):
        _distribute(evidence, user, clock, meter, image)
    evidence.expect("problems of the S1SP's alert", found=user.alerts(meter)[-1].problems, expected=())
    for when in ("verified", "after a power cut"):
        evidence.expect(f"image that waits, {when}", found=meter.read(_PENDING), expected=image.version)
        evidence.expect(f"what runs, {when}", found=meter.identity(), expected=running)
        power_cut(bench, clock)


@pytest.mark.srv("11.1", "11.2", "11.3")
@pytest.mark.ttm("TTM-11.3-E-01", "TTM-11.3-E-02", "TTM-11.3-G-01", "TTM-11.3-G-02")
@pytest.mark.devices("ESME", "GSME")
def test_the_image_distributed_is_activated(
    served: Served,
    user: ServiceUser,
    rig: RigInHand,
    meter: Meter,
    bench: Bench,
    clock: LabClock,
    evidence: EvidenceLog,
) -> None:
    """SRV 11.1, 11.3, 11.2: once activated the image runs, alerted once, with every setting and register."""
    crediting(meter)
    image = another(rig, meter)
    _distribute(evidence, user, clock, meter, image)
    alerts = watch_alerts(user, clock, meter)
    before, kept = counted(meter), dict(meter.snapshot())
    payload = served("11.3", meter, {"FirmwareHash": image.digest})
    alerts.expect_once(evidence, Event.FIRMWARE_ACTIVATED)
    status = {"@ResponseCode": 0, "ASN1Status": "success"}
    due = {"ActivateImageResponseCode": status, "FirmwareVersion": image.version}
    expect_content(evidence, "activation", payload, due)
    evidence.expect("registers", found=counted(meter), expected=before)
    evidence.expect("settings and state", found=dict(meter.snapshot()), expected=kept | {_PENDING: ""})
    flow = let_flow(bench, clock, meter, timedelta(minutes=40), 2_500)
    expect_counted(evidence, rig, "under the new firmware", since(before, counted(meter)), flow)
    for when in ("at once", "after a power cut"):
        evidence.expect(f"what runs {when}", found=meter.identity().firmware, expected=image.version)
        expect_content(evidence, f"told {when}", served("11.2", meter), {"FirmwareVersion": image.version})
        power_cut(bench, clock)
    _distribute(evidence, user, clock, meter, baseline(rig, meter))
    served("11.3", meter, {"FirmwareHash": baseline(rig, meter).digest})
    version = rig.rig.devices[meter.device_type].model.firmware
    evidence.expect("the baseline runs again", found=meter.identity().firmware, expected=version)


@pytest.mark.srv("11.1", "11.3")
@pytest.mark.ttm("TTM-11.3-E-03", "TTM-11.3-G-03")
@pytest.mark.devices("ESME", "GSME")
def test_an_unknown_hash_is_declined(
    declined: Declined,
    unchanged: Unchanged,
    user: ServiceUser,
    rig: RigInHand,
    meter: Meter,
    clock: LabClock,
    evidence: EvidenceLog,
) -> None:
    """SRV 11.3: without an image, or by another's hash, activation is declined; the old firmware runs."""
    image, running = another(rig, meter), meter.identity()
    for waiting in ("", image.version):
        if waiting:
            _distribute(evidence, user, clock, meter, image)
        with unchanged(meter):
            declined("11.3", meter, {"FirmwareHash": image.broken().digest})
        evidence.expect("what runs", found=meter.identity(), expected=running)
        evidence.expect("image that waits", found=meter.read(_PENDING), expected=waiting)


@pytest.mark.srv("11.1", "11.3")
@pytest.mark.ttm("TTM-11.1-E-02", "TTM-11.1-G-02")
@pytest.mark.devices("ESME", "GSME")
def test_a_broken_image_is_refused_by_the_meter(
    declined: Declined,
    user: ServiceUser,
    rig: RigInHand,
    meter: Meter,
    clock: LabClock,
    evidence: EvidenceLog,
) -> None:
    """SRV 11.1: an image that fails verification is not kept, alerted once, and cannot be activated."""
    broken, running = another(rig, meter).broken(), meter.identity()
    kept, alerts = dict(meter.snapshot()), watch_alerts(user, clock, meter)
    _distribute(evidence, user, clock, meter, broken)
    evidence.expect("settings and state", found=dict(meter.snapshot()), expected=kept)
    alerts.expect_once(evidence, Event.FIRMWARE_REFUSED)
    declined("11.3", meter, {"FirmwareHash": broken.digest})
    evidence.expect("what runs", found=meter.identity(), expected=running)
    refused = _last_told(user, meter)
    _distribute(evidence, user, clock, meter, another(rig, meter))
    evidence.expect("taken is told as refused was", found=_last_told(user, meter) == refused, expected=False)


def _last_told(user: ServiceUser, meter: Meter) -> tuple[str, ...]:
    """Of the last alert about what became of an image, the kind and the code: a lab has codes of its own."""
    alerts = [alert for alert in user.alerts(meter) if alert.code == S1SP_ALERT]
    return tuple(alerts[-1].description.split()[:2])


@pytest.mark.srv("11.1", "11.3", "6.13")
@pytest.mark.ttm("TTM-11.1-E-03", "TTM-11.3-E-04", "TTM-11.1-G-03", "TTM-11.3-G-04")
@pytest.mark.devices("ESME", "GSME")
def test_firmware_events_are_logged_once(
    served: Served,
    user: ServiceUser,
    rig: RigInHand,
    meter: Meter,
    clock: LabClock,
    evidence: EvidenceLog,
) -> None:
    """SRV 11.1, 11.3: verification, activation and refusal of an image are each logged once."""
    image = another(rig, meter)
    events, security = meter.log("event_log"), meter.log("security_log")
    _distribute(evidence, user, clock, meter, image.broken())
    _distribute(evidence, user, clock, meter, image)
    served("11.3", meter, {"FirmwareHash": image.digest})
    due = [Event.FIRMWARE_VERIFIED, Event.FIRMWARE_ACTIVATED]
    for name, before, expected in (
        ("event_log", events, due),
        ("security_log", security, [Event.FIRMWARE_REFUSED]),
    ):
        logged = [row.values["code"] for row in added_rows(before, meter.log(name))]
        found = [code for code in logged if code != Event.BILLING_DATA_CAPTURED]
        evidence.expect(f"added to the {name}", found=found, expected=expected)


@pytest.mark.srv("11.1")
@pytest.mark.ttm("TTM-11.1-D-03")
@pytest.mark.devices("ESME", "GSME")
def test_devices_that_the_dcc_does_not_know_are_named_in_a_warning(
    unchanged: Unchanged,
    user: ServiceUser,
    rig: RigInHand,
    meter: Meter,
    clock: LabClock,
    evidence: EvidenceLog,
) -> None:
    """SRV 11.1: an unknown device in the list is named in a warning; the known one gets its image."""
    image = another(rig, meter)
    with unchanged(meter, but={_PENDING}, alerts=[S1SP_ALERT]):
        body = image.update(meter.device_id, _STRANGER)
        payload = ask_dcc(evidence, user, "11.1", meter, body, code=_INVALID)
        clock.sleep(timedelta(hours=1))
    invalid = payload.text("DSPUpdateFirmwareWarning/InvalidDeviceIDList")
    evidence.expect("devices named in the warning", found=invalid, expected=_STRANGER)
    evidence.expect("image that waits", found=meter.read(_PENDING), expected=image.version)
