"""XML that is there to be misunderstood, to fetch something, or to be too much."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import pytest

from harness.domain.instruments import EvidenceLog, Forgery, Meter
from harness.domain.misuse import Adversary, Alteration
from test_packs.security.guarding import Guard

pytestmark = pytest.mark.functional_group("Security: XML")

_HELD: Final = "access_restricted_before"


@pytest.mark.ttm("TTM-SEC-XML-01")
@pytest.mark.devices("ESME", "GSME")
def test_a_comment_inside_a_value_does_not_shorten_it(
    guard: Guard, meter: Meter, evidence: EvidenceLog
) -> None:
    """No signature covers a comment: the request is refused, or the device holds the value as signed."""
    ask = guard.ask()
    signed = datetime.fromisoformat(str((ask.body or {})["RestrictionDateTime"]))
    before = meter.read(_HELD)
    response = guard.request(
        ask.srv,
        meter,
        ask.body,
        role=guard.door.role(meter),
        forgery=Forgery(alteration=Alteration.COMMENT),
    )
    due = signed if response.success else before
    evidence.expect("what the meter holds", found=meter.read(_HELD), expected=due)
    guard.honest(meter)


@pytest.mark.ttm("TTM-SEC-XML-02")
@pytest.mark.devices("ESME")
def test_an_instruction_or_another_encoding_is_refused(guard: Guard, meter: Meter) -> None:
    """A processing instruction inside a value, and the whole request in UTF-16: refused."""
    with guard.unharmed(meter):
        for alteration in (Alteration.INSTRUCTION, Alteration.UTF_16):
            guard.refused(meter, Forgery(alteration=alteration))


@pytest.mark.ttm("TTM-SEC-XML-03")
@pytest.mark.devices("ESME", "GSME")
def test_an_entity_is_not_unfolded(guard: Guard, meter: Meter) -> None:
    """A document type with an entity that stands for what was signed: refused, and nothing is done."""
    with guard.unharmed(meter):
        guard.refused(meter, Forgery(alteration=Alteration.ENTITY))


@pytest.mark.ttm("TTM-SEC-XML-04")
@pytest.mark.devices("ESME")
def test_nothing_is_fetched_for_a_request(
    guard: Guard, meter: Meter, adversary: Adversary, evidence: EvidenceLog
) -> None:
    """Entities and document types from a file or from HTTP: refused, and nobody comes to fetch them."""
    value = str((guard.ask().body or {})["RestrictionDateTime"])
    with adversary.trap(value) as trap:
        with guard.unharmed(meter):
            for place in (trap.file, trap.url):
                for alteration in (Alteration.EXTERNAL_ENTITY, Alteration.EXTERNAL_SUBSET):
                    guard.refused(meter, Forgery(alteration=alteration, detail=place))
        evidence.expect("visits to the trap", found=trap.visits, expected=0)


@pytest.mark.ttm("TTM-SEC-XML-05")
@pytest.mark.devices("ESME")
def test_a_bomb_does_no_harm(guard: Guard, meter: Meter) -> None:
    """Entities that unfold without end, two hundred levels, a million tags: refused; others are served."""
    with guard.unharmed(meter):
        for alteration in (
            Alteration.ENTITY_BOMB,
            Alteration.QUADRATIC_BOMB,
            Alteration.DEEP,
            Alteration.MANY_TAGS,
        ):
            guard.refused(meter, Forgery(alteration=alteration))
