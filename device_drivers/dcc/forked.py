"""A fork that stands where a ``Popen`` would, for a program whose modules are imported already."""

from __future__ import annotations

import gc
import logging
import os
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from select import POLLIN, poll
from typing import IO


def may_fork(module: str) -> bool:
    """Whether a fork would have that module, and nothing of ours that threads hold."""
    return module in sys.modules and hasattr(os, "pidfd_open") and threading.active_count() == 1


class Forked:
    """What is used here of ``Popen``: two pipes, :meth:`poll`, :meth:`wait`, :meth:`kill`.

    The fork has a session of its own and none of our descriptors. It runs ``program``, and never comes back.
    """

    def __init__(self, program: Callable[[], None], errors: int) -> None:
        theirs_in, stdin = os.pipe()
        stdout, theirs_out = os.pipe()
        sys.stderr.flush()
        self.pid = os.fork()
        if not self.pid:
            _become(program, theirs_in, theirs_out, errors)
        os.close(theirs_in)
        os.close(theirs_out)
        self.stdin: IO[bytes] = os.fdopen(stdin, "wb")
        self.stdout: IO[bytes] = os.fdopen(stdout, "rb")
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Its exit status; ``None`` while it runs."""
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Its exit status, once it has ended; :class:`subprocess.TimeoutExpired` where that takes longer."""
        if (status := self.poll()) is not None:
            return status
        handle = os.pidfd_open(self.pid)
        try:
            ended = poll()
            ended.register(handle, POLLIN)
            if not ended.poll(None if timeout is None else 1000 * timeout):
                raise subprocess.TimeoutExpired(["a fork"], timeout or 0.0)
        finally:
            os.close(handle)
        return self.wait()

    def kill(self) -> None:
        """Kill it, if it runs."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)


def _become(program: Callable[[], None], stdin: int, stdout: int, errors: int) -> None:
    """The life of the fork."""
    status = 1
    try:
        os.setsid()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        for number, descriptor in enumerate((stdin, stdout, errors)):
            os.dup2(descriptor, number)
        logging.getLogger().handlers.clear()
        gc.freeze()  # nothing of ours is tidied here: its descriptors are closed already
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))
        sys.stdin = open(0, closefd=False)  # noqa: SIM115  # as at the start of Python
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
        program()
        status = 0
    except BaseException:  # to whom could it go
        with suppress(Exception):
            traceback.print_exc()
    finally:
        with suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)
