"""Requests by a party or role that has no business with the device."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

import pytest

from harness.domain.instruments import Body, Device, Forgery, LabClock, Meter, ServiceUser
from test_packs.estate import synchronised
from test_packs.security.guarding import Guard

pytestmark = pytest.mark.functional_group("Security: roles and parties")

_NOT_ELIGIBLE: Final = "E2"
_NOT_THEIR_DEVICE: Final = "E4"


def _of_each_group(user: ServiceUser, meter: Device, clock: LabClock) -> Mapping[str, Body]:
    """A request for a meter of each service group that has one, right in itself."""
    month_ago = f"{clock.now() - timedelta(days=30):%Y-%m-%dT%H:%M:%SZ}"
    return {
        "1.5": {"PrepaymentMode": {"AdjustMeterBalance": 1_000}},
        "2.2": {"UTRN": user.vend(meter, 700)},
        "3.2": {"RestrictionDateTime": month_ago},
        "4.18": None,
        "6.2.9": None,
        "7.2": None,
        "8.1.1": synchronised(clock),
        "11.3": {"FirmwareHash": "00" * 32},
    }


@pytest.mark.ttm("TTM-SEC-ROLE-01")
@pytest.mark.devices("ESME", "GSME")
def test_a_role_that_may_not_ask_is_refused_in_every_group(
    guard: Guard, user: ServiceUser, meter: Meter, clock: LabClock
) -> None:
    """Every service group: a User Role of the fuel that is not eligible is refused."""
    with guard.unharmed(meter):
        for srv, body in _of_each_group(user, meter, clock).items():
            response = guard.request(srv, meter, body, role=guard.door.stranger(meter, srv))
            guard.door.refused("a role that is not eligible", response, _NOT_ELIGIBLE)


@pytest.mark.ttm("TTM-SEC-ROLE-02")
@pytest.mark.devices("ESME", "GSME")
def test_a_supplier_of_other_customers_is_refused_in_every_group(
    guard: Guard, user: ServiceUser, meter: Meter, clock: LabClock
) -> None:
    """Every service group: a supplier in its own name, by its own key, for another's meter: refused."""
    role, elsewhere = guard.door.role(meter), Forgery(party="another party")
    with guard.unharmed(meter):
        for srv, body in _of_each_group(user, meter, clock).items():
            if role in user.catalogue[srv].roles:
                response = guard.request(srv, meter, body, role=role, forgery=elsewhere)
                guard.door.refused("a supplier of others", response, _NOT_THEIR_DEVICE)
