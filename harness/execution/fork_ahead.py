"""Begins the process that workers are forked from, as soon as a run is likely.

It then imports while the controller does. So nothing heavy is imported here.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SWITCH: Final = "HARNESS_FORK"
_TEMPLATE: Final = Path(__file__).with_name("fork_template.py")


@dataclass(frozen=True, slots=True)
class Begun:
    """The process, and the controller's end of the link to it: it ends when that is closed."""

    arguments: tuple[str, ...]  # pytest's
    process: subprocess.Popen[bytes]
    link: socket.socket


_untold: Final[list[tuple[subprocess.Popen[bytes], socket.socket]]] = []
_ahead: Final[list[Begun]] = []


def can_fork() -> bool:
    """Whether workers are forked here at all: on Linux, unless the switch says no."""
    return os.environ.get(SWITCH) != "0" and hasattr(os, "pidfd_open")


def prepare() -> None:
    """Begin it for a session whose arguments are not known yet; where none comes it ends when we do."""
    if can_fork():
        _untold.append(_started())
        atexit.register(_end_untold)


def _end_untold() -> None:
    while _untold:
        process, link = _untold.pop()
        link.close()
        process.kill()  # it may be importing, and has nothing to put down
        process.wait()


def begin(arguments: Sequence[str]) -> None:
    """Begin it for a pytest session with these arguments, which comes soon. Twice is fine."""
    if can_fork() and all(one.arguments != tuple(arguments) for one in _ahead):
        _ahead.append(_told(tuple(arguments)))


def begun(arguments: Sequence[str]) -> Begun:
    """The one that was begun for these arguments, or a new one; it is the caller's."""
    while _ahead:
        one = _ahead.pop()
        if one.arguments == tuple(arguments):
            return one
        one.link.close()
    return _told(tuple(arguments))


def _told(arguments: tuple[str, ...]) -> Begun:
    process, link = _untold.pop() if _untold else _started()
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError), process.stdin as told:  # it is lost, then, as will be found
        told.write(json.dumps({"sys_path": sys.path, "arguments": arguments}).encode())
    return Begun(arguments, process, link)


def _started() -> tuple[subprocess.Popen[bytes], socket.socket]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(  # noqa: S603  # our own interpreter and file
            [sys.executable, "-P", str(_TEMPLATE), str(theirs.fileno())],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,  # pytest tells of its collection there
            pass_fds=[theirs.fileno()],
            process_group=0,  # Ctrl-C at the terminal is for the controller
        )
    return process, ours
