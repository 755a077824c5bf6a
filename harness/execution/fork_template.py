"""The process that workers are forked from: a worker's pytest session that has collected, and has no rig.

It runs by its path, not as a module of the harness: pytest must be the first to import that, else asserts in
it go unexplained. It has one thread and a process group of its own, and ends when the controller does.
"""

from __future__ import annotations

import array
import atexit
import contextlib
import gc
import importlib
import json
import os
import pickle
import queue
import signal
import socket
import sys
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from select import select
from typing import Any, Final

import pytest

_MOST: Final = 8  # descriptors that come with a message
_AHEAD: Final = ("sqlalchemy.dialects.sqlite", "sqlite3")
"""What every worker imports that pytest need not be the first to import, and that starts no thread."""
_PATIENCE: Final = 1.0  # seconds that a store which is busy is waited for
_NEEDED: Final = (
    "harness.execution.worker",
    "harness.rigs.durations",
    "harness.rigs.health",
    "harness.rigs.leases",
)
"""What every worker is made of, and asks for its rig with."""


class Template:
    """Forks its session where tests would be run; each fork goes on as the worker of a rig.

    ``link`` leads to the controller, which asks for a worker with an environment, a working directory, a
    program (execnet's) and three standard streams. It is told the process id, and is handed a descriptor of
    the process; or why there is none, in words. It also asks what tests are expected to take: the store can
    be asked here at once, while the controller would have SQLAlchemy to import first.
    """

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self._on_interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)
        self._called: queue.SimpleQueue[Any] = queue.SimpleQueue()  # what xdist sends a worker, or nothing
        self._over = threading.Event()
        self._error: BaseException | None = None
        self._execnet: threading.Thread | None = None
        self._ahead: deque[str] = deque()  # modules that workers will want, but can begin without
        self.trouble = "it could not collect the packs"  # why there are no workers, where it ends early

    # -- before there are workers ------------------------------------------------------------------

    def run(self, arguments: Sequence[str]) -> bool:
        """The life of the session, as xdist's worker has it. Returns whether this is a worker, at its end."""
        from _pytest.config import _prepareconfig

        try:
            config: Any = _prepareconfig(list(arguments), [self])
            from xdist.remote import setup_config  # pytest must be the first to import it

            setup_config(config, None)
            worker_input = self._import_until_asked()
            config.workerinput = {"workerid": "template", "mainargv": sys.argv, **worker_input}
            config.hook.pytest_cmdline_main(config=config)
        except pytest.UsageError as error:  # the controller finds the same, and is the one to say it
            self._error, self.trouble = error, str(error)
        except BaseException as error:
            if self._execnet is None:
                raise
            self._error = error
        finally:
            self._over.set()
        return self._execnet is not None

    def _import_until_asked(self) -> Mapping[str, Any]:
        """Import what a worker is made of, and hear what else it will want, until we are asked to collect."""
        for name in _NEEDED:
            importlib.import_module(name)
        try:
            while isinstance(told := hear(self._link)[0], list):
                self._ahead.extend(told)
        except EOFError:  # there is nothing to run
            os._exit(0)
        return dict(told)

    def _import_ahead(self, *, until_asked: bool) -> None:
        """Import what workers will want. The first worker is not kept waiting for it; the others have it."""
        while self._ahead and not (until_asked and select([self._link], [], [], 0)[0]):
            importlib.import_module(self._ahead.popleft())

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> object:
        """Wait to be asked for workers; only a worker comes back from there."""
        if session.testsfailed:
            return None  # pytest ends the session, for something cannot be collected
        program = self._serve(session.config)
        self._execnet = threading.Thread(target=self._talk, args=[program], daemon=True)
        self._execnet.start()
        return self._work(session)

    def pytest_internalerror(self, excrepr: object) -> None:
        """Something could not be imported, for one."""
        self.trouble = str(excrepr).splitlines()[-1]

    def _serve(self, config: pytest.Config) -> str:
        """Fork a worker for each that is asked for; returns in the worker, with its program."""
        signal.signal(signal.SIGCHLD, _reap)
        first = True
        while True:
            self._import_ahead(until_asked=first)
            try:
                order, streams = hear(self._link)
            except EOFError:
                _reap()
                os._exit(0)
            if "tests" in order:
                tell(self._link, _expected(order["tests"], config))
                continue
            first = False
            gc.freeze()  # else a worker's first collection would copy every page
            if threads := len(list(Path("/proc/self/task").iterdir())) - 1:
                tell(self._link, f"threads that an import has started run there: {threads}")
            elif worker := os.fork():
                self._answer(worker)
            else:
                self._link.close()
                self._become(order, streams, config)
                return str(order["program"])
            for stream in streams:
                os.close(stream)

    def _answer(self, worker: int) -> None:
        try:
            handle = os.pidfd_open(worker)
        except ProcessLookupError:
            tell(self._link, f"process {worker} died at once")
            return
        tell(self._link, worker, [handle])
        os.close(handle)

    # -- in a worker -------------------------------------------------------------------------------

    def _become(self, order: Mapping[str, Any], streams: Sequence[int], config: Any) -> None:
        """What a process has that the controller has started itself."""
        gc.enable()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, self._on_interrupt)
        os.environ.clear()
        os.environ.update(order["environ"])
        os.chdir(order["cwd"])
        sys.argv = ["-c"]
        if capture := config.pluginmanager.getplugin("capturemanager"):
            capture.stop_global_capturing()  # it goes into files that all forks would share
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        sys.stdin = open(0, closefd=False)  # noqa: SIM115  # as at the start of Python
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115

    def _talk(self, program: str) -> None:
        """Execnet's side of a worker; in a thread, for the session has the main one."""
        stdin: Any = sys.stdin.buffer
        if stdin.peek(1):  # else the controller has gone
            exec(program, {"__name__": "__main__"})  # noqa: S102  # what Python was to be started with
        self._called.put(None)

    def called(self, channel: Any) -> None:
        """The controller has sent for xdist's worker; it has gone when this returns."""
        self._called.put((channel, *channel.receive()))
        self._over.wait()
        if self._error is not None:
            raise self._error

    def _work(self, session: pytest.Session) -> object:
        """What xdist's worker would have done before it collected, then its tests."""
        import xdist.remote

        from harness.execution.worker import take_up

        call = self._called.get()
        if call is None:
            pytest.exit("the controller has gone")
        channel, worker_input, _, options, _ = call
        os.environ["PYTEST_XDIST_TESTRUNUID"] = worker_input["testrunuid"]
        os.environ["PYTEST_XDIST_WORKER"] = worker_input["workerid"]
        os.environ["PYTEST_XDIST_WORKER_COUNT"] = str(worker_input["workercount"])
        config: Any = session.config
        config.workerinput, config.workeroutput = worker_input, {}
        config.option.basetemp = options.get("basetemp")
        if temporary := config.pluginmanager.getplugin("tmpdir"):
            temporary.pytest_configure(config)
        if capture := config.pluginmanager.getplugin("capturemanager"):
            capture.start_global_capturing()
            capture.suspend_global_capture()
        interactor = xdist.remote.WorkerInteractor(config, channel)
        xdist.remote.interactor = interactor  # where its pytest_internalerror looks for it
        loop = take_up(config)
        interactor.pytest_sessionstart(session)
        interactor.pytest_collection_finish(session)
        return loop.pytest_runtestloop(session)

    def end(self) -> None:
        """End the worker as Python ends, but for the memory, which is not its own to tidy."""
        assert self._execnet is not None
        self._execnet.join()
        for thread in threading.enumerate():
            if thread is not threading.current_thread() and not thread.daemon:
                thread.join()
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(0)


