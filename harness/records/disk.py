"""What a process has written and must not lose: on its way to the disk at once, and there when it matters.

To wait for the disk after each line costs more than a short test does. So a thread sees onto the disk what
was written, many tests' at once, while the process goes on; :meth:`Disk.settle` waits for it where something
is about to happen that must not outlive its record: a word to a device, the end of a run. A process that dies
loses nothing either way, for the kernel has it all. A power cut loses what was written in the moment before
it, and nothing that was on record when a test last spoke to a device.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Lock, Thread
from typing import IO, Final

from harness.records.recording import RecordFault, recording

SOON: Final = 0.05  # seconds
_NAME: Final = "onto the disk"


@dataclass(frozen=True, slots=True, eq=False)
class _Given:
    """That a file was given: each time is one of its own."""

    last: bool  # it is whole, and closed once it is there


class Disk:
    """Sees files onto the disk, in the order in which they were given. Threads may share it.

    Life cycle: made, given files, :meth:`settle` whenever it matters, :meth:`close`. A process that was
    forked makes one of its own. Once the disk has failed, nothing is believed of it any more.
    """

    def __init__(self) -> None:
        self._files: dict[IO[bytes], _Given] = {}  # not known to be there
        self._changing = Lock()  # of the above
        self._settling = Lock()  # held by who may close a file
        self._wanted, self._ending = Event(), Event()
        self._thread: Thread | None = None
        self._fault: RecordFault | None = None

    def soon(self, file: IO[bytes]) -> None:
        """What the file has now is to be on the disk soon."""
        self._give(file, last=False)
        self._want()

    def last(self, file: IO[bytes]) -> None:
        """The same for a file that is whole: it is closed when it is there."""
        self._give(file, last=True)
        self._want()

    def now(self, file: IO[bytes]) -> None:
        """What the file has, and all that was given before, is on the disk when this returns."""
        self._give(file, last=False)
        self.settle()

    def settle(self) -> None:
        """Return when all that was given is on the disk; :class:`RecordFault` where that cannot be."""
        with self._settling:
            with self._changing:
                files, self._files = self._files, {}
            for file, given in files.items():
                self._sync(file, given)
        if self._fault is not None:
            raise self._fault

    def close(self) -> None:
        """See to what was given, and to nothing more; twice is fine. Who must know settles before."""
        with self._changing:
            thread = self._thread
            self._ending.set()
        self._wanted.set()
        if thread is not None:
            thread.join()
        with suppress(RecordFault):
            self.settle()

    def _give(self, file: IO[bytes], *, last: bool) -> None:
        """Raises the :class:`RecordFault` that there was before, and then closes a file that is whole."""
        if self._fault is not None:
            if last:
                file.close()
            raise self._fault
        with self._changing:
            self._files.pop(file, None)  # it has its place behind what was given since
            self._files[file] = _Given(last)

    def _sync(self, file: IO[bytes], given: _Given) -> None:
        try:
            onto_disk(file)
        except RecordFault as fault:
            self._fault = self._fault or fault
        if given.last:
            file.close()

    # -- the thread --------------------------------------------------------------------------------

    def _want(self) -> None:
        with self._changing:
            if self._thread is None and not self._ending.is_set():
                self._thread = Thread(target=self._follow, name=_NAME, daemon=True)
                self._thread.start()
        self._wanted.set()

    def _follow(self) -> None:
        while not self._ending.is_set():
            self._wanted.wait()
            self._ending.wait(SOON)  # what comes meanwhile goes with it
            self._wanted.clear()
            with self._changing:
                files = self._files.copy()
            open_ = next((file for file, given in files.items() if not given.last), None)
            if open_ is not None and _whole_file_system(open_):
                self._there(files)
            else:
                with suppress(RecordFault):  # whoever settles next is told
                    self.settle()

    def _there(self, files: Mapping[IO[bytes], _Given]) -> None:
        """They are on the disk, but for what was given once more meanwhile."""
        with self._settling, self._changing:
            for file, given in files.items():
                if self._files.get(file) is given:
                    del self._files[file]
                    if given.last:
                        file.close()


def onto_disk(file: IO[bytes]) -> None:
    """What an open file has is on the disk when this returns; else :class:`RecordFault`."""
    with recording(Path(file.name)):
        os.fdatasync(file.fileno())


def _whole_file_system(file: IO[bytes]) -> bool:
    """Whether all of the file's file system is on its disk now, by one call for however many files.

    That includes what a test has kept and nobody holds open. It takes as long as others have left to write:
    only who waits for nothing can ask for it.
    """
    import ctypes  # Python has no name for it

    sync = getattr(ctypes.CDLL(None), "syncfs", None)
    return sync is not None and sync(file.fileno()) == 0
