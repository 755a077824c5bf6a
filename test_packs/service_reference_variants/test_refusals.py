"""Requests that the DCC must refuse, one of each service group, and the devices that they must not touch.

The codes expected here (E2, E4, E11 to E13, E19) are those of a SMETS2 reference site, so that they hold for
SMETS1 is supported, not confirmed. What the DCC answers to a broken signature or a counter used before is not
published, so there any refusal will do.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

import pytest

from harness.domain.instruments import (
    CommunicationsHub,
    Device,
    Forgery,
    LabClock,
    Meter,
    ServiceUser,
)
from harness.domain.words import DeviceType, UserRole
from test_packs.arrange import Served, prepaying
from test_packs.estate import UNKNOWN_DEVICE, synchronised
from test_packs.refusals import Ask, Doorkeeper, words

pytestmark = pytest.mark.functional_group("Refusals")

NOT_ELIGIBLE: Final = "E2"
NOT_REGISTERED: Final = "E4"
NOT_FOR_THIS_DEVICE_TYPE: Final = "E11"
WRONG_COMMAND_VARIANT: Final = "E12"
WRONG_SERVICE: Final = "E13"
_INSTALL: Final = {"JoinTimePeriod": 600, "InstallCode": "0123456789ABCDEF"}


def _of_meters(user: ServiceUser, meter: Device, clock: LabClock) -> tuple[Ask, ...]:
    """A request for a meter of each service group that has one; none leaves a trace that matters."""
    month_ago = f"{clock.now() - timedelta(days=30):%Y-%m-%dT%H:%M:%SZ}"
    return (
        Ask("1.5", {"PrepaymentMode": {"AdjustMeterBalance": 1_000}}),
        Ask("2.2", {"UTRN": user.vend(meter, 700)}),
        Ask("3.2", {"RestrictionDateTime": month_ago}),
        Ask("4.18"),
        Ask("6.2.9"),
        Ask("7.2"),
        Ask("8.1.1", synchronised(clock)),
        Ask("11.3", {"FirmwareHash": "00" * 32}),
    )


_STRANGER: Final = "00-DB-12-34-56-FE-00-08"
_OF_THE_HUB: Final = (
    Ask("8.9", {"ReadSecurityDetails": None}),
    Ask("8.11", {"DeviceID": _STRANGER, "RequestType": "Add", "AddDeviceToCHFWhitelist": _INSTALL}),
)


_OTHERWISE: Final[Mapping[str, Ask]] = {"11.3": Ask("11.2"), "7.2": Ask("7.4")}  # harmless, of the group


def _serve_after_all(served: Served, device: Device, asks: tuple[Ask, ...]) -> None:
    """What was refused for the way it was asked is served when it is asked rightly."""
    for ask in asks:
        rightly = _OTHERWISE.get(ask.srv, ask)
        served(rightly.srv, device, rightly.body)


_SRVS: Final = ("1.5", "2.2", "3.2", "4.18", "6.2.9", "7.2", "7.4", "8.1.1", "11.2", "11.3")


@pytest.mark.srv(*_SRVS)
@pytest.mark.ttm("TTM-REF-1-E-01", "TTM-REF-2-E-01", "TTM-REF-3-E-01", "TTM-REF-4-E-01")
@pytest.mark.ttm("TTM-REF-6-E-01", "TTM-REF-7-E-01", "TTM-REF-8-E-01", "TTM-REF-11-E-01")
@pytest.mark.ttm("TTM-REF-1-G-01", "TTM-REF-2-G-01", "TTM-REF-3-G-01", "TTM-REF-4-G-01")
@pytest.mark.ttm("TTM-REF-6-G-01", "TTM-REF-7-G-01", "TTM-REF-8-G-01", "TTM-REF-11-G-01")
@pytest.mark.devices("ESME", "GSME")
def test_a_role_that_may_not_ask_is_refused(
    door: Doorkeeper, served: Served, user: ServiceUser, meter: Meter, clock: LabClock
) -> None:
    """Every group: a request in a User Role that is not eligible is refused, and the right one served."""
    prepaying(meter)
    asks = _of_meters(user, meter, clock)
    with door.untouched(meter):
        for ask in asks:
            response = user.request(ask.srv, meter, ask.body, role=door.stranger(meter, ask.srv))
            door.refused("a role that is not eligible", response, NOT_ELIGIBLE)
    _serve_after_all(served, meter, asks)


@pytest.mark.srv(*_SRVS)
@pytest.mark.ttm("TTM-REF-1-E-02", "TTM-REF-2-E-02", "TTM-REF-3-E-02", "TTM-REF-4-E-02")
@pytest.mark.ttm("TTM-REF-6-E-02", "TTM-REF-7-E-02", "TTM-REF-8-E-02", "TTM-REF-11-E-02")
@pytest.mark.ttm("TTM-REF-1-G-02", "TTM-REF-2-G-02", "TTM-REF-3-G-02", "TTM-REF-4-G-02")
@pytest.mark.ttm("TTM-REF-6-G-02", "TTM-REF-7-G-02", "TTM-REF-8-G-02", "TTM-REF-11-G-02")
@pytest.mark.devices("ESME", "GSME")
def test_a_broken_signature_is_refused(
    door: Doorkeeper, served: Served, user: ServiceUser, meter: Meter, clock: LabClock
) -> None:
    """Every group: what is signed wrongly, not, or by a stranger is refused; a right request is served."""
    prepaying(meter)
    asks = _of_meters(user, meter, clock)
    with door.untouched(meter):
        for ask in asks:
            for signature in ("broken", "missing", "stranger"):
                response = user.request(ask.srv, meter, ask.body, forgery=Forgery(signature=signature))
                door.refused(f"signature {signature}", response)
    _serve_after_all(served, meter, asks)


@pytest.mark.srv(*_SRVS)
@pytest.mark.ttm("TTM-REF-1-E-03", "TTM-REF-2-E-03", "TTM-REF-3-E-03", "TTM-REF-4-E-03")
@pytest.mark.ttm("TTM-REF-6-E-03", "TTM-REF-7-E-03", "TTM-REF-8-E-03", "TTM-REF-11-E-03")
@pytest.mark.ttm("TTM-REF-1-G-03", "TTM-REF-2-G-03", "TTM-REF-3-G-03", "TTM-REF-4-G-03")
@pytest.mark.ttm("TTM-REF-6-G-03", "TTM-REF-7-G-03", "TTM-REF-8-G-03", "TTM-REF-11-G-03")
@pytest.mark.devices("ESME", "GSME")
def test_a_counter_used_before_is_refused(
    door: Doorkeeper, served: Served, user: ServiceUser, meter: Meter, clock: LabClock
) -> None:
    """Every group: a request with the counter of the one before is refused, and one with a new one served."""
    prepaying(meter)
    served("4.18", meter)  # a counter that the DCC has seen
    asks = _of_meters(user, meter, clock)
    with door.untouched(meter):
        for ask in asks:
            response = user.request(ask.srv, meter, ask.body, forgery=Forgery(counter="replayed"))
            door.refused("a counter used before", response)
    _serve_after_all(served, meter, asks)


@pytest.mark.srv(*_SRVS)
@pytest.mark.ttm("TTM-REF-1-E-04", "TTM-REF-2-E-04", "TTM-REF-3-E-04", "TTM-REF-4-E-04")
@pytest.mark.ttm("TTM-REF-6-E-04", "TTM-REF-7-E-04", "TTM-REF-8-E-04", "TTM-REF-11-E-04")
@pytest.mark.ttm("TTM-REF-1-G-04", "TTM-REF-2-G-04", "TTM-REF-3-G-04", "TTM-REF-4-G-04")
@pytest.mark.ttm("TTM-REF-6-G-04", "TTM-REF-7-G-04", "TTM-REF-8-G-04", "TTM-REF-11-G-04")
@pytest.mark.devices("ESME", "GSME")
def test_an_unknown_device_is_refused(
    door: Doorkeeper, served: Served, user: ServiceUser, meter: Meter, clock: LabClock
) -> None:
    """Every group: a request for a device unknown to the DCC is refused, and one for the meter served."""
    prepaying(meter)
    asks = _of_meters(user, meter, clock)
    with door.untouched(meter):
        for ask in asks:
            response = user.request(ask.srv, _STRANGER, ask.body, role=door.role(meter))
            door.refused("an unknown device", response, UNKNOWN_DEVICE)
    _serve_after_all(served, meter, asks)


def _out_of_range(meter: Device) -> tuple[Ask, ...]:
    """A request of each group that carries a value beyond its bounds."""
    gas_flow = {
        "UncontrolledGasFlowRateDecimal": "0.010",
        "SupplyDepletionState": "Unchanged",
        "SupplyTamperState": "Unchanged",
        "StabilisationPeriod": 256,
        "MeasurementPeriod": 10,
    }
    power = {"LowMediumPowerThreshold": 2_000, "MediumHighPowerThreshold": 1_000}
    no_such_day = {"StartDateTime": "2025-02-30T00:00:00Z", "EndDateTime": "2025-03-01T00:00:00Z"}
    return (
        Ask("1.5", {"PrepaymentMode": {"AdjustMeterBalance": 2**40}}),
        Ask("2.2", {"UTRN": "1234567890123456789"}),
        Ask("3.2", {"RestrictionDateTime": "2025-02-30T00:00:00Z"}),
        Ask("4.8.1", {"ReadLogPeriod": no_such_day, "KAPublicSecurityCredentials": "AAAA"}),
        Ask("6.7", gas_flow) if meter.device_type is DeviceType.GSME else Ask("6.12", power),
    )


@pytest.mark.srv("1.5", "2.2", "3.2", "4.8.1")
@pytest.mark.ttm("TTM-REF-1-E-05", "TTM-REF-2-E-05", "TTM-REF-3-E-05", "TTM-REF-4-E-05", "TTM-REF-6-E-05")
@pytest.mark.ttm("TTM-REF-1-G-05", "TTM-REF-2-G-05", "TTM-REF-3-G-05", "TTM-REF-4-G-05", "TTM-REF-6-G-05")
@pytest.mark.devices("ESME", "GSME")
@pytest.mark.duis_schema
def test_a_value_out_of_range_is_refused_or_declined(
    door: Doorkeeper, served: Served, user: ServiceUser, meter: Meter
) -> None:
    """Groups 1 to 6: a value beyond its bounds, or a day that is none, is refused or declined."""
    prepaying(meter)
    with door.untouched(meter):
        for ask in _out_of_range(meter):
            door.not_done(f"SRV {ask.srv} with {ask.body}", user.request(ask.srv, meter, ask.body))
    served("4.18", meter)


@pytest.mark.srv("4.18", "6.2.9")
@pytest.mark.ttm("TTM-REF-4-E-08", "TTM-REF-4-G-08")
@pytest.mark.devices("ESME", "GSME")
def test_a_supplier_of_the_other_fuel_is_refused(
    door: Doorkeeper, served: Served, user: ServiceUser, meter: Meter
) -> None:
    """A role that may send the request, but is not registered for this meter, is refused."""
    with door.untouched(meter):
        for srv in ("4.18", "6.2.9"):
            response = user.request(srv, meter, role=door.supplier_of_the_other_fuel(meter))
            door.refused("supplier of the other fuel", response, NOT_REGISTERED)
    served("4.18", meter)


@pytest.mark.srv("4.18")
@pytest.mark.ttm("TTM-REF-4-E-06", "TTM-REF-4-E-07", "TTM-REF-4-G-06", "TTM-REF-4-G-07")
@pytest.mark.devices("ESME", "GSME")
def test_a_wrong_command_variant_service_or_name_is_refused(
    door: Doorkeeper, served: Served, user: ServiceUser, meter: Meter
) -> None:
    """A command variant or web service that does not fit, another SRV than the body's: refused."""
    with door.untouched(meter):
        for what, forgery, code in (
            ("command variant 4", Forgery(command_variant=4), WRONG_COMMAND_VARIANT),
            ("command variant 8", Forgery(command_variant=8), WRONG_COMMAND_VARIANT),
            ("posted to serviceD", Forgery(path="serviceD"), WRONG_SERVICE),
            ("named 4.3", Forgery(service_reference="4.3", service_reference_variant="4.3"), ""),
        ):
            door.refused(what, user.request("4.18", meter, forgery=forgery), code)
    served("4.18", meter)


