"""What runs under faults prove, over several packs."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from harness.assurance.proof import Failure, FaultProof, PackProof, Verdict, joined
from harness.domain.words import AttemptResult


def failure(name: str, *srvs: str) -> Failure:
    return Failure(
        test=f"test_it::{name}[pack]", name=name, srvs=srvs, result=AttemptResult.FAILED,
        cause="device failure", message="wrong", evidence="it/evidence/1",
    )  # fmt: skip


def proof(*packs: PackProof, srvs: Sequence[str] = ("7.4",)) -> FaultProof:
    return FaultProof(
        name="it", place="esme", point="read", description="it is wrong", srvs=tuple(srvs), groups=(),
        seconds=1.0, packs=packs,
    )  # fmt: skip


def against(verdict: Verdict, *ran: str, caught_by: Sequence[Failure] = ()) -> PackProof:
    return PackProof(pack="pack", verdict=verdict, ran=ran, caught_by=tuple(caught_by))


@pytest.mark.parametrize(
    ("packs", "whole"),
    [
        (["caught", "missed"], "caught"),
        (["caught", "wrong"], "wrong"),
        (["not applicable", "missed"], "missed"),
        (["not applicable"], "not applicable"),
        (["broken", "caught"], "broken"),
    ],
)
def test_one_pack_that_catches_a_fault_is_enough_and_one_that_is_wrong_too_much(
    packs: list[str], whole: str
) -> None:
    assert proof(*(against(Verdict(each)) for each in packs)).verdict == whole


def test_an_srv_that_no_failed_test_is_about_was_not_noticed() -> None:
    caught = against(Verdict.CAUGHT, "a", caught_by=[failure("test_a", "7.4", "6.13")])
    assert proof(caught, srvs=["7.4", "7.1"]).unnoticed_srvs == ("7.1",)


def test_what_some_tests_missed_is_caught_if_one_of_the_rest_does() -> None:
    some = proof(against(Verdict.MISSED, "a"))
    rest = proof(against(Verdict.CAUGHT, "b", "c", caught_by=[failure("test_b")]))
    whole = joined(some, rest)
    assert whole.verdict is Verdict.CAUGHT
    assert whole.packs[0].ran == ("a", "b", "c")
    assert whole.seconds == 2.0


def test_a_pack_of_which_nothing_is_left_keeps_its_verdict() -> None:
    whole = joined(proof(against(Verdict.MISSED, "a")), proof(against(Verdict.NOT_APPLICABLE)))
    assert whole.verdict is Verdict.MISSED
