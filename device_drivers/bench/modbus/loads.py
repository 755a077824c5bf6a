"""Between what a test asks for, W and var, and what a load bank is told: current and phase angle.

>>> current, angle = current_and_angle(3000, 0, Decimal(230))
>>> round(current, 6), angle
(Decimal('13.043478'), Decimal('0'))
>>> power(current, angle, Decimal(230))
(3000, 0)
"""

from __future__ import annotations

import math
from decimal import Decimal

from harness.domain.errors import BeyondBench


def current_and_angle(active: int, reactive: int, volts: Decimal) -> tuple[Decimal, Decimal]:
    """A and degrees (lagging, -180 to 180) at a voltage; :class:`BeyondBench` where there is none."""
    if not active and not reactive:
        return Decimal(0), Decimal(0)
    if volts <= 0:
        raise BeyondBench(
            f"no current gives {active} W and {reactive} var at {volts} V",
            remedy="the test must set a mains voltage first",
        )
    apparent = Decimal(active * active + reactive * reactive).sqrt()
    return apparent / volts, Decimal(repr(math.degrees(math.atan2(reactive, active)))).normalize() + 0


def power(amperes: Decimal, degrees: Decimal, volts: Decimal) -> tuple[int, int]:
    """The whole W and var that a current at an angle is."""
    apparent, angle = float(amperes * volts), math.radians(float(degrees))
    return round(apparent * math.cos(angle)), round(apparent * math.sin(angle))
