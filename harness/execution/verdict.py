"""What an exception says about an attempt: the one place that decides between blocked and failed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce

import pytest

from harness.domain.errors import ConfigurationError, DeviceFault, HarnessError, LabFault
from harness.domain.words import AttemptResult, Cause


@dataclass(frozen=True, slots=True)
class Verdict:
    """How an attempt ended. ``cause`` and ``message`` are empty for a pass."""

    result: AttemptResult
    cause: Cause | None = None
    message: str = ""


PASSED = Verdict(AttemptResult.PASSED)


class Overdue(HarnessError):
    """The test did not end by its deadline, nobody knows why: its evidence tells where it hung."""


def judge(error: BaseException) -> Verdict:
    """The verdict on an attempt that ended with this exception.

    A lab fault blocks, and so does what the lab file has wrong. An assertion or a device fault fails. A skip
    blocks too: whoever planned the test is owed the reason. Everything else is an error of the test script or
    of the harness, and fails as such. Several exceptions (two fixtures that fail in their teardown) are
    judged :func:`together`; and so is a lab fault with what a ``finally`` has raised after it.
    """
    before = _before(error)
    if before is not None and any(lab_faults(before)):
        return together(judge(before), _judge_alone(error))
    return _judge_alone(error)


def _judge_alone(error: BaseException) -> Verdict:
    message = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if isinstance(error, BaseExceptionGroup):
        return reduce(together, map(judge, error.exceptions))
    if isinstance(error, LabFault | ConfigurationError):
        return Verdict(AttemptResult.BLOCKED, Cause.LAB, message)
    if isinstance(error, AssertionError | DeviceFault | pytest.fail.Exception):
        return Verdict(AttemptResult.FAILED, Cause.DEVICE, str(error) or message)
    if isinstance(error, pytest.skip.Exception):
        return Verdict(AttemptResult.BLOCKED, Cause.HARNESS, f"skipped by the test itself: {error}")
    return Verdict(AttemptResult.FAILED, Cause.HARNESS, message)


def lab_faults(error: BaseException) -> Iterator[LabFault]:
    """The lab faults in an exception, which may be a group of several, and in those that it came after."""
    if (before := _before(error)) is not None:
        yield from lab_faults(before)
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from lab_faults(each)
    elif isinstance(error, LabFault):
        yield error


def _before(error: BaseException) -> BaseException | None:
    """What was on its way when this was raised; ``raise … from`` has said itself what it stands for."""
    return None if error.__suppress_context__ else error.__context__


def together(first: Verdict, second: Verdict) -> Verdict:
    """The verdict on two things that went wrong in an attempt, in the order in which they did: the worse.

    A device that did wrong in the test body stays a failure when the teardown then meets a lab fault. The
    other way round no device is blamed: where a bench cannot switch the supply on, a good meter is silent.
    """
    if first.cause is Cause.LAB and second.cause is Cause.DEVICE:
        return first
    order = (AttemptResult.PASSED, AttemptResult.BLOCKED, AttemptResult.FAILED)
    return second if order.index(second.result) > order.index(first.result) else first
