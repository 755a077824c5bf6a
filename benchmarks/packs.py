"""How long the standard packs take over the simulated lab, and how much lab time passes in them.

Prints, without judging: seconds of wall clock, processor seconds, planned tests, simulated hours per second.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

PACKS = ("standard-srvt-ioc", "standard-srvt-moc", "standard-srvt-foc")
REPO = Path(__file__).parents[1]


def main() -> None:
    """Run the packs once and print the figures."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        run = subprocess.run(
            [sys.executable, "-m", "harness", "run", *PACKS, "--json", f"--runs={folder}"],
            cwd=REPO,
            env={**os.environ, "HARNESS_STATE": f"{folder}/state"},
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        seconds = time.perf_counter() - began
        summary = json.loads(run.stdout)
        hours = simulated_hours(Path(folder) / summary["run_id"])
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"packs                            {', '.join(PACKS)}")
    print(f"processors                       {os.cpu_count()}")
    print(f"planned tests                    {summary['counts']['planned']}")
    print(f"passed                           {summary['counts']['passed']}")
    print(f"wall clock                       {seconds:.1f} s")
    print(f"processor time                   {usage.ru_utime + usage.ru_stime:.1f} s")
    print(f"simulated                        {hours:.0f} h")
    print(f"simulated hours per wall second  {hours / seconds:.1f}")


def simulated_hours(run: Path) -> float:
    """Lab time that passed in the attempts of a run."""
    total = 0.0
    for journal in (run / "journal").glob("*.jsonl"):
        for line in journal.read_text().splitlines():
            event = json.loads(line)
            if event.get("lab_started") and event.get("lab_ended"):
                passed = datetime.fromisoformat(event["lab_ended"]) - datetime.fromisoformat(
                    event["lab_started"]
                )
                total += passed.total_seconds() / 3600
    return total


if __name__ == "__main__":
    main()
