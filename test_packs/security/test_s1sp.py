"""What the S1SP itself refuses, should something come past the gateway. Twins only: no DCC has that door."""

from __future__ import annotations

from typing import Final

import pytest

from harness.domain.instruments import CommunicationsHub, EvidenceLog, Forgery, Meter, ServiceUser
from harness.domain.misuse import Adversary
from harness.domain.words import DeviceType, UserRole
from test_packs.security.guarding import Guard

pytestmark = pytest.mark.functional_group("Security: S1SP")

_OF_METERS: Final = "11.2"  # a request that a hub could answer, and must not be asked


@pytest.mark.ttm("TTM-SEC-S1SP-01")
@pytest.mark.devices("ESME", "GSME")
def test_only_what_the_dcc_has_countersigned_is_done(
    guard: Guard, meter: Meter, adversary: Adversary, evidence: EvidenceLog
) -> None:
    """Not countersigned, by a stranger, or for another request: refused; rightly, and it would be done."""
    ask, role = guard.ask(), guard.door.role(meter)
    with guard.unharmed(meter):
        for how in ("none", "stranger", "another"):
            knock = adversary.pass_by_the_gateway(meter, ask.srv, ask.body, role=role, how=how)
            evidence.expect(f"done, countersigned {how}", found=knock.done, expected=False)
        knock = adversary.pass_by_the_gateway(meter, "4.18", role=role)
        evidence.expect("done, countersigned rightly", found=(knock.done, knock.told), expected=(True, ""))


@pytest.mark.ttm("TTM-SEC-S1SP-02")
@pytest.mark.devices("ESME", "GSME")
def test_the_s1sp_does_a_request_once(
    guard: Guard, meter: Meter, adversary: Adversary, evidence: EvidenceLog
) -> None:
    """The same countersigned request twice, and one under an old counter: refused by the S1SP as well."""
    role = guard.door.role(meter)
    guard.honest(meter)  # a counter that the DCC has seen
    with guard.unharmed(meter):
        again = adversary.pass_by_the_gateway(meter, "4.18", role=role, how="again")
        evidence.expect("done again", found=again.done, expected=False)
        lowered = adversary.pass_by_the_gateway(meter, "4.18", role=role, forgery=Forgery(counter="lowered"))
        evidence.expect("done under an old counter", found=lowered.done, expected=False)


@pytest.mark.ttm("TTM-SEC-S1SP-03")
@pytest.mark.devices("ESME", "GSME")
def test_the_s1sp_serves_the_notified_party_in_its_role_and_for_its_device(
    guard: Guard,
    user: ServiceUser,
    meter: Meter,
    ch: CommunicationsHub,
    adversary: Adversary,
    evidence: EvidenceLog,
) -> None:
    """A role that may not ask, a device that it is not for, a certificate that was not notified: refused."""
    ask, role = guard.ask(), guard.door.role(meter)
    unnotified = Forgery(signature="revoked")
    past = adversary.pass_by_the_gateway
    with guard.unharmed(meter):
        knocks = {
            "role": past(meter, ask.srv, ask.body, role=UserRole.OU),
            "kind of meter": past(meter, _of_the_other_kind(meter), role=UserRole.RSA),
            "certificate": past(meter, ask.srv, ask.body, role=role, forgery=unnotified),
        }
        if DeviceType.CH not in user.catalogue[_OF_METERS].device_types:  # what a lab may have turned on
            knocks["device"] = past(ch, _OF_METERS, role=role)
        for what, knock in knocks.items():
            evidence.expect(f"done for the wrong {what}", found=knock.done, expected=False)


def _of_the_other_kind(meter: Meter) -> str:
    return "6.2.1" if meter.device_type is DeviceType.GSME else "6.2.8"
