"""What a twin does about clients that cannot prove themselves: it hears them no more for a while.

How many attempts a real meter bears, and for how long it is deaf then, is its maker's choice; these are ours.
"""

from __future__ import annotations

from collections import defaultdict, deque
from datetime import datetime, timedelta
from typing import Final

from device_drivers.dlms.security import Guard
from device_drivers.simulated.twin import Twin

ATTEMPTS: Final = 10
DEAF: Final = timedelta(minutes=15)  # lab time, in which the attempts are counted as well


class TwinGuard(Guard):
    """One for all doors of a twin: who has failed at one is deaf at each.

    What a check refuses passes :attr:`Point.CHECK` under the check's name, with ``client`` in the details.
    """

    def __init__(self, twin: Twin) -> None:
        self._twin = twin
        self._failures: dict[int, deque[datetime]] = defaultdict(lambda: deque(maxlen=ATTEMPTS))

    def refusal(self, check: str, why: str, client_sap: int) -> str:
        return self._twin.refusal(check, why, client_sap)

    def failed(self, client_sap: int) -> None:
        self._failures[client_sap].append(self._twin.clock.now())

    def let_in(self, client_sap: int) -> None:
        self._failures.pop(client_sap, None)

    def locked(self, client_sap: int) -> bool:
        failures = self._failures[client_sap]
        return len(failures) == ATTEMPTS and self._twin.clock.now() - failures[0] < DEAF
