"""The rig's controller over SSH."""

from __future__ import annotations

from datetime import timedelta
from typing import NoReturn, Protocol

from harness.domain.errors import ControllerFault
from harness.domain.instruments import CommandResult, RigController, RunningCommand
from harness.domain.lab import Lab, Rig
from harness.hooks import Fence, Trace, unfenced


class OpenController(RigController, Protocol):
    """A controller that its rig can let go of."""

    def probe(self) -> str:
        """What it is, in a line, after a command has been run there."""

    def close(self) -> None:
        """End forwarded ports and the connection; closing twice is fine."""

    def abandon(self) -> None:
        """As :meth:`close`, and nothing is sent: what runs there ends by itself, once the connection has."""


class NoController:
    """Stands where a rig has no controller: a test that needs one is blocked, and all others run."""

    def __init__(self, rig_id: str) -> None:
        self._rig_id = rig_id

    def run(self, command: str, *, within: timedelta | None = None) -> CommandResult:  # noqa: ARG002
        self._missing(f"command {command!r}")

    def start(self, command: str) -> RunningCommand:
        self._missing(f"command {command!r}")

    def fetch(self, path: str, *, keep: bool = True) -> bytes:  # noqa: ARG002
        self._missing(f"file {path}")

    def forward(self, host: str, port: int) -> tuple[str, int]:
        self._missing(f"port {host}:{port}")

    def probe(self) -> str:
        self._missing("a sign of life")

    def close(self) -> None:
        """Nothing to close."""

    def abandon(self) -> None:
        """Nothing to let go of."""

    def _missing(self, what: str) -> NoReturn:
        raise ControllerFault(
            f"rig {self._rig_id} has no controller, and {what} is asked of it",
            remedy="describe the rig's controller in the lab file, or use a rig that has one",
            suspect=False,
        )


def open_controller(
    rig: Rig,
    lab: Lab,  # noqa: ARG001
    trace: Trace,
    fence: Fence = unfenced,
) -> OpenController:
    """The rig's controller; :class:`NoController` where the lab file describes none.

    It is connected to when it is first asked for something.
    """
    if rig.controller is None:
        return NoController(rig.id)
    from device_drivers.bench.ssh.controller import SshController

    return SshController(rig.controller, trace, fence)
