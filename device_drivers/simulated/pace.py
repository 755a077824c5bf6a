"""Lab time of a standing lab: it passes as fast as real time does."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from device_drivers.simulated.clock import VirtualClock

_SECOND: Final = timedelta(seconds=1)


class Pace:
    """Moves clocks on by a second every second, from construction until :meth:`close`.

    A clock that jumps ahead by itself (a hub that is woken by SMS, a gas meter that is waited for) goes on
    from there. A second that comes late, on a busy host, is made up for.
    """

    def __init__(self, clocks: Sequence[VirtualClock]) -> None:
        self._clocks = clocks
        self._told = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lab-time", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Let the clocks stand; closing twice is fine."""
        self._told.set()
        self._thread.join()

    def _run(self) -> None:
        due = time.monotonic() + 1
        while not self._told.wait(max(0.0, due - time.monotonic())):
            for clock in self._clocks:
                with clock.lock:
                    clock.advance_to(clock.now() + _SECOND)
            due += 1
