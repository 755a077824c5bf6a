"""Workers that start in milliseconds: forks of one process, which has imported and collected for them all.

That process (:mod:`harness.execution.fork_template`) prepares while the controller does. xdist and execnet
start their workers as ever, but for one place: where execnet would run a fresh Python it is handed a fork.
Once that process is lost workers start the plain way, and a warning in the log says so. With
``HARNESS_FORK=0`` in the environment, and on anything but Linux, they always do.
"""

from __future__ import annotations

import contextlib
import inspect
import itertools
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from select import POLLIN, poll
from types import SimpleNamespace
from typing import IO, TYPE_CHECKING, Any, Final

import pytest
import xdist.remote
from execnet.gateway_base import MainThreadOnlyExecModel

from harness.execution.context import WORKER_INPUT, Settings, WorkerContext
from harness.execution.fork_ahead import Begun, begun, can_fork
from harness.execution.fork_template import hear, tell
from harness.hooks import plugin_manager

if TYPE_CHECKING:
    from harness.domain.lab import Lab

ANSWER: Final = 60.0  # seconds that the first fork may keep us waiting: before it, the packs are collected
_LEAVE: Final = 1.0  # seconds that it may take to end once it has workers
_SERVER = pytest.StashKey["ForkServer"]()
_log: Final = logging.getLogger(__name__)


def begin_forking(config: pytest.Config) -> None:
    """Begin the process that workers are forked from, unless whoever calls pytest has done so before."""
    if config.option.collectonly or not can_fork():
        return
    arguments = [str(argument) for argument in config.invocation_params.args]
    config.stash[_SERVER] = server = ForkServer(begun(arguments))
    config.add_cleanup(server.close)


def import_ahead(config: pytest.Config, lab: Lab) -> None:
    """Let it import what a worker needs when it takes a rig of this lab: its forks have it then."""
    if (server := config.stash.get(_SERVER, None)) is None:
        return
    needed = plugin_manager(lab.plugins).hook.harness_preload(lab=lab)
    with contextlib.suppress(ForkFailed):  # it is lost, then, and the first worker says so
        server.import_ahead([*itertools.chain(*needed)])


def expected_durations(config: pytest.Config, tests: Sequence[str]) -> Mapping[str, float] | None:
    """Seconds that planned tests are expected to take, by id, as far as they were measured before.

    ``None`` where there is nobody to ask but the store itself.
    """
    server = config.stash.get(_SERVER, None)
    return server.expected(tests) if server is not None else None


def fork_workers(config: pytest.Config, settings: Settings) -> None:
    """Let it collect, and let xdist's workers be forked from it; ``config.args`` is what is collected."""
    if (server := config.stash.get(_SERVER, None)) is None:
        return
    collected = tuple(config.args)
    context = WorkerContext(packed_settings=settings.pack(), rig="", arguments=collected, services={})
    with contextlib.suppress(ForkFailed):
        server.collect({WORKER_INPUT: context.pack()})
    config.pluginmanager.register(Forks(server), "smets1-forks")


class ForkFailed(Exception):
    """Why there is no fork; the worker is then started the plain way."""


class ForkedWorker:
    """What execnet wants of a ``Popen``: pipes, :meth:`wait`, :meth:`kill`. It is no child of ours."""

    def __init__(self, pid: int, handle: int, stdin: int, stdout: int) -> None:
        self.pid = pid
        self.stdin: IO[bytes] = os.fdopen(stdin, "wb")
        self.stdout: IO[bytes] = os.fdopen(stdout, "rb")
        self._handle = handle
        self._open = True
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Return when it has ended; its exit status is nobody's to know."""
        ended = poll()
        ended.register(self._handle, POLLIN)
        ended.poll()
        with self._lock:
            if self._open:
                self._open = False
                os.close(self._handle)

    def kill(self) -> None:
        """Kill it, if it runs."""
        with self._lock, contextlib.suppress(ProcessLookupError):
            if self._open:
                signal.pidfd_send_signal(self._handle, signal.SIGKILL)


