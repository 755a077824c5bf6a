"""Whom an exception points at."""

from __future__ import annotations

import pytest

from harness.domain.errors import (
    AccessRefused,
    BenchFault,
    ConfigurationError,
    DeviceTimeout,
    LinkLost,
    ProtocolViolation,
    TransportLost,
    UsageError,
)
from harness.domain.words import AttemptResult, Cause
from harness.execution.verdict import PASSED, Verdict, judge, lab_faults, together

BLOCKED, FAILED = AttemptResult.BLOCKED, AttemptResult.FAILED


@pytest.mark.parametrize("error", [TransportLost("gone"), LinkLost("gone"), BenchFault("gone")])
def test_a_lab_fault_blocks(error: Exception) -> None:
    assert judge(error) == Verdict(BLOCKED, Cause.LAB, f"{type(error).__name__}: gone")


@pytest.mark.parametrize(
    "error", [DeviceTimeout("late"), ProtocolViolation("late"), AccessRefused("late", result="denied")]
)
def test_a_device_fault_fails_and_so_does_an_assertion(error: Exception) -> None:
    assert judge(error) == Verdict(FAILED, Cause.DEVICE, "late")
    assert judge(AssertionError("1 is not 2")) == Verdict(FAILED, Cause.DEVICE, "1 is not 2")
    assert judge(AssertionError()) == Verdict(FAILED, Cause.DEVICE, "AssertionError")


def test_pytest_fail_is_a_word_about_the_device() -> None:
    assert judge(pytest.fail.Exception("no display")).cause is Cause.DEVICE


def test_a_skip_blocks_because_whoever_planned_the_test_is_owed_the_reason() -> None:
    verdict = judge(pytest.skip.Exception("not today"))
    assert verdict == Verdict(BLOCKED, Cause.HARNESS, "skipped by the test itself: not today")


@pytest.mark.parametrize("error", [KeyError("x"), ZeroDivisionError(), OSError("disk full"), UsageError("x")])
def test_everything_else_is_an_error_of_the_script_and_fails_as_such(error: Exception) -> None:
    verdict = judge(error)
    assert (verdict.result, verdict.cause) == (FAILED, Cause.HARNESS)
    assert verdict.message.startswith(type(error).__name__)


def test_a_wrong_lab_file_blocks_and_the_remedy_is_told() -> None:
    verdict = judge(ConfigurationError("no door", remedy="give it one"))
    assert verdict == Verdict(BLOCKED, Cause.LAB, "ConfigurationError: no door (give it one)")


def test_of_several_errors_in_one_teardown_the_worst_counts() -> None:
    both = ExceptionGroup("errors while tearing down", [DeviceTimeout("meter"), LinkLost("gateway")])
    assert judge(both) == Verdict(FAILED, Cause.DEVICE, "meter")
    assert judge(ExceptionGroup("two", [LinkLost("a"), LinkLost("b")])).message == "LinkLost: a"


def test_a_device_that_did_wrong_stays_so_when_the_lab_fails_after_it() -> None:
    failed, blocked = judge(AssertionError("wrong")), judge(BenchFault("relay"))
    assert together(failed, blocked) == failed
    assert together(PASSED, blocked) == blocked


def test_no_device_is_blamed_for_what_it_does_after_the_lab_has_failed() -> None:
    blocked = judge(BenchFault("relay"))
    assert together(blocked, judge(DeviceTimeout("silent"))) == blocked
    both = ExceptionGroup("errors while tearing down", [BenchFault("relay"), DeviceTimeout("silent")])
    assert judge(both) == blocked


def test_an_error_of_the_script_counts_even_after_the_lab_has_failed() -> None:
    assert together(judge(BenchFault("relay")), judge(KeyError("x"))).cause is Cause.HARNESS


def test_of_equals_the_first_counts() -> None:
    first, second = judge(AssertionError("first")), judge(AssertionError("second"))
    assert together(first, second) == first


def raised(first: Exception, then: Exception) -> BaseException:
    """The second, out of a ``finally`` that the first had led to."""
    try:
        try:
            raise first
        finally:
            raise then
    except Exception as error:
        return error


def test_what_a_finally_finds_after_a_lab_fault_is_no_word_about_the_device() -> None:
    error = raised(LinkLost("no answer"), AssertionError("not there"))
    assert judge(error) == Verdict(BLOCKED, Cause.LAB, "LinkLost: no answer")
    assert [str(each) for each in lab_faults(error)] == ["no answer"]
    assert judge(raised(LinkLost("no answer"), TypeError("a script"))).cause is Cause.HARNESS
    assert judge(raised(AssertionError("1"), AssertionError("2"))) == Verdict(FAILED, Cause.DEVICE, "2")


def test_what_is_raised_from_a_lab_fault_stands_for_itself() -> None:
    error = AssertionError("too late")
    error.__cause__ = LinkLost("no answer")
    assert judge(error) == Verdict(FAILED, Cause.DEVICE, "too late")
