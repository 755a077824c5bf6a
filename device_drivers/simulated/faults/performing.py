"""Ways in which an S1SP can be wrong about what it does for a request."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from device_drivers.simulated.faults.making import at, lose
from harness.domain.faults import Fault, Place, Point

_fault = at(Place.S1SP)


def _never_refused(*srvs: str) -> Any:
    """A refusal is answered as success."""
    return lambda seen: replace(seen.value, success=True, debug=()) if seen.item in srvs else seen.value


def _instead(srv: str, other: str) -> Any:
    """Another SRV is performed than the one asked for."""
    return lambda seen: replace(seen.value, srv=other) if seen.item == srv else seen.value


FAULTS: tuple[Fault, ...] = (
    _fault(
        "refusal-told-as-success",
        Point.RESPONSE,
        "a top-up that the meter refused is answered as success",
        _never_refused("2.2"),
        "2.2",
    ),
    _fault(
        "out-of-range-told-as-success",
        Point.RESPONSE,
        "a balance that is not adjusted is answered as success",
        _never_refused("1.5"),
        "1.5",
    ),
    _fault(
        "arming-enables",
        Point.REQUEST,
        "a request to arm the supply is performed as one to enable it",
        _instead("7.3", "7.1"),
        "7.3",
    ),
    _fault(
        "enabling-arms",
        Point.REQUEST,
        "a request to enable the supply is performed as one to arm it",
        _instead("7.1", "7.3"),
        "7.1",
    ),
    _fault(
        "prepayment-configuration-undone",
        Point.ACTION,
        "a prepayment configuration is answered as done, and nothing is done",
        lose("2.1"),
        "2.1",
    ),
    _fault(
        "certificates-unreplaced",
        Point.ACTION,
        "a supplier's new certificates are answered as held, and are not",
        lose("6.15.1", "6.23"),
        "6.15.1", "6.23",
    ),
    _fault(
        "gas-settings-undone",
        Point.ACTION,
        "settings of a gas meter are answered as done, and nothing is done",
        lose("6.6", "6.7"),
        "6.6", "6.7",
    ),
    _fault(
        "thresholds-undone",
        Point.ACTION,
        "power thresholds are answered as held, and are not",
        lose("6.12"),
        "6.12",
    ),
    _fault(
        "mode-undone",
        Point.ACTION,
        "a change of payment mode is answered as done, and nothing is done",
        lose("1.6"),
        "1.6",
    ),
    _fault(
        "supply-number-undone",
        Point.ACTION,
        "a supply number is answered as held, and is not",
        lose("6.20.1", "6.20.2"),
        "6.20.1", "6.20.2",
    ),
    _fault(
        "restriction-undone",
        Point.ACTION,
        "a restriction of access is answered as done, and nothing is done",
        lose("3.2"),
        "3.2",
    ),
    _fault(
        "log-clearing-undone",
        Point.ACTION,
        "the clearing of a log is answered as done, and nothing is done",
        lose("3.3"),
        "3.3",
    ),
    _fault(
        "requests-lost",
        Point.REQUEST,
        "requests for the billing calendar get no answer",
        lose("6.2.3"),
        "6.2.3",
    ),
)  # fmt: skip
