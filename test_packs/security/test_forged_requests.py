"""Requests whose signature is missing, another's, of something else, or not of the profile."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from harness.domain.instruments import Forgery, Meter
from harness.domain.misuse import Alteration
from test_packs.security.guarding import Guard

pytestmark = pytest.mark.functional_group("Security: signatures of requests")


def _all_refused(guard: Guard, meter: Meter, forgeries: Iterable[Forgery]) -> None:
    with guard.unharmed(meter):
        for forgery in forgeries:
            guard.refused(meter, forgery)


def _altered(*alterations: Alteration) -> list[Forgery]:
    return [Forgery(alteration=alteration) for alteration in alterations]


@pytest.mark.ttm("TTM-SEC-SIG-01")
@pytest.mark.devices("ESME", "GSME")
def test_what_was_changed_after_signing_is_refused(guard: Guard, meter: Meter) -> None:
    """A body, counter, digest or signature changed by a digit or a bit: refused, and nothing is done."""
    changed = _altered(
        Alteration.BODY_CHANGED,
        Alteration.COUNTER_CHANGED,
        Alteration.DIGEST_FITTED,
        Alteration.BIT_FLIPPED,
    )
    _all_refused(guard, meter, changed)


@pytest.mark.ttm("TTM-SEC-SIG-02")
@pytest.mark.devices("ESME")
def test_a_signature_that_is_missing_doubled_or_misplaced_is_refused(guard: Guard, meter: Meter) -> None:
    """No signature, the same twice, a stranger's before it, or one not at the end: refused."""
    misplaced = _altered(
        Alteration.SIGNED_TWICE,
        Alteration.STRANGER_FIRST,
        Alteration.SIGNATURE_FIRST,
        Alteration.SIGNATURE_IN_BODY,
    )
    _all_refused(guard, meter, [Forgery(signature="missing"), *misplaced])


@pytest.mark.ttm("TTM-SEC-SIG-03")
@pytest.mark.devices("ESME", "GSME")
def test_a_request_around_a_signed_original_is_refused(guard: Guard, meter: Meter) -> None:
    """Signature wrapping: a good signature covers what was moved aside, not what would be done."""
    wrapped = _altered(
        Alteration.ORIGINAL_IN_BODY,
        Alteration.ORIGINAL_IN_SIGNATURE,
        Alteration.ORIGINAL_AT_END,
        Alteration.BODY_BESIDE,
    )
    _all_refused(guard, meter, wrapped)


@pytest.mark.ttm("TTM-SEC-SIG-04")
@pytest.mark.devices("ESME")
def test_a_signature_by_other_algorithms_or_its_own_key_is_refused(guard: Guard, meter: Meter) -> None:
    """Weaker digests, further transforms, a key that comes along, an HMAC under the public key: refused."""
    downgraded = _altered(
        Alteration.SHA1_DIGEST,
        Alteration.EXCLUSIVE,
        Alteration.XPATH,
        Alteration.EMBEDDED_KEY,
        Alteration.HMAC,
    )
    _all_refused(guard, meter, downgraded)


@pytest.mark.ttm("TTM-SEC-SIG-05")
@pytest.mark.devices("ESME", "GSME")
def test_a_signature_by_a_stranger_or_another_role_is_refused(guard: Guard, meter: Meter) -> None:
    """A certificate of an issuer whom nobody knows, or of another User Role of our own: refused."""
    _all_refused(guard, meter, [Forgery(signature="stranger"), Forgery(signature="another role")])


@pytest.mark.ttm("TTM-SEC-SIG-06")
@pytest.mark.devices("ESME", "GSME")
def test_a_certificate_that_is_not_valid_or_not_the_senders_is_refused(guard: Guard, meter: Meter) -> None:
    """Expired, not valid yet, revoked, or a party's that the DCC knows but who is not the sender: refused."""
    unfit = ("expired", "early", "revoked", "another party")
    _all_refused(guard, meter, [Forgery(signature=what) for what in unfit])
