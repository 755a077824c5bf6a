"""TLS between our service user and the DCC: the wrong peer, and too little security, at either end."""

from __future__ import annotations

from typing import Final

import pytest

from harness.domain.instruments import EvidenceLog, Meter
from harness.domain.misuse import Adversary
from test_packs.security.guarding import Guard

pytestmark = pytest.mark.functional_group("Security: TLS")

_NOBODYS: Final = ("none", "stranger", "expired", "early")
_OLD: Final = ("TLSv1", "TLSv1.1")
_WEAK: Final = ("AES128-SHA", "ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-NULL-SHA", "AECDH-AES128-SHA")


def _expect_no_way_in(adversary: Adversary, evidence: EvidenceLog, door: str) -> None:
    for certificate in _NOBODYS:
        why = adversary.shake_hands(door, certificate=certificate)
        evidence.expect(f"{door}, certificate {certificate}: let in", found=not why, expected=False)
    for version in _OLD:
        why = adversary.shake_hands(door, version=version)
        evidence.expect(f"{door}, {version}: let in", found=not why, expected=False)
    for suite in _WEAK:
        why = adversary.shake_hands(door, ciphers=suite)
        evidence.expect(f"{door}, {suite}: let in", found=not why, expected=False)
    evidence.expect(f"{door}, rightly: refused", found=adversary.shake_hands(door), expected="")


@pytest.mark.ttm("TTM-SEC-TLS-01")
@pytest.mark.devices("ESME")
def test_the_gateway_lets_in_only_whom_it_knows(
    guard: Guard, meter: Meter, adversary: Adversary, evidence: EvidenceLog
) -> None:
    """No certificate, a stranger's, an expired or early one, old versions, weak suites: no connection."""
    with guard.unharmed(meter):
        _expect_no_way_in(adversary, evidence, "gateway")


@pytest.mark.ttm("TTM-SEC-TLS-02")
@pytest.mark.devices("ESME")
def test_our_receive_address_lets_in_only_the_dcc(
    guard: Guard, meter: Meter, adversary: Adversary, evidence: EvidenceLog
) -> None:
    """The same at our own receive address; and no message comes that way."""
    with guard.unharmed(meter):
        _expect_no_way_in(adversary, evidence, "receive")


@pytest.mark.ttm("TTM-SEC-TLS-03")
@pytest.mark.devices("ESME")
def test_our_user_speaks_to_no_gateway_but_the_dccs(
    guard: Guard, meter: Meter, adversary: Adversary, evidence: EvidenceLog
) -> None:
    """A gateway with a stranger's, an expired or an early certificate gets no request from us."""
    with guard.unharmed(meter):
        for certificate in ("stranger", "expired", "early"):
            why = adversary.pose_as_gateway(certificate)
            evidence.expect(f"spoken to a gateway that is {certificate}", found=not why, expected=False)
