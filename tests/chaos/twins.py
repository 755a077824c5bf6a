"""Devices that are processes of their own, each rig's in one, which can be killed."""

from __future__ import annotations

import os
import random
import signal
import socket

from .labs import HERE, PORTS_OF_A_RIG, lab_of_doors
from .processes import Run, TooLate
from .rounds import Round

_FIRST, _LAST = 11_000, 20_000  # ports that this host gives nobody by itself
_TRIES = 50


class Twins:
    """Makes the lab one of doors, and stands the devices of all its rigs up behind them."""

    def __init__(self, around: Round) -> None:
        self._around = around
        self._standing: dict[str, Run] = {}
        self._base_port = _free_ports(PORTS_OF_A_RIG * len(around.rigs))
        ports = {rig: around.ports[rig] for rig in around.rigs}
        around.lab = lab_of_doors(around.folder, ports, self._base_port)
        for rig in around.rigs:
            self._start(rig)
        for rig in around.rigs:
            self._stands(rig)

    def kill(self, rig: str) -> None:
        os.kill(self._standing[rig].pid, signal.SIGKILL)

    def stand_up(self, rig: str) -> None:
        """Anew, at the same ports."""
        self._start(rig)
        self._stands(rig)

    def _start(self, rig: str) -> None:
        port = self._base_port + PORTS_OF_A_RIG * self._around.rigs.index(rig)
        script = str(HERE / "twin_process.py")
        self._standing[rig] = self._around.helper(f"twins-of-{rig}", script, "twins.yaml", rig, str(port))

    def _stands(self, rig: str) -> None:
        run = self._standing[rig]
        self._around.until(lambda: run.lines or run.over, f"the twins of {rig} stand")
        if run.over:
            raise TooLate(f"the twins of {rig} do not stand: {run.output}")


def _free_ports(count: int) -> int:
    """The first of so many that nobody listens at: any, for others look for some at the same time."""
    for _ in range(_TRIES):
        first = random.randrange(_FIRST, _LAST, 10)  # not seeded: which ports it is changes nothing
        if all(_is_free(first + offset) for offset in range(count)):
            return first
    raise TooLate(f"no {count} ports are free")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