class ForkServer:
    """The controller's hold on the process that workers are forked from.

    Life cycle: made, :meth:`import_ahead`, :meth:`collect`, :meth:`expected`, :meth:`fork` for each worker,
    :meth:`close`. One that is lost stays so.
    """

    def __init__(self, begun: Begun) -> None:
        self._process, self._link = begun.process, begun.link
        self._link.settimeout(ANSWER)
        self._patience = 0.0  # seconds that it may take to end

    def import_ahead(self, modules: Sequence[str]) -> None:
        """Let it import these; none may start a thread."""
        self._tell(list(modules))

    def collect(self, worker_input: Mapping[str, Any]) -> None:
        """Let it collect what a worker with this ``workerinput`` collects."""
        self._patience = _LEAVE
        self._tell(dict(worker_input))

    def fork(self, program: str) -> ForkedWorker:
        """A worker that runs ``program``, with our environment, working directory and standard error.

        :class:`ForkFailed` where there is none, and then there is no other one either.
        """
        theirs_in, stdin = os.pipe()
        stdout, theirs_out = os.pipe()
        try:
            order = {"program": program, "environ": dict(os.environ), "cwd": str(Path.cwd())}
            try:
                self._tell(order, [theirs_in, theirs_out, 2])
            finally:
                os.close(theirs_in)
                os.close(theirs_out)
            pid, handle = self._answered()
        except BaseException:  # whatever is answered after this would be taken for the next worker
            os.close(stdin)
            os.close(stdout)
            self.close()
            raise
        return ForkedWorker(pid, handle, stdin, stdout)

    def expected(self, tests: Sequence[str]) -> Mapping[str, float] | None:
        """What the lab's store knows of these tests; ``None`` where it cannot be asked like this."""
        try:
            self._tell({"tests": tests})
            answer, _ = hear(self._link)
        except (ForkFailed, EOFError, OSError):  # it is lost, then, and the first worker says so
            self.close()
            return None
        return None if isinstance(answer, str) else answer

    def _answered(self) -> tuple[int, int]:
        try:
            answer, handles = hear(self._link)
        except (EOFError, OSError) as error:
            raise ForkFailed(f"the process that workers are forked from does not answer: {error}") from error
        if isinstance(answer, str):
            raise ForkFailed(f"the process that workers are forked from has none: {answer}")
        return answer, handles[0]

    def _tell(self, message: Any, descriptors: Sequence[int] = ()) -> None:
        try:
            tell(self._link, message, descriptors)
        except OSError as error:
            raise ForkFailed(f"the process that workers are forked from cannot be told: {error}") from error

    def close(self) -> None:
        """End it; the workers that it has forked stay. Twice is fine."""
        self._link.close()
        try:
            self._process.wait(self._patience)
        except subprocess.TimeoutExpired:  # it may be importing, and has nothing to put down
            self._process.kill()
            self._process.wait()


class Forks:
    """The plugin that lets execnet fork workers rather than start them."""

    def __init__(self, server: ForkServer) -> None:
        self._server: ForkServer | None = server
        self.lost = ""  # why workers are started the plain way

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_setupnodes(self, config: pytest.Config) -> None:
        """The last moment before the first worker is started."""
        group: Any = config.pluginmanager.getplugin("dsession").nodemanager.group
        if not len(group):  # gateways that others have made already are started already
            group.set_execmodel(_Forking(self._start))

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_getremotemodule(self) -> str:
        """What is executed in a worker: in a fork its session goes on, elsewhere xdist's worker begins."""
        return _WORK.format(source=inspect.getsource(xdist.remote), file=xdist.remote.__file__)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Where pytest is used itself, say it there too."""
        if self.lost:
            terminalreporter.write_line(self.lost, yellow=True)

    def _start(self, command: Sequence[str], **_: int) -> ForkedWorker | subprocess.Popen[bytes]:
        """What execnet takes for ``subprocess.Popen``."""
        python, *options, program = command
        if self._server is not None and python == sys.executable and options == ["-u", "-c"]:
            try:
                return self._server.fork(program)
            except ForkFailed as error:
                self._server, self.lost = None, f"workers are started the plain way: {error}"
                _log.warning("%s", self.lost)
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603  # execnet's


class _Forking(MainThreadOnlyExecModel):
    """Execnet's own model, but for how it starts a process."""

    def __init__(self, start: Callable[..., Any]) -> None:
        self._start = start

    @property
    def subprocess(self) -> Any:
        """All that execnet takes from the module of that name."""
        return SimpleNamespace(PIPE=subprocess.PIPE, Popen=self._start)


_WORK: Final = """
import sys
template = getattr(sys.modules["__main__"], "TEMPLATE", None)
if template is not None:
    template.called(channel)
else:
    exec(compile({source!r}, {file!r}, "exec"), {{"channel": channel, "__name__": "__channelexec__"}})
"""
