"""Until the first test nothing is garbage: to look for it would take a tenth of the time until then."""

from __future__ import annotations

import gc

_ours = False  # whether it is we who have turned it off


def none_yet() -> bool:
    """Look for none from here on; whether it is for us to end that, with :func:`look`."""
    global _ours
    if gc.isenabled():
        gc.disable()
        _ours = True
    return _ours


def look() -> None:
    """Look for it again, but not in what there is by now. Twice is fine."""
    global _ours
    if _ours:
        _ours = False
        gc.freeze()
        gc.enable()
