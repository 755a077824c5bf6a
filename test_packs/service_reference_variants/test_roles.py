"""Every request, in a User Role that may not send it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import pytest

from harness.domain.instruments import Esme, Gsme, LabClock, Meter, ServiceUser
from harness.domain.words import DeviceType, UserRole
from test_packs.arrange import prepaying
from test_packs.refusals import Doorkeeper
from test_packs.requests import right_bodies

pytestmark = pytest.mark.functional_group("Refusals")

_NOT_ELIGIBLE: Final = "E2"
_ELECTRICITY: Final = (
    "1.1.1",
    "1.2.1",
    "1.5",
    "1.6",
    "2.1",
    "2.2",
    "2.3",
    "2.5",
    "3.2",
    "3.3",
    "4.1.1",
    "4.1.2",
    "4.2",
    "4.3",
    "4.4.2",
    "4.4.3",
    "4.6.1",
    "4.8.1",
    "4.8.2",
    "4.8.3",
    "4.10",
    "4.11.1",
    "4.13",
    "4.15",
    "4.16",
    "4.18",
    "6.2.1",
    "6.2.3",
    "6.2.5",
    "6.2.9",
    "6.4.1",
    "6.4.2",
    "6.8",
    "6.11",
    "6.12",
    "6.13",
    "6.20.1",
    "6.20.2",
    "7.1",
    "7.2",
    "7.3",
    "8.1.1",
    "11.3",
)
_GAS: Final = (
    "1.1.1",
    "1.2.1",
    "1.5",
    "1.6",
    "2.1",
    "2.2",
    "2.3",
    "2.5",
    "3.2",
    "3.3",
    "4.1.1",
    "4.1.4",
    "4.3",
    "4.4.2",
    "4.4.3",
    "4.6.1",
    "4.8.1",
    "4.11.1",
    "4.13",
    "4.18",
    "6.2.3",
    "6.2.8",
    "6.2.9",
    "6.6",
    "6.7",
    "6.8",
    "6.11",
    "6.13",
    "6.20.1",
    "7.2",
    "7.3",
    "8.1.1",
    "11.3",
)


def _outsider(eligible: Collection[UserRole], meter: Meter) -> UserRole | None:
    """A role that may not send the request: of the meter's fuel where there is one."""
    electricity = (UserRole.ED, UserRole.ES, UserRole.IS, UserRole.OU, UserRole.RSA, UserRole.GT, UserRole.GS)
    gas = (UserRole.GT, UserRole.GS, UserRole.OU, UserRole.RSA, UserRole.ES, UserRole.ED, UserRole.IS)
    roles = gas if meter.device_type is DeviceType.GSME else electricity
    return next((role for role in roles if role not in eligible), None)


def _refuse_all(
    door: Doorkeeper, meter: Meter, srvs: Collection[str], user: ServiceUser, clock: LabClock
) -> None:
    """Each SRV is refused to an outsider; nothing changes on any device, and nothing comes later."""
    prepaying(meter)
    bodies = right_bodies(user, meter, clock)
    with door.untouched(meter):
        for srv in srvs:
            role = _outsider(user.catalogue[srv].roles, meter)
            assert role is not None, f"every User Role may send SRV {srv}"
            response = user.request(srv, meter, bodies[srv], role=role)
            door.refused(f"role {role}", response, _NOT_ELIGIBLE)


@pytest.mark.srv(*_ELECTRICITY)
@pytest.mark.ttm("TTM-REF-ALL-E-01")
@pytest.mark.devices("ESME")
def test_every_electricity_request_is_refused_to_a_role_that_may_not_send_it(
    door: Doorkeeper, esme: Esme, user: ServiceUser, clock: LabClock
) -> None:
    """Every SRV for an ESME: refused to a User Role that is not eligible, and the meter is untouched."""
    _refuse_all(door, esme, _ELECTRICITY, user, clock)


@pytest.mark.srv(*_GAS)
@pytest.mark.ttm("TTM-REF-ALL-G-01")
@pytest.mark.devices("GSME")
def test_every_gas_request_is_refused_to_a_role_that_may_not_send_it(
    door: Doorkeeper, gsme: Gsme, user: ServiceUser, clock: LabClock
) -> None:
    """Every SRV for a GSME: refused to a User Role that is not eligible, and the meter is untouched."""
    _refuse_all(door, gsme, _GAS, user, clock)
