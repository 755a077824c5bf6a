"""``harness rigs log``: what happened on a rig, as its newest run tells it, and as it happens."""

from __future__ import annotations

import sys
from collections import deque
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Final

from harness.cli.choosing import chosen
from harness.cli.output import ExitCode, chosen_run, tell
from harness.config import load_lab
from harness.domain.errors import UsageError
from harness.records.rig_log import log_of

_PAUSE: Final = 0.2  # seconds between two looks for a new line
_NEWER: Final = 2.0  # seconds between two looks for a newer run


def show_log(file: Path, runs: Path, rig: str, run: Path | None, last: int, *, follow: bool) -> ExitCode:
    """Print the ``last`` lines of a rig's log (0: all); with ``follow`` go on with it until Ctrl-C.

    Without a run it is the log that was written to last, and ``follow`` goes on with a newer one's when that
    is written to.
    """
    known = {each.id: each for each in load_lab(file).rigs}
    if rig not in known and _newest(runs, rig) is None:  # one that has left the lab still has its logs
        rig = chosen(known, rig, "rig").id
    if run is not None and not chosen_run(run, runs).is_dir():
        raise UsageError(f"there is no run {run} in {runs}", remedy="see --runs and --run")
    path = _newest(runs, rig) if run is None else log_of(chosen_run(run, runs), rig)
    if path is None or not path.is_file():
        where = f"in run {run}" if run is not None else f"in the runs of {runs}"
        if run is not None or not follow:
            raise UsageError(f"there is no log of rig {rig} {where}", remedy="see --runs and --run")
        tell(f"there is no log of rig {rig} {where} yet: waiting for one")
        path = None
    try:
        _show(path, runs, rig, last, follow=follow, fixed=run is not None)
    except KeyboardInterrupt:
        return ExitCode.GOOD  # that is how one leaves
    return ExitCode.GOOD


class _Tail:
    """A log that is printed as it grows."""

    def __init__(self, path: Path, last: int) -> None:
        self.path = path
        self._file = path.open("rb")
        _write(b"".join(deque(self._file, maxlen=last or None)))

    def more(self) -> bool:
        """Whether there was more."""
        new = self._file.read()
        _write(new)
        return bool(new)

    def close(self) -> None:
        self._file.close()


def _show(path: Path | None, runs: Path, rig: str, last: int, *, follow: bool, fixed: bool) -> None:
    tail = _Tail(path, last) if path is not None else None
    looked, waiting = monotonic(), Event()
    try:
        while follow:
            if tail is not None and tail.more():
                continue
            waiting.wait(_PAUSE)
            if fixed or (tail is not None and monotonic() - looked < _NEWER):
                continue
            looked, newest = monotonic(), _newest(runs, rig)
            if newest is not None and (tail is None or newest != tail.path):
                if tail is not None:
                    tail.close()
                tell(f"of run {newest.parent.parent.name}:")
                tail = _Tail(newest, 0)
    finally:
        if tail is not None:
            tail.close()


def _newest(runs: Path, rig: str) -> Path | None:
    """The log of the rig that was written to last; a run that was resumed is newer than it looks."""
    folders = runs.iterdir() if runs.is_dir() else iter(())
    logs = (log_of(folder, rig) for folder in folders if not folder.is_symlink())
    there = [log for log in logs if log.is_file()]
    return max(there, key=lambda log: log.stat().st_mtime_ns, default=None)


def _write(content: bytes) -> None:
    if content:
        sys.stdout.write(content.decode("utf-8", "replace"))
        sys.stdout.flush()
