"""Requests that come again: the same bytes, the same counter, an older one."""

from __future__ import annotations

from datetime import timedelta

import pytest

from harness.domain.instruments import Bench, EvidenceLog, Forgery, LabClock, Meter
from harness.domain.misuse import Adversary
from test_packs.arrange import power_cut
from test_packs.security.guarding import Guard

pytestmark = pytest.mark.functional_group("Security: replay")


def _expect_not_admitted(evidence: EvidenceLog, what: str, status: int, content: bytes) -> None:
    admitted = 200 <= status < 300 and b"ResponseCode>I" in content
    evidence.expect(f"{what}: admitted", found=admitted, expected=False)


@pytest.mark.ttm("TTM-SEC-RPL-01")
@pytest.mark.devices("ESME", "GSME")
def test_the_same_bytes_are_not_done_twice(
    guard: Guard, meter: Meter, adversary: Adversary, evidence: EvidenceLog
) -> None:
    """A request that was served, once more and then to another service: refused, and nothing is done."""
    ask = guard.ask()
    first = guard.request(ask.srv, meter, ask.body, role=guard.door.role(meter))
    evidence.expect("the first time", found=first.success, expected=True)
    with guard.unharmed(meter):
        for path in ("/api/v1/serviceS", "/api/v1/serviceS", "/api/v1/serviceD"):
            answer = adversary.post(first.sent, path=path)
            _expect_not_admitted(evidence, f"again, to {path}", answer.status, answer.content)


@pytest.mark.ttm("TTM-SEC-RPL-02")
@pytest.mark.devices("ESME", "GSME")
def test_a_counter_that_was_used_or_is_older_is_refused(guard: Guard, meter: Meter) -> None:
    """Another request, rightly signed, under the last counter or one of a day ago: refused."""
    guard.honest(meter)  # a counter that the DCC has seen
    with guard.unharmed(meter):
        for counter in ("replayed", "lowered"):
            guard.refused(meter, Forgery(counter=counter), f"a counter that is {counter}")


@pytest.mark.ttm("TTM-SEC-RPL-03")
@pytest.mark.devices("ESME")
def test_a_power_cut_makes_no_old_message_good_again(
    guard: Guard,
    meter: Meter,
    adversary: Adversary,
    bench: Bench,
    clock: LabClock,
    evidence: EvidenceLog,
) -> None:
    """A message from before a power cut of meter and hub is refused after it as well."""
    ask = guard.ask()
    first = guard.request(ask.srv, meter, ask.body, role=guard.door.role(meter))
    evidence.expect("the first time", found=first.success, expected=True)
    power_cut(bench, clock, timedelta(minutes=5))
    with guard.unharmed(meter):
        answer = adversary.post(first.sent)
        _expect_not_admitted(evidence, "again", answer.status, answer.content)
