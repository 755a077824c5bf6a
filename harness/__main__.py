"""The ``harness`` command, also as ``python -m harness``."""

from __future__ import annotations

import sys
from typing import Final

from harness.execution import fork_ahead, garbage

_RUN: Final = ("run", "resume")
"""Commands that run tests; what their workers are forked from is begun while the command line is read."""


def main() -> None:
    """Entry point of the console script, too."""
    if sys.argv[1:2] and sys.argv[1] in _RUN:
        garbage.none_yet()
        if "--one-process" not in sys.argv:
            fork_ahead.prepare()
    from harness.cli.app import app

    app(prog_name="harness")


if __name__ == "__main__":
    main()
