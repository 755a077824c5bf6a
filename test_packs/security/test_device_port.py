"""The device's own port: wrong keys, lowered security, replays, guesses, and APDUs that are none."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import pytest

from harness.domain.events import Event
from harness.domain.instruments import CommunicationsHub, EvidenceLog, LabClock, Meter
from harness.domain.misuse import Adversary
from test_packs.security.guarding import Guard

pytestmark = pytest.mark.functional_group("Security: device ports")

_SETTING: Final = "low_credit_threshold"
_ALERT: Final = f"{Event.AUTHENTICATION_FAILED:04X}"
_GUESSES: Final = 12
_DEAF: Final = timedelta(minutes=30)  # after which a client that failed must be heard again (ours)


def _refused(
    adversary: Adversary, evidence: EvidenceLog, meter: Meter, *ways: str, item: str = _SETTING
) -> None:
    wanted = meter.read(_SETTING) + 1_000
    for how in ways:
        knock = adversary.knock(meter, how, item, wanted)
        evidence.expect(f"written, {how}", found=knock.done, expected=False)


@pytest.mark.ttm("TTM-SEC-DEV-01")
@pytest.mark.devices("ESME", "GSME")
def test_who_has_not_the_keys_changes_nothing(
    guard: Guard, meter: Meter, adversary: Adversary, evidence: EvidenceLog
) -> None:
    """Wrong keys, proof, password or tag: refused, logged, alerted; a wrong title or no proof: refused."""
    wrong = (
        "wrong encryption key",
        "wrong authentication key",
        "wrong proof",
        "tag changed",
        "wrong password",
    )
    logged = meter.log("security_log")
    with guard.unharmed(meter, alerts=[_ALERT] * len(wrong)):
        _refused(adversary, evidence, meter, *wrong, "wrong title", "unproven")
    guard.expect_logged_attempts(meter, logged, len(wrong))


@pytest.mark.ttm("TTM-SEC-DEV-02")
@pytest.mark.devices("ESME", "GSME")
def test_security_cannot_be_lowered(
    guard: Guard, meter: Meter, adversary: Adversary, evidence: EvidenceLog
) -> None:
    """A password or nothing where keys are due; afterwards plain, or only authenticated: refused."""
    logged = meter.log("security_log")
    with guard.unharmed(meter, alerts=[_ALERT]):
        _refused(
            adversary, evidence, meter, "password for keys", "no security", "plain", "authenticated only"
        )
    guard.expect_logged_attempts(meter, logged, 1)  # by what is only authenticated


@pytest.mark.ttm("TTM-SEC-DEV-03")
@pytest.mark.devices("ESME", "GSME")
def test_an_apdu_is_done_once(
    guard: Guard, meter: Meter, adversary: Adversary, evidence: EvidenceLog
) -> None:
    """An APDU that was done and undone comes again, and one under an older counter: neither is done."""
    twice = [Event.CONFIGURATION_CHANGED] * 2  # done, and undone
    with guard.door.unchanged(meter, events=twice):
        _refused(adversary, evidence, meter, "replayed", "counter lowered")
    guard.honest(meter)


@pytest.mark.ttm("TTM-SEC-DEV-04")
@pytest.mark.devices("ESME", "GSME")
def test_a_client_has_its_own_rights_and_no_more(
    guard: Guard, meter: Meter, adversary: Adversary, evidence: EvidenceLog
) -> None:
    """Nobody is heard under an unknown address; the public reads no register; who may read may not write."""
    with guard.unharmed(meter):
        _refused(adversary, evidence, meter, "unknown client", "public client", "reading client")
        peeped = adversary.knock(meter, "public client", "meter_balance")
        evidence.expect("the balance, told in public", found=peeped.done, expected=False)


@pytest.mark.ttm("TTM-SEC-DEV-05")
@pytest.mark.devices("ESME", "GSME")
def test_a_password_cannot_be_found_by_trying(
    guard: Guard, meter: Meter, adversary: Adversary, clock: LabClock, evidence: EvidenceLog
) -> None:
    """After too many guesses even the right password is not heard, for a while; the guesses are logged."""
    logged = meter.log("security_log")
    for _ in range(_GUESSES):
        adversary.knock(meter, "wrong password", _SETTING)
    heard = adversary.knock(meter, "reading client", _SETTING)
    evidence.expect("the right password heard at once", found=heard.done, expected=False)
    evidence.expect_between(
        "guesses in the log", found=len(meter.log("security_log")) - len(logged), low=1, high=_GUESSES
    )
    clock.sleep(_DEAF)
    heard = adversary.knock(meter, "reading client", _SETTING)
    evidence.expect("the right password heard later", found=heard.done, expected=True)
    guard.honest(meter)


@pytest.mark.ttm("TTM-SEC-DEV-06")
@pytest.mark.devices("ESME", "GSME")
def test_keys_cannot_be_found_by_trying(
    guard: Guard, meter: Meter, adversary: Adversary, clock: LabClock, evidence: EvidenceLog
) -> None:
    """After too many wrong keys the right ones are not heard either, for a while; an open session goes on."""
    for _ in range(_GUESSES):
        adversary.knock(meter, "wrong encryption key", _SETTING)
    heard = adversary.knock(meter, "rightly", _SETTING)
    evidence.expect("the right keys heard at once", found=heard.done, expected=False)
    guard.honest(meter)
    clock.sleep(_DEAF)
    heard = adversary.knock(meter, "rightly", _SETTING)
    evidence.expect("the right keys heard later", found=heard.done, expected=True)
    evidence.expect_between("the balance, read", found=meter.read("meter_balance"), low=-(2**31), high=2**31)


_DEEP: Final = bytes.fromhex("c101c1000800000100 00ff0200") + b"\x02\x01" * 2_000
_BABBLE: Final = (
    b"",
    b"\xff",
    b"\xc0",
    b"\xc0\x01",
    b"\xc0\x01\xc1\x00\x08",
    b"\xc0\x02\xc1\x00\x00\x00\x09",
    b"\xc1\x01\xc1" + b"\xff" * 40,
    b"\xc3\x01\xc1\x00\x0f\x00\x00\x28\x00\x00\xff\x01\x01\x09\x84\xff\xff\xff\xff",
    b"\xc0\x03\xc1\xff",
    b"\xdb\x08" + b"A" * 8 + b"\x05\x30\x00\x00\x00\x01",
    b"\xc8\x00",
    _DEEP,
    b"\x00" * 60_000,
    b"\x62\x84\xff\xff\xff\xff",
    b"\x60\x80",
)


@pytest.mark.ttm("TTM-SEC-DEV-07")
@pytest.mark.devices("ESME", "GSME")
def test_apdus_that_are_none_leave_the_meter_serving(
    guard: Guard, meter: Meter, adversary: Adversary, evidence: EvidenceLog
) -> None:
    """Cut short, endless, nested or foreign APDUs: answered or hung up on, and the meter serves on."""
    with guard.unharmed(meter):
        answered = adversary.babble(meter, _BABBLE)
        evidence.expect_between("pieces answered", found=answered, low=0, high=len(_BABBLE))
        evidence.expect("heard as before", found=meter.read(_SETTING), expected=meter.read(_SETTING))


@pytest.mark.ttm("TTM-SEC-DEV-08")
@pytest.mark.devices("CH")
def test_the_hub_hears_nobody_without_its_keys(
    guard: Guard, ch: CommunicationsHub, adversary: Adversary, evidence: EvidenceLog
) -> None:
    """Wrong keys are refused and alerted; no security, and the public, are not told who is on the HAN."""
    wrong = ("wrong encryption key", "wrong authentication key", "wrong proof")
    with guard.unharmed(ch, alerts=[_ALERT] * len(wrong)):
        for how in (*wrong, "no security", "unproven", "plain", "public client", "unknown client"):
            knock = adversary.knock(ch, how, "han_devices")
            evidence.expect(f"told, {how}", found=knock.done, expected=False)
