"""Top-up codes that are another meter's, spent, or guessed."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import pytest

from harness.domain.events import Event
from harness.domain.instruments import CommunicationsHub, EvidenceLog, LabClock, Meter, ServiceUser
from harness.domain.misuse import Adversary
from test_packs.arrange import Declined, Served, prepaying
from test_packs.security.guarding import Guard

pytestmark = pytest.mark.functional_group("Security: top-up codes")

_GUESSES: Final = 11
_QUIET: Final = timedelta(hours=2)  # after which an honest code must be taken again (ours)
_PENNY: Final = 1_000  # millipence


@pytest.mark.srv("2.2")
@pytest.mark.ttm("TTM-SEC-UTRN-01")
@pytest.mark.devices("ESME", "GSME")
def test_a_code_of_another_meter_or_a_spent_one_buys_nothing(
    guard: Guard,
    served: Served,
    declined: Declined,
    user: ServiceUser,
    meter: Meter,
    ch: CommunicationsHub,
) -> None:
    """SRV 2.2: a code that is right for another device, and one used before, are refused and logged."""
    prepaying(meter)
    spent = user.vend(meter, 500)
    served("2.2", meter, {"UTRN": spent})
    with guard.door.unchanged(meter, events=[Event.TOP_UP_REFUSED] * 2):
        for code in (user.vend(ch, 500), spent):
            declined("2.2", meter, {"UTRN": code})
    guard.honest(meter)


@pytest.mark.srv("2.2")
@pytest.mark.ttm("TTM-SEC-UTRN-02")
@pytest.mark.devices("ESME", "GSME")
def test_codes_cannot_be_found_by_trying(
    guard: Guard,
    served: Served,
    declined: Declined,
    user: ServiceUser,
    meter: Meter,
    adversary: Adversary,
    clock: LabClock,
    evidence: EvidenceLog,
) -> None:
    """SRV 2.2: after too many wrong codes even a right one is not taken, for a while; then it is."""
    prepaying(meter)
    right = user.vend(meter, 500)
    with guard.door.unchanged(meter, events=[Event.TOP_UP_REFUSED] * (_GUESSES + 1)):
        for code in (*adversary.utrns(meter, 90_000, _GUESSES), right):
            declined("2.2", meter, {"UTRN": code})
    clock.sleep(_QUIET)
    before = meter.read("meter_balance")
    served("2.2", meter, {"UTRN": right})
    evidence.expect(
        "what the right code bought", found=meter.read("meter_balance") - before, expected=500 * _PENNY
    )
