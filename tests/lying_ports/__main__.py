"""Whole packs over devices whose own ports lie: who passes has not looked. Exit status 1: there is one.

python -m tests.lying_ports [PACK ...]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.lying_ports.runs import REPO, believers, excused
from tests.pack_readings import Sources

PACKS = ("standard-srvt-ioc", "security-ioc")
ENTRY = "--entry=ioc-alderwick-dormant"  # a test looks on each entry, or on none


def main() -> None:
    """Name every test that passes without a reason."""
    packs = sys.argv[1:] or PACKS
    sources = Sources.of(REPO / "test_packs")
    with tempfile.TemporaryDirectory(prefix="lying-ports-") as folder:
        found = believers(Path(folder), packs, ENTRY)
    wrong = [test.id for test in found if not excused(test, sources)]
    for line in wrong:
        sys.stdout.write(f"passes whatever its device tells: {line}\n")
    sys.stdout.write(f"{len(found) - len(wrong)} tests look at no device, and say why\n")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
