"""``harness device RIG DEVICE shell``: a Python prompt with the drivers in it."""

from __future__ import annotations

import code
import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from harness.cli.device import Held, Target, in_hand
from harness.cli.output import ExitCode, tell
from harness.domain.baseline import deviations
from harness.domain.errors import HarnessError, LabFault

_HISTORY: Final = 1000  # lines

_HELP: Final = """
device.read("clock")    device.write(item, value)    device.log("event_log")
device.items()          bench.load(2000)             bench.reference()
clock.now()             bench.power(device.device_type, False)
rig.rig (as the lab file describes it)               Ctrl-D ends
"""


def shell(target: Target) -> ExitCode:
    """Hold the device, and hand it over at a prompt until the end of its input."""
    with in_hand(target, bench=True) as held:
        names = {
            "rig": held.rig,
            "device": held.device,
            "bench": held.rig.bench,
            "clock": held.rig.clock,
        }
        prompt = _Prompt(names, held)
        with _history(held.lab.state / "shell-history", names), contextlib.suppress(SystemExit):  # by exit()
            prompt.interact(banner=_banner(held), exitmsg="")
    tell(f"rig {held.rig.rig.id} put down, its bench in the safe state")
    return ExitCode.GOOD


class _Prompt(code.InteractiveConsole):
    """The harness's own errors are one line here too; a lab fault is written into the rig's health."""

    def __init__(self, names: dict[str, Any], held: Held) -> None:
        super().__init__(names, f"<{held.rig.rig.id}>")
        self._held = held

    def showtraceback(self) -> None:
        error = sys.exc_info()[1]
        if isinstance(error, LabFault):
            self._held.pool.health.fault(self._held.rig.rig.id, error, self._held.run)
        if isinstance(error, HarnessError):
            self.write(f"{type(error).__name__}: {error}\n")
        else:
            super().showtraceback()


def _banner(held: Held) -> str:
    identity = held.device.identity()
    lines = [
        f"rig {held.rig.rig.id}, {held.type} {identity.device_id}:",
        f"{identity.manufacturer} {identity.model}, firmware {identity.firmware}",
        *(str(each) for each in deviations(held.rig.rig.devices[held.type], identity)),
    ]
    return "\n".join(lines) + "\n" + _HELP


@contextlib.contextmanager
def _history(file: Path, names: dict[str, Any]) -> Iterator[None]:
    """The lines of earlier shells of this lab, and completion of names, where the system has readline."""
    try:
        import readline
        import rlcompleter
    except ImportError:
        yield
        return
    readline.set_completer(rlcompleter.Completer(names).complete)
    readline.parse_and_bind("tab: complete")
    with contextlib.suppress(OSError):
        readline.read_history_file(file)
    try:
        yield
    finally:
        readline.set_history_length(_HISTORY)
        file.parent.mkdir(parents=True, exist_ok=True)
        readline.write_history_file(file)