def _expected(tests: Sequence[str], config: pytest.Config) -> Mapping[str, float] | str:
    """Seconds that these tests took, of those that the lab's store knows; or why it cannot tell, in words."""
    from harness.domain.errors import HarnessError
    from harness.execution.worker import context_of
    from harness.rigs.durations import Durations
    from harness.rigs.pool import store_url
    from harness.rigs.store import Store

    try:
        with Store(store_url(context_of(config).settings.lab), patience=_PATIENCE) as store:
            return Durations(store).expected(tests)
    except HarnessError as error:  # the controller has more patience, and says it where that ends
        return str(error)


def _reap(*_: object) -> None:
    """No worker that has ended stays a zombie; what it has used counts as the controller's children's."""
    with contextlib.suppress(ChildProcessError):  # there is none
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


# -- the link: each message is a file in memory, whose descriptor is sent, and others with it -----------


def tell(link: socket.socket, message: Any, descriptors: Sequence[int] = ()) -> None:
    """Send a message, and descriptors with it, which the sender may close."""
    with os.fdopen(os.memfd_create("message"), "wb") as file:
        pickle.dump(message, file)
        file.flush()
        socket.send_fds(link, [b"."], [file.fileno(), *descriptors])


def hear(link: socket.socket) -> tuple[Any, list[int]]:
    """The next message and what came with it; :class:`EOFError` where nobody is there any more."""
    descriptors = array.array("i")
    try:
        size = socket.CMSG_SPACE(_MOST * descriptors.itemsize)
        data, ancillary, _, _ = link.recvmsg(1, size, socket.MSG_CMSG_CLOEXEC)
    except ConnectionError as error:
        raise EOFError(str(error)) from error
    for _, _, content in ancillary:
        descriptors.frombytes(content)
    if not data:
        raise EOFError("the other side has closed the link")
    file, *others = descriptors
    with os.fdopen(file, "rb") as message:
        message.seek(0)
        return pickle.load(message), others  # noqa: S301  # from our own parent or child


TEMPLATE: Template | None = None
"""The template of this process, where this file is its program: execnet's part of a worker finds it here."""


def main(link: socket.socket) -> None:
    """Prepare while the controller finds out what is to be run, then serve it."""
    global TEMPLATE
    TEMPLATE = Template(link)
    gc.disable()  # until there are workers: nothing of what is imported is garbage
    for name in _AHEAD:
        importlib.import_module(name)
    if not (words := sys.stdin.read()):  # there is nothing to run
        return
    told = json.loads(words)
    sys.path[:] = told["sys_path"]
    if TEMPLATE.run(told["arguments"]):
        TEMPLATE.end()
    with contextlib.suppress(ConnectionError):  # nobody is there to be told
        tell(link, TEMPLATE.trouble)


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])))
