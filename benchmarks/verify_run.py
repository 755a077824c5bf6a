"""How long it takes to seal, verify and pack a run of many results, beside ``sha256sum -c`` in the same run.

    python benchmarks/verify_run.py [--results 10000]

The run is fabricated: its journals and its evidence look like what a run over twins leaves. Bringing it to
the disk is not measured, and not made durable.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from harness.records.archive import pack
from harness.records.redaction import Redactor
from harness.records.seal import sealing_key
from harness.records.sealing import write_manifest
from harness.records.verify import verify
from harness.reports import render_all
from tests.harness.conftest import fabricate_many


def main() -> None:
    """Fabricate the run, then print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--results", type=int, default=10_000)
    results = parser.parse_args().results
    os.fsync = lambda _: None  # type: ignore[assignment]  # the making is not what is measured
    with tempfile.TemporaryDirectory() as name:
        folder, lab = fabricate_many(Path(name), results)
        render_all(folder, lab)
        files = [path for path in folder.rglob("*") if path.is_file()]
        print(f"results                          {results}")
        print(f"files of the run folder          {len(files)}")
        print(f"bytes of them                    {sum(path.stat().st_size for path in files)}")
        key = sealing_key(lab)
        timed("seal again, s", lambda: write_manifest(folder, key))
        verification = timed("verify, s", lambda: verify(folder))
        assert not verification.problems
        command = ["sha256sum", "--check", "--quiet", "manifest-sha256.txt"]
        timed("sha256sum --check, s", lambda: subprocess.run(command, cwd=folder, check=True))
        packed = timed("pack, verifying first, s", lambda: pack(folder, None, Redactor()))
        print(f"bytes of the archive             {packed.size}")


def timed(what: str, work: Callable[[], Any]) -> Any:
    """Do the work, print its seconds, and give what it gave."""
    began = time.perf_counter()
    done = work()
    print(f"{what:<32} {time.perf_counter() - began:.2f}")
    return done


if __name__ == "__main__":
    main()
