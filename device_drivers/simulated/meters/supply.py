"""The contactor of an electricity meter, or the valve of a gas meter, and why it stands as it does."""

from __future__ import annotations

from collections.abc import Callable

from harness.domain.errors import AccessRefused
from harness.domain.events import Event
from harness.domain.words import SupplyState


class Supply:
    """Enabled, disabled or armed; each change is an event.

    ``obstacle`` says why the supply may not be enabled or armed now, or nothing; ``output`` whether anything
    can flow in a state. ``before_change`` is called while the old state still holds.
    """

    def __init__(
        self,
        event: Callable[[int], None],
        obstacle: Callable[[], str],
        output: Callable[[SupplyState], bool],
    ) -> None:
        self._event = event
        self._obstacle = obstacle
        self._output = output
        self.state = SupplyState.ENABLED
        self.reason = ""  # why the meter disabled it by itself: "credit", "load limit", …
        self.before_change: Callable[[], None] = _nothing

    @property
    def closed(self) -> bool:
        """Whether the contactor is closed, or the valve open: whether anything can flow."""
        return self._output(self.state)

    def disable(self) -> None:
        """By command."""
        self.become(SupplyState.DISABLED)
        self._event(Event.SUPPLY_DISABLED)

    def enable(self) -> None:
        """By command; :class:`AccessRefused` (temporary failure) where something stands in the way."""
        self._refuse_if_hindered()
        self.become(SupplyState.ENABLED)
        self._event(Event.SUPPLY_ENABLED)

    def arm(self) -> None:
        """By command; as :meth:`enable`, but a person has the last word."""
        self._refuse_if_hindered()
        self.become(SupplyState.ARMED)
        self._event(Event.SUPPLY_ARMED)

    def press(self) -> bool:
        """A person presses the button; whether that enabled an armed supply."""
        if self.state is not SupplyState.ARMED:
            return False
        self.become(SupplyState.ENABLED)
        self._event(Event.ENABLED_LOCALLY)
        return True

    def cut(self, reason: str, code: int) -> None:
        """The meter disables an enabled or armed supply by itself."""
        if self.state is not SupplyState.DISABLED:
            self.become(SupplyState.DISABLED, reason)
            self._event(code)

    def rearm(self, reason: str) -> None:
        """What the meter cut for this reason it arms again by itself."""
        if self.reason == reason:
            self.become(SupplyState.ARMED)
            self._event(Event.ARMED_BY_METER)

    def become(self, state: SupplyState, reason: str = "") -> None:
        """Take a state, without an event."""
        if state is not self.state:
            self.before_change()
            self.state = state
        self.reason = reason

    def _refuse_if_hindered(self) -> None:
        if obstacle := self._obstacle():
            raise AccessRefused(f"the supply stays off: {obstacle}", result="temporary-failure")


def _nothing() -> None:
    """Nobody has to know."""
