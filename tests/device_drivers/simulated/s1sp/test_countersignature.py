"""The S1SP does what the DCC has countersigned, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from device_drivers.dcc.identities import simulated_pki
from device_drivers.dcc.pki import stranger
from device_drivers.dcc.signature import Ring, SignatureRefused, Signer
from device_drivers.simulated.gateway.countersignature import countersign, countersigned
from harness.domain.faults import Fault, Place, Point
from harness.domain.words import DeviceType

ESME = DeviceType.ESME
UNCHECKED = Fault(
    "countersignature-unchecked",
    Place.S1SP,
    Point.CHECK,
    "",
    lambda seen: "" if seen.item == "countersignature" else seen.value,
)


def broken(xml: bytes) -> bytes:
    """The last signature, the DCC's, with its first character changed."""
    head, mark, value = xml.rpartition(b"<ds:SignatureValue>")
    return head + mark + (b"A" if value[:1] != b"A" else b"B") + value[1:]


def user_signed(xml: bytes) -> bytes:
    return b"<sr:Request" + xml.partition(b"<sr:Request")[2].partition(b"</sr:Request>")[0] + b"</sr:Request>"


@pytest.mark.parametrize(
    ("forge", "reason"),
    [
        (broken, "by dcc does not fit the message"),
        (lambda xml: xml.replace(b":1000<", b":1001<"), "by dcc does not fit the message"),
        (lambda xml: countersign(user_signed(xml), _stranger()), "is not known"),
        (user_signed, "the request is not countersigned"),
        (lambda xml: b"", "not well-formed"),
    ],
    ids=["broken", "content changed", "by a stranger", "by the user alone", "nothing"],
)
def test_what_the_dcc_has_not_countersigned_is_not_done(
    bed: Any, forge: Callable[[bytes], bytes], reason: str
) -> None:
    before, request = bed.settings(ESME), bed.request("7.2", ESME)
    answer = bed.s1sp.perform(replace(request, xml=forge(request.xml)))
    assert not answer.success
    assert answer.debug[0][1].startswith("countersignature: ")
    assert reason in answer.debug[0][1]
    assert bed.settings(ESME) == before


def test_what_was_countersigned_for_one_request_does_not_serve_for_another(bed: Any) -> None:
    harmless, before = bed.request("7.4", ESME), bed.settings(ESME)
    answer = bed.s1sp.perform(replace(bed.request("7.2", ESME), xml=harmless.xml))
    assert answer.debug[0][1] == "countersignature: another request was countersigned"
    for other in ({"counter": 7}, {"target": bed.twin(DeviceType.GSME).device_id}):
        assert not bed.s1sp.perform(replace(harmless, **other)).success
    assert bed.settings(ESME) == before


def test_a_refused_countersignature_uses_no_counter(bed: Any) -> None:
    request = bed.request("7.4", ESME)
    assert not bed.s1sp.perform(replace(request, xml=broken(request.xml))).success
    assert bed.s1sp.perform(request).success


@pytest.mark.parametrize("faults", [(UNCHECKED,)])
def test_a_fault_can_leave_the_countersignature_unchecked(bed: Any) -> None:
    request = bed.request("7.4", ESME)
    assert bed.s1sp.perform(replace(request, xml=broken(request.xml))).success


def test_an_envelope_around_something_else_holds_no_request(bed: Any) -> None:
    pair = simulated_pki(bed.lab).dcc(bed.lab.dcc.dcc_eui)
    with pytest.raises(SignatureRefused, match="no Service Request"):
        countersigned(countersign(b"<a/>", Signer(*_both(pair))), Ring({"dcc": pair.certificate}))


def _stranger() -> Signer:
    return Signer(*_both(stranger("00-DB-12-34-56-78-90-FF")))


def _both(pair: Any) -> tuple[bytes, bytes]:
    return pair.key, pair.certificate
