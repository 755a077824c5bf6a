"""Who is let into the HAN, and whom the DCC takes for a hub."""

from __future__ import annotations

from typing import Final

import pytest

from harness.domain.events import Event
from harness.domain.instruments import CommunicationsHub, EvidenceLog
from harness.domain.misuse import Adversary
from test_packs.arrange import added_rows
from test_packs.security.guarding import Guard

pytestmark = pytest.mark.functional_group("Security: HAN and WAN")

_STRANGER: Final = "00-DB-12-34-56-FE-00-0B"


@pytest.mark.ttm("TTM-SEC-HAN-01")
@pytest.mark.devices("CH")
def test_a_device_that_is_not_on_the_log_does_not_join(
    guard: Guard, ch: CommunicationsHub, adversary: Adversary, evidence: EvidenceLog
) -> None:
    """A stranger asks to join: refused, logged, and not on the HAN afterwards."""
    logged, devices = ch.log("event_log"), ch.han_devices()
    with guard.unharmed(ch):
        for _ in range(2):
            evidence.expect("let in", found=adversary.join(_STRANGER), expected=False)
    rows = [row.values["code"] for row in added_rows(logged, ch.log("event_log"))]
    evidence.expect("refusals in the hub's log", found=rows, expected=[Event.JOIN_REFUSED] * 2)
    evidence.expect("devices on the HAN", found=ch.han_devices(), expected=devices)


@pytest.mark.ttm("TTM-SEC-WAN-01")
@pytest.mark.devices("CH")
def test_nobody_is_taken_for_a_hub_without_its_key(
    guard: Guard, ch: CommunicationsHub, adversary: Adversary, evidence: EvidenceLog
) -> None:
    """Somebody says hello in the hub's name: hung up on, and the hub is reached as before."""
    with guard.unharmed(ch):
        why = adversary.pose_as_hub(ch)
        evidence.expect("taken for the hub", found=not why, expected=False)
