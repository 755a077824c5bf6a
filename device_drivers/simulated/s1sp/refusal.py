"""Why the S1SP itself refuses, with the codes of its SMETS1Debug entries.

The codes are our own: the DCC's were not found in a published source.
"""

from __future__ import annotations

from typing import Final

from harness.domain.errors import HarnessError

NOT_AUTHORISED: Final = 1
REPLAYED: Final = 2
NOT_FOR_THIS_DEVICE: Final = 3
OUT_OF_RANGE: Final = 4
DEVICE_REFUSED: Final = 5
PROTOCOL_BROKEN: Final = 6  # bytes from the device, or elements of the request, that cannot be
NOT_SERVED: Final = 7
NOT_COUNTERSIGNED: Final = 8  # by the DCC, or not for what is asked


class Refused(HarnessError):
    """The S1SP will not do what is asked; the device has not been changed."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
