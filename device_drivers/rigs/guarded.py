"""What stands before the drivers of a rig in hand, ours or a third party's: the fence, and the part's name.

Transports, Modbus and SSH ask the fence before each write. It is asked here before each call as well: so a
driver that opens ports of its own is held back too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar, cast

from harness.domain.errors import LabFault
from harness.hooks import Fence, still_ours

T = TypeVar("T")


class _Guarded:
    """A driver whose methods ask the fence first, and whose lab faults say at which part they were met."""

    def __init__(self, driver: object, fence: Fence, part: str) -> None:
        self._driver = driver
        self._fence = fence
        self._part = part

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            found = getattr(self._driver, name)
            if name.startswith("_") or not callable(found):
                return found
            method = _fenced(found, self._fence, self._part)
            setattr(self, name, method)  # the next call finds it there, and does not come here
            return method


def _fenced(method: Callable[..., Any], fence: Fence, part: str) -> Callable[..., Any]:
    def fenced(*args: Any, **kwargs: Any) -> Any:
        fence()
        try:
            return method(*args, **kwargs)
        except LabFault as fault:
            fault.part = fault.part or part
            raise

    return fenced


def guarded(driver: T, fence: Fence, part: str) -> T:
    """The driver, which does nothing more once the rig is not ours."""
    return cast("T", _Guarded(driver, fence, part))


@contextmanager
def met_at(part: str) -> Iterator[None]:
    """A lab fault that nobody has placed was met at this part."""
    try:
        yield
    except LabFault as fault:
        fault.part = fault.part or part
        raise


def letting_go(opened: object, fence: Fence) -> Callable[[], None]:
    """What closes a driver; where the rig is not ours any more, what lets go of it without a word.

    A third party's may have neither.
    """

    def let_go() -> None:
        way = getattr(opened, "close" if still_ours(fence) else "abandon", None)
        if way is not None:
            way()

    return let_go
