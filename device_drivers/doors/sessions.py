"""What a named device asks through: a DLMS association that is opened anew where the meter has ended it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from harness.domain.errors import AccessRefused, HarnessError, TransportLost, UsageError
from harness.hooks import Trace

if TYPE_CHECKING:
    from device_drivers.dlms.data import Data
    from device_drivers.dlms.refs import AttributeRef, MethodRef, Selector


class Association(Protocol):
    """What :class:`~device_drivers.dlms.client.DlmsClient` offers once it is open."""

    def get(self, ref: AttributeRef, selector: Selector | None = None) -> Data:
        """The value of an attribute, whole or in part."""

    def get_many(self, refs: Sequence[AttributeRef]) -> list[Data | AccessRefused]:
        """The values of several attributes; refusals in their place."""

    def set(self, ref: AttributeRef, data: Data) -> None:
        """Write an attribute."""

    def action(self, ref: MethodRef, data: Data | None = None) -> Data | None:
        """Invoke a method."""

    def close(self) -> None:
        """Release the association and let go of what carries it."""

    def abandon(self) -> None:
        """Let go of what carries it without a word: nobody is there to hear it, or we may not say it."""


class Session:
    """An association with a meter that ends what rests, and forgets what was when its supply is cut.

    Before a request that comes ``idle`` seconds after the one before, the association is released, the line
    let go, and both are opened anew by ``open_association``; so they are after :meth:`renew`, without a
    release. The trace says so. That happens between requests only: where one has failed, its error is the
    end of this session, and later calls say so.
    """

    def __init__(
        self,
        open_association: Callable[[], Association],
        idle: float,
        trace: Trace,
        source: str,
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._open = open_association
        self._idle = idle
        self._trace = trace
        self._source = source
        self._now = now
        self._ended = ""
        self._forgotten = False
        self._association = open_association()
        self._last = now()

    def get(self, ref: AttributeRef, selector: Selector | None = None) -> Data:
        """As :meth:`Association.get`."""
        with self._awake() as association:
            return association.get(ref, selector)

    def get_many(self, refs: Sequence[AttributeRef]) -> list[Data | AccessRefused]:
        """As :meth:`Association.get_many`."""
        with self._awake() as association:
            return association.get_many(refs)

    def set(self, ref: AttributeRef, data: Data) -> None:
        """As :meth:`Association.set`."""
        with self._awake() as association:
            association.set(ref, data)

    def action(self, ref: MethodRef, data: Data | None = None) -> Data | None:
        """As :meth:`Association.action`."""
        with self._awake() as association:
            return association.action(ref, data)

    def renew(self) -> None:
        """The meter's supply has been cut: open all anew before the next request."""
        self._forgotten = True

    def close(self) -> None:
        """Release and let go; closing twice is fine."""
        self._ended = self._ended or "closed"
        self._leave()

    def abandon(self) -> None:
        """Let go without a word; twice is fine."""
        self._ended = self._ended or "abandoned"
        self._association.abandon()

    def _leave(self) -> None:
        if self._forgotten:
            self._association.abandon()
        else:
            self._association.close()

    @contextmanager
    def _awake(self) -> Iterator[Association]:
        if self._ended:
            raise TransportLost(
                f"{self._source}: the session is over: {self._ended}", remedy="open a new one"
            )
        self._wake()
        try:
            yield self._association
        except (AccessRefused, UsageError):
            raise  # the association goes on
        except HarnessError as error:
            self._ended = error.message
            raise
        finally:
            self._last = self._now()

    def _wake(self) -> None:
        rested = self._now() - self._last
        if rested <= self._idle and not self._forgotten:
            return
        why = "its supply was cut" if self._forgotten else f"it rested for {rested:.0f} s"
        self._trace.event(self._source, "session opened anew", why=why)
        self._leave()
        try:
            self._association = self._open()
        except HarnessError as error:
            self._ended = f"it could not be opened anew: {error.message}"
            raise
        self._forgotten = False
