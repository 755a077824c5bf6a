"""The names of results, as refusals carry them (Green Book 9.5: Data-Access-Result and its kin)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

SUCCESS: Final = "success"
OTHER_REASON: Final = "other-reason"

_COMMON = {
    0: SUCCESS,
    1: "hardware-fault",
    2: "temporary-failure",
    3: "read-write-denied",
    4: "object-undefined",
    9: "object-class-inconsistent",
    11: "object-unavailable",
    12: "type-unmatched",
    13: "scope-of-access-violated",
    14: "data-block-unavailable",
    250: OTHER_REASON,
}
ACCESS_RESULTS: Mapping[int, str] = _COMMON | {
    15: "long-get-aborted",
    16: "no-long-get-in-progress",
    17: "long-set-aborted",
    18: "no-long-set-in-progress",
    19: "data-block-number-invalid",
}
ACTION_RESULTS: Mapping[int, str] = _COMMON | {15: "long-action-aborted", 16: "no-long-action-in-progress"}

STATE_ERRORS: Mapping[int, str] = {1: "service-not-allowed", 2: "service-unknown"}
SERVICE_ERRORS: Mapping[int, str] = {
    1: "operation-not-possible",
    2: "service-not-supported",
    3: OTHER_REASON,
    4: "pdu-too-long",
    5: "deciphering-error",
    6: "invocation-counter-error",
}

ASSOCIATE_DIAGNOSTICS: Mapping[int, str] = {
    0: "null",
    1: "no-reason-given",
    2: "application-context-name-not-supported",
    3: "calling-AP-title-not-recognized",
    11: "authentication-mechanism-name-not-recognised",
    12: "authentication-mechanism-name-required",
    13: "authentication-failure",
    14: "authentication-required",
}
INITIATE_ERRORS: Mapping[int, str] = {
    0: "other",
    1: "dlms-version-too-low",
    2: "incompatible-conformance",
    3: "pdu-size-too-short",
    4: "refused-by-the-VDE-handler",
}


def name_of(code: int, names: Mapping[int, str]) -> str:
    """The name of a code; of one that no standard knows, ``unknown-<code>``."""
    return names.get(code) or f"unknown-{code}"


def code_of(name: str, names: Mapping[int, str]) -> int:
    """The code of a name; ``other-reason`` (or 0 where that does not exist) for a name unknown here."""
    for code, known in names.items():
        if known == name:
            return code
    if name.startswith("unknown-") and name[8:].isdecimal() and int(name[8:]) < 256:
        return int(name[8:])
    return 250 if 250 in names else 0
