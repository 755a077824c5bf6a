"""What a person names on the command line, found among what there is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Final, TypeVar

from harness.domain.errors import UsageError

T = TypeVar("T")
_SHOWN: Final = 12  # names that a complaint lists


def chosen(among: Mapping[str, T], name: str, what: str, where: str = "") -> T:
    """The one of that name, however its letters are cased; :class:`UsageError` with the nearest.

    ``where`` ends the complaint: "on rig ioc-1".

    >>> chosen({"ESME": 1, "CH": 2}, "esme", "device")
    1
    """
    if name in among:
        return among[name]
    folded = {key.casefold(): key for key in among}
    if (key := folded.get(name.casefold())) is not None:
        return among[key]
    near = get_close_matches(name.casefold(), folded, n=1)
    raise UsageError(
        f"there is no {what} {name!r}{f' {where}' if where else ''}",
        remedy=f"did you mean {str(folded[near[0]])!r}?" if near else f"there is {_some(list(among))}",
    )


def moment(text: str, option: str) -> datetime:
    """A time that a person typed, in UTC unless it says otherwise.

    >>> moment("2025-03-03T08:30+01:00", "--from").isoformat()
    '2025-03-03T07:30:00+00:00'
    """
    try:
        told = datetime.fromisoformat(text)
        return told.replace(tzinfo=UTC) if told.tzinfo is None else told.astimezone(UTC)
    except (ValueError, OverflowError):
        raise UsageError(
            f"{option}: {text!r} is not a time", remedy="say it as 2025-03-03 or 2025-03-03T08:30:00Z (UTC)"
        ) from None


def _some(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "") or "none"