@pytest.mark.ttm("TTM-REF-6-E-06", "TTM-REF-6-G-06")
@pytest.mark.srv("6.2.9")
@pytest.mark.devices("ESME", "GSME")
def test_a_request_for_the_other_kind_of_meter_is_refused(
    door: Doorkeeper, served: Served, user: ServiceUser, meter: Meter
) -> None:
    """Gas settings are not asked of an electricity meter, nor voltage settings of a gas meter."""
    srv = "6.2.1" if meter.device_type is DeviceType.GSME else "6.2.8"
    with door.untouched(meter):
        response = user.request(srv, meter, role=UserRole.RSA)
        door.refused("another kind of meter", response, NOT_FOR_THIS_DEVICE_TYPE)
    served("6.2.9", meter)


@pytest.mark.srv("8.9", "8.11")
@pytest.mark.ttm("TTM-REF-8-C-01", "TTM-REF-8-C-02", "TTM-REF-8-C-03", "TTM-REF-8-C-04", "TTM-REF-8-C-05")
@pytest.mark.devices("CH")
@pytest.mark.duis_schema
def test_the_hub_is_asked_rightly_or_not_at_all(
    door: Doorkeeper, served: Served, user: ServiceUser, ch: CommunicationsHub
) -> None:
    """Group 8: role, signature, counter, device id or value wrong: refused, and the hub is as it was."""
    served("8.9", ch, _OF_THE_HUB[0].body)
    with door.untouched(ch):
        for ask in _OF_THE_HUB:
            response = user.request(ask.srv, ch, ask.body, role=UserRole.ED)
            door.refused("a role that is not eligible", response, NOT_ELIGIBLE)
            for forgery in (Forgery(signature="broken"), Forgery(counter="replayed")):
                response = user.request(ask.srv, ch, ask.body, forgery=forgery)
                door.refused(words(forgery), response)
            response = user.request(ask.srv, _STRANGER, ask.body, role=UserRole.IS)
            door.refused("an unknown device", response, UNKNOWN_DEVICE)
        for wrong in ({"JoinTimePeriod": 3_601}, {"InstallCode": "0123456789"}):
            join = {"AddDeviceToCHFWhitelist": _INSTALL | wrong}
            response = user.request("8.11", ch, dict(_OF_THE_HUB[1].body or {}) | join)
            door.not_done(f"joining with {wrong}", response)
    served("8.9", ch, _OF_THE_HUB[0].body)
    served("8.11", ch, _OF_THE_HUB[1].body)
    served("8.11", ch, {"DeviceID": _STRANGER, "RequestType": "Remove"})
