"""The ``harness`` command, also as ``python -m harness``."""

from __future__ import annotations

import os
import sys
from typing import Final

from harness.execution import fork_ahead, garbage

_RUN: Final = ("run", "resume")
"""Commands that run tests; what their workers are forked from is begun while the command line is read."""


def main() -> None:
    """Entry point of the console script, too."""
    _open_standard_streams()
    # What drives pytest here says itself what it wants of it. Options that a shell's profile holds for other
    # tests (--collect-only, -x) would change what is run, and what is recorded of it
    os.environ.pop("PYTEST_ADDOPTS", None)
    if sys.argv[1:2] and sys.argv[1] in _RUN:
        garbage.none_yet()
        if "--one-process" not in sys.argv:
            fork_ahead.prepare()
    from harness.cli.app import app

    app(prog_name="harness")


def _open_standard_streams() -> None:
    """One that we were started without (``>&-``) leads nowhere, else a file of the record takes its place."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest free number: this one
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115  # as at the start of Python
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115


if __name__ == "__main__":
    main()
