"""How far the opening of a door has come, told through the trace.

>>> class Told:
...     def event(self, source, what, **detail): print(source, what, detail)
>>> step(Told(), "ESME", "sign on")
ESME opening {'step': 'sign on'}
"""

from __future__ import annotations

from typing import Final

from harness.hooks import Trace

OPENING: Final = "opening"


def step(trace: Trace, source: str, doing: str) -> None:
    """Say what is about to be tried; what fails next failed in it, and `harness lab check` shows it so."""
    trace.event(source, OPENING, step=doing)
