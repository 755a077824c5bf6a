"""HTTP that no service user sends."""

from __future__ import annotations

import gzip
from typing import Final

import pytest

from harness.domain.instruments import EvidenceLog, Forgery, Meter
from harness.domain.misuse import Adversary
from test_packs.security.guarding import Guard

pytestmark = pytest.mark.functional_group("Security: HTTP")

_SERVICE: Final = "/api/v1/serviceS"
_HEAD: Final = f"POST {_SERVICE} HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/xml\r\n"
_LARGE: Final = 17 << 20  # bytes: more than any message may have


def _expect_refused(evidence: EvidenceLog, what: str, status: int) -> None:
    evidence.expect(f"{what}: taken", found=200 <= status < 300, expected=False)


@pytest.mark.ttm("TTM-SEC-HTTP-01")
@pytest.mark.devices("ESME")
def test_what_is_not_posted_as_xml_to_a_service_is_refused(
    guard: Guard, meter: Meter, adversary: Adversary, evidence: EvidenceLog
) -> None:
    """An honest request, sent as text, to another path, or by another method: not taken."""
    request = _stale(guard, meter)
    with guard.unharmed(meter):
        for what, answer in (
            ("as text", adversary.post(request, headers={"Content-Type": "text/plain"})),
            ("to no service", adversary.post(request, path="/api/v1/serviceX")),
            ("to the root", adversary.post(request, path="/")),
            ("above the service", adversary.post(request, path=f"{_SERVICE}/../../../etc/passwd")),
            ("by PUT", adversary.post(request, method="PUT")),
            ("by GET", adversary.post(b"", method="GET")),
            ("empty", adversary.post(b"")),
            ("no XML", adversary.post(b"\x00\xff" * 100)),
        ):
            _expect_refused(evidence, what, answer.status)


@pytest.mark.ttm("TTM-SEC-HTTP-02")
@pytest.mark.devices("ESME")
def test_a_body_that_is_too_large_is_refused(
    guard: Guard, meter: Meter, adversary: Adversary, evidence: EvidenceLog
) -> None:
    """A gzip bomb, a compression that is none, and one that nobody knows: not taken."""
    packed = {"Content-Encoding": "gzip"}
    with guard.unharmed(meter):
        bomb = adversary.post(gzip.compress(b" " * _LARGE), headers=packed)
        _expect_refused(evidence, "a gzip bomb", bomb.status)
        _expect_refused(evidence, "no gzip", adversary.post(b"<a/>", headers=packed).status)
        other = adversary.post(b"<a/>", headers={"Content-Encoding": "br"})
        _expect_refused(evidence, "an unknown compression", other.status)


@pytest.mark.ttm("TTM-SEC-HTTP-03")
@pytest.mark.devices("ESME")
def test_one_request_cannot_hide_in_another(
    guard: Guard, meter: Meter, adversary: Adversary, evidence: EvidenceLog
) -> None:
    """Two lengths, a length and chunks, a line end in a header, endless headers: no request comes of them."""
    stale = _stale(guard, meter)
    hidden = f"{_HEAD}Content-Length: {len(stale)}\r\n\r\n".encode() + stale
    with guard.unharmed(meter):
        for what, head in (
            ("two lengths", f"Content-Length: 0\r\nContent-Length: {len(hidden)}\r\n"),
            ("a length and chunks", f"Content-Length: {len(hidden)}\r\nTransfer-Encoding: chunked, gzip\r\n"),
            (
                "a header that goes on",
                f"Content-Length: {len(hidden)}\r\n Transfer-Encoding chunked\r\nX\r\n",
            ),
            ("endless headers", f"X-Long: {'x' * 100_000}\r\n"),
        ):
            answer = adversary.talk(f"{_HEAD}{head}Connection: close\r\n\r\n".encode() + hidden)
            evidence.expect(f"{what}: answers of success", found=answer.count(b"HTTP/1.1 2"), expected=0)


@pytest.mark.ttm("TTM-SEC-HTTP-04")
@pytest.mark.devices("ESME")
def test_who_sends_slowly_holds_up_nobody(guard: Guard, meter: Meter, adversary: Adversary) -> None:
    """Twenty connections that have begun a request and do not go on: another user is served meanwhile."""
    with (
        adversary.loiter(f"{_HEAD}Content-Length: 1000\r\n\r\n<".encode(), connections=20),
        guard.unharmed(meter),
    ):
        guard.honest(meter)


@pytest.mark.ttm("TTM-SEC-HTTP-05")
@pytest.mark.devices("ESME")
def test_requests_that_come_on_end_are_judged_each(
    guard: Guard, meter: Meter, adversary: Adversary, evidence: EvidenceLog
) -> None:
    """Pipelining: three requests under an old counter in one go: each is refused by itself, and none done."""
    stale = _stale(guard, meter)
    whole = f"{_HEAD}Content-Length: {len(stale)}\r\n\r\n".encode() + stale
    last = whole.replace(b"Content-Length", b"Connection: close\r\nContent-Length", 1)
    with guard.unharmed(meter):
        answers = adversary.talk(whole + whole + last)
        evidence.expect("answers", found=answers.count(b"HTTP/1.1 "), expected=3)
        evidence.expect("admitted", found=answers.count(b"ResponseCode>I"), expected=0)


def _stale(guard: Guard, meter: Meter) -> bytes:
    """A request that is right but for its counter: whoever takes it, does not look at that either."""
    guard.honest(meter)  # a counter that the DCC has seen: to a lab that never sent one, none is old
    return guard.refused(meter, Forgery(counter="lowered")).sent
