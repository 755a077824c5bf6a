"""Messages that come to our receive address and are not what they seem."""

from __future__ import annotations

from typing import Final

import pytest

from harness.domain.events import Event
from harness.domain.instruments import Bench, EvidenceLog, LabClock, Meter, ServiceUser
from harness.domain.misuse import Adversary
from test_packs.arrange import from_now
from test_packs.security.guarding import Guard

pytestmark = pytest.mark.functional_group("Security: responses and alerts")

_WRONG: Final = ("unsigned", "refusal", "stranger", "changed", "inner changed")


@pytest.mark.ttm("TTM-SEC-RCV-01")
@pytest.mark.devices("ESME", "GSME")
def test_a_forged_response_is_not_believed(
    guard: Guard, meter: Meter, user: ServiceUser, adversary: Adversary, evidence: EvidenceLog
) -> None:
    """Unsigned, an unsigned refusal, by a stranger, changed inside or outside: all refused by our user."""
    response = guard.request("4.18", meter, None)
    evidence.expect("code of the response that is to be forged", found=response.code, expected="I0")
    held, before = dict(meter.snapshot()), user.strays()
    for how in _WRONG:
        answer = adversary.deliver(adversary.forge(response.xml, how))
        evidence.expect(f"a response that is {how}: HTTP status", found=answer.status, expected=400)
    fresh = user.strays()[len(before) :]
    evidence.expect("messages that nobody was given", found=len(fresh), expected=len(_WRONG))
    guard.honest(meter)
    evidence.expect("what the meter holds", found=dict(meter.snapshot()), expected=held)


@pytest.mark.ttm("TTM-SEC-RCV-02")
@pytest.mark.devices("ESME", "GSME")
def test_a_response_comes_to_its_own_request_and_once(
    guard: Guard, meter: Meter, user: ServiceUser, adversary: Adversary, evidence: EvidenceLog
) -> None:
    """A response again, and one under the id of another request, signed by the DCC: paired with none."""
    response = guard.request("4.18", meter, None)
    evidence.expect("problems of the response", found=response.problems, expected=())
    held, before = dict(meter.snapshot()), user.strays()
    adversary.deliver(response.xml)
    adversary.deliver(adversary.forge(response.xml, "another request"))
    fresh = user.strays()[len(before) :]
    evidence.expect("messages that nobody was given", found=len(fresh), expected=2)
    guard.honest(meter)
    evidence.expect("what the meter holds", found=dict(meter.snapshot()), expected=held)


@pytest.mark.ttm("TTM-SEC-RCV-03")
@pytest.mark.devices("ESME", "GSME")
def test_a_forged_or_repeated_alert_alarms_nobody(
    guard: Guard,
    meter: Meter,
    user: ServiceUser,
    adversary: Adversary,
    bench: Bench,
    clock: LabClock,
    evidence: EvidenceLog,
) -> None:
    """An alert of the meter once more, unsigned, by a stranger, or changed: there is still one alert."""
    since = from_now(clock)
    bench.tamper(meter.device_type, open_=True)
    alert = user.alert(Event.COVER_OPENED.alert, meter, since=since)
    bench.tamper(meter.device_type, open_=False)
    evidence.expect("problems of the alert", found=alert.problems, expected=())
    evidence.expect("cover open", found=meter.read("cover_open"), expected=False)
    for how in _WRONG:
        answer = adversary.deliver(adversary.forge(alert.xml, how))
        evidence.expect(f"an alert that is {how}: HTTP status", found=answer.status, expected=400)
    adversary.deliver(alert.xml)
    codes = [each.code for each in user.alerts(meter, since=since)]
    evidence.expect("alerts about the cover", found=codes.count(Event.COVER_OPENED.alert), expected=1)
    guard.honest(meter)
