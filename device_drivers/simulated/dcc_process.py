"""The DCC side of a simulated lab as a process of its own, seen by who starts it: see :mod:`.dcc_side`."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from device_drivers.dcc.forked import Forked, may_fork
from harness.domain.errors import ConfigurationError, LinkLost
from harness.domain.lab import Lab
from harness.hooks import RunContext

_PROGRAM: Final = "device_drivers.simulated.dcc_side"
_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 15.0


@dataclass(frozen=True, slots=True)
class Commission:
    """What the DCC side of a simulated lab is started with."""

    lab: Lab
    run: RunContext
    receive_url: str
    counters: Mapping[str, int]  # the last counter of each originator, which the DCC remembers
    gateway_port: int = 0  # any


class DccSideProcess:
    """The DCC side of a simulated lab. It ends with its standard input, and so with this process.

    Life cycle: made, which starts the process; :meth:`begin`; :meth:`close`, at any time.
    """

    def __init__(self, log: Path) -> None:
        self._log = log
        self.addresses: Mapping[str, Any] = {}
        with log.open("ab") as errors:
            self.process = _started(errors)

    def close(self) -> None:
        """Let the process end, and see that it does; closing twice is fine."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        if not self.process.stdin.closed and self.process.poll():
            with self._log.open("a") as log:
                log.write(f"the simulated DCC ended by itself, with status {self.process.returncode}\n")
        with suppress(BrokenPipeError):  # it has ended by itself
            self.process.stdin.close()
        try:
            self.process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def begin(self, commission: Commission) -> None:
        """Let it listen; :class:`LinkLost` or :class:`ConfigurationError` where it cannot."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        impatience = threading.Timer(_START_SECONDS, self.process.kill)
        impatience.start()
        try:
            pickle.dump(commission, self.process.stdin)
            self.process.stdin.flush()
            line = self.process.stdout.readline()
            addresses: Mapping[str, Any] = json.loads(line)
        except (BrokenPipeError, ValueError):
            told = self._log.read_text(errors="replace").strip().splitlines()[-1:]
            raise LinkLost(
                f"the simulated DCC did not start: {''.join(told) or 'it gave no reason'}",
                remedy=f"look at {self._log}",
            ) from None
        finally:
            impatience.cancel()
        if "refusal" in addresses:
            raise ConfigurationError(addresses["refusal"], remedy=addresses["remedy"])
        self.addresses = addresses


def _started(errors: IO[bytes]) -> subprocess.Popen[bytes] | Forked:
    """A session of its own, for an interrupt from the keyboard is for the controller."""
    if may_fork(_PROGRAM):
        return Forked(sys.modules[_PROGRAM].main, errors.fileno())
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    return subprocess.Popen(  # noqa: S603  # our own interpreter and module
        [sys.executable, "-m", _PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        env=environment,
        start_new_session=True,
    )
