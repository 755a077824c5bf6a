"""The devices of one rig as a process: twins behind TCP doors, whose lab time is real time.

Usage: ``twin_process.py LAB_FILE RIG FIRST_PORT``. It prints a line when they stand, and ends when its
standard input is closed.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from device_drivers.simulated.pace import Pace
from device_drivers.simulated.rig import build_twins, stand_up
from harness.config import load_lab

if __name__ == "__main__":
    lab = load_lab(Path(sys.argv[1]))
    rig = lab.rig(sys.argv[2])
    assert rig.simulation is not None
    rig = replace(rig, simulation=replace(rig.simulation, starts=datetime.now(UTC)))
    with ExitStack() as held:
        twins = build_twins(rig, lab.seed)
        stand_up(
            rig, lab, twins, held, {type_: int(sys.argv[3]) + at for at, type_ in enumerate(rig.devices)}
        )
        held.callback(Pace([twins.clock]).close)
        sys.stdout.write("standing\n")
        sys.stdout.flush()
        sys.stdin.read()
