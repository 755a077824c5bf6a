"""Planned tests and their outcomes, read back from a folder of Allure results.

A planned test may have several results, one an attempt, with the same label ``test`` (where that is missing,
the same ``historyId``). The rule is that of :mod:`harness.records.run`: de-scoped with approval is the last
word, else the attempt with the highest number decides, and one that was interrupted proves nothing.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final

from harness.config.ttm import Ttm
from harness.domain.errors import ConfigurationError
from harness.domain.words import AttemptResult, CapabilityRelease, DeviceType, Outcome
from harness.traceability.coverage import Coverage, TestOutcome, of_outcomes

_OUTCOMES: Final = {
    **{outcome.value: outcome for outcome in Outcome},
    AttemptResult.INTERRUPTED.value: Outcome.NOT_RUN,
}
_BY_STATUS: Final = {  # for results that were written elsewhere, without the label "result"
    "passed": Outcome.PASSED,
    "failed": Outcome.FAILED,
    "broken": Outcome.BLOCKED,
    "skipped": Outcome.NOT_RUN,
    "unknown": Outcome.NOT_RUN,
}
_Order = tuple[bool, int, int]


def of_allure(ttm: Ttm, folder: Path, suspect: Collection[str] = (), phase: str = "") -> Coverage:
    """Coverage by an ``allure-results`` folder alone, or by its tests of one Test Phase.

    Raises :class:`~harness.domain.errors.ConfigurationError` where a result cannot be read.
    """
    return of_outcomes(ttm, read_outcomes(folder, phase), suspect)


def read_outcomes(folder: Path, phase: str = "") -> list[TestOutcome]:
    """Every planned test of the results, each with the outcome of its latest attempt.

    A result without a ``ttm`` label is not ours. With ``phase``, only the tests of that Test Phase are read.
    Raises :class:`~harness.domain.errors.ConfigurationError` where there are no results, or one cannot be
    read or lacks ``dmc``, ``release`` or ``deviceType``.
    """
    files = sorted(folder.glob("*-result.json"))
    if not files:
        raise ConfigurationError(
            f"{folder} holds no Allure results", remedy="name the allure-results folder of a run"
        )
    latest: dict[str, tuple[_Order, TestOutcome]] = {}
    for file in files:
        result = _load(file)
        labels = _labels(result)
        if not labels.get("ttm") or (phase and phase not in labels.get("phase", ())):
            continue
        test = labels.get("test", [str(result.get("historyId") or file.name)])[0]
        outcome = _outcome(file, result, labels)
        order = _order(result, labels, outcome)
        if test not in latest or latest[test][0] <= order:
            latest[test] = (order, outcome)
    return [outcome for _, outcome in latest.values()]


def _order(result: Mapping[str, Any], labels: Mapping[str, list[str]], outcome: TestOutcome) -> _Order:
    number = labels.get("attempt", ["0"])[0]
    descoped = outcome.outcome is Outcome.DESCOPED
    return descoped, int(number) if number.isdecimal() else 0, result.get("start") or 0


def _load(file: Path) -> Mapping[str, Any]:
    try:
        result = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigurationError(f"{file} cannot be read: {error}", remedy="copy it again") from None
    if not isinstance(result, dict):
        raise ConfigurationError(f"{file} is no Allure result", remedy="copy it again")
    labels, start = result.get("labels") or [], result.get("start") or 0
    if not isinstance(labels, list) or not all(isinstance(label, dict) for label in labels):
        raise ConfigurationError(f"{file}: its labels are no list of name and value", remedy="copy it again")
    if not isinstance(start, int):
        raise ConfigurationError(
            f"{file}: it starts at {start!r}, not at a millisecond", remedy="copy it again"
        )
    return result


def _labels(result: Mapping[str, Any]) -> Mapping[str, list[str]]:
    labels: dict[str, list[str]] = {}
    for label in result.get("labels") or ():
        labels.setdefault(str(label.get("name")), []).append(str(label.get("value")))
    return labels


def _outcome(file: Path, result: Mapping[str, Any], labels: Mapping[str, list[str]]) -> TestOutcome:
    try:
        told = labels.get("result")
        outcome = _OUTCOMES[told[0]] if told else _BY_STATUS[str(result.get("status"))]
        return TestOutcome(
            ttm=tuple(labels["ttm"]),
            dmc=labels["dmc"][0],
            release=CapabilityRelease(labels["release"][0]),
            device_type=DeviceType(labels["deviceType"][0]),
            outcome=outcome,
        )
    except (KeyError, ValueError) as error:
        raise ConfigurationError(
            f"{file}: no usable label or status: {error}", remedy="write the results with this harness"
        ) from None
