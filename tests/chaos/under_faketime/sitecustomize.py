"""Where Faketime leaves the monotonic clock alone, ``time.sleep`` gets an error from it: here is another."""

import select
import time


def sleep(seconds: float) -> None:
    if seconds < 0:
        raise ValueError("sleep length must be non-negative")
    select.select([], [], [], seconds)


time.sleep = sleep
