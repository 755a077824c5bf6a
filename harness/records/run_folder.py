"""The folder of its own that a run, a check or a proof has below ``--runs``."""

from __future__ import annotations

from pathlib import Path

from harness.config.problems import shown
from harness.domain.errors import UsageError


def make_run_folder(folder: Path) -> bool:
    """Make it, and say whether it was not there before; :class:`UsageError` where it cannot be made."""
    try:
        new = not folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"{shown(folder.parent)} cannot be written: {error.strerror}",
            remedy="name another folder for what is kept: --runs",
        ) from error
    return new
