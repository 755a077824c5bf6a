"""Good devices in a lab that breaks: every tenth test, in whole packs. Exit status 1: a device was blamed.

python -m tests.lab_faults [SEED]
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.lab_faults.runs import run_broken

IOC, ALL = ("standard-srvt-ioc",), ("standard-srvt-ioc", "standard-srvt-moc", "standard-srvt-foc")
TENTH = 10


def show(name: str, packs: Sequence[str], options: Sequence[str], seed: int, folder: Path) -> int:
    """Run, print, and return how much is wrong."""
    began = time.monotonic()
    broken = run_broken(folder / name, packs, *options, seed=seed, every=TENTH)
    counts = ", ".join(f"{number} {what}" for what, number in broken.record.counts().items() if number)
    seconds = time.monotonic() - began
    say(f"{name}: {len(broken.fired)} faults on record, {seconds:.0f} s: {counts}")
    for (kind, phase, outcome), number in sorted(broken.counted().items()):
        say(f"    {kind:<15} {phase:<9} {outcome:<8} {number}")
    wrong = [*broken.failures(), *broken.unexplained()]
    for line in wrong:
        say(f"    WRONG {line}")
    return len(wrong)


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """One process, where all is on record; then workers, where another rig takes what was blocked."""
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    folder = Path(tempfile.mkdtemp(prefix="lab-faults-"))
    wrong = show("one process", IOC, ["--one-process"], seed, folder)
    wrong += show("workers", ALL, [], seed, folder)
    say(f"record: {folder}" if wrong else "no device was blamed")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
